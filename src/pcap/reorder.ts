/** One RTP packet of a stream: a place in bytes, good during the call that brings it. */
export interface RtpView {
  payloadType: number;
  sequenceNumber: number;
  timestamp: number;
  marker: boolean;
  /** The payload. */
  bytes: Uint8Array;
  from: number;
  to: number;
  /** The whole packet, header and all: what protects it covers that. */
  packetFrom: number;
  packetTo: number;
  /** Milliseconds since the Unix epoch, when it was captured. */
  atMs: number;
}

export const emptyView = (): RtpView => ({
  payloadType: 0,
  sequenceNumber: 0,
  timestamp: 0,
  marker: false,
  bytes: new Uint8Array(),
  from: 0,
  to: 0,
  packetFrom: 0,
  packetTo: 0,
  atMs: 0,
});

/** Packets that wait for a missing one before it is given up as lost: a second of 20 ms packets. */
export const REORDER_PACKETS_MAX = 50;
/** RFC 3550 appendix A.1, MAX_DROPOUT: a larger jump is a sender that began again. */
const SEQUENCE_JUMP_MAX = 3000;

/** Hands a stream's packets on by sequence number, each once. Only one that waits for another is copied. */
export class Reorder {
  readonly #waiting = new Map<number, RtpView>();
  readonly #emit: (packet: RtpView) => void;
  #next: number | null = null;
  /** Arrived after its place had been given up, or a second time. */
  dropped = 0;

  constructor(emit: (packet: RtpView) => void) {
    this.#emit = emit;
  }

  push(packet: RtpView): void {
    const next = this.#next ?? packet.sequenceNumber;
    const ahead = distance(packet.sequenceNumber, next);
    if (ahead === 0 && this.#waiting.size === 0) {
      this.#next = (next + 1) & 0xffff;
      this.#emit(packet);
      return;
    }
    if (Math.abs(ahead) > SEQUENCE_JUMP_MAX) {
      this.flush();
      this.#next = packet.sequenceNumber;
    } else if (ahead < 0 || this.#waiting.has(packet.sequenceNumber)) {
      this.dropped += 1;
      return;
    } else {
      this.#next = next;
    }
    this.#waiting.set(packet.sequenceNumber, kept(packet));
    this.#drain();
    if (this.#waiting.size > REORDER_PACKETS_MAX) this.#skip();
  }

  /** The end of the capture: what still waits goes on in order. */
  flush(): void {
    while (this.#waiting.size > 0) this.#skip();
  }

  #skip(): void {
    const from = this.#next ?? 0;
    let nearest: number | null = null;
    for (const sequence of this.#waiting.keys()) {
      if (nearest === null || distance(sequence, from) < distance(nearest, from)) nearest = sequence;
    }
    this.#next = nearest;
    this.#drain();
  }

  #drain(): void {
    while (this.#next !== null) {
      const packet = this.#waiting.get(this.#next);
      if (packet === undefined) return;
      this.#waiting.delete(this.#next);
      this.#next = (this.#next + 1) & 0xffff;
      this.#emit(packet);
    }
  }
}

/** A copy that stays. */
export function kept(packet: RtpView): RtpView {
  const { packetFrom, packetTo, from, to } = packet;
  const bytes = packet.bytes.slice(packetFrom, packetTo);
  return { ...packet, bytes, from: from - packetFrom, to: to - packetFrom, packetFrom: 0, packetTo: bytes.length };
}

/** Signed distance in sequence numbers, wrap included. */
function distance(to: number, from: number): number {
  return ((to - from + 0x8000) & 0xffff) - 0x8000;
}
