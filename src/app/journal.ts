import type { Clock } from '../lib/clock.ts';
import type { CallId, PaymentId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { FieldName } from '../session/flow.ts';
import type { EventRow, StorePort } from './ports.ts';

/** What listeners get: every recorded event, and the progress of a field, which is worth no row. */
export type LiveEvent =
  /** `ordinal` is null where the event could not be recorded. */
  | { readonly type: 'recorded'; readonly event: EventRow; readonly ordinal: number | null }
  | { readonly type: 'progress'; readonly progress: FieldProgress };

/** A field after a key. No digit of it is here but the last four of a number that is complete and has ended. */
export interface FieldProgress {
  readonly callId: CallId;
  readonly paymentId: PaymentId;
  readonly at: number;
  readonly field: FieldName;
  /** `•••• ••`. */
  readonly masked: string;
  readonly length: number;
  /** Brands that the number still fits, or, once it is complete, fits exactly. */
  readonly brands: readonly string[];
  /** As long as it must be, and its check passes. */
  readonly valid: boolean;
  readonly ended: boolean;
}

export type LiveListener = (event: LiveEvent) => void;

/** At most this many listeners; one more is refused. */
export const LIVE_LISTENERS_MAX = 256;

/** Fans events out; a listener that throws is removed. */
export class LiveEvents {
  readonly #listeners = new Set<LiveListener>();

  /** Returns the way to leave again, or null where LIVE_LISTENERS_MAX listen already. */
  subscribe(listener: LiveListener): (() => void) | null {
    if (this.#listeners.size >= LIVE_LISTENERS_MAX) return null;
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: LiveEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch {
        this.#listeners.delete(listener);
      }
    }
  }
}

export type EventDetail = EventRow['detail'];

/** The ordered events of one call. */
export class CallJournal {
  readonly #deps: { readonly store: StorePort; readonly clock: Clock; readonly log: Log; readonly live: LiveEvents };
  readonly #callId: CallId;
  #sequence = 0;
  /** Settles when the newest event has been told. */
  #told: Promise<void> = Promise.resolve();

  constructor(deps: { store: StorePort; clock: Clock; log: Log; live: LiveEvents }, callId: CallId) {
    this.#deps = deps;
    this.#callId = callId;
  }

  /**
   * Recorded, then told: what a listener has seen is on disk, so that it can go on from there after a break. A row that
   * cannot be written is logged, and told all the same: it must not end a payment.
   */
  append(kind: string, detail: EventDetail = {}, paymentId: PaymentId | null = null): Promise<void> {
    this.#sequence += 1;
    const { clock } = this.#deps;
    const row: EventRow = { callId: this.#callId, paymentId, sequence: this.#sequence, at: clock.now(), kind, detail };
    this.#told = this.#record(row);
    return this.#told;
  }

  async #record(event: EventRow): Promise<void> {
    const { store, log, live } = this.#deps;
    let ordinal: number | null = null;
    try {
      ordinal = await store.appendEvent(event);
    } catch (error) {
      log.error('event not recorded', { kind: event.kind, sequence: event.sequence, error: String(error) });
    }
    live.emit({ type: 'recorded', event, ordinal });
  }

  /** Told only, and after what was recorded before. */
  tell(progress: Omit<FieldProgress, 'callId' | 'at'>): void {
    const { live, clock } = this.#deps;
    const whole = { callId: this.#callId, at: clock.now(), ...progress };
    void this.#told.then(() => live.emit({ type: 'progress', progress: whole }));
  }
}
