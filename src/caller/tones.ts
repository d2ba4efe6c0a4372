/*
 * What a caller's telephone makes: the two tones of a key (ITU-T Q.23) and G.711 µ-law. For simulated callers; a server
 * process never has a reason to make a tone of a digit.
 */

const ROWS_HZ = [697, 770, 852, 941];
const COLUMNS_HZ = [1209, 1336, 1477, 1633];
const PAD = '123A456B789C*0#D';
export const SAMPLE_RATE = 8000;

/** `levelDbm0` of each of the two tones; 0 dBm0 is a sine of amplitude 22303 in µ-law's scale. */
export function toneOf(key: string, durationMs: number, levelDbm0 = -10): Int16Array {
  const place = PAD.indexOf(key);
  if (place < 0) throw new Error(`no key ${key}`);
  const row = ((ROWS_HZ[Math.floor(place / 4)] ?? 0) * 2 * Math.PI) / SAMPLE_RATE;
  const column = ((COLUMNS_HZ[place % 4] ?? 0) * 2 * Math.PI) / SAMPLE_RATE;
  const amplitude = 22_303 * 10 ** (levelDbm0 / 20);
  return Int16Array.from({ length: Math.round((durationMs * SAMPLE_RATE) / 1000) }, (_, n) =>
    Math.round(amplitude * (Math.sin(row * n) + Math.sin(column * n))),
  );
}

export function mix(a: Int16Array, b: Int16Array): Int16Array {
  return Int16Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    Math.max(-32_768, Math.min(32_767, (a[i] ?? 0) + (b[i] ?? 0))),
  );
}
