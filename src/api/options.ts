import type { CallMedia } from '../app/call-media.ts';
import type { LiveListener } from '../app/journal.ts';
import type { AttemptRow, ConversationRow, PaymentRow, RecordedEvent, SegmentRow } from '../app/ports.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Sensitive } from '../lib/sensitive.ts';

/** What the API shows; the store's queries have this shape. */
export interface ApiRecords {
  conversations(
    filter: {
      readonly customer?: string;
      readonly reference?: string;
      readonly profile?: string;
      readonly result?: NonNullable<PaymentRow['result']>;
      readonly active?: boolean;
      readonly startedFrom?: number;
      readonly startedBefore?: number;
    },
    limit: number,
    after: PageEnd | null,
  ): Promise<{ readonly conversations: readonly ConversationShown[]; readonly next: PageEnd | null }>;
  conversation(callId: string): Promise<ConversationWhole | null>;
  payment(
    paymentId: string,
  ): Promise<
    (PaymentRow & { readonly attempts: readonly AttemptRow[]; readonly events: readonly RecordedEvent[] }) | null
  >;
  /** Recorded behind `after`, of one payment or (null) of all calls, oldest first. */
  events(paymentId: string | null, after: number, limit: number): Promise<readonly RecordedEvent[]>;
  /** The ordinal of the newest event; 0 where there is none. */
  newestEvent(): Promise<number>;
}

export interface ConversationWhole extends ConversationShown {
  readonly segments: readonly SegmentRow[];
  /** `legClosed` of each leg that has ended. */
  readonly legs: readonly RecordedEvent[];
}

export interface ConversationShown extends ConversationRow {
  readonly payments: readonly PaymentRow[];
}

/** The row a page ended with. */
export interface PageEnd {
  readonly startedAt: number;
  readonly callId: string;
}

export interface Readiness {
  readonly workers: boolean;
  readonly sip: boolean;
  readonly store: boolean;
}

export interface ApiOptions {
  /** With 127.0.0.1 it listens on ::1 too, where the machine has it. */
  readonly address: string;
  readonly port: number;
  /** Empty: no key is asked for, and only a loopback address is taken. */
  readonly keys: readonly Sensitive<string>[];
  readonly records: ApiRecords;
  /** Tells what happens from now on; returns the way to leave, or null where too many listen already. */
  readonly subscribe: (listener: LiveListener) => (() => void) | null;
  readonly readiness: () => Promise<Readiness>;
  /** Null where there is no such call now. */
  readonly callMedia: (callId: string) => Promise<CallMedia | null>;
  /** The Prometheus text format, version 0.0.4. */
  readonly metricsText: () => Promise<string>;
  /** Told of each answer that was withheld because it looked like it held a card number. */
  readonly answerWithheld?: () => void;
  readonly bodyBytesMax?: number;
  readonly requestsMax?: number;
  readonly pageRowsMax?: number;
  readonly clock: Clock;
  readonly log: Log;
}

export const BODY_BYTES_MAX = 65_536;
export const HEADER_BYTES_MAX = 16_384;
export const REQUESTS_MAX = 64;
export const PAGE_ROWS_MAX = 200;
export const PAGE_ROWS_DEFAULT = 50;
/** A request must have arrived within this, and its answer must have been taken. */
export const REQUEST_TIMEOUT_MS = 10_000;
export const CONNECTIONS_MAX = 512;
