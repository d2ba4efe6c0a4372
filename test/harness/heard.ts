import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav } from '../../src/lib/wav.ts';

/*
 * Finds recordings in what a caller heard: a piece of the recording lies over the same samples, but for G.711's steps.
 * Several pieces are looked for, since a late packet puts 20 ms of silence into one of them.
 */

const FOLDER = join(import.meta.dirname, '../../prompts/en-US');
const PIECE_SAMPLES = 400;
const PIECES = 6;
/** Of 1. Of any two digits of the shipped voice the most alike pieces, of seven in one, reach 0.983; G.711 leaves 0.999. */
const LIKENESS_MIN = 0.99;

/** Whether this recording stands in 8 kHz samples that a caller heard. */
export function isHeard(heard: Int16Array, name: string): boolean {
  const read = readWav(readFileSync(join(FOLDER, `${name}.wav`)));
  if (!read.ok) throw new Error(`${name}: ${read.reason}`);
  const samples = read.wav.channels[0] ?? new Int16Array(0);
  // The middle half, where it is loud and unlike others.
  const step = Math.floor(Math.max(0, samples.length / 2 - PIECE_SAMPLES) / (PIECES - 1));
  return Array.from({ length: PIECES }, (_, at) => {
    const first = Math.floor(samples.length / 4) + at * step;
    return samples.subarray(first, first + PIECE_SAMPLES);
  }).some((piece) => likeness(heard, piece) >= LIKENESS_MIN);
}

/** The greatest normalized correlation of the piece with any place of what was heard. */
function likeness(heard: Int16Array, piece: Int16Array): number {
  const own = energy(piece, 0, piece.length);
  let there = energy(heard, 0, piece.length);
  let best = 0;
  for (let at = 0; at + piece.length < heard.length; at++) {
    // Half the energy and twice it cannot be the same samples: most places are passed over so.
    if (there > own / 2 && there < own * 2) {
      let sum = 0;
      for (let i = 0; i < piece.length; i++) sum += (piece[i] ?? 0) * (heard[at + i] ?? 0);
      best = Math.max(best, sum / Math.sqrt(own * there));
    }
    there += (heard[at + piece.length] ?? 0) ** 2 - (heard[at] ?? 0) ** 2;
  }
  return best;
}

function energy(samples: Int16Array, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at++) sum += (samples[at] ?? 0) ** 2;
  return sum;
}
