import type { Clock, Timer } from '../../src/lib/clock.ts';

/** Turns of the microtask queue that let promises settle between two timers. */
const SETTLE_TURNS = 60;

/** Time that a test owns: timers fire in order of their due time when the test moves it. */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #timers = new Map<number, { readonly dueAt: number; readonly fire: () => void }>();

  constructor(now = Date.UTC(2026, 10, 23)) {
    this.#now = now;
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
      await settle();
      const next = this.#next(until);
      if (next === null) break;
      this.#timers.delete(next.id);
      this.#now = Math.max(this.#now, next.dueAt);
      next.fire();
    }
    this.#now = until;
    await settle();
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
