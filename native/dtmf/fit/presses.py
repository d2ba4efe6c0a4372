#!/usr/bin/env python3
"""Key presses for the fit: OUT.raw (16 bit, 8 kHz, mono) and OUT.truth, every press under conditions of its own.
  presses.py OUT SEED PRESSES [SPEECH.raw]
Drawn evenly unless said otherwise: 30 to 160 ms on, 35 to 120 ms off, a level of -36 to -2 dBm0, twist of -4 to +4 dB
(three of ten: 8.5), each frequency up to 1.9 % off (half of the presses: 0.5 %), a drop-out in one of ten. What lies under
a stretch of 32 presses: nothing (3 of 10), white noise of 3 to 30 dB S/N (3), speech 5 to 25 dB below (2), a dial tone up
to 4 dB above one tone (1), speech in noise (1). A quarter of the stretches come from rough telephones: keys that click
before the tone, tones that begin within up to 60 ms or with a loud crackle of up to 40 ms, swell or fade by up to 8 dB, an
echo. Then G.711 of either law, and lost packets in one stretch of five."""
import sys
import numpy as np

RATE = 8000
ROWS, COLUMNS, KEYS = (697, 770, 852, 941), (1209, 1336, 1477, 1633), '123A456B789C*0#D'
DIAL_TONES_HZ = ((350, 440), (425,), (400,), (440, 480), (330, 440), (400, 450))
STRETCH = 32

def mu_law(x):
    x = np.clip(x, -32635, 32635)
    m = np.abs(x) + 132
    e = np.floor(np.log2(m)).astype(int) - 7
    step = 2.0 ** (e + 3)
    return np.sign(x) * (np.floor(m / step) * step + step / 2 - 132)

def a_law(x):
    m = np.minimum(np.abs(x), 32767)
    e = np.maximum(np.floor(np.log2(np.maximum(m, 1))).astype(int), 8)
    step = 2.0 ** (e - 4)
    return np.where(x < 0, -1, 1) * (np.floor(m / step) * step + step / 2)

def peak(dbm0):
    return 32124 * 10 ** ((dbm0 - 3.17) / 20)

def stretch(random, speech):
    level = random.uniform(-36, -2)
    pieces, truth, at = [], [], int(random.uniform(1000, 3000))
    pieces.append(np.zeros(at))
    key = 0
    is_rough = random.random() < 0.25
    for _ in range(STRETCH):
        key = key if random.random() < 0.4 else int(random.integers(16))
        on = int(random.uniform(30, 160) * 8) if random.random() < 0.6 else int(random.uniform(38, 65) * 8)
        off = int(random.uniform(35, 120) * 8)
        twist = random.uniform(-8.5, 8.5) if random.random() < 0.3 else random.uniform(-4, 4)
        limit = 0.019 if random.random() < 0.5 else 0.005
        n = np.arange(on) / RATE
        row, column = (hz * (1 + random.uniform(-limit, limit)) for hz in (ROWS[key // 4], COLUMNS[key % 4]))
        tone = peak(level - max(twist, 0)) * np.sin(2 * np.pi * row * n + random.uniform(0, 7))
        tone += peak(level + min(twist, 0)) * np.sin(2 * np.pi * column * n + random.uniform(0, 7))
        if is_rough:
            tone *= 10 ** (random.uniform(-8, 6) / 20 * np.minimum(n / 0.06, 1)) * np.minimum(1, (n + 1e-3) / (random.uniform(0.001, 0.012) if random.random() < 0.5 else random.uniform(0.01, 0.06)))
            if random.random() < 0.25:
                first = min(int(random.uniform(80, 320)), on - 280)
                if first > 0:
                    tone[:first] = tone[:first] * random.uniform(1, 4) + random.normal(size=first) * peak(level) * random.uniform(0.3, 2)
            click = int(random.uniform(40, 200))
            where = len(pieces[-1]) - click - int(random.uniform(0, 80))
            if where > 0 and random.random() < 0.6:
                pieces[-1][where:where + click] += peak(level) * 10 ** (random.uniform(-16, 6) / 20) * random.normal(size=click) * np.hanning(click)
        if random.random() < 0.1 and on > 720:
            hole = int(random.uniform(240, on - 240 - 120))
            tone[hole:hole + int(random.uniform(8, 120))] = 0
        truth.append((at, at + on, KEYS[key]))
        pieces += [tone, np.zeros(off)]
        at += on + off
    x = np.concatenate(pieces)
    if is_rough and random.random() < 0.5:
        delay = int(random.uniform(80, 640))
        x[delay:] = x[delay:] + 10 ** (random.uniform(-25, -10) / 20) * x[:-delay]
    power = peak(level) ** 2
    kind = random.random()
    if 0.3 <= kind < 0.6 or kind >= 0.9:
        x = x + random.normal(size=len(x)) * np.sqrt(power / 10 ** (random.uniform(3 if kind < 0.6 else 10, 30) / 10))
    if speech is not None and (0.6 <= kind < 0.8 or kind >= 0.9):
        start = int(random.integers(len(speech) - len(x)))
        part = speech[start:start + len(x)]
        frames = part[:len(part) // 160 * 160].reshape(-1, 160)
        active = (frames ** 2).mean(1)
        active = active[active > 1e4]
        if len(active):
            x = x + part * np.sqrt(power / active.mean() / 10 ** (random.uniform(5, 25) / 10))
    if 0.8 <= kind < 0.9:
        n = np.arange(len(x)) / RATE
        dial = peak(level + random.uniform(-20, 4) - 3)
        for hz in DIAL_TONES_HZ[int(random.integers(len(DIAL_TONES_HZ)))]:
            x = x + dial * np.sin(2 * np.pi * hz * n + random.uniform(0, 7))
    x = np.clip(np.rint(x), -32768, 32767)
    law = random.random()
    x = mu_law(x) if law < 0.5 else a_law(x) if law < 0.9 else x
    lost = np.zeros(len(x), bool)
    if random.random() < 0.2:
        repeat = random.random() < 0.5
        for frame in range(1, len(x) // 160):
            if random.random() < 0.04:
                here = slice(frame * 160, frame * 160 + 160)
                x[here] = x[frame * 160 - 160:frame * 160] if repeat else 0
                lost[here] = True
    lines = []
    for onset, offset, name in truth:
        best = run = 0
        for is_lost in lost[onset:offset]:
            run = 0 if is_lost else run + 1
            best = max(best, run)
        lines.append((onset, offset, name + (' ?' if best < 240 else '')))
    return np.rint(x).astype('<i2'), lines

def main(out, seed, presses, speech=None):
    random = np.random.default_rng(int(seed))
    speech = np.fromfile(speech, '<i2').astype(float) if speech else None
    at = 0
    with open(out + '.raw', 'wb') as raw, open(out + '.truth', 'w') as truth:
        for _ in range(int(presses) // STRETCH):
            samples, lines = stretch(random, speech)
            raw.write(samples.tobytes())
            for onset, offset, name in lines:
                truth.write(f'{(at + onset) / 8:.1f} {(at + offset) / 8:.1f} {name}\n')
            at += len(samples)

main(*sys.argv[1:])
