import { readWav } from '../../lib/wav.ts';
import type { KeyPress, StreamPresses } from './key-press.ts';
import { mergePresses } from './merge.ts';
import { toEightKilohertz } from './resample.ts';
import { ToneTrack } from './tone-track.ts';

const CHUNK_SAMPLES = 80_000;

export type WavPresses =
  | { readonly ok: true; readonly streams: readonly StreamPresses[] }
  | { readonly ok: false; readonly reason: string };

/** Every channel is heard; a key that sounds in several at once is one press. `progress` gets 0 to 1. */
export function decodeWav(bytes: Uint8Array, progress: (done: number) => void): WavPresses {
  const result = readWav(bytes);
  if (!result.ok) return result;
  const { channels, sampleRate } = result.wav;
  let presses: readonly KeyPress[] = [];
  for (const [index, channel] of channels.entries()) {
    const track = new ToneTrack();
    const samples = toEightKilohertz(channel, sampleRate);
    for (let at = 0; at < samples.length; at += CHUNK_SAMPLES) {
      track.feed(samples.subarray(at, at + CHUNK_SAMPLES));
      progress((index + at / samples.length) / channels.length);
    }
    presses = mergePresses(presses, track.finish());
  }
  return { ok: true, streams: [{ stream: 'wav', presses }] };
}
