import { endianness } from 'node:os';
import nodeWav from 'node-wav';
import { decodeAlaw, decodeUlaw } from './g711.ts';

/**
 * WAV files: recordings of prompts, what a simulated caller heard, what `decode` reads.
 *
 *   RIFF size WAVE  { id:4 size:4 (little endian) bytes, padded to even }…   `fmt ` before `data`
 *
 * node-wav knows PCM and float but trusts its input (odd offsets and wrong sizes throw), so the chunks are walked here
 * and it is given a header that we wrote. G.711 (format 6, 7) and WAVE_FORMAT_EXTENSIBLE (0xfffe) are ours, and 24-bit
 * samples are widened to 32, because node-wav turns the most negative one positive.
 */
export type WavFormat = 'pcm' | 'float' | 'alaw' | 'ulaw';

export interface Wav {
  readonly format: WavFormat;
  readonly bitDepth: number;
  /** Samples per second. */
  readonly sampleRate: number;
  /** One array a channel, 16-bit linear, all of one length. */
  readonly channels: readonly Int16Array[];
}

/** `reason` is for a person: what was found, in small letters. */
export type WavResult = { readonly ok: true; readonly wav: Wav } | { readonly ok: false; readonly reason: string };

/** A header as found, before the samples are decoded. */
interface Header {
  readonly format: WavFormat;
  readonly channelCount: number;
  readonly sampleRate: number;
  readonly bitDepth: number;
}

export const WAV_BYTES_MAX = 512 * 1024 * 1024;
export const WAV_CHANNELS_MAX = 8;
const SAMPLE_RATE_MAX = 192_000;
const FORMATS: Readonly<Record<number, WavFormat>> = { 1: 'pcm', 3: 'float', 6: 'alaw', 7: 'ulaw' };
const EXTENSIBLE = 0xfffe;
/** The last 14 bytes of every media subtype GUID (KSDATAFORMAT_SUBTYPE_*); the first two are the format number. */
const SUBTYPE_TAIL = '000000001000800000aa00389b71';
const BIT_DEPTHS: Readonly<Record<WavFormat, readonly number[]>> = {
  pcm: [8, 16, 24, 32],
  float: [32],
  alaw: [8],
  ulaw: [8],
};

export function readWav(bytes: Uint8Array): WavResult {
  if (bytes.length > WAV_BYTES_MAX) return refuse(`is larger than ${WAV_BYTES_MAX} bytes`);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 12 || view.toString('latin1', 0, 4) !== 'RIFF' || view.toString('latin1', 8, 12) !== 'WAVE') {
    return refuse('is not a WAV file');
  }
  let header: Header | null = null;
  for (let at = 12; at + 8 <= view.length; ) {
    const id = view.toString('latin1', at, at + 4);
    const size = view.readUInt32LE(at + 4);
    const body = view.subarray(at + 8, Math.min(at + 8 + size, view.length));
    if (id === 'fmt ') {
      const parsed = readFormat(body);
      if (typeof parsed === 'string') return refuse(parsed);
      header = parsed;
    } else if (id === 'data') {
      // A recorder that was cut off leaves a size that is too large, or none: the rest of the file is the audio.
      if (header === null) return refuse('has audio before its format');
      return { ok: true, wav: readSamples(header, size === 0 ? view.subarray(at + 8) : body) };
    }
    at += 8 + size + (size & 1);
  }
  return refuse(header === null ? 'has no format chunk' : 'has no audio');
}

function refuse(reason: string): WavResult {
  return { ok: false, reason };
}

function readFormat(body: Buffer): Header | string {
  if (body.length < 16) return 'has a cut format chunk';
  let tag = body.readUInt16LE(0);
  if (tag === EXTENSIBLE) {
    if (body.length < 40) return 'has a cut WAVE_FORMAT_EXTENSIBLE chunk';
    if (body.toString('hex', 26, 40) !== SUBTYPE_TAIL) return 'is WAVE_FORMAT_EXTENSIBLE of an unknown subtype';
    tag = body.readUInt16LE(24);
  }
  const format = FORMATS[tag];
  if (format === undefined) return `has WAV format ${tag}; PCM, float, A-law and mu-law can be read`;
  const channelCount = body.readUInt16LE(2);
  const sampleRate = body.readUInt32LE(4);
  const bitDepth = body.readUInt16LE(14);
  if (channelCount < 1 || channelCount > WAV_CHANNELS_MAX) return `has ${channelCount} channels`;
  if (sampleRate < 1 || sampleRate > SAMPLE_RATE_MAX) return `has a sample rate of ${sampleRate} Hz`;
  if (!BIT_DEPTHS[format].includes(bitDepth)) return `has ${bitDepth}-bit ${format} samples`;
  return { format, channelCount, sampleRate, bitDepth };
}

function readSamples(header: Header, data: Buffer): Wav {
  const { format, channelCount, sampleRate, bitDepth } = header;
  const frames = Math.floor(data.length / (channelCount * (bitDepth / 8)));
  const whole = data.subarray(0, frames * channelCount * (bitDepth / 8));
  let channels: readonly Int16Array[];
  if (format === 'alaw' || format === 'ulaw') {
    channels = deinterleave(format === 'alaw' ? decodeAlaw(whole) : decodeUlaw(whole), channelCount);
  } else if (bitDepth === 16) {
    channels = deinterleave(linear16(whole), channelCount);
  } else {
    const wide = bitDepth === 24 ? widen(whole) : whole;
    const plainBitDepth = bitDepth === 24 ? 32 : bitDepth;
    // An ArrayBuffer of its own: node-wav confuses the offset of a Buffer in Node's pool with its end.
    const plain = new Uint8Array(44 + wide.length);
    plain.set(plainHeader({ ...header, bitDepth: plainBitDepth }, wide.length));
    plain.set(wide, 44);
    channels = nodeWav.decode(plain.buffer).channelData.map(toLinear);
  }
  return { format, bitDepth, sampleRate, channels };
}

/** 24-bit samples as 32-bit ones: a zero byte below each. */
function widen(data: Buffer): Uint8Array {
  const wide = new Uint8Array((data.length / 3) * 4);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) wide.set(data.subarray(from, from + 3), to + 1);
  return wide;
}

/** 16-bit samples are as they should be, and most recordings have them: node-wav would take a detour over floats. */
function linear16(data: Buffer): Int16Array {
  const samples = new Int16Array(data.length / 2);
  const bytes = Buffer.from(samples.buffer);
  bytes.set(data);
  if (endianness() === 'BE') bytes.swap16();
  return samples;
}

function deinterleave(samples: Int16Array, channelCount: number): Int16Array[] {
  if (channelCount === 1) return [samples];
  const frames = samples.length / channelCount;
  return Array.from({ length: channelCount }, (_, channel) => {
    const one = new Int16Array(frames);
    for (let frame = 0, at = channel; frame < frames; frame += 1, at += channelCount) one[frame] = samples[at] ?? 0;
    return one;
  });
}

/** node-wav scales positive samples by 32767 and negative ones by 32768; this is its exact inverse for 16 bit. */
function toLinear(channel: Float32Array): Int16Array {
  const linear = new Int16Array(channel.length);
  // Not Int16Array.from: its iterator takes ten times as long, which every start and every decoded file would pay.
  for (let at = 0; at < linear.length; at += 1) {
    const value = channel[at] ?? 0;
    // What is not a number becomes 0 in the array.
    linear[at] = Math.round(value < 0 ? Math.max(-1, value) * 32768 : Math.min(1, value) * 32767);
  }
  return linear;
}

function plainHeader({ format, channelCount, sampleRate, bitDepth }: Header, dataBytes: number): Buffer {
  const header = Buffer.alloc(44);
  const blockBytes = channelCount * (bitDepth / 8);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(format === 'float' ? 3 : 1, 20);
  header.writeUInt16LE(channelCount, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * blockBytes, 28);
  header.writeUInt16LE(blockBytes, 32);
  header.writeUInt16LE(bitDepth, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}

/** 16-bit PCM, one array a channel; the same samples always give the same bytes. */
export function writeWav(channels: readonly Int16Array[], sampleRate: number): Buffer {
  const frames = channels[0]?.length ?? 0;
  const data = Buffer.alloc(frames * channels.length * 2);
  for (const [index, channel] of channels.entries()) {
    for (let frame = 0; frame < frames; frame += 1) {
      data.writeInt16LE(channel[frame] ?? 0, (frame * channels.length + index) * 2);
    }
  }
  const header = { format: 'pcm', channelCount: channels.length, sampleRate, bitDepth: 16 } as const;
  return Buffer.concat([plainHeader(header, data.length), data]);
}
