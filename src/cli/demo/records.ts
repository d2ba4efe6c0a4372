import { brandLabel } from '../../card/brands.ts';
import type { Clock } from '../../lib/clock.ts';
import { formatAmount } from '../../money/amount.ts';
import type { FieldName } from '../../session/flow.ts';
import { type Api, eventsOf } from './events.ts';
import type { Entry } from './time-line.ts';

/*
 * What the server publishes of one call, told as entries of the time line: its payment as the API streams it, and its
 * conversation, asked for until the payment begins and once it has ended.
 */

const POLL_MS = 100;
const REQUEST_MS_MAX = 5_000;
/** Answers in a row that may fail before the demo gives up. */
const FAILURES_MAX = 10;

export interface PaymentEvent {
  readonly sequence: number;
  readonly at: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A field after a key, in dots. */
export interface Progress {
  readonly at: string;
  readonly field: string;
  readonly masked: string;
  readonly length: number;
  readonly brands: readonly string[];
  readonly valid: boolean;
  readonly ended: boolean;
}

export interface Attempt {
  readonly state: string;
  readonly gatewayReference: string | null;
  readonly authorizationCode: string | null;
  readonly declineReason: string | null;
}

export interface Payment {
  readonly paymentId: string;
  readonly state: string;
  readonly result: string | null;
  readonly amountMinor: number | null;
  readonly currency: string;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly declines: number;
  readonly endedAt: string | null;
  readonly attempts: readonly Attempt[];
  readonly events: readonly PaymentEvent[];
}

interface Conversation {
  readonly callId: string;
  readonly endedAt: string | null;
  readonly endedBy: string | null;
  readonly payments: readonly { readonly paymentId: string }[];
}

const KEYS_A_LINE = 4;

const FIELD_WORDS: Readonly<Record<FieldName, string>> = {
  pan: 'card number',
  expiry: 'expiry date',
  cvc: 'security code',
  postcode: 'postcode',
  startDate: 'start date',
  issueNumber: 'issue number',
};

export function fieldWords(field: string): string {
  return Object.hasOwn(FIELD_WORDS, field) ? FIELD_WORDS[field as FieldName] : field;
}

/** One event in a person's words; null for what says nothing new. */
export function tellEvent(event: PaymentEvent, payment: Payment): Pick<Entry, 'who' | 'text' | 'tone'> | null {
  const { kind, detail } = event;
  const text = (key: string): string | null => (typeof detail[key] === 'string' ? detail[key] : null);
  switch (kind) {
    case 'field': {
      const words = fieldWords(text('field') ?? '');
      const again = Number(detail.wrong ?? 0) > 0 ? ' again' : '';
      if (detail.state === 'collecting') return { who: 'server', text: `asks for the ${words}${again}` };
      if (detail.state !== 'confirming') return null;
      if (detail.stage === 'question') return { who: 'server', text: `asks whether the ${words} is right` };
      return detail.stage === 'words' ? { who: 'server', text: `reads the ${words} back` } : null;
    }
    case 'paymentState':
      if (detail.to === 'authorizing') return { who: 'server', text: `asks the gateway for ${amountOf(payment)}` };
      if (detail.to === 'resolving') return { who: 'server', text: 'has no sure answer and looks the charge up' };
      if (detail.to === 'collecting' && detail.from !== 'idle')
        return { who: 'server', text: 'says that the card was declined' };
      if (detail.to === 'announcing') return { who: 'server', text: 'says how it ended' };
      return null;
    case 'gatewayAnswered': {
      const attempt = payment.attempts[Number(detail.charge) - 1];
      if (detail.outcome === 'approved') {
        const code = attempt?.authorizationCode;
        return { who: 'gateway', text: `approved${code ? `, authorization ${code}` : ''}`, tone: 'good' };
      }
      const reason = attempt?.declineReason;
      return { who: 'gateway', text: `${text('outcome')}${reason ? `: ${reason}` : ''}`, tone: 'bad' };
    }
    case 'paymentEnded': {
      const tone = detail.result === 'approved' ? 'good' : 'bad';
      return { who: 'server', text: `records the payment as ${text('result')}`, tone };
    }
    default:
      return null;
  }
}

/** `card number  •••• •••• ••  visa`. */
export function tellProgress({
  field,
  masked,
  brands,
  valid,
  ended,
}: Progress): Pick<Entry, 'who' | 'text' | 'growth'> {
  const brand = brands.length === 1 ? brandLabel(brands[0] ?? '') : '';
  const verdict = ended && !valid ? 'not valid' : brand;
  const text = `hears the ${fieldWords(field)}  ${masked}${verdict === '' ? '' : `  ${verdict}`}`;
  return { who: 'server', text, growth: ended ? 'grown' : 'growing' };
}

/** Where lines can't change in place: every four keys, and the field as it ended. */
export function isWorthALine({ length, valid, ended }: Progress): boolean {
  return ended || (length > 0 && length % KEYS_A_LINE === 0 && !valid);
}

export function amountOf({ amountMinor, currency }: Pick<Payment, 'amountMinor' | 'currency'>): string {
  return amountMinor === null ? currency : `${formatAmount(amountMinor, currency)} ${currency}`;
}

export interface Told {
  event(event: PaymentEvent, payment: Payment): void;
  progress(progress: Progress): void;
}

/** Follows one call, known by its customer, from the outside. */
export class CallRecords {
  payment: Payment | null = null;
  /** Why following ended before the call did. */
  fault: string | null = null;
  readonly #api: Api;
  readonly #customer: string;
  readonly #clock: Clock;
  readonly #told: Told;
  #conversation: Conversation | null = null;
  #lastId: number | null = null;
  readonly #stopped = new AbortController();

  constructor(api: Api, customer: string, clock: Clock, told: Told) {
    this.#api = api;
    this.#customer = customer;
    this.#clock = clock;
    this.#told = told;
  }

  /** Runs until the conversation has ended, or `stop`. */
  async follow(): Promise<void> {
    for (let failures = 0; !this.#stopped.signal.aborted; ) {
      try {
        if (await this.#look()) return;
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures >= FAILURES_MAX) {
          this.fault = `the API does not answer: ${error instanceof Error ? error.message : String(error)}`;
          return;
        }
      }
      await this.#wait();
    }
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Until the records say so. False after the limit, or once nobody follows any more. */
  async until(holds: (payment: Payment) => boolean, limitMs: number): Promise<boolean> {
    const deadline = this.#clock.now() + limitMs;
    for (;;) {
      if (this.payment !== null && holds(this.payment)) return true;
      if (this.#clock.now() > deadline || this.fault !== null || this.#stopped.signal.aborted) return false;
      await this.#wait();
    }
  }

  /** True once everything has ended. A payment's stream lasts as long as the payment. */
  async #look(): Promise<boolean> {
    if (this.#conversation === null) {
      const path = `/v1/conversations?customer=${encodeURIComponent(this.#customer)}`;
      const page = (await this.#get(path)) as { readonly conversations: readonly Conversation[] };
      this.#conversation = page.conversations[0] ?? null;
      if (this.#conversation === null) return false;
    }
    const { callId } = this.#conversation;
    this.#conversation = (await this.#get(`/v1/conversations/${callId}`)) as Conversation;
    const paymentId = this.#conversation.payments[0]?.paymentId;
    if (paymentId === undefined) return this.#conversation.endedAt !== null;
    if (this.payment === null || this.payment.endedAt === null) await this.#followPayment(paymentId);
    return this.#conversation.endedAt !== null && this.payment?.endedAt != null;
  }

  async #followPayment(paymentId: string): Promise<void> {
    const path = `/v1/payments/${paymentId}`;
    for await (const event of eventsOf(this.#api, `${path}/events`, this.#lastId, this.#stopped.signal)) {
      if (event.isProgress) {
        this.#told.progress(event.data as unknown as Progress);
        continue;
      }
      // An event names what happened; the payment says how it stands: charges, authorization, amount.
      const payment = (await this.#get(path)) as Payment;
      this.payment = payment;
      this.#lastId = event.id ?? this.#lastId;
      this.#told.event(event.data as unknown as PaymentEvent, payment);
    }
    this.payment = (await this.#get(path)) as Payment;
  }

  async #get(path: string): Promise<unknown> {
    const answer = await fetch(this.#api.url + path, {
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
      headers: this.#api.key === null ? {} : { authorization: `Bearer ${this.#api.key}` },
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw new Error(`GET ${path.split('?')[0]} was answered ${answer.status}`);
    return body;
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#clock.startTimer(POLL_MS, resolve));
  }
}
