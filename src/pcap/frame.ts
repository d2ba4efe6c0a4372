/** One captured link-layer frame. */
export interface Frame {
  /** LINKTYPE_ number of the interface it was captured on. */
  readonly linkType: number;
  /** Milliseconds since the Unix epoch, with fractions. */
  readonly atMs: number;
  readonly bytes: Uint8Array;
  /** The capture kept fewer bytes than were on the wire. */
  readonly cut: boolean;
}

/** Bytes kept of one frame; libpcap's MAXIMUM_SNAPLEN. */
export const FRAME_BYTES_MAX = 262_144;
/** One pcapng block, options and padding included. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;
export const INTERFACES_MAX = 1024;

/** Takes a file's bytes as they come and gives the frames that are whole. Never throws. */
export interface FrameReader {
  push(chunk: Uint8Array): Frame[];
  /** Why reading stopped, for a person; null while all is well. After a fault, `push` gives nothing more. */
  readonly fault: string | null;
  /** Bytes that were left over: the file ends within a packet. */
  readonly pending: number;
}

/** Keeps what one read left over and hands out whole pieces. */
export class ByteQueue {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  push(chunk: Uint8Array): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    this.#at = 0;
  }

  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next bytes without taking them; the caller checked `length`. */
  peek(length: number): Buffer {
    return this.#bytes.subarray(this.#at, this.#at + length);
  }

  take(length: number): Buffer {
    const taken = this.peek(length);
    this.#at += length;
    return taken;
  }
}
