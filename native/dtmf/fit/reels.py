#!/usr/bin/env python3
"""Joins the sound files of unpacked Debian packages to reels: one SOURCE.raw for each folder, 16 bit, 8 kHz, mono.
  reels.py FOLDER_OF_UNPACKED_PACKAGES OUT
Every file is cut at 90 s, so that no piece of music outweighs the speech. Needs ffmpeg and sox. Archives of games (.pk3, .zip, and the
talkie of flight-of-the-amazon-queen, which holds one MP3 a sentence) are opened too."""
import os, struct, subprocess, sys, tempfile, zipfile

KINDS = ('.wav', '.ogg', '.oga', '.mp3', '.flac', '.opus', '.gsm', '.g722')
SECONDS_MAX = 90
SPEECH_SECONDS_MAX = 3 * 3600
SMALL_BYTES = 400_000

def decode(path):
    seconds = SPEECH_SECONDS_MAX if path.endswith('queen.mp3') else SECONDS_MAX
    run = subprocess.run(['ffmpeg', '-v', 'quiet', '-nostdin', '-t', str(seconds), '-i', path, '-threads', '1', '-ac', '1', '-ar', '8000',
                          '-f', 's16le', '-'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return run.stdout

def decode_small(paths):
    """Many short files of one form at once: starting a decoder for each would take longer than decoding."""
    run = subprocess.run(['sox', '-V0', '--combine', 'concatenate', *paths, '-r', '8000', '-c', '1', '-b', '16', '-e', 'signed', '-t', 'raw', '-'],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return run.stdout if run.returncode == 0 else b''.join(decode(path) + bytes(1600) for path in paths)

def unpack(path, into):
    if path.endswith(('.pk3', '.zip')):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(into, [name for name in archive.namelist() if name.endswith(KINDS)])
    if path.endswith('queen.1c'):
        whole = open(path, 'rb').read()
        at = 0
        joined = open(os.path.join(into, 'queen.mp3'), 'wb')
        while (at := whole.find(b'.SB\0', at)) > 0 and at < 400_000:
            _, offset, size = struct.unpack('>BII', whole[at + 4:at + 13])
            at += 13
            if offset + size <= len(whole) and size > 1000:
                joined.write(whole[offset:offset + size])

def main(folder, out):
    os.makedirs(out, exist_ok=True)
    for source in sorted(os.listdir(folder)):
        target = os.path.join(out, source + '.raw')
        if os.path.exists(target):
            continue
        with tempfile.TemporaryDirectory() as extra, open(target + '.part', 'wb') as reel:
            for root, _, names in os.walk(os.path.join(folder, source)):
                for name in names:
                    unpack(os.path.join(root, name), extra)
            paths = [os.path.join(root, name) for top in (os.path.join(folder, source), extra) for root, _, names in os.walk(top) for name in names]
            paths = sorted(path for path in paths if path.lower().endswith(KINDS) and not os.path.islink(path))
            small = [path for path in paths if os.path.getsize(path) < SMALL_BYTES and path.endswith(('.wav', '.ogg', '.gsm'))]
            for at in range(0, len(small), 50):
                reel.write(decode_small(small[at:at + 50]))
            for path in sorted(set(paths) - set(small)):
                reel.write(decode(path) + bytes(1600))
        os.rename(target + '.part', target)
        print(source, round(os.path.getsize(target) / 16000 / 60, 1), 'minutes', flush=True)

main(*sys.argv[1:3])
