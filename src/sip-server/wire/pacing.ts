import type { Clock, Timer } from '../../lib/clock.ts';

/**
 * Spaces frames towards one application, because drachtio-srf dispatches every frame of one read before any
 * promise of its user resolves: an event that shares a read with the answer before it finds no listener yet.
 *
 *   - each frame is its own write, two event-loop turns after the one before it
 *   - an event of a call waits HOLD_MS behind the frame before it of the same call; other calls do not wait for it
 *   - an event that ends something (BYE, a failure) waits HOLD_MS behind any frame written less than HOLD_MS ago,
 *     of any call: both legs of a bridged call have their own Call-ID
 *   - an echo waits for nothing: the application has asked for it, and what must follow it comes later
 *
 * Events of one call keep their order, and no event overtakes an echo. Two turns alone separate the reads of a
 * waiting application, not of a busy one.
 */
export const HOLD_MS = 4;

/** Written frames that may still stand in the list before it is shortened. */
const WRITTEN_FRAMES_MAX = 1_024;

export type FrameKind = 'echo' | 'event' | 'end';

interface Call {
  /** The next event waits until then. */
  untilMs: number;
  readonly queue: { frame: string; kind: FrameKind; sinceMs: number }[];
  /** One of its events is ready and not yet written. */
  inReady: boolean;
  timer: Timer | undefined;
}

export class Pacing {
  readonly #clock: Clock;
  readonly #write: (frame: string) => void;
  readonly #turns: (then: () => void) => void;
  /** To be written, in order. */
  #ready: { call: Call | undefined; key: string; frame: string; kind: FrameKind }[] = [];
  #readyAt = 0;
  #running = false;
  readonly #calls = new Map<string, Call>();
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

  /** `key` is the Call-ID, or empty for frames of no call. */
  push(key: string, frame: string, kind: FrameKind): void {
    this.#count++;
    if (key === '') {
      this.#makeReady({ call: undefined, key, frame, kind });
      return;
    }
    let call = this.#calls.get(key);
    if (call === undefined) {
      call = { untilMs: Number.NEGATIVE_INFINITY, queue: [], inReady: false, timer: undefined };
      this.#calls.set(key, call);
    }
    if (kind === 'echo') {
      call.untilMs = this.#clock.now() + HOLD_MS;
      this.#makeReady({ call, key, frame, kind });
      return;
    }
    call.queue.push({ frame, kind, sinceMs: this.#clock.now() });
    this.#release(key, call);
  }

  #release(key: string, call: Call): void {
    if (call.inReady || call.timer !== undefined) return;
    const next = call.queue[0];
    const nowMs = this.#clock.now();
    let { untilMs } = call;
    if (next?.kind === 'end' && this.#lastWriteMs + HOLD_MS > next.sinceMs) {
      untilMs = Math.max(untilMs, next.sinceMs + HOLD_MS);
    }
    if (untilMs > nowMs) {
      call.timer = this.#clock.startTimer(untilMs - nowMs, () => {
        call.timer = undefined;
        this.#release(key, call);
      });
    } else if (next === undefined) {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    } else {
      call.queue.shift();
      call.inReady = true;
      this.#makeReady({ call, key, frame: next.frame, kind: next.kind });
    }
  }

  #makeReady(item: { call: Call | undefined; key: string; frame: string; kind: FrameKind }): void {
    this.#ready.push(item);
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
    if (this.#readyAt > WRITTEN_FRAMES_MAX) {
      this.#ready.splice(0, this.#readyAt);
      this.#readyAt = 0;
    }
    this.#count--;
    this.#lastWriteMs = this.#clock.now();
    this.#write(item.frame);
    if (item.call !== undefined) {
      if (item.kind !== 'echo') item.call.inReady = false;
      item.call.untilMs = this.#lastWriteMs + HOLD_MS;
      this.#release(item.key, item.call);
    }
    this.#turns(() => this.#writeNext());
  }
}
