import type { Clock, Timer } from '../../lib/clock.ts';
import type { PaymentInput, TimerName } from '../../session/payment.ts';
import type { Inputs } from './inputs.ts';

const INPUT_OF: Readonly<Record<TimerName, PaymentInput>> = {
  step: { kind: 'timerFired' },
  payment: { kind: 'paymentTimeOver' },
  hold: { kind: 'holdOver' },
};

/** The machine's timers. One that was stopped or started anew while its firing waited says nothing any more. */
export class Timers {
  readonly #clock: Clock;
  readonly #inputs: Inputs;
  readonly #running = new Map<TimerName, Timer>();

  constructor(clock: Clock, inputs: Inputs) {
    this.#clock = clock;
    this.#inputs = inputs;
  }

  start(name: TimerName, ms: number): void {
    this.stop(name);
    const isCurrent = () => this.#running.get(name) === timer;
    const timer = this.#clock.startTimer(ms, () => this.#inputs.feed(INPUT_OF[name], isCurrent));
    this.#running.set(name, timer);
  }

  stop(name: TimerName): void {
    this.#running.get(name)?.cancel();
    this.#running.delete(name);
  }

  stopAll(): void {
    for (const name of [...this.#running.keys()]) this.stop(name);
  }
}
