#!/usr/bin/env python3
"""Makes more of a reel: the same speech or music faster, slower, louder, in an echoing room, in noise and through codecs.
  variants.py REEL.raw OUT_FOLDER
Needs sox and an ffmpeg with AMR. Every variant passes G.711 last. Another speed moves every formant and harmonic, so for a
tone detector it is other speech."""
import os, subprocess, sys

RAW = ['-t', 'raw', '-r', '8000', '-c', '1', '-e', 'signed', '-b', '16']
MU, A, GSM = ['-t', 'ul', '-r', '8000'], ['-t', 'al', '-r', '8000'], ['-t', 'gsm', '-r', '8000']
VARIANTS = {
    'mu': (MU, []),
    'slow-a': (A, ['gain', '-6', 'speed', '0.88', 'rate', '8000']),
    'fast-gsm': (GSM, ['gain', '-2', 'speed', '1.12', 'rate', '8000']),
    'loud-mu': (MU, ['speed', '1.05', 'rate', '8000', 'gain', '6']),
    'room-mu': (MU, ['gain', '-3', 'speed', '0.95', 'rate', '8000', 'reverb', '40', '50', '60']),
    'deep-a': (A, ['gain', '-3', 'speed', '0.78', 'rate', '8000']),
    'high-mu': (MU, ['gain', '-3', 'speed', '1.22', 'rate', '8000']),
    'phone-mu': (MU, ['compand', '0.02,0.2', '6:-50,-30,-20,-14', '0', '-40', '0.02', 'speed', '1.02', 'rate', '8000', 'sinc', '300-3400']),
    'amr': ('amr', []),
    'noise-mu': ('noise', []),
}

def sox(*arguments):
    subprocess.run(['nice', 'sox', '-V0', *arguments], check=True)

def main(reel, folder):
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(reel)[:-4]
    if os.path.getsize(reel) < 320000:
        return
    for variant, (form, effects) in VARIANTS.items():
        out = os.path.join(folder, f'{name}.{variant}.raw')
        if os.path.exists(out):
            continue
        part = out + '.part'
        if form == 'amr':
            subprocess.run(['nice', 'ffmpeg', '-v', 'error', '-y', '-f', 's16le', '-ar', '8000', '-ac', '1', '-i', reel, '-c:a', 'libopencore_amrnb', '-b:a',
                            '7950', part + '.amr'], check=True)
            subprocess.run(['nice', 'ffmpeg', '-v', 'error', '-y', '-i', part + '.amr', '-f', 's16le', '-ar', '8000', part], check=True)
            os.remove(part + '.amr')
        elif form == 'noise':
            sox(*RAW, reel, *RAW, part + '.n', 'speed', '0.92', 'rate', '8000', 'synth', 'pinknoise', 'gain', '-32')
            sox('-m', '-v', '1', *RAW, reel, '-v', '1', *RAW, part + '.n', *MU, part + '.c')
            sox(*MU, part + '.c', *RAW, part)
            os.remove(part + '.n')
            os.remove(part + '.c')
        else:
            sox(*RAW, reel, *form, part + '.c', *effects)
            sox(*form, part + '.c', *RAW, part)
            os.remove(part + '.c')
        os.rename(part, out)

main(*sys.argv[1:3])
