import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PhoneCall } from '../../src/caller/sip-phone.ts';
import { answerPrompt, CARDS, call, charges, keyCard, paymentNow, paymentOf } from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';
import { answeringTarget, canAnswer, type SipTarget } from '../harness/sip-target.ts';

/*
 * A caller hangs up at every step: what is on record, and what the gateway holds. All at once, on one server.
 */
let server: TestServer;
let identification: SipTarget | null = null;
let onward: SipTarget | null = null;

const CONFIRMED = { confirm: true };
const amount = { source: { kind: 'passed' }, minimumMinor: 100, maximumMinor: 100_000 };
/** The sandbox commits and answers after a while: a caller can leave in between. */
const SLOW_AMOUNT_MINOR = 9010;
const SLOW_FLOW = { ...QUICK_FLOW, gatewayTimeoutMs: 30_000 };
const SLOW_MS_MAX = 30_000;
/** A prompt comes before. */
const BRIDGE_MS_MAX = 30_000;

beforeAll(async () => {
  if (canAnswer) [identification, onward] = [await answeringTarget(), await answeringTarget()];
  const given = {
    keyed: { ...QUICK_FLOW, amount: { ...amount, source: { kind: 'keyed' } } },
    offered: { ...QUICK_FLOW, amount: { ...amount, offerFullAmount: true } },
    confirmed: { ...QUICK_FLOW, fields: { pan: CONFIRMED, expiry: CONFIRMED, cvc: { confirm: false } } },
    completing: { ...SLOW_FLOW, onHangUp: 'complete' },
    voiding: { ...SLOW_FLOW, onHangUp: 'void' },
    ...(identification === null
      ? {}
      : { identified: { ...QUICK_FLOW, identification: { target: identification.uri, timeoutMs: 60_000 } } }),
    ...(onward === null ? {} : { bridged: { ...QUICK_FLOW, next: { kind: 'bridge', target: onward.uri } } }),
  };
  server = await TestServer.start({ config: { flows: given } });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const referenceOf = (when: string) => `HANGUP-${when.replaceAll(' ', '-')}`;

async function untilState(reference: string, state: string): Promise<void> {
  await server.until(`${reference} is ${state}`, async () => (await paymentNow(server, reference))?.state === state);
}

/** The events of this field, as `collecting` or `confirming digits`. */
async function untilField(reference: string, field: string, what: string): Promise<void> {
  await server.until(`${reference}: ${field} is ${what}`, async () => {
    const events = (await paymentNow(server, reference))?.events ?? [];
    return events.some(
      ({ kind, detail }) =>
        kind === 'field' && detail.field === field && [detail.state, detail.stage].filter(Boolean).join(' ') === what,
    );
  });
}

interface Step {
  readonly flow?: string;
  readonly reach: (phone: PhoneCall, reference: string) => Promise<void>;
}

/** Up to the gateway: nothing is charged, whatever was keyed. */
const BEFORE_THE_GATEWAY: Readonly<Record<string, Step>> = {
  'in the first prompt': {
    reach: async (phone) => void (await phone.media.promptBegins()),
  },
  'while the full amount is offered': {
    flow: 'offered',
    reach: async (phone, reference) => {
      await untilState(reference, 'offering');
      await phone.media.promptBegins();
    },
  },
  'while the amount is keyed': {
    flow: 'keyed',
    reach: async (phone, reference) => {
      await untilState(reference, 'keying');
      await answerPrompt(phone, '42');
    },
  },
  'while the amount is confirmed': {
    flow: 'keyed',
    reach: async (phone, reference) => {
      await answerPrompt(phone, '2500#');
      await untilState(reference, 'settling');
    },
  },
  'in the middle of the number': {
    reach: (phone) => answerPrompt(phone, CARDS.visa.pan.slice(0, 8)),
  },
  'after the number': {
    reach: (phone) => answerPrompt(phone, CARDS.visa.pan),
  },
  'during the read-back': {
    flow: 'confirmed',
    reach: async (phone, reference) => {
      await answerPrompt(phone, CARDS.amex.pan);
      await untilField(reference, 'pan', 'confirming digits');
      await phone.media.wait(500);
    },
  },
  'when asked whether it is right': {
    flow: 'confirmed',
    reach: async (phone, reference) => {
      await answerPrompt(phone, CARDS.amex.pan);
      await untilField(reference, 'pan', 'confirming question');
    },
  },
  'after the expiry': {
    reach: async (phone) => {
      await answerPrompt(phone, CARDS.amex.pan);
      await answerPrompt(phone, CARDS.amex.expiry);
    },
  },
  'within the code': {
    reach: async (phone) => {
      await answerPrompt(phone, CARDS.amex.pan);
      await answerPrompt(phone, CARDS.amex.expiry);
      await answerPrompt(phone, CARDS.amex.cvc.slice(0, 2));
    },
  },
};

interface Conversation {
  readonly endedBy: string | null;
  readonly segments: readonly { readonly kind: string; readonly outcome: string | null }[];
}

async function conversationOf(reference: string): Promise<Conversation | null> {
  const { conversations } = await server.json<{ conversations: readonly { callId: string }[] }>(
    `/v1/conversations?reference=${reference}`,
  );
  const callId = conversations[0]?.callId;
  return callId === undefined ? null : await server.json<Conversation>(`/v1/conversations/${callId}`);
}

const withTarget = canAnswer ? '' : ' (not installed: sip-tester)';

describe.concurrent('a caller who hangs up', () => {
  it.each(Object.keys(BEFORE_THE_GATEWAY))('leaves an abandoned payment and no charge: %s', async (when) => {
    const { flow, reach } = BEFORE_THE_GATEWAY[when] as Step;
    const reference = referenceOf(when);
    for (const card of [CARDS.visa, CARDS.amex]) server.expectNoLeakOf(card);
    const passed = flow === 'keyed' ? {} : { amountMinor: 1200 };
    const phone = await call(server, { ...passed, reference, ...(flow === undefined ? {} : { flow }) });
    await reach(phone, reference);
    await phone.hangUp();
    expect(await paymentOf(server, reference)).toMatchObject({ result: 'abandoned', attempts: [] });
    expect(await charges(server, reference)).toEqual([]);
  });

  it('after a decline leaves an abandoned payment with that decline, and nothing charged', async () => {
    const reference = referenceOf('after a decline');
    const phone = await call(server, { amountMinor: 1200, reference });
    await keyCard(server, phone, CARDS.declined);
    await server.until('the card is declined', async () => (await paymentNow(server, reference))?.declines === 1);
    await answerPrompt(phone, CARDS.amex.pan.slice(0, 4));
    await phone.hangUp();
    expect(await paymentOf(server, reference)).toMatchObject({ result: 'abandoned', declines: 1 });
    expect((await charges(server, reference)).map(({ status }) => status)).toEqual(['declined']);
  });

  it.each([
    ['completed and on record', 'completing', 'approved', 'approved', 'captured'],
    ['voided, also at the gateway', 'voiding', 'abandoned', 'voided', 'voided'],
  ])('while the gateway is asked has the payment %s, where the flow is %s', async (_, flow, result, state, status) => {
    const reference = referenceOf(`asking ${flow}`);
    const phone = await call(server, { amountMinor: SLOW_AMOUNT_MINOR, reference, flow });
    await keyCard(server, phone, CARDS.mastercard);
    await untilState(reference, 'authorizing');
    await phone.hangUp();
    const payment = await paymentOf(server, reference, SLOW_MS_MAX);
    expect(payment).toMatchObject({ result, attention: null });
    expect(payment.attempts.map((attempt) => attempt.state)).toEqual([state]);
    expect((await charges(server, reference)).map((charge) => charge.status)).toEqual([status]);
  });

  it('during the announcement has paid', async () => {
    const reference = referenceOf('announcement');
    const phone = await call(server, { amountMinor: 1200, reference });
    await keyCard(server, phone, CARDS.mastercard);
    await untilState(reference, 'announcing');
    await phone.media.promptBegins();
    await phone.hangUp();
    expect(await paymentOf(server, reference)).toMatchObject({ result: 'approved' });
    expect(await charges(server, reference)).toMatchObject([{ status: 'captured' }]);
  });

  it.skipIf(!canAnswer)(`while identified has no payment, and the other side is hung up on${withTarget}`, async () => {
    const reference = referenceOf('identification');
    const phone = await call(server, { amountMinor: 1200, reference, flow: 'identified' });
    await server.until('identification is under way', () => identification?.hasAnswered() === true, BRIDGE_MS_MAX);
    await phone.hangUp();
    expect(await identification?.hungUpOn).toBe(true);
    await server.until('the conversation has ended', async () => (await conversationOf(reference))?.endedBy != null);
    expect(await conversationOf(reference)).toMatchObject({
      endedBy: 'caller',
      segments: [{ kind: 'identification', outcome: 'caller-gone' }],
    });
    expect(await paymentNow(server, reference)).toBe(null);
  });

  it.skipIf(!canAnswer)(`after the call went on has paid, and the other side is hung up on${withTarget}`, async () => {
    const reference = 'ON-1';
    const phone = await call(server, { amountMinor: 1200, reference, flow: 'bridged' });
    await keyCard(server, phone, CARDS.mastercard);
    expect(await paymentOf(server, reference, 20_000)).toMatchObject({ result: 'approved' });
    await server.until('the call goes on', () => onward?.hasAnswered() === true, BRIDGE_MS_MAX);
    await phone.hangUp();
    expect(await onward?.hungUpOn).toBe(true);
    await server.until('the conversation has ended', async () => (await conversationOf(reference))?.endedBy != null);
    expect((await conversationOf(reference))?.segments.map(({ kind }) => kind)).toEqual(['secure-payment', 'ivr']);
    expect(await charges(server, reference)).toMatchObject([{ status: 'captured' }]);
  });
});
