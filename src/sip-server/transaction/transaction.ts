import type { Clock, Timer } from '../../lib/clock.ts';
import type { Output, Step, TimerName } from './step.ts';
import { T2_MS, timerMs } from './timers.ts';

/** What a runner needs from outside. Texts are messages, bytes as Latin-1. */
export interface TransactionPort {
  readonly reliable: boolean;
  /** False where the transport is gone. */
  send(text: string): boolean;
}

export interface TransactionUser<Message> {
  passed(message: Message): void;
  timedOut(): void;
  transportFailed(): void;
  terminated(): void;
}

/**
 * Runs one machine: takes an input, steps, carries out the outputs, owns the timers. `Message` is a response in
 * a client transaction and a request (the ACK) in a server transaction.
 */
export class Transaction<State extends string, Input extends string, Message> {
  state: State;
  readonly #step: (state: State, input: Input) => Step<State> | undefined;
  readonly #clock: Clock;
  readonly #port: TransactionPort;
  readonly #user: TransactionUser<Message>;
  #timers: { name: TimerName; intervalMs: number; timer: Timer }[] = [];
  #intervals: Partial<Record<TimerName, number>> = {};
  /** What `send` and `resend` put on the wire. */
  lastSent: string | undefined;
  /** The ACK for a failure response. */
  ack: string | undefined;

  constructor(
    initial: State,
    step: (state: State, input: Input) => Step<State> | undefined,
    parts: { clock: Clock; port: TransactionPort; user: TransactionUser<Message> },
  ) {
    this.state = initial;
    this.#step = step;
    this.#clock = parts.clock;
    this.#port = parts.port;
    this.#user = parts.user;
  }

  /** Returns whether the machine had a row for the input. */
  input(input: Input, message?: Message): boolean {
    const step = this.#step(this.state, input);
    if (step === undefined) return false;
    this.state = step.state;
    let failed = false;
    for (const output of step.outputs) failed = !this.#carryOut(output, message) || failed;
    if (this.state === 'terminated') this.#end();
    else if (failed) this.input('transportFailed' as Input);
    return true;
  }

  /** Ends it without a word, as when the server closes. */
  stop(): void {
    this.state = 'terminated' as State;
    this.#end();
  }

  #end(): void {
    for (const running of this.#timers) running.timer.cancel();
    this.#timers = [];
    this.#user.terminated();
  }

  /** False where the transport refused. */
  #carryOut(output: Output, message: Message | undefined): boolean {
    switch (output) {
      case 'send':
      case 'resend':
        return this.lastSent === undefined || this.#port.send(this.lastSent);
      case 'sendAck':
        return this.ack === undefined || this.#port.send(this.ack);
      case 'pass':
        if (message !== undefined) this.#user.passed(message);
        return true;
      case 'timedOut':
        this.#user.timedOut();
        return true;
      case 'transportError':
        this.#user.transportFailed();
        return true;
      case 'startEAtT2':
        this.#startTimer('E', T2_MS);
        return true;
      default:
        if (output.startsWith('start')) this.#startTimer(output.slice(5) as TimerName);
        else this.#stopTimer(output.slice(4) as TimerName);
        return true;
    }
  }

  /** `givenMs` takes the place of the interval that would be next. */
  #startTimer(name: TimerName, givenMs?: number): void {
    this.#stopTimer(name);
    const nextMs = timerMs(name, this.#port.reliable, this.#intervals[name]);
    if (nextMs === undefined) return;
    const delayMs = givenMs ?? nextMs;
    this.#intervals[name] = delayMs;
    const timer = this.#clock.startTimer(delayMs, () => {
      this.#timers = this.#timers.filter((running) => running.name !== name);
      this.input(`timer${name}` as Input);
    });
    this.#timers.push({ name, intervalMs: delayMs, timer });
  }

  #stopTimer(name: TimerName): void {
    const at = this.#timers.findIndex((running) => running.name === name);
    if (at >= 0) this.#timers.splice(at, 1)[0]?.timer.cancel();
  }
}
