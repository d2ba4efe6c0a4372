import { BLOCK_BYTES_MAX, ByteQueue, FRAME_BYTES_MAX, type Frame, type FrameReader, INTERFACES_MAX } from './frame.ts';

/**
 * pcapng (draft-ietf-opsawg-pcapng): blocks, each with its length before and after.
 *
 *   type:4 length:4 body length:4
 *   types: section header 0x0a0d0d0a, interface 1, packet (obsolete) 2, simple packet 3, enhanced packet 6
 *
 * A section header sets the byte order and forgets the interfaces. Time resolution is the interface's (if_tsresol,
 * option 9): 10^-n s, or 2^-n s with the top bit set; microseconds without it. if_tsoffset (option 14) is in seconds.
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

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Timestamp units in one millisecond. */
  readonly perMs: number;
  readonly offsetMs: number;
}

export class PcapngReader implements FrameReader {
  readonly #queue = new ByteQueue();
  #interfaces: Interface[] = [];
  #littleEndian = true;
  #fault: string | null = null;
  /** A simple packet block has no time of its own: it takes the last one. */
  #lastAtMs = 0;

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
    while (this.#fault === null && this.#queue.length >= BLOCK_BYTES_MIN) {
      const head = this.#queue.peek(BLOCK_BYTES_MIN);
      const isSection = head.readUInt32LE(0) === SECTION_HEADER;
      if (isSection && !this.#beginSection(head)) break;
      const length = this.#word(head, 4);
      if (length < BLOCK_BYTES_MIN || length % 4 !== 0 || length > BLOCK_BYTES_MAX) {
        this.#fault = `is damaged: a block claims ${length} bytes`;
        break;
      }
      if (this.#queue.length < length) break;
      const block = this.#queue.take(length);
      const frame = this.#readBlock(this.#word(block, 0), block.subarray(8, length - 4));
      if (frame !== null) frames.push(frame);
    }
    return frames;
  }

  #beginSection(head: Buffer): boolean {
    if (head.readUInt32LE(8) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else if (head.readUInt32BE(8) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
    else {
      this.#fault = 'is damaged: a section without its byte order';
      return false;
    }
    this.#interfaces = [];
    return true;
  }

  #readBlock(type: number, body: Buffer): Frame | null {
    switch (type) {
      case INTERFACE:
        this.#addInterface(body);
        return null;
      case ENHANCED_PACKET:
        return body.length < 20 ? null : this.#timedPacket(body, this.#word(body, 0));
      case OBSOLETE_PACKET:
        return body.length < 20 ? null : this.#timedPacket(body, this.#half(body, 0));
      case SIMPLE_PACKET:
        return body.length < 4 ? null : this.#simplePacket(body);
      default:
        return null;
    }
  }

  #addInterface(body: Buffer): void {
    if (body.length < 8) return;
    if (this.#interfaces.length >= INTERFACES_MAX) {
      this.#fault = `has more than ${INTERFACES_MAX} interfaces`;
      return;
    }
    let perMs = 1_000;
    let offsetMs = 0;
    for (let at = 8; at + 4 <= body.length; ) {
      const code = this.#half(body, at);
      const length = this.#half(body, at + 2);
      const value = body.subarray(at + 4, at + 4 + length);
      if (code === OPTION_TIME_RESOLUTION && value.length >= 1) perMs = unitsPerMs(value.readUInt8(0));
      if (code === OPTION_TIME_OFFSET && value.length >= 8) {
        offsetMs = Number(this.#littleEndian ? value.readBigInt64LE(0) : value.readBigInt64BE(0)) * 1000;
      }
      at += 4 + length + ((4 - (length % 4)) % 4);
    }
    this.#interfaces.push({ linkType: this.#half(body, 0), snapLength: this.#word(body, 4), perMs, offsetMs });
  }

  /** Enhanced and obsolete packet blocks: interface, time (high, low), kept, on the wire, bytes. */
  #timedPacket(body: Buffer, interfaceId: number): Frame | null {
    const from = this.#interfaces[interfaceId];
    const kept = this.#word(body, 12);
    if (from === undefined || kept > body.length - 20 || kept > FRAME_BYTES_MAX) return null;
    const units = this.#word(body, 4) * 2 ** 32 + this.#word(body, 8);
    this.#lastAtMs = units / from.perMs + from.offsetMs;
    const cut = this.#word(body, 16) > kept;
    return { linkType: from.linkType, atMs: this.#lastAtMs, bytes: body.subarray(20, 20 + kept), cut };
  }

  #simplePacket(body: Buffer): Frame | null {
    const from = this.#interfaces[0];
    if (from === undefined) return null;
    const onTheWire = this.#word(body, 0);
    const limit = from.snapLength === 0 ? onTheWire : Math.min(onTheWire, from.snapLength);
    const kept = Math.min(limit, body.length - 4, FRAME_BYTES_MAX);
    const bytes = body.subarray(4, 4 + kept);
    return { linkType: from.linkType, atMs: this.#lastAtMs, bytes, cut: onTheWire > kept };
  }

  #word(bytes: Buffer, at: number): number {
    return this.#littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }

  #half(bytes: Buffer, at: number): number {
    return this.#littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }
}

function unitsPerMs(resolution: number): number {
  const exponent = resolution & 0x7f;
  return ((resolution & 0x80) !== 0 ? 2 ** exponent : 10 ** exponent) / 1000;
}
