import { SIP_BYTES_MAX, sipMessageLength } from './sip.ts';
import type { Ends } from './transport.ts';

/** Its payload is the reader's to keep. */
export interface TcpSegment extends Ends {
  readonly sequence: number;
  readonly isSyn: boolean;
  readonly isReset: boolean;
  readonly payload: Uint8Array;
}

export const CONNECTIONS_MAX = 1024;
/** Segments of one direction that wait for an earlier one, and their bytes: a receive window without scaling, twice. */
export const SEGMENTS_WAITING_MAX = 64;
export const WAITING_BYTES_MAX = 131_072;

interface Direction {
  next: number | null;
  bytes: Buffer;
  readonly waiting: Map<number, Uint8Array>;
  waitingBytes: number;
}

/**
 * Puts SIP messages together from TCP segments: in order, repeats left out. A connection seen from its middle begins
 * where a message begins. After a hole, or bytes that are no SIP, it looks for the next start of a message.
 */
export class TcpSipReader {
  readonly #directions = new Map<string, Direction>();

  read(segment: TcpSegment): Buffer[] {
    const key = `${segment.source}>${segment.destination}`;
    if (segment.isReset) {
      this.#directions.delete(key);
      return [];
    }
    let direction = this.#directions.get(key);
    if (direction === undefined || segment.isSyn) {
      const oldest = this.#directions.keys().next();
      if (this.#directions.size >= CONNECTIONS_MAX && oldest.done !== true) this.#directions.delete(oldest.value);
      direction = { next: null, bytes: Buffer.alloc(0), waiting: new Map(), waitingBytes: 0 };
      this.#directions.set(key, direction);
    }
    // RFC 9293 §3.4: a SYN takes one sequence number before the first byte.
    const sequence = (segment.sequence + (segment.isSyn ? 1 : 0)) >>> 0;
    direction.next ??= sequence;
    if (segment.payload.length > 0) wait(direction, sequence, segment.payload);
    drain(direction);
    const { size } = direction.waiting;
    if (size > SEGMENTS_WAITING_MAX || (size > 0 && direction.waitingBytes > WAITING_BYTES_MAX)) {
      skipHole(direction);
      drain(direction);
    }
    return takeMessages(direction);
  }
}

/** How far `sequence` lies ahead of `from`; negative when it lies behind. */
const ahead = (sequence: number, from: number): number => (sequence - from) | 0;

/** Of two segments at one place the longer says more. */
function wait(direction: Direction, sequence: number, payload: Uint8Array): void {
  const known = direction.waiting.get(sequence)?.length ?? 0;
  if (known >= payload.length) return;
  direction.waiting.set(sequence, payload);
  direction.waitingBytes += payload.length - known;
}

function drain(direction: Direction): void {
  const parts: Uint8Array[] = [direction.bytes];
  for (let found = true; found; ) {
    found = false;
    for (const [sequence, payload] of direction.waiting) {
      const next = direction.next ?? sequence;
      const distance = ahead(sequence, next);
      if (distance > 0) continue;
      direction.waiting.delete(sequence);
      direction.waitingBytes -= payload.length;
      if (distance + payload.length <= 0) continue;
      parts.push(payload.subarray(-distance));
      direction.next = (sequence + payload.length) >>> 0;
      found = true;
    }
  }
  if (parts.length > 1) direction.bytes = Buffer.concat(parts);
}

function skipHole(direction: Direction): void {
  const from = direction.next ?? 0;
  const nearest = [...direction.waiting.keys()].sort((a, b) => ahead(a, from) - ahead(b, from))[0];
  direction.next = nearest ?? null;
  direction.bytes = Buffer.alloc(0);
}

function takeMessages(direction: Direction): Buffer[] {
  const messages: Buffer[] = [];
  for (;;) {
    // RFC 5626 §3.5.1: keep-alives are empty lines between messages.
    let start = 0;
    while (direction.bytes[start] === 0x0d || direction.bytes[start] === 0x0a) start += 1;
    direction.bytes = direction.bytes.subarray(start);
    if (direction.bytes.length === 0) return messages;
    const length = sipMessageLength(direction.bytes);
    if (length === null) {
      if (direction.bytes.length > SIP_BYTES_MAX) direction.bytes = Buffer.alloc(0);
      return messages;
    }
    if (length < 0) {
      direction.bytes = Buffer.alloc(0);
      return messages;
    }
    messages.push(Buffer.from(direction.bytes.subarray(0, length)));
    direction.bytes = direction.bytes.subarray(length);
  }
}
