/**
 * One captured link-layer frame: a place in bytes that are read over and over. It is good during the call that brings
 * it, and a reader has one object for all its frames; what is kept is copied.
 */
export interface Frame {
  /** LINKTYPE_ number of the interface it was captured on. */
  linkType: number;
  /** Milliseconds since the Unix epoch, with fractions. */
  atMs: number;
  bytes: Uint8Array;
  from: number;
  to: number;
  /** The capture kept fewer bytes than were on the wire. */
  cut: boolean;
}

export type FrameSink = (frame: Frame) => void;

/** Bytes kept of one frame; libpcap's MAXIMUM_SNAPLEN. */
export const FRAME_BYTES_MAX = 262_144;
/** One pcapng block, options and padding included. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;
export const INTERFACES_MAX = 1024;

/** Takes a file's bytes as they come and gives the frames that are whole. Never throws. */
export interface FrameReader {
  push(chunk: Uint8Array, sink: FrameSink): void;
  /** Why reading stopped, for a person; null while all is well. After a fault, `push` gives nothing more. */
  readonly fault: string | null;
  /** Bytes that were left over: the file ends within a packet. */
  readonly pending: number;
}

export function emptyFrame(): Frame {
  return { linkType: 0, atMs: 0, bytes: new Uint8Array(), from: 0, to: 0, cut: false };
}

const QUEUE_BYTES = 64 * 1024;

/** Keeps what one read left over, so that what is read next stands behind it. Holds a block and a chunk at most. */
export class ByteQueue {
  #bytes = new Uint8Array(QUEUE_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #from = 0;
  #to = 0;

  push(chunk: Uint8Array): void {
    const rest = this.length;
    if (this.#to + chunk.length > this.#bytes.length) {
      const old = this.#bytes;
      if (rest + chunk.length > old.length) {
        this.#bytes = new Uint8Array(2 * (rest + chunk.length));
        this.#view = new DataView(this.#bytes.buffer);
        this.#bytes.set(old.subarray(this.#from, this.#to));
      } else {
        old.copyWithin(0, this.#from, this.#to);
      }
      this.#from = 0;
      this.#to = rest;
    }
    this.#bytes.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** What is here stands in `bytes` from `from` until `to`, until the next push. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  /** Everything before `at` was read. */
  skipTo(at: number): void {
    this.#from = at;
  }
}
