/*
 * What every recording goes through, on 8 kHz 16-bit samples: silence trimmed, one level, soft ends. Pure.
 */

export const SAMPLE_RATE = 8000;
/** Active speech level. 0 dBm0 is a sine of amplitude 32124 / 10^(3.17/20) in G.711 µ-law. */
export const LEVEL_DBM0 = -20;
export const LEVEL_TOLERANCE_DB = 1;

const FRAME_SAMPLES = 160;
/** ITU-T P.56: what lies more than this below the active level is no speech. */
const MARGIN_DB = 15.9;
const FULL_SCALE_MEAN_SQUARE = 32124 ** 2 / 2;
const FULL_SCALE_DBM0 = 3.17;
const PEAK_MAX = 29000;
const FADE_SAMPLES = 40;
const KEEP_SILENCE_SAMPLES = 240;

function meanSquares(samples: Int16Array): number[] {
  const squares: number[] = [];
  for (let at = 0; at < samples.length; at += FRAME_SAMPLES) {
    const frame = samples.subarray(at, at + FRAME_SAMPLES);
    let sum = 0;
    for (const sample of frame) sum += sample * sample;
    squares.push(sum / frame.length);
  }
  return squares;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** Mean square of the frames that are speech: the margin is applied to what it selects until that stands still. */
function activeMeanSquare(samples: Int16Array): number {
  const squares = meanSquares(samples);
  let active = mean(squares);
  for (let round = 0; round < 20; round++) {
    const threshold = active / 10 ** (MARGIN_DB / 10);
    const next = mean(squares.filter((square) => square >= threshold));
    if (Math.abs(next - active) < active * 1e-6) break;
    active = next;
  }
  return active;
}

/** -Infinity for silence. */
export function activeLevelDbm0(samples: Int16Array): number {
  return 10 * Math.log10(activeMeanSquare(samples) / FULL_SCALE_MEAN_SQUARE) + FULL_SCALE_DBM0;
}

/** Without the silence at both ends, but for 30 ms, so that neighbours do not run together. */
export function trim(samples: Int16Array): Int16Array {
  const threshold = activeMeanSquare(samples) / 10 ** 3;
  const squares = meanSquares(samples);
  const first = squares.findIndex((square) => square > threshold);
  const last = squares.findLastIndex((square) => square > threshold);
  if (first < 0) return samples.slice(0, 0);
  const from = Math.max(0, first * FRAME_SAMPLES - KEEP_SILENCE_SAMPLES);
  const to = Math.min(samples.length, (last + 1) * FRAME_SAMPLES + KEEP_SILENCE_SAMPLES);
  return samples.slice(from, to);
}

/** At LEVEL_DBM0; peaks that would leave the range are bent, not cut. */
export function toLevel(samples: Int16Array): Int16Array {
  let level = samples;
  for (let round = 0; round < 3; round++) {
    const gain = 10 ** ((LEVEL_DBM0 - activeLevelDbm0(level)) / 20);
    if (Math.abs(20 * Math.log10(gain)) < 0.1) break;
    level = Int16Array.from(level, (sample) => bend(sample * gain));
  }
  return level;
}

function bend(value: number): number {
  const knee = PEAK_MAX * 0.7;
  const magnitude = Math.abs(value);
  if (magnitude <= knee) return Math.round(value);
  const room = PEAK_MAX - knee;
  return Math.round(Math.sign(value) * (knee + room * Math.tanh((magnitude - knee) / room)));
}

/** 5 ms from and to silence, so that joins do not click. */
export function softEnds(samples: Int16Array): Int16Array {
  const soft = samples.slice();
  const count = Math.min(FADE_SAMPLES, Math.floor(soft.length / 2));
  for (let i = 0; i < count; i++) {
    const share = (i + 0.5) / count;
    soft[i] = Math.round((soft[i] ?? 0) * share);
    const end = soft.length - 1 - i;
    soft[end] = Math.round((soft[end] ?? 0) * share);
  }
  return soft;
}
