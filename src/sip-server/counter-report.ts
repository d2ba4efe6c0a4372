import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** At most one line in so long. */
export const REPORT_MS = 60_000;

export type Counters = Readonly<Record<string, number>>;

/**
 * Writes the counters as one line of the log when they have changed: each minute, and at the end. Malformed messages are
 * dropped and counted; this is where the count can be seen.
 */
export class CounterReport {
  readonly #read: () => Counters;
  readonly #clock: Clock;
  readonly #log: Log;
  #written: Counters;
  #timer: Timer;

  constructor(parts: { read: () => Counters; clock: Clock; log: Log }) {
    this.#read = parts.read;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#written = parts.read();
    this.#timer = this.#next();
  }

  /** The last line, where there is something to say. */
  end(): void {
    this.#timer.cancel();
    this.#write();
  }

  #next(): Timer {
    return this.#clock.startTimer(REPORT_MS, () => {
      this.#write();
      this.#timer = this.#next();
    });
  }

  #write(): void {
    const counters = this.#read();
    if (Object.entries(counters).every(([name, count]) => this.#written[name] === count)) return;
    this.#written = counters;
    this.#log.info('sip counters', counters);
  }
}
