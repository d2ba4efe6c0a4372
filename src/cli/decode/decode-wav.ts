import { readWav } from '../../lib/wav.ts';
import { OfflineDecoder, type TonePress } from '../../worker/offline.ts';
import type { KeyPress, StreamPresses } from './key-press.ts';
import { mergePresses } from './merge.ts';
import { SAMPLES_PER_MS } from './tone-track.ts';

/** Between two signs of progress: ten seconds at 8 kHz. */
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
  for (const [index, samples] of channels.entries()) {
    const decoder = new OfflineDecoder(sampleRate);
    const heard: TonePress[] = [];
    for (let at = 0; at < samples.length; at += CHUNK_SAMPLES) {
      heard.push(...decoder.feed(samples.subarray(at, at + CHUNK_SAMPLES)));
      progress((index + at / samples.length) / channels.length);
    }
    heard.push(...decoder.finish());
    presses = mergePresses(presses, heard.map(pressOf));
  }
  const durationMs = ((channels[0]?.length ?? 0) / sampleRate) * 1000;
  const paths = { event: [], inband: presses, info: [] };
  return { ok: true, streams: [{ stream: 'wav', presses, paths, durationMs, hasAudio: true, notes: [] }] };
}

function pressOf({ event, onsetSample, durationSamples, levelDbm0 }: TonePress): KeyPress {
  const onsetMs = onsetSample / SAMPLES_PER_MS;
  return { source: 'inband', event, onsetMs, durationMs: durationSamples / SAMPLES_PER_MS, levelDbm0 };
}
