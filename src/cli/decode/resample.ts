/**
 * To 8 kHz with a windowed sinc: pass band to 3400 Hz, Blackman window. DTMF ends at 1633 Hz, so this is generous.
 * A common multiple of rates makes phases repeat, but files are short: each output sample computes its own taps.
 */
const TARGET_RATE = 8000;
const CUTOFF_HZ = 3700;
/** Half the filter's length, in periods of the lower of both rates. */
const HALF_PERIODS = 16;
const TABLE_STEPS = 512;

export function toEightKilohertz(samples: Int16Array, sampleRate: number): Int16Array {
  if (sampleRate === TARGET_RATE) return samples;
  const cutoff = Math.min(CUTOFF_HZ, sampleRate * 0.46) / sampleRate;
  const half = HALF_PERIODS * Math.max(1, sampleRate / TARGET_RATE);
  const table = kernel(cutoff, half);
  const step = sampleRate / TARGET_RATE;
  return Int16Array.from({ length: Math.floor(samples.length / step) }, (_, index) => {
    const centre = index * step;
    const last = Math.min(samples.length - 1, Math.floor(centre + half));
    let sum = 0;
    for (let at = Math.max(0, Math.ceil(centre - half)); at <= last; at += 1) {
      const place = Math.round((Math.abs(at - centre) / half) * table.length);
      sum += (samples[at] ?? 0) * (table[place] ?? 0);
    }
    return Math.max(-32768, Math.min(32767, Math.round(sum)));
  });
}

/** One side of the impulse response, from its centre outwards. */
function kernel(cutoff: number, half: number): Float64Array {
  return Float64Array.from({ length: Math.ceil(half) * TABLE_STEPS }, (_, index) => {
    const at = (index / (Math.ceil(half) * TABLE_STEPS)) * half;
    const phase = Math.PI * (at / half);
    const window = 0.42 + 0.5 * Math.cos(phase) + 0.08 * Math.cos(2 * phase);
    const angle = 2 * Math.PI * cutoff * at;
    return (at === 0 ? 2 * cutoff : Math.sin(angle) / (Math.PI * at)) * window;
  });
}
