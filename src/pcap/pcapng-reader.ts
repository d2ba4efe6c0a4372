import {
  BLOCK_BYTES_MAX,
  ByteQueue,
  emptyFrame,
  FRAME_BYTES_MAX,
  type FrameReader,
  type FrameSink,
  INTERFACES_MAX,
} from './frame.ts';

/**
 * pcapng (draft-ietf-opsawg-pcapng): blocks, each with its length before and after.
 *
 *   type:4 length:4 body length:4
 *   types: section header 0x0a0d0d0a, interface 1, packet (obsolete) 2, simple packet 3, enhanced packet 6
 *
 * A section header sets the byte order and forgets the interfaces. Time resolution is the interface's (if_tsresol,
 * option 9): 10^-n s, or 2^-n s with the top bit set; microseconds without it. if_tsoffset (option 14) is in seconds.
 * Blocks of other types are passed over.
 */
const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;
const BLOCK_BYTES_MIN = 12;
const TIMED_HEADER_BYTES = 20;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Timestamp units in one millisecond. */
  readonly perMs: number;
  readonly offsetMs: number;
}

export class PcapngReader implements FrameReader {
  readonly #queue = new ByteQueue();
  readonly #frame = emptyFrame();
  #interfaces: Interface[] = [];
  #littleEndian = true;
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
    const { bytes, view, to } = this.#queue;
    this.#frame.bytes = bytes;
    let at = this.#queue.from;
    while (to - at >= BLOCK_BYTES_MIN) {
      if (view.getUint32(at, true) === SECTION_HEADER && !this.#beginSection(view, at)) break;
      const length = view.getUint32(at + 4, this.#littleEndian);
      if (length < BLOCK_BYTES_MIN || length % 4 !== 0 || length > BLOCK_BYTES_MAX) {
        this.#fault = `is damaged: a block claims ${length} bytes`;
        break;
      }
      if (to - at < length) break;
      const type = view.getUint32(at, this.#littleEndian);
      if (this.#readBlock(type, view, at + 8, at + length - 4)) sink(this.#frame);
      if (this.#fault !== null) break;
      at += length;
    }
    this.#queue.skipTo(at);
  }

  #beginSection(view: DataView, at: number): boolean {
    if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else if (view.getUint32(at + 8, false) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
    else {
      this.#fault = 'is damaged: a section without its byte order';
      return false;
    }
    this.#interfaces = [];
    return true;
  }

  /** True where the frame was filled. */
  #readBlock(type: number, view: DataView, from: number, to: number): boolean {
    switch (type) {
      case INTERFACE:
        this.#addInterface(view, from, to);
        return false;
      case ENHANCED_PACKET:
        if (to - from < TIMED_HEADER_BYTES) return false;
        return this.#timedPacket(view, from, to, view.getUint32(from, this.#littleEndian));
      case OBSOLETE_PACKET:
        if (to - from < TIMED_HEADER_BYTES) return false;
        return this.#timedPacket(view, from, to, view.getUint16(from, this.#littleEndian));
      case SIMPLE_PACKET:
        return to - from >= 4 && this.#simplePacket(view, from, to);
      default:
        return false;
    }
  }

  #addInterface(view: DataView, from: number, to: number): void {
    if (to - from < 8) return;
    if (this.#interfaces.length >= INTERFACES_MAX) {
      this.#fault = `has more than ${INTERFACES_MAX} interfaces`;
      return;
    }
    const little = this.#littleEndian;
    let perMs = 1_000;
    let offsetMs = 0;
    for (let at = from + 8; at + 4 <= to; ) {
      const code = view.getUint16(at, little);
      const length = view.getUint16(at + 2, little);
      const isWhole = at + 4 + length <= to;
      if (code === OPTION_TIME_RESOLUTION && length >= 1 && isWhole) perMs = unitsPerMs(view.getUint8(at + 4));
      if (code === OPTION_TIME_OFFSET && length >= 8 && isWhole) {
        offsetMs = Number(view.getBigInt64(at + 4, little)) * 1000;
      }
      at += 4 + length + ((4 - (length % 4)) % 4);
    }
    const [linkType, snapLength] = [view.getUint16(from, little), view.getUint32(from + 4, little)];
    this.#interfaces.push({ linkType, snapLength, perMs, offsetMs });
  }

  /** Enhanced and obsolete packet blocks: interface, time (high, low), kept, on the wire, bytes. */
  #timedPacket(view: DataView, from: number, to: number, interfaceId: number): boolean {
    const little = this.#littleEndian;
    const of = this.#interfaces[interfaceId];
    const kept = view.getUint32(from + 12, little);
    if (of === undefined || kept > to - from - TIMED_HEADER_BYTES || kept > FRAME_BYTES_MAX) return false;
    const units = view.getUint32(from + 4, little) * 2 ** 32 + view.getUint32(from + 8, little);
    const frame = this.#frame;
    frame.linkType = of.linkType;
    frame.atMs = units / of.perMs + of.offsetMs;
    frame.cut = view.getUint32(from + 16, little) > kept;
    frame.from = from + TIMED_HEADER_BYTES;
    frame.to = frame.from + kept;
    return true;
  }

  /** It has no time of its own: it keeps that of the packet before it. */
  #simplePacket(view: DataView, from: number, to: number): boolean {
    const of = this.#interfaces[0];
    if (of === undefined) return false;
    const onTheWire = view.getUint32(from, this.#littleEndian);
    const limit = of.snapLength === 0 ? onTheWire : Math.min(onTheWire, of.snapLength);
    const kept = Math.min(limit, to - from - 4, FRAME_BYTES_MAX);
    const frame = this.#frame;
    frame.linkType = of.linkType;
    frame.cut = onTheWire > kept;
    frame.from = from + 4;
    frame.to = frame.from + kept;
    return true;
  }
}

function unitsPerMs(resolution: number): number {
  const exponent = resolution & 0x7f;
  return ((resolution & 0x80) !== 0 ? 2 ** exponent : 10 ** exponent) / 1000;
}
