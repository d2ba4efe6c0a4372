import type { PaymentInput } from '../../session/payment.ts';

/** Inputs that wait; a call makes a few a second, so more than this is a fault. */
export const INPUTS_MAX = 256;

/** An input, and whether it still says something when its turn comes: an old timer, play or field does not. */
interface Queued {
  readonly input: PaymentInput;
  readonly isCurrent: () => boolean;
}

export interface InputsListener {
  /** One input; the next waits until it settles. */
  take(input: PaymentInput): Promise<void>;
  /** `take` threw: an assertion, or a fault of ours. */
  failed(error: unknown): Promise<void>;
  /** INPUTS_MAX wait; the input is dropped, but for the caller's end. */
  overflowed(): void;
}

const always = () => true;

/** One input at a time, in the order of their coming. */
export class Inputs {
  readonly #listener: InputsListener;
  readonly #waiting: Queued[] = [];
  #isDraining = false;
  #isClosed = false;

  constructor(listener: InputsListener) {
    this.#listener = listener;
  }

  feed(input: PaymentInput, isCurrent: () => boolean = always): void {
    if (this.#isClosed) return;
    if (this.#waiting.length >= INPUTS_MAX) {
      this.#listener.overflowed();
      if (input.kind !== 'callEnded') return;
    }
    this.#waiting.push({ input, isCurrent });
    if (!this.#isDraining) void this.#drain();
  }

  /** Before all that waits: what the order answered that is just being carried out. */
  feedFirst(input: PaymentInput, isCurrent: () => boolean = always): void {
    if (!this.#isClosed) this.#waiting.unshift({ input, isCurrent });
  }

  isWaiting(kind: PaymentInput['kind']): boolean {
    return this.#waiting.some(({ input }) => input.kind === kind);
  }

  /** The session is over: what waits is dropped, and what comes. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (next.isCurrent()) await this.#listener.take(next.input);
      }
    } catch (error) {
      await this.#listener.failed(error);
    } finally {
      this.#isDraining = false;
    }
  }
}
