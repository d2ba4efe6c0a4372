import type { Clock, Timer } from '../../src/lib/clock.ts';

/** Turns of the microtask queue that let promises settle between two timers. */
const SETTLE_TURNS = 60;

/** Time that a test owns: timers fire in order of their due time when the test moves it. */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #timers = new Map<number, { readonly dueAt: number; readonly fire: () => void }>();
  readonly #settle: () => Promise<void>;

  /** `settled`: what follows from a timer has happened; `turns` where sockets or processes on paper take part. */
  constructor(now = Date.UTC(2026, 10, 23), settled = settle) {
    this.#now = now;
    this.#settle = settled;
  }

  now(): number {
    return this.#now;
  }

  startTimer(delayMs: number, fire: () => void): Timer {
    this.#order += 1;
    const id = this.#order;
    this.#timers.set(id, { dueAt: this.#now + delayMs, fire });
    return { cancel: () => void this.#timers.delete(id) };
  }

  /** Timers that have not fired: a test that ends with some left has forgotten to stop them. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on, firing what is due, with promises settled before each and after the last. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await this.#settle();
      const next = this.#next(until);
      if (next === null) break;
      this.#timers.delete(next.id);
      this.#now = Math.max(this.#now, next.dueAt);
      next.fire();
    }
    this.#now = until;
    await this.#settle();
  }

  /** Everything stood still for so long, and so did who would have looked: what is due fires late, and once. */
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
    const due = [...this.#timers].filter(([, timer]) => timer.dueAt <= this.#now);
    for (const [id, timer] of due) {
      this.#timers.delete(id);
      timer.fire();
    }
    await this.#settle();
  }

  #next(until: number): { id: number; dueAt: number; fire: () => void } | null {
    let first: { id: number; dueAt: number; fire: () => void } | null = null;
    for (const [id, timer] of this.#timers) {
      if (timer.dueAt <= until && (first === null || timer.dueAt < first.dueAt)) first = { id, ...timer };
    }
    return first;
  }
}

/** Lets every promise that can settle without time do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await Promise.resolve();
}

/** Turns of the event loop in which whatever follows from one timer happens. */
const LOOP_TURNS = 10;

/** As settle, for what comes by the event loop. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < LOOP_TURNS; turn += 1) await new Promise(setImmediate);
}
