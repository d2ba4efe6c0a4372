import type { Clock, Timer } from '../../lib/clock.ts';
import type { Inputs } from './inputs.ts';

/**
 * From an order that found no worker to the payment's end, unless the next worker has made the leg again. That takes a
 * second on an idle machine and many on one that starts everything at once; a caller hears silence meanwhile.
 */
export const WORKER_AWAY_MS_MAX = 20_000;

/** The next worker is on its way: `legRecreated` begins the field again. Where it does not come, the payment fails. */
export class WorkerWait {
  readonly #clock: Clock;
  readonly #inputs: Inputs;
  #timer: Timer | null = null;

  constructor(clock: Clock, inputs: Inputs) {
    this.#clock = clock;
    this.#inputs = inputs;
  }

  begin(): void {
    if (this.#inputs.isWaiting('legRecreated')) return;
    this.#timer ??= this.#clock.startTimer(WORKER_AWAY_MS_MAX, () => {
      this.#timer = null;
      this.#inputs.feed({ kind: 'orderFailed', code: 'WORKER_UNAVAILABLE' });
    });
  }

  /** It is back, or nobody waits any more. */
  over(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
