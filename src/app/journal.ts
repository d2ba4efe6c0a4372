import type { Clock } from '../lib/clock.ts';
import type { CallId, PaymentId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { EventRow, StorePort } from './ports.ts';

/** What the API's live listeners get: every recorded event, and progress that is not worth a row (`live: true`). */
export interface LiveEvent extends Omit<EventRow, 'sequence'> {
  readonly sequence: number | null;
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

  constructor(deps: { store: StorePort; clock: Clock; log: Log; live: LiveEvents }, callId: CallId) {
    this.#deps = deps;
    this.#callId = callId;
  }

  /** Recorded and told. A row that cannot be written is logged: it must not end a payment. */
  async append(kind: string, detail: EventDetail = {}, paymentId: PaymentId | null = null): Promise<void> {
    const { store, clock, log, live } = this.#deps;
    this.#sequence += 1;
    const row: EventRow = { callId: this.#callId, paymentId, sequence: this.#sequence, at: clock.now(), kind, detail };
    live.emit(row);
    try {
      await store.appendEvent(row);
    } catch (error) {
      log.error('event not recorded', { kind, sequence: row.sequence, error: String(error) });
    }
  }

  /** Told only: a key press. */
  tell(kind: string, detail: EventDetail, paymentId: PaymentId | null): void {
    this.#deps.live.emit({ callId: this.#callId, paymentId, sequence: null, at: this.#deps.clock.now(), kind, detail });
  }
}
