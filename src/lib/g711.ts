/**
 * G.711 to and from 16-bit linear samples, for files and captures. Calls are coded natively (native/audio).
 * Source: ITU-T G.711 tables 1a and 2a, as segments: A-law inverts the even bits (0x55), mu-law all bits.
 */
const ALAW_TOGGLE = 0x55;
const ULAW_BIAS = 0x84;
const ULAW_CLIP = 32635;

function alawSample(code: number): number {
  const value = code ^ ALAW_TOGGLE;
  const segment = (value >> 4) & 7;
  const mantissa = ((value & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? mantissa : (mantissa + 0x100) << (segment - 1);
  return (value & 0x80) !== 0 ? magnitude : -magnitude;
}

function ulawSample(code: number): number {
  const value = ~code & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + ULAW_BIAS) << ((value >> 4) & 7)) - ULAW_BIAS;
  return (value & 0x80) !== 0 ? -magnitude : magnitude;
}

const ALAW = Int16Array.from({ length: 256 }, (_, code) => alawSample(code));
const ULAW = Int16Array.from({ length: 256 }, (_, code) => ulawSample(code));

function decode(table: Int16Array, codes: Uint8Array): Int16Array {
  const samples = new Int16Array(codes.length);
  for (let at = 0; at < codes.length; at += 1) samples[at] = table[codes[at] ?? 0] ?? 0;
  return samples;
}

export const decodeAlaw = (codes: Uint8Array): Int16Array => decode(ALAW, codes);
export const decodeUlaw = (codes: Uint8Array): Int16Array => decode(ULAW, codes);

/** The segment of a magnitude whose lowest segment ends below `1 << lowestBit`. */
function segmentOf(magnitude: number, lowestBit: number): number {
  return Math.max(0, 31 - Math.clz32(magnitude) - lowestBit + 1);
}

export function encodeUlaw(samples: Int16Array): Uint8Array {
  return Uint8Array.from(samples, (sample) => {
    const magnitude = Math.min(sample < 0 ? ~sample : sample, ULAW_CLIP) + ULAW_BIAS;
    const segment = segmentOf(magnitude, 8);
    return ~((sample < 0 ? 0x80 : 0) | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) & 0xff;
  });
}

export function encodeAlaw(samples: Int16Array): Uint8Array {
  return Uint8Array.from(samples, (sample) => {
    const magnitude = sample < 0 ? -sample - 1 : sample;
    const segment = segmentOf(magnitude, 8);
    const code = (segment << 4) | ((magnitude >> (segment === 0 ? 4 : segment + 3)) & 0x0f);
    return (code | (sample < 0 ? 0 : 0x80)) ^ ALAW_TOGGLE;
  });
}
