import { maskedNumber } from '../../card/masked.ts';
import type { PaymentId } from '../../lib/ids.ts';
import type { FieldName } from '../../session/flow.ts';
import type { FieldFacts, FieldOrder, MediaEvent } from '../ports.ts';
import type { Inputs } from './inputs.ts';
import type { RunnerDeps } from './parts.ts';

type Key = Extract<MediaEvent, { kind: 'fieldKey' }>;
type Ended = Extract<MediaEvent, { kind: 'fieldEnded' }>;

/**
 * The card field that is open in the vault: its keys and its end, as far as anybody may know of them. What belongs to a
 * field that was opened before says nothing any more.
 */
export class Entry {
  readonly #deps: Pick<RunnerDeps, 'media' | 'journal'>;
  readonly #paymentId: PaymentId;
  readonly #inputs: Inputs;
  #epoch = 0;

  constructor(deps: Pick<RunnerDeps, 'media' | 'journal'>, paymentId: PaymentId, inputs: Inputs) {
    this.#deps = deps;
    this.#paymentId = paymentId;
    this.#inputs = inputs;
  }

  async open({ field, lengthMin, lengthMax, brands }: FieldOrder): Promise<void> {
    this.#epoch += 1;
    await this.#deps.media.openField(this.#paymentId, { field, lengthMin, lengthMax, brands });
  }

  /** By a time limit; `field` is the one that is told of, or null. */
  async close(field: FieldName | null): Promise<void> {
    const facts = await this.#deps.media.closeField(this.#paymentId);
    if (field !== null) this.#tell(field, facts, true);
    this.#inputs.feedFirst({ kind: 'fieldEnded', facts }, this.#asNow());
  }

  key({ key, field, facts }: Key): void {
    if (field === null) return;
    if (facts !== null) this.#tell(field, facts, false);
    this.#inputs.feed({ kind: 'fieldKeyPressed', key, complete: facts?.complete ?? false }, this.#asNow());
  }

  ended({ field, facts }: Ended): void {
    this.#tell(field, facts, true);
    this.#inputs.feed({ kind: 'fieldEnded', facts }, this.#asNow());
  }

  #asNow(): () => boolean {
    const epoch = this.#epoch;
    return () => epoch === this.#epoch;
  }

  /** To who listens, and kept nowhere. */
  #tell(field: FieldName, { length, brands, complete, last4 }: FieldFacts, ended: boolean): void {
    const isNumber = field === 'pan';
    const brand = brands.length === 1 ? (brands[0] ?? null) : null;
    const masked = isNumber ? maskedNumber(length, ended ? last4 : null, brand) : '•'.repeat(length);
    const progress = { field, masked, length, brands: isNumber ? brands : [], valid: complete, ended };
    this.#deps.journal.tell({ paymentId: this.#paymentId, ...progress });
  }
}
