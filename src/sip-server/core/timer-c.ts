import type { Clock, Timer } from '../../lib/clock.ts';

/** RFC 3261 §16.6 step 11: more than three minutes. */
export const TIMER_C_MS = 180_500;

/** Timer C of one INVITE that was sent on: every provisional response but 100 sets it anew (RFC 3261 §16.7 step 2). */
export class TimerC {
  readonly #clock: Clock;
  readonly #fired: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, fired: () => void) {
    this.#clock = clock;
    this.#fired = fired;
    this.again();
  }

  again(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.startTimer(TIMER_C_MS, this.#fired);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
