import type { Clock } from '../../lib/clock.ts';

/**
 * Spaces frames towards one application, because drachtio-srf dispatches every frame of one read before any
 * promise of its user resolves: an event that shares a read with the answer before it finds no listener yet.
 *
 *   - each frame is its own write, two event-loop turns after the one before it
 *   - frames of one call keep HOLD_MS between them; the others do not wait for it
 *   - a frame that ends something (BYE, a failure) waits HOLD_MS behind any frame written less than HOLD_MS ago,
 *     of any call: both legs of a bridged call have their own Call-ID
 *
 * Order within a call is kept. Two turns alone separate reads of a waiting application, not of a busy one.
 */
export const HOLD_MS = 4;

interface Held {
  readonly frame: string;
  readonly ends: boolean;
  readonly sinceMs: number;
}

export class Pacing {
  readonly #clock: Clock;
  readonly #write: (frame: string) => void;
  readonly #turns: (then: () => void) => void;
  /** Ready to be written, in order. */
  #ready: { key: string; frame: string }[] = [];
  #readyAt = 0;
  #running = false;
  /** Per call: until when the next frame waits, and what waits. */
  readonly #calls = new Map<string, { untilMs: number; queue: Held[]; waiting: boolean }>();
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(
    clock: Clock,
    write: (frame: string) => void,
    turns: (then: () => void) => void = (then) => setImmediate(() => setImmediate(then)),
  ) {
    this.#clock = clock;
    this.#write = write;
    this.#turns = turns;
  }

  /** Frames not yet written. */
  get waiting(): number {
    return this.#count;
  }

  /** `key` is the Call-ID, or empty for frames of no call, which never wait. */
  push(key: string, frame: string, ends = false): void {
    this.#count++;
    if (key === '') {
      this.#makeReady('', frame);
      return;
    }
    let call = this.#calls.get(key);
    if (call === undefined) {
      call = { untilMs: Number.NEGATIVE_INFINITY, queue: [], waiting: false };
      this.#calls.set(key, call);
    }
    call.queue.push({ frame, ends, sinceMs: this.#clock.now() });
    this.#release(key);
  }

  #release(key: string): void {
    const call = this.#calls.get(key);
    if (call === undefined || call.waiting) return;
    const next = call.queue[0];
    const nowMs = this.#clock.now();
    if (next === undefined) {
      if (nowMs >= call.untilMs) this.#calls.delete(key);
      else this.#wait(key, call.untilMs - nowMs);
      return;
    }
    let untilMs = call.untilMs;
    if (next.ends && this.#lastWriteMs + HOLD_MS > next.sinceMs) untilMs = Math.max(untilMs, next.sinceMs + HOLD_MS);
    if (untilMs > nowMs) {
      this.#wait(key, untilMs - nowMs);
      return;
    }
    call.queue.shift();
    // Held until it is written: the hold of the next frame counts from the write.
    call.waiting = true;
    this.#makeReady(key, next.frame);
  }

  #wait(key: string, delayMs: number): void {
    const call = this.#calls.get(key);
    if (call === undefined) return;
    call.waiting = true;
    this.#clock.startTimer(delayMs, () => {
      call.waiting = false;
      this.#release(key);
    });
  }

  #makeReady(key: string, frame: string): void {
    this.#ready.push({ key, frame });
    if (this.#running) return;
    this.#running = true;
    this.#writeNext();
  }

  #writeNext(): void {
    const item = this.#ready[this.#readyAt++];
    if (item === undefined) {
      this.#ready = [];
      this.#readyAt = 0;
      this.#running = false;
      return;
    }
    this.#count--;
    this.#lastWriteMs = this.#clock.now();
    this.#write(item.frame);
    const call = item.key === '' ? undefined : this.#calls.get(item.key);
    if (call !== undefined) {
      call.waiting = false;
      call.untilMs = this.#lastWriteMs + HOLD_MS;
      this.#release(item.key);
    }
    this.#turns(() => this.#writeNext());
  }
}
