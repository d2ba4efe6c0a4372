import { ByteQueue, FRAME_BYTES_MAX, type Frame, type FrameReader } from './frame.ts';

/**
 * The classic format: a header of 24 bytes, then records.
 *
 *   magic:4 major:2 minor:2 zone:4 sigfigs:4 snaplen:4 linktype:4
 *   { seconds:4 fraction:4 kept:4 onTheWire:4 bytes:kept }…
 *
 * The magic number tells byte order and whether the fraction is in microseconds or nanoseconds.
 */
export const PCAP_MAGICS: Readonly<Record<string, { readonly littleEndian: boolean; readonly perMs: number }>> = {
  d4c3b2a1: { littleEndian: true, perMs: 1_000 },
  a1b2c3d4: { littleEndian: false, perMs: 1_000 },
  '4d3cb2a1': { littleEndian: true, perMs: 1_000_000 },
  a1b23c4d: { littleEndian: false, perMs: 1_000_000 },
};

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** The upper bits of the link type field say how long the frame check sequence is. */
const LINK_TYPE_MASK = 0xffff;

export class PcapReader implements FrameReader {
  readonly #queue = new ByteQueue();
  #format: { littleEndian: boolean; perMs: number; linkType: number } | null = null;
  #fault: string | null = null;

  get fault(): string | null {
    return this.#fault;
  }

  get pending(): number {
    return this.#queue.length;
  }

  push(chunk: Uint8Array): Frame[] {
    if (this.#fault !== null) return [];
    this.#queue.push(chunk);
    const frames: Frame[] = [];
    if (this.#format === null && !this.#readHeader()) return frames;
    for (let frame = this.#next(); frame !== null; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #readHeader(): boolean {
    if (this.#queue.length < FILE_HEADER_BYTES) return false;
    const header = this.#queue.take(FILE_HEADER_BYTES);
    const magic = PCAP_MAGICS[header.toString('hex', 0, 4)];
    if (magic === undefined) {
      this.#fault = 'is not a packet capture';
      return false;
    }
    const linkType = magic.littleEndian ? header.readUInt32LE(20) : header.readUInt32BE(20);
    this.#format = { ...magic, linkType: linkType & LINK_TYPE_MASK };
    return true;
  }

  #next(): Frame | null {
    const format = this.#format;
    if (format === null || this.#queue.length < RECORD_HEADER_BYTES) return null;
    const header = this.#queue.peek(RECORD_HEADER_BYTES);
    const word = (at: number): number => (format.littleEndian ? header.readUInt32LE(at) : header.readUInt32BE(at));
    const kept = word(8);
    if (kept > FRAME_BYTES_MAX) {
      this.#fault = `is damaged: a packet claims ${kept} bytes`;
      return null;
    }
    if (this.#queue.length < RECORD_HEADER_BYTES + kept) return null;
    const atMs = word(0) * 1000 + word(4) / format.perMs;
    const cut = word(12) > kept;
    this.#queue.take(RECORD_HEADER_BYTES);
    return { linkType: format.linkType, atMs, bytes: this.#queue.take(kept), cut };
  }
}
