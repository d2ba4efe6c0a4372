import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAlaw, decodeUlaw, encodeAlaw, encodeUlaw } from '../../src/lib/g711.ts';
import { readWav, writeWav } from '../../src/lib/wav.ts';

/** A WAV header in front of `data`; `extensible` wraps the same format in WAVE_FORMAT_EXTENSIBLE. */
function wavOf(data: Buffer, format: { tag: number; bits: number; channels?: number; extensible?: boolean }): Buffer {
  const channels = format.channels ?? 1;
  const body = Buffer.alloc(format.extensible === true ? 40 : 16);
  body.writeUInt16LE(format.extensible === true ? 0xfffe : format.tag, 0);
  body.writeUInt16LE(channels, 2);
  body.writeUInt32LE(8000, 4);
  body.writeUInt16LE(channels * (format.bits / 8), 12);
  body.writeUInt16LE(format.bits, 14);
  if (format.extensible === true) {
    body.writeUInt16LE(22, 16);
    body.writeUInt16LE(format.tag, 24);
    body.write('000000001000800000aa00389b71', 26, 'hex');
  }
  return Buffer.concat([chunk('RIFF', Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', body), chunk('data', data)]))]);
}

function chunk(id: string, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, 0, 'latin1');
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length & 1)]);
}

function samplesOf(bytes: Uint8Array): number[] {
  const result = readWav(bytes);
  if (!result.ok) throw new Error(result.reason);
  return [...(result.wav.channels[0] ?? [])];
}

describe('reading WAV files', () => {
  it('gives back exactly the samples it wrote, in every channel', () => {
    const channel = fc.array(fc.integer({ min: -32768, max: 32767 }), { maxLength: 64 });
    fc.assert(
      fc.property(channel, channel, (left, right) => {
        const length = Math.min(left.length, right.length);
        const channels = [Int16Array.from(left.slice(0, length)), Int16Array.from(right.slice(0, length))];
        const result = readWav(writeWav(channels, 8000));
        expect(result).toEqual({ ok: true, wav: { format: 'pcm', bitDepth: 16, sampleRate: 8000, channels } });
      }),
    );
  });

  it('decodes mu-law and A-law by ITU-T G.711', () => {
    const codes = Buffer.from([0x00, 0x80, 0xff, 0x7f, 0xd5, 0x55]);
    expect(samplesOf(wavOf(codes, { tag: 7, bits: 8 }))).toEqual([-32124, 32124, 0, 0, 716, -716]);
    expect(samplesOf(wavOf(codes, { tag: 6, bits: 8 }))).toEqual([-5504, 5504, 848, -848, 8, -8]);
  });

  it('reads 24-bit samples, the most negative one too', () => {
    expect(samplesOf(wavOf(Buffer.from('000080ffff7f000000', 'hex'), { tag: 1, bits: 24 }))).toEqual([
      -32768, 32767, 0,
    ]);
  });

  it('reads WAVE_FORMAT_EXTENSIBLE of a known subtype', () => {
    const data = Buffer.from('0100ff7f', 'hex');
    expect(samplesOf(wavOf(data, { tag: 1, bits: 16, extensible: true }))).toEqual([1, 32767]);
    const strange = wavOf(data, { tag: 1, bits: 16, extensible: true });
    strange.writeUInt8(0x77, 50);
    expect(readWav(strange)).toEqual({ ok: false, reason: 'is WAVE_FORMAT_EXTENSIBLE of an unknown subtype' });
  });

  it('refuses what it does not know by name', () => {
    expect(readWav(Buffer.from('not a wav file'))).toEqual({ ok: false, reason: 'is not a WAV file' });
    expect(readWav(wavOf(Buffer.alloc(2), { tag: 17, bits: 16 }))).toEqual({
      ok: false,
      reason: 'has WAV format 17; PCM, float, A-law and mu-law can be read',
    });
    expect(readWav(wavOf(Buffer.alloc(8), { tag: 3, bits: 64 }))).toMatchObject({ reason: 'has 64-bit float samples' });
  });

  it('never throws, whatever the bytes', () => {
    const whole = wavOf(Buffer.alloc(32), { tag: 1, bits: 16, extensible: true });
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), fc.nat(whole.length), (changes, length) => {
        const bytes = Buffer.from(whole.subarray(0, length));
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        readWav(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('G.711', () => {
  it('codes every value it decodes back to its own code', () => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    expect(encodeAlaw(decodeAlaw(codes))).toEqual(codes);
    // 0x7f is the second zero of mu-law.
    const back = encodeUlaw(decodeUlaw(codes));
    expect([...back].filter((code, index) => code !== index)).toEqual([0xff]);
  });
});
