import type { KeyStyle } from '../../src/caller/rtp-phone.ts';
import { type PhoneCall, placeCall } from '../../src/caller/sip-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Card } from './leak-watch.ts';
import type { TestServer } from './server.ts';

export { CARDS } from './cards.ts';

/*
 * A caller of the tests: waits for prompts by hearing, keys, and looks the result up in the API.
 */

/** A pause this long is the end of a prompt. */
export const QUIET_MS = 450;
const PROMPT_MS_MAX = 15_000;
const HURRIED_MS = 200;
const END_MS_MAX = 30_000;

export interface PaymentSeen {
  readonly paymentId: string;
  readonly callId: string;
  readonly state: string;
  readonly result: string | null;
  readonly amountMinor: number | null;
  readonly currency: string;
  readonly reference: string | null;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly declines: number;
  readonly attention: string | null;
  readonly endedAt: string | null;
  readonly attempts: readonly { readonly verb: string; readonly state: string; readonly idempotencyKey: string }[];
  readonly events: readonly {
    readonly at: string;
    readonly kind: string;
    readonly detail: Readonly<Record<string, unknown>>;
  }[];
}

export interface Order {
  readonly amountMinor?: number;
  /** Null: another part of the INVITE says it. */
  readonly reference: string | null;
  readonly flow?: string;
  readonly withoutOffer?: boolean;
  readonly opus?: boolean;
  readonly rtcpXr?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A sip.js call over WebSocket that has been answered. Throws where it is refused. */
export async function call(server: TestServer, order: Order, wsPort = server.ports.ws): Promise<PhoneCall> {
  const parameters = [
    ...(order.reference === null ? [] : [`reference=${order.reference}`]),
    ...(order.amountMinor === undefined ? [] : [`amount=${order.amountMinor}`]),
    ...(order.flow === undefined ? [] : [`flow=${order.flow}`]),
  ];
  const target = {
    server: `ws://127.0.0.1:${wsPort}`,
    uri: ['sip:pay@127.0.0.1', ...parameters].join(';'),
    withoutOffer: order.withoutOffer === true,
    opus: order.opus === true,
    rtcpXr: order.rtcpXr === true,
    headers: order.headers ?? {},
  };
  const phone = await placeCall(target, systemClock);
  const status = await phone.answered;
  if (status !== 200) throw new Error(`the call was refused with ${status}`);
  if (order.reference !== null) WHERE.set(phone, { server, reference: order.reference });
  return phone;
}

/** Where a call was placed, so that one that goes wrong can say what the server has of it. */
const WHERE = new WeakMap<PhoneCall, { readonly server: TestServer; readonly reference: string }>();

/** What a call came to on both sides, in a line: the caller's audio, the payment's state and its events. */
export async function callText(phone: PhoneCall): Promise<string> {
  return `${phone.media.lineText()}; ${await recordText(phone)}`;
}

async function recordText(phone: PhoneCall): Promise<string> {
  const where = WHERE.get(phone);
  const payment = where === undefined ? null : await paymentNow(where.server, where.reference).catch(() => null);
  if (payment === null) return 'no payment is recorded';
  const events = payment.events.map(({ at, kind, detail }) => `${at.slice(17, 23)} ${kind} ${JSON.stringify(detail)}`);
  return `its payment is ${payment.state}: ${events.join('; ')}`;
}

/** The final status of a call that is refused. */
export async function refusal(server: TestServer, headers: Readonly<Record<string, string>>): Promise<number> {
  const target = { server: `ws://127.0.0.1:${server.ports.ws}`, uri: 'sip:pay@127.0.0.1', headers };
  const phone = await placeCall(target, systemClock);
  const status = await phone.answered;
  if (status === 200) await phone.hangUp();
  return status;
}

export interface Manner {
  readonly style?: KeyStyle;
  /** Hears every prompt to its end; otherwise barges in. */
  readonly patient?: boolean;
  /** Said behind the keys. */
  readonly background?: Int16Array;
}

/** Waits for the prompt's end, or only for its beginning where the caller is in a hurry and barges in; then keys. */
export async function answerPrompt(
  phone: PhoneCall,
  keys: string,
  { style = 'event', patient = false, background }: Manner = {},
): Promise<void> {
  const { media } = phone;
  const heard = await (patient ? media.promptEnds(QUIET_MS, PROMPT_MS_MAX) : media.promptBegins(PROMPT_MS_MAX));
  if (!heard) {
    const why = media.isClosed ? 'the call had ended' : 'nobody spoke';
    throw new Error(`no prompt was heard: ${why}; ${await callText(phone)}`);
  }
  if (!patient) await media.wait(HURRIED_MS);
  await media.key(keys, style, background);
}

/** Number, expiry and code, each after its prompt. */
export async function keyCard(server: TestServer, phone: PhoneCall, card: Card, manner: Manner = {}): Promise<void> {
  server.expectNoLeakOf(card);
  for (const field of [card.pan, card.expiry, card.cvc]) await answerPrompt(phone, field, manner);
}

/** Until the server says BYE. */
export async function goodbye(phone: PhoneCall): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, END_MS_MAX, 'late');
  });
  const how = await Promise.race([phone.ended, late]).finally(() => clearTimeout(timer));
  if (how === 'late') throw new Error(`the call did not end within ${END_MS_MAX} ms; ${await callText(phone)}`);
}

/** The payment of the call with this reference, once it has ended. */
export async function paymentOf(server: TestServer, reference: string, limitMs = 10_000): Promise<PaymentSeen> {
  let found: PaymentSeen | null = null;
  await server.until(
    `the payment of ${reference} has ended`,
    async () => {
      found = await paymentNow(server, reference);
      return found !== null && found.endedAt !== null;
    },
    limitMs,
  );
  if (found === null) throw new Error(`no payment of ${reference}`);
  return found;
}

/** As it stands; null before it has begun. */
export async function paymentNow(server: TestServer, reference: string): Promise<PaymentSeen | null> {
  const page = await server.json<{ conversations: readonly { payments: readonly { paymentId: string }[] }[] }>(
    `/v1/conversations?reference=${reference}`,
  );
  const paymentId = page.conversations[0]?.payments[0]?.paymentId;
  return paymentId === undefined ? null : await server.json<PaymentSeen>(`/v1/payments/${paymentId}`);
}

export interface Charged {
  readonly status: string;
  readonly amount_minor: number;
  readonly last4: string;
  readonly idempotency_key: string;
}

/** What the sandbox gateway holds: the other side of the record. */
export async function charges(server: TestServer, reference: string): Promise<readonly Charged[]> {
  const answer = await fetch(`http://127.0.0.1:${server.ports.sandbox}/v1/transactions?reference=${reference}`);
  return ((await answer.json()) as { transactions: readonly Charged[] }).transactions;
}
