import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { CaptureDecoder } from '../../src/cli/decode/decode-capture.ts';
import { decodeWav } from '../../src/cli/decode/decode-wav.ts';
import { digitText, type KeyPress } from '../../src/cli/decode/key-press.ts';
import { ProgressBar } from '../../src/cli/decode/progress.ts';
import { decodeCommand } from '../../src/cli/decode.ts';
import { writeWav } from '../../src/lib/wav.ts';
import {
  audioPackets,
  eventPackets,
  framed,
  infoKey,
  keyedAudio,
  overUdp,
  REVERSED,
  SIP_ENDS,
  SSRC,
  STREAM,
  setUp,
} from '../data/calls.ts';
import { testFiles } from '../data/make.ts';
import { type Captured, pcapFile, rtp, telephoneEvent } from '../data/packets.ts';
import { VirtualClock } from '../harness/clock.ts';

const ROOT = join(import.meta.dirname, '../..');
const DATA = join(ROOT, 'test/data');

/** Runs the command in this process and takes what it writes. */
async function hushtone(...argv: string[]): Promise<{ stdout: string; stderr: string; status: number }> {
  const [stdout, stderr]: string[][] = [[], []];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => (stdout?.push(String(text)) ?? 0) > 0);
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (stderr?.push(String(text)) ?? 0) > 0);
  try {
    const status = await decodeCommand(argv);
    return { stdout: stdout?.join('') ?? '', stderr: stderr?.join('') ?? '', status };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

function presses(packets: readonly Captured[]): { stream: string; presses: readonly KeyPress[] }[] {
  const bytes = pcapFile([...packets].sort((a, b) => a.atMs - b.atMs));
  const decoder = new CaptureDecoder(bytes);
  decoder.push(bytes);
  return decoder.finish().streams.filter((stream) => stream.presses.length > 0);
}

const keysOf = (found: readonly { presses: readonly KeyPress[] }[]): string =>
  found
    .flatMap((stream) => stream.presses.map((press) => `${digitText(press.event, true)}${press.source[0]}`))
    .join(' ');

/** One event packet, for cases that `eventPackets` does not make. */
function event(
  atMs: number,
  sequenceNumber: number,
  timestamp: number,
  payload: Uint8Array,
  payloadType = 101,
): Captured {
  return { atMs, bytes: framed(rtp({ payloadType, sequenceNumber, timestamp, ssrc: SSRC }, payload)) };
}

describe('the files of test/data', () => {
  it.each([...testFiles()])('%s is what make.ts makes', (name, { bytes }) => {
    expect(readFileSync(join(DATA, name)).equals(bytes)).toBe(true);
  });
});

describe('hushtone decode', () => {
  it.each([...testFiles()])('finds every key of %s', async (name, { digits, note }) => {
    const { stdout, stderr, status } = await hushtone('--json', '--reveal', join(DATA, name));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line.digit).join('')).toBe(digits);
    expect([stderr, status]).toEqual([note === undefined ? '' : `${join(DATA, name)}: ${note}\n`, 0]);
  });

  it('prints the fields of the contract, one object a line', async () => {
    const { stdout } = await hushtone('--json', '--reveal', join(DATA, 'events-alone.pcapng'));
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toEqual({
      file: join(DATA, 'events-alone.pcapng'),
      stream: STREAM,
      source: 'event',
      digit: '0',
      onsetMs: 0,
      durationMs: 100,
      levelDbm0: -10,
    });
  });

  it('runs as a command of its own', () => {
    const argv = [join(ROOT, 'src/cli/hushtone.js'), 'decode', '--reveal', join(DATA, 'tones.wav')];
    const { stdout, status } = spawnSync(process.execPath, argv, { encoding: 'utf8', cwd: ROOT });
    expect(
      stdout
        .split('\n')
        .map((line) => line[0] ?? '')
        .join(''),
    ).toBe('5105#');
    expect(status).toBe(0);
  }, 60_000);

  it('hides every digit unless it is told to reveal them', async () => {
    const file = join(DATA, 'events-with-sip.pcap');
    for (const { stdout } of [await hushtone(file), await hushtone('--json', file)]) {
      expect(stdout.match(/•/g)).toHaveLength(17);
      expect(stdout).not.toMatch(/"digit":"[0-9*#A-D]"|^[0-9*#A-D] /m);
    }
  });

  describe('with files it cannot read', () => {
    let folder = '';
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hushtone-decode-'));
      writeFileSync(join(folder, 'empty.pcap'), '');
      writeFileSync(join(folder, 'letter.pcap'), 'Dear reader');
      writeFileSync(
        join(folder, 'damaged.pcap'),
        Buffer.concat([pcapFile(eventPackets('7', 101)), Buffer.alloc(64, 0xff)]),
      );
    });

    it('names each with its reason, decodes the others, and ends with status 2', async () => {
      const files = ['absent.wav', 'empty.pcap', 'letter.pcap'].map((name) => join(folder, name));
      const { stdout, stderr, status } = await hushtone('--json', '--reveal', ...files, join(DATA, 'tones.wav'));
      expect(stderr.trim().split('\n')).toEqual([
        `${files[0]}: does not exist`,
        `${files[1]}: is empty`,
        `${files[2]}: is neither a WAV file nor a packet capture`,
      ]);
      expect(stdout.trim().split('\n')).toHaveLength(5);
      expect(status).toBe(2);
    });

    it('prints the keys before the place where a capture is damaged', async () => {
      const { stdout, stderr, status } = await hushtone('--json', '--reveal', join(folder, 'damaged.pcap'));
      expect(JSON.parse(stdout)).toMatchObject({ digit: '7' });
      expect(stderr).toMatch(/damaged\.pcap: is damaged: a packet claims \d+ bytes\n$/);
      expect(status).toBe(2);
    });

    it('asks for a file, and refuses an option it does not know', async () => {
      expect(await hushtone()).toMatchObject({ status: 2, stdout: '' });
      expect((await hushtone('--revael', join(DATA, 'tones.wav'))).stderr).toContain("'--revael'");
      expect(await hushtone('--help')).toMatchObject({ status: 0, stderr: '' });
    });
  });
});

describe('keys of one stream', () => {
  it('reports a press by event and by tone once, as an event', () => {
    const tones = audioPackets(keyedAudio('123', { onMs: 100, offMs: 100 }), 'PCMU');
    // The same three presses as events of the same clock, 20 ms after the tone began, between the audio packets.
    const first = 4_294_960_000;
    const events = [0, 1, 2].flatMap((press) =>
      [160, 480, 800].map((durationTs, packet) =>
        event(
          220 + press * 200 + packet * 40 + 1,
          65_500 + 200 + press * 3 + packet,
          first + 1600 + press * 1600,
          telephoneEvent(press + 1, packet === 2, durationTs),
        ),
      ),
    );
    expect(keysOf(presses([...tones, ...events]))).toBe('1e 2e 3e');
  });

  it('keeps tones that no event describes', () => {
    const tones = audioPackets(keyedAudio('12'), 'PCMA');
    expect(keysOf(presses(tones))).toBe('1i 2i');
  });

  it('reports a repeated digit when every END packet is lost', () => {
    const packets = [0, 1].flatMap((press) =>
      [160, 320, 480].map((ts, index) =>
        event(press * 300 + index * 20, press * 3 + index, 1000 + press * 2400, telephoneEvent(5, false, ts)),
      ),
    );
    expect(keysOf(presses(packets))).toBe('5e 5e');
  });

  it('puts packets in order before it listens, and hears through lost ones', () => {
    const tones = audioPackets(keyedAudio('4519', { onMs: 100 }), 'PCMU');
    const shuffled = tones.map((packet, index) => ({ ...packet, atMs: packet.atMs + (index % 3 === 1 ? 45 : 0) }));
    expect(keysOf(presses(shuffled))).toBe('4i 5i 1i 9i');
    const quiet = new Set([3, 8, 16, 17]);
    expect(keysOf(presses(tones.filter((_, index) => !quiet.has(index))))).toBe('4i 5i 1i 9i');
  });

  it('puts presses where they were, whatever was lost before them', () => {
    const tones = audioPackets(keyedAudio('1234'), 'PCMU');
    const whole = presses(tones)[0]?.presses.map((press) => press.onsetMs);
    // All of the second key and its pause is lost.
    const holed = presses(tones.filter((_, index) => index < 18 || index >= 26))[0]?.presses.map(
      (press) => press.onsetMs,
    );
    expect(holed).toEqual([whole?.[0], whole?.[2], whole?.[3]]);
    expect(Math.abs((whole?.[3] ?? 0) - 680)).toBeLessThanOrEqual(10);
  });

  it('takes a payload type for events when SDP says so, and not when it says otherwise', () => {
    const { offer, answer } = setUp(96, 117);
    const sip = [overUdp(0, offer), overUdp(1, answer, REVERSED(SIP_ENDS))];
    const later = eventPackets('8', 117).map((packet) => ({ ...packet, atMs: packet.atMs + 10 }));
    expect(keysOf(presses([...sip, ...later]))).toBe('8e');
  });

  it('does not take 4-byte packets for events where the type also carries something else', () => {
    const packets = [0, 1, 2, 3].map((index) =>
      event(index * 20, index, 160 * index, index === 2 ? Buffer.alloc(33, 7) : telephoneEvent(1, false, 160), 111),
    );
    expect(presses(packets)).toEqual([]);
  });

  it('measures the clock of events without SDP: a press at 48 kHz begins when it began', () => {
    const packets = Array.from({ length: 50 }, (_, index) =>
      index === 25
        ? event(500, index, 24_000, telephoneEvent(3, true, 4800), 101)
        : event(index * 20, index, index * 960, Buffer.alloc(40, 1), 96),
    );
    expect(presses(packets)[0]?.presses[0]).toMatchObject({ event: 3, onsetMs: 500, durationMs: 100 });
  });
});

describe('keys by SIP INFO', () => {
  it('counts a retransmitted INFO once, and two of one key twice', () => {
    const packets = [
      overUdp(0, infoKey(2, '5')),
      overUdp(500, infoKey(2, '5')),
      overUdp(900, infoKey(3, '5')),
      overUdp(2000, infoKey(4, '11')),
    ];
    const found = presses(packets);
    expect(keysOf(found)).toBe('5i 5i #i');
    expect(found[0]?.stream).toBe('192.0.2.10:5060>198.51.100.5:5060/info');
    expect(found[0]?.presses.map((press) => [press.source, press.onsetMs])).toEqual([
      ['info', 0],
      ['info', 900],
      ['info', 2000],
    ]);
  });

  it('lays an INFO beside the audio of its sender, and reports a press seen on both paths once', () => {
    const { offer, answer } = setUp(101, 101);
    const events = eventPackets('42', 101).map((packet) => ({ ...packet, atMs: packet.atMs + 1000 }));
    const packets = [
      overUdp(0, offer),
      overUdp(20, answer, REVERSED(SIP_ENDS)),
      ...events,
      overUdp(1110, infoKey(2, '4')),
      overUdp(3000, infoKey(3, '9')),
    ];
    const found = presses(packets);
    expect(found.map(({ stream }) => stream)).toEqual([STREAM]);
    expect(found[0]?.presses.map((press) => [press.event, press.source, press.onsetMs])).toEqual([
      [4, 'event', 0],
      [2, 'event', 200],
      [9, 'info', 2000],
    ]);
  });
});

describe('keys in recordings', () => {
  it.each([11_025, 16_000, 44_100, 48_000])('are found at %i Hz', (sampleRate) => {
    const result = decodeWav(writeWav([keyedAudio('0159#', { sampleRate })], sampleRate), () => {});
    expect(result.ok && keysOf(result.streams)).toBe('0i 1i 5i 9i #i');
  });

  it('are found in either channel, and once where both have them', () => {
    const left = keyedAudio('12');
    const silent = new Int16Array(left.length);
    for (const channels of [
      [left, silent],
      [silent, left],
      [left, left],
    ]) {
      const result = decodeWav(writeWav(channels, 8000), () => {});
      expect(result.ok && keysOf(result.streams)).toBe('1i 2i');
    }
  });
});

describe('the progress bar', () => {
  const terminal = (columns: number | null) => {
    const written: string[] = [];
    const write = (text: string) => written.push(text);
    return { written, write, isTTY: true, ...(columns === null ? {} : { columns }) };
  };

  it('appears on a terminal after two seconds, and goes away at the end', async () => {
    const clock = new VirtualClock();
    const screen = terminal(null);
    const bar = new ProgressBar(screen, clock);
    bar.show(0.1, 'call.pcap');
    expect(screen.written).toEqual([]);
    await clock.advance(2000);
    bar.show(0.5, 'call.pcap');
    bar.clear();
    expect(screen.written[0]).toContain(`${'█'.repeat(15)}${'░'.repeat(15)}  50 % call.pcap`);
    expect(screen.written.slice(1)).toEqual(['\r\u001b[2K']);
    bar.clear();
    expect(screen.written).toHaveLength(2);
  });

  it('is drawn ten times a second at most, and never wider than its line', async () => {
    const clock = new VirtualClock();
    const screen = terminal(40);
    const bar = new ProgressBar(screen, clock);
    await clock.advance(2000);
    for (let step = 0; step < 100; step += 1) {
      bar.show(step / 100, 'a/long/way/to/a/capture.pcap');
      await clock.advance(10);
    }
    expect(screen.written).toHaveLength(10);
    for (const line of screen.written) expect([...line.replace('\r\u001b[2K', '')]).toHaveLength(39);
  });

  it('never appears where standard error is a file', async () => {
    const clock = new VirtualClock();
    const written: string[] = [];
    const bar = new ProgressBar({ write: (text) => written.push(text) }, clock);
    await clock.advance(5000);
    bar.show(0.5, 'call.pcap');
    bar.clear();
    expect(written).toEqual([]);
  });
});
