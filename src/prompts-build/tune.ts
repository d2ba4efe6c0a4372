import { SAMPLE_RATE } from './level.ts';

/*
 * A tune from a line of notes, for music on hold: plucked tones with two overtones, each gone before its bar is. Pure
 * arithmetic, so that the recording is ours and comes out the same each time.
 */

const NOTE_SAMPLES = (375 * SAMPLE_RATE) / 1000;
const NOTES_A_BAR = 4;
const ATTACK_SAMPLES = (8 * SAMPLE_RATE) / 1000;
const AMPLITUDE = 5000;
/** Overtones keep a low note audible through a telephone, which begins at 300 Hz. */
const OVERTONES = [1, 0.5, 0.25] as const;
const STEPS: Readonly<Record<string, number>> = { C: -9, D: -7, E: -5, F: -4, G: -2, A: 0, B: 2 };

/** `A4` is 440 Hz, and twelve steps an octave. */
export function hertzOf(note: string): number {
  const [name = '', octave = ''] = note;
  const step = STEPS[name];
  if (step === undefined || !/^\d$/.test(octave)) throw new Error(`no note ${note}`);
  return 440 * 2 ** (Number(octave) - 4 + step / 12);
}

export function playTune(score: string): Int16Array {
  const notes = score.split(' ').map(hertzOf);
  const sum = new Float64Array(notes.length * NOTE_SAMPLES);
  for (const [i, hertz] of notes.entries()) {
    pluck(sum, i * NOTE_SAMPLES, NOTE_SAMPLES, hertz, 1);
    if (i % NOTES_A_BAR !== 0) continue;
    const lowest = Math.min(...notes.slice(i, i + NOTES_A_BAR));
    pluck(sum, i * NOTE_SAMPLES, NOTES_A_BAR * NOTE_SAMPLES, lowest / 2, 0.8);
  }
  return Int16Array.from(sum, (value) => Math.round(value * AMPLITUDE));
}

/** Dies away to a twentieth over its length, and to nothing at its end. */
function pluck(sum: Float64Array, from: number, length: number, hertz: number, gain: number): void {
  for (let n = 0; n < length; n += 1) {
    const phase = (2 * Math.PI * hertz * n) / SAMPLE_RATE;
    const tone = OVERTONES.reduce((all, share, i) => all + share * Math.sin(phase * (i + 1)), 0);
    const envelope = Math.min(1, n / ATTACK_SAMPLES) * Math.exp((-3 * n) / length) * Math.min(1, (length - n) / 160);
    sum[from + n] = (sum[from + n] ?? 0) + gain * envelope * tone;
  }
}
