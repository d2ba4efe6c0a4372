import { ByteQueue, emptyFrame, FRAME_BYTES_MAX, type FrameReader, type FrameSink } from './frame.ts';

/**
 * The classic format: a header of 24 bytes, then records.
 *
 *   magic:4 major:2 minor:2 zone:4 sigfigs:4 snaplen:4 linktype:4
 *   { seconds:4 fraction:4 kept:4 onTheWire:4 bytes:kept }…
 *
 * The magic number tells byte order, whether the fraction is in microseconds or nanoseconds, and whether each record has
 * eight more bytes (interface, protocol, direction) before its bytes, as a patched libpcap wrote them.
 */
interface Format {
  readonly littleEndian: boolean;
  readonly perMs: number;
  readonly recordHeaderBytes: number;
}

const RECORD_HEADER_BYTES = 16;
const PATCHED_RECORD_HEADER_BYTES = 24;
export const PCAP_MAGICS: Readonly<Record<string, Format>> = {
  d4c3b2a1: { littleEndian: true, perMs: 1_000, recordHeaderBytes: RECORD_HEADER_BYTES },
  a1b2c3d4: { littleEndian: false, perMs: 1_000, recordHeaderBytes: RECORD_HEADER_BYTES },
  '4d3cb2a1': { littleEndian: true, perMs: 1_000_000, recordHeaderBytes: RECORD_HEADER_BYTES },
  a1b23c4d: { littleEndian: false, perMs: 1_000_000, recordHeaderBytes: RECORD_HEADER_BYTES },
  '34cdb2a1': { littleEndian: true, perMs: 1_000, recordHeaderBytes: PATCHED_RECORD_HEADER_BYTES },
  a1b2cd34: { littleEndian: false, perMs: 1_000, recordHeaderBytes: PATCHED_RECORD_HEADER_BYTES },
};

const FILE_HEADER_BYTES = 24;
/** The upper bits of the link type field say how long the frame check sequence is. */
const LINK_TYPE_MASK = 0xffff;

export class PcapReader implements FrameReader {
  readonly #queue = new ByteQueue();
  readonly #frame = emptyFrame();
  #format: Format | null = null;
  #fault: string | null = null;

  get fault(): string | null {
    return this.#fault;
  }

  get pending(): number {
    return this.#queue.length;
  }

  push(chunk: Uint8Array, sink: FrameSink): void {
    if (this.#fault !== null) return;
    this.#queue.push(chunk);
    const format = this.#format ?? this.#readHeader();
    if (format === null) return;
    const { littleEndian, perMs, recordHeaderBytes } = format;
    const { bytes, view, to } = this.#queue;
    const frame = this.#frame;
    let at = this.#queue.from;
    while (to - at >= recordHeaderBytes) {
      const kept = view.getUint32(at + 8, littleEndian);
      if (kept > FRAME_BYTES_MAX) {
        this.#fault = `is damaged: a packet claims ${kept} bytes`;
        break;
      }
      const from = at + recordHeaderBytes;
      if (from + kept > to) break;
      frame.atMs = view.getUint32(at, littleEndian) * 1000 + view.getUint32(at + 4, littleEndian) / perMs;
      frame.cut = view.getUint32(at + 12, littleEndian) > kept;
      frame.bytes = bytes;
      frame.from = from;
      frame.to = from + kept;
      sink(frame);
      at = frame.to;
    }
    this.#queue.skipTo(at);
  }

  #readHeader(): Format | null {
    const { bytes, view, from, length } = this.#queue;
    if (length < FILE_HEADER_BYTES) return null;
    const magic = PCAP_MAGICS[Buffer.from(bytes.subarray(from, from + 4)).toString('hex')];
    if (magic === undefined) {
      this.#fault = 'is not a packet capture';
      return null;
    }
    this.#frame.linkType = view.getUint32(from + 20, magic.littleEndian) & LINK_TYPE_MASK;
    this.#queue.skipTo(from + FILE_HEADER_BYTES);
    this.#format = magic;
    return magic;
  }
}
