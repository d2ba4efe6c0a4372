import type { Clock } from '../../lib/clock.ts';
import { formatAmount } from '../../money/amount.ts';
import type { FieldName } from '../../session/flow.ts';
import { type Entry, maskNumber } from './time-line.ts';

/*
 * What the server publishes of one call: its conversation and its payment, asked of the HTTP API again and again, and
 * told as entries of the time line.
 */

const POLL_MS = 200;
const REQUEST_MS_MAX = 5_000;
/** Answers in a row that may fail before the demo gives up. */
const FAILURES_MAX = 10;

export interface PaymentEvent {
  readonly sequence: number;
  readonly at: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
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
      if (detail.state === 'collecting') return { who: 'server', text: `asks for the ${words}` };
      if (detail.state !== 'confirming') return null;
      if (detail.stage === 'question') return { who: 'server', text: `asks whether the ${words} is right` };
      if (detail.stage !== 'words') return null;
      const last4 = text('last4');
      const brand = text('brand');
      const shown = last4 === null ? '' : `: ${[maskNumber(16, last4), brand].filter((part) => part).join('  ')}`;
      return { who: 'server', text: `has the ${words}${shown}; reads it back` };
    }
    case 'paymentState':
      if (detail.to === 'authorizing') return { who: 'server', text: `asks the gateway for ${amountOf(payment)}` };
      if (detail.to === 'resolving') return { who: 'server', text: 'has no sure answer and looks the charge up' };
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

export function amountOf({ amountMinor, currency }: Pick<Payment, 'amountMinor' | 'currency'>): string {
  return amountMinor === null ? currency : `${formatAmount(amountMinor, currency)} ${currency}`;
}

export interface Api {
  /** `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Asked for where the server has keys. */
  readonly key: string | null;
}

/** Follows one call, known by its customer, from the outside. */
export class CallRecords {
  payment: Payment | null = null;
  /** Why following ended before the call did. */
  fault: string | null = null;
  readonly #api: Api;
  readonly #customer: string;
  readonly #clock: Clock;
  readonly #tell: (event: PaymentEvent, payment: Payment) => void;
  #conversation: Conversation | null = null;
  #told = 0;
  #isStopped = false;

  constructor(api: Api, customer: string, clock: Clock, tell: (event: PaymentEvent, payment: Payment) => void) {
    this.#api = api;
    this.#customer = customer;
    this.#clock = clock;
    this.#tell = tell;
  }

  get endedBy(): string | null {
    return this.#conversation?.endedBy ?? null;
  }

  /** Runs until the conversation has ended, or `stop`. */
  async follow(): Promise<void> {
    for (let failures = 0; !this.#isStopped; ) {
      try {
        await this.#look();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures >= FAILURES_MAX) {
          this.fault = `the API does not answer: ${error instanceof Error ? error.message : String(error)}`;
          return;
        }
      }
      if (this.#conversation?.endedAt && (this.payment === null || this.payment.endedAt !== null)) return;
      await this.#wait();
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Until the records say so. False after the limit, or once nobody follows any more. */
  async until(holds: (payment: Payment) => boolean, limitMs: number): Promise<boolean> {
    const deadline = this.#clock.now() + limitMs;
    for (;;) {
      if (this.payment !== null && holds(this.payment)) return true;
      if (this.#clock.now() > deadline || this.fault !== null || this.#isStopped) return false;
      await this.#wait();
    }
  }

  async #look(): Promise<void> {
    if (this.#conversation === null) {
      const path = `/v1/conversations?customer=${encodeURIComponent(this.#customer)}`;
      const page = (await this.#get(path)) as { readonly conversations: readonly Conversation[] };
      this.#conversation = page.conversations[0] ?? null;
      if (this.#conversation === null) return;
    }
    const { callId } = this.#conversation;
    const conversation = (await this.#get(`/v1/conversations/${callId}`)) as Conversation;
    const paymentId = conversation.payments[0]?.paymentId;
    if (paymentId !== undefined) {
      const payment = (await this.#get(`/v1/payments/${paymentId}`)) as Payment;
      this.payment = payment;
      for (const event of payment.events) {
        if (event.sequence <= this.#told) continue;
        this.#told = event.sequence;
        this.#tell(event, payment);
      }
    }
    this.#conversation = conversation;
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
