import { newId, type PaymentId } from '../../lib/ids.ts';
import { plan } from '../../prompt/plan.ts';
import type { FieldName } from '../../session/flow.ts';
import type { Words } from '../../session/payment.ts';
import type { ReadBackStyle } from '../ports.ts';
import { saysOf } from '../words.ts';
import type { Inputs } from './inputs.ts';
import type { RunnerCall, RunnerDeps } from './parts.ts';

/** Recordings in one play order, as the engine has it. */
const PLAY_LIST_MAX = 64;

const STYLES: Readonly<Record<FieldName, ReadBackStyle>> = {
  pan: 'digits',
  expiry: 'monthYear',
  startDate: 'monthYear',
  cvc: 'digits',
  postcode: 'digits',
  issueNumber: 'digits',
};

/** What the caller hears. Only the end of the last play is the end of what he was asked. */
export class Plays {
  readonly #deps: Pick<RunnerDeps, 'media' | 'clock'>;
  readonly #call: RunnerCall;
  readonly #inputs: Inputs;
  #playId: string | null = null;

  constructor(deps: Pick<RunnerDeps, 'media' | 'clock'>, call: RunnerCall, inputs: Inputs) {
    this.#deps = deps;
    this.#call = call;
    this.#inputs = inputs;
  }

  async say(words: readonly Words[], bargeIn: boolean): Promise<void> {
    const { flow, legId } = this.#call;
    const recordings = plan(flow.locale, saysOf(flow, words));
    const playId = this.#begin();
    if (recordings.length === 0) return this.ended(playId);
    await this.#deps.media.play(legId, { playId, recordings: recordings.slice(0, PLAY_LIST_MAX), bargeIn });
  }

  async readBack(paymentId: PaymentId, field: FieldName): Promise<void> {
    const order = { playId: this.#begin(), field, style: STYLES[field], locale: this.#call.flow.locale };
    await this.#deps.media.readBack(paymentId, order);
  }

  ended(playId: string): void {
    this.#inputs.feed({ kind: 'promptEnded' }, () => playId === this.#playId);
  }

  #begin(): string {
    this.#playId = newId('play', this.#deps.clock.now());
    return this.#playId;
  }
}
