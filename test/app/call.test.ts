import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/app/app.ts';
import { noMetrics } from '../../src/app/metrics.ts';
import type { CallContext, LegStats } from '../../src/app/ports.ts';
import { LOOK_AGAIN_EVERY_MS } from '../../src/app/recovery.ts';
import { WORKER_AWAY_MS_MAX } from '../../src/app/session-runner.ts';
import type { Flow } from '../../src/session/flow.ts';
import { settle, VirtualClock } from '../harness/clock.ts';
import { failNth } from '../harness/fail-nth.ts';
import { FakeWorld, factsOf, MEDIA } from '../harness/fake-ports.ts';
import { PLAIN_FLOW } from '../harness/flow.ts';

/** Longer than any scenario: ten minutes of payment, and the hold. */
const LONG_MS = 900_000;

async function callOf(arrange: (world: FakeWorld) => void = () => {}, context?: CallContext): Promise<FakeWorld> {
  const clock = new VirtualClock();
  const world = new FakeWorld(clock);
  arrange(world);
  const app = createApp(world.deps());
  const call = app.callArrived(world.incoming(context));
  await clock.advance(LONG_MS);
  await call;
  expect(app.callsActive()).toBe(0);
  expect(world.held.size, 'payments that still hold fields').toBe(0);
  expect(world.openLegs.size, 'legs left open').toBe(0);
  expect(world.charged.size, 'charges').toBeLessThanOrEqual(1);
  return world;
}

const only = <T>(rows: Map<string, T>): T => {
  expect(rows.size).toBe(1);
  return [...rows.values()][0] as T;
};
const answering =
  (...answers: FakeWorld['answers']) =>
  (world: FakeWorld) => {
    world.answers = answers;
  };
const withFlow = (flow: Partial<Flow>) => (world: FakeWorld) => {
  world.flow = { ...PLAIN_FLOW, ...flow };
};

describe('a call that pays', () => {
  it('is charged once, told so, and sent on with the result', async () => {
    const world = await callOf();
    expect(world.charged.size).toBe(1);
    expect(only(world.payments)).toMatchObject({ result: 'approved', state: 'ended', brand: 'visa', last4: '4242' });
    expect(world.results[0]).toMatchObject({ how: 'sip:ivr@127.0.0.1', result: { result: 'approved', last4: '4242' } });
    const told = [
      'payment-approved',
      'number-42',
      'unit-dollars',
      'word-and',
      'number-10',
      'unit-cents',
      'was-approved',
    ];
    expect(world.said.slice(world.said.indexOf('payment-approved')).slice(0, 7)).toEqual(told);
    const last = ['letter-i', 'letter-n', 'letter-v', 'symbol-dash', 'digit-7', 'connecting-next'];
    expect(world.said.slice(-6)).toEqual(last);
  });
  it('has what its legs received and sent counted, each leg once', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    world.legStats = { ...world.legStats, packetsReceived: 500, packetsFromElsewhere: 3 };
    const closed: LegStats[] = [];
    const metrics = { ...noMetrics, legClosed: (stats: LegStats) => void closed.push(stats) };
    const call = createApp({ ...world.deps(), metrics }).callArrived(world.incoming());
    await clock.advance(LONG_MS);
    await call;
    expect(closed).toEqual([world.legStats]);
  });
  it('tells of its legs while it lives, and records what each came to', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    world.legStats = { ...world.legStats, packetsReceived: 500, packetsLost: 7, jitterMs: 3.25 };
    const app = createApp(world.deps());
    const incoming = world.incoming();
    const call = app.callArrived(incoming);
    await clock.advance(1_000);
    const { callId, legId } = incoming;
    const { security: _, ...agreed } = incoming.media;
    expect(await app.callMedia(callId)).toEqual({
      callId,
      legs: [{ legId, role: 'caller', agreed: { ...agreed, srtp: null }, stats: world.legStats }],
    });
    expect(await app.callMedia('ca_other')).toBeNull();
    await clock.advance(LONG_MS);
    await call;
    expect(await app.callMedia(callId)).toBeNull();
    const totals = world.events.filter(({ kind }) => kind === 'legClosed').map(({ detail }) => detail);
    expect(totals).toMatchObject([{ role: 'caller', packetsReceived: 500, packetsLost: 7, jitterMs: 3.25 }]);
  });
  it('has the attempt on disk before the gateway is asked', async () => {
    const { calls } = await callOf();
    expect(calls.indexOf('saveAttempt asking')).toBeLessThan(calls.indexOf('send purchase'));
  });
  it('leaves ordered events and both segments', async () => {
    const world = await callOf();
    expect(world.events.map((row) => row.sequence)).toEqual(world.events.map((_, index) => index + 1));
    const segments = [...world.segments.values()].map(({ kind, outcome }) => [kind, outcome]);
    expect(segments).toEqual([
      ['secure-payment', 'approved'],
      ['ivr', 'transferred'],
    ]);
    expect(only(world.conversations).endedAt).not.toBeNull();
  });
  it('confirms each field that the flow wants confirmed', async () => {
    const fields = { pan: { confirm: true, retriesMax: 2 }, expiry: { confirm: true, retriesMax: 2 } };
    const world = await callOf(withFlow({ fields }));
    expect(world.calls.filter((name) => name.startsWith('readBack'))).toEqual(['readBack pan', 'readBack expiry']);
    expect(only(world.payments).result).toBe('approved');
  });
  it('takes an amount that the caller keys and confirms', async () => {
    const world = await callOf((given) => {
      withFlow({ amount: { ...PLAIN_FLOW.amount, source: { kind: 'keyed' } } })(given);
      given.script = { ...given.script, keys: ({ allowed }) => (allowed === '12' ? '1' : '2500#') };
    });
    expect(only(world.payments)).toMatchObject({ amountMinor: 2500, result: 'approved' });
  });
  it('fetches the amount from the data dip when the call brought none', async () => {
    const source = { kind: 'dataDip', url: 'http://127.0.0.1/', timeoutMs: 1 } as const;
    const world = await callOf(withFlow({ amount: { ...PLAIN_FLOW.amount, source } }), {});
    expect(only(world.payments)).toMatchObject({ amountMinor: 4210, result: 'approved' });
  });
});

describe('a call that does not pay', () => {
  it('may try again after a decline, under a new key', async () => {
    const world = await callOf((given) => {
      given.answers = ['declined', 'answered'];
    });
    expect([...world.attempts.values()].map((row) => row.state)).toEqual(['declined', 'approved']);
    expect(new Set([...world.attempts.values()].map((row) => row.idempotencyKey)).size).toBe(2);
    expect(only(world.payments)).toMatchObject({ result: 'approved', declines: 1 });
  });
  it('goes to the queue at the last decline', async () => {
    const world = await callOf((given) => {
      given.answers = ['declined', 'declined'];
    });
    expect(world.results[0]).toMatchObject({ how: 'sip:queue@127.0.0.1', result: { result: 'declined', declines: 2 } });
  });
  it('is abandoned when the caller hangs up in the middle of the number', async () => {
    const world = await callOf((given) => {
      given.script = { ...given.script, facts: () => 'hangUp' };
    });
    expect(only(world.payments).result).toBe('abandoned');
    expect(only(world.conversations).endedBy).toBe('caller');
    expect(world.charged.size).toBe(0);
  });
  it('goes to the queue when a field stays wrong', async () => {
    const world = await callOf((given) => {
      given.script = { ...given.script, facts: () => ({ complete: false }) };
    });
    expect(world.said).toContain('card-number-invalid');
    expect(world.results[0]).toMatchObject({ how: 'sip:queue@127.0.0.1', result: { result: 'failed' } });
  });
  it('is told when the gateway cannot be reached, after trying again safely', async () => {
    const world = await callOf((given) => {
      given.answers = ['notSent', 'notSent', 'notSent'];
    });
    expect(world.calls.filter((name) => name === 'send purchase')).toHaveLength(3);
    expect(world.said).toContain('try-again-later');
    expect(only(world.payments).result).toBe('failed');
  });
});

describe('an unknown outcome', () => {
  it('is looked up, and the lost answer found', async () => {
    const world = await callOf((given) => {
      given.answers = ['lost'];
    });
    expect(world.calls).toContain('send lookup');
    expect(only(world.payments).result).toBe('approved');
    expect(world.charged.size).toBe(1);
  });
  it('is asked again under the same key where the gateway has never heard of it', async () => {
    const world = await callOf((given) => {
      given.answers = ['noAnswer', 'answered'];
    });
    expect(only(world.attempts).state).toBe('approved');
  });
  it('is replayed under the same key where there is no lookup', async () => {
    const world = await callOf((given) => {
      given.capabilities = { verbs: ['purchase'], unknownOutcome: 'replay' };
      given.answers = ['lost', 'answered'];
    });
    expect(only(world.attempts).state).toBe('approved');
    expect(world.charged.size).toBe(1);
  });
  it('stays unknown past the hold, is put before a person, and nothing else is charged', async () => {
    const world = await callOf((given) => {
      given.capabilities = { verbs: ['purchase'], unknownOutcome: 'replay' };
      given.answers = Array.from({ length: 100 }, () => 'noAnswer' as const);
    });
    expect(only(world.payments)).toMatchObject({ result: 'unknown' });
    expect(only(world.payments).attention).toMatch(/unknown/);
    expect(only(world.attempts).state).toBe('unknown');
    expect(world.said).toContain('agent-will-check');
  });
  it('is resolved by lookup when the worker dies while the gateway is asked', async () => {
    const world = await callOf((given) => {
      given.answers = ['lost'];
      given.onSend = () => given.emit({ kind: 'legRecreated', legId: 'ca_1_le' });
    });
    expect(only(world.payments).result).toBe('approved');
  });
});

describe('a caller who hangs up while the gateway is asked', () => {
  const hangingUp = (onHangUp: Flow['onHangUp']) =>
    callOf((world) => {
      withFlow({ onHangUp })(world);
      world.onSend = () => world.hangUp();
    });
  it('has paid where the flow completes', async () => {
    const world = await hangingUp('complete');
    expect(only(world.payments).result).toBe('approved');
    expect(world.charged.size).toBe(1);
  });
  it('has not paid where the flow voids', async () => {
    const world = await hangingUp('void');
    expect(only(world.payments).result).toBe('abandoned');
    expect(only(world.attempts).state).toBe('voided');
    expect(world.charged.size).toBe(0);
  });
});

describe('a gateway that authorizes and captures apart', () => {
  const lookup: FakeWorld['capabilities'] = {
    verbs: ['authorize', 'capture', 'void', 'lookup'],
    unknownOutcome: 'lookup',
  };
  const replay: FakeWorld['capabilities'] = { verbs: ['authorize', 'capture', 'void'], unknownOutcome: 'replay' };
  const paying = (arrange: (world: FakeWorld) => void = () => {}, capabilities = lookup) =>
    callOf((world) => {
      world.capabilities = capabilities;
      arrange(world);
    });
  const many = <T>(what: T): T[] => Array.from({ length: 100 }, () => what);
  const sends = ({ calls }: FakeWorld) => calls.filter((name) => name.startsWith('send ')).map((name) => name.slice(5));

  it('captures what was authorized, once it is on record and the card is wiped', async () => {
    const world = await paying();
    expect(only(world.payments)).toMatchObject({ result: 'approved', attention: null });
    expect(only(world.attempts)).toMatchObject({ verb: 'authorize', state: 'approved', gatewayReference: 'tx_1' });
    expect([world.charged.size, world.authorized.size]).toEqual([1, 0]);
    const order = ['saveAttempt asking', 'send authorize', 'saveAttempt authorized', 'endPayment', 'send capture'];
    expect(order.map((name) => world.calls.indexOf(name)).every((at, i, all) => at > (all[i - 1] ?? -1))).toBe(true);
    expect(world.said).toContain('payment-approved');
  });
  it.each(['4539148803436467', 'charge 4539 1488 0343 6467', '0731', '918'])(
    'is followed up under our key where the gateway calls it %s',
    async (gatewayReference) => {
      const world = await paying((it) => {
        it.gatewayReference = gatewayReference;
      });
      expect(only(world.payments)).toMatchObject({ result: 'approved', attention: null });
      expect(only(world.attempts)).toMatchObject({ state: 'approved', gatewayReference: null });
      expect(JSON.stringify([world.events, world.results])).not.toContain(gatewayReference);
    },
  );
  it.each([
    ['is lost after it was carried out', ['lost'], lookup, ['authorize', 'capture', 'lookup']],
    ['never arrived', ['noAnswer'], lookup, ['authorize', 'capture', 'lookup', 'capture']],
    ['could not be sent', ['notSent'], lookup, ['authorize', 'capture', 'lookup', 'capture']],
    ['is lost, and there is no lookup', ['lost'], replay, ['authorize', 'capture', 'capture']],
  ] as const)('takes the amount once where the capture %s', async (_, answers, capabilities, asked) => {
    const world = await paying((given) => {
      given.captureAnswers = [...answers];
    }, capabilities);
    expect(only(world.payments)).toMatchObject({ result: 'approved', attention: null });
    expect(world.charged.size).toBe(1);
    expect(sends(world)).toEqual(asked);
  });
  it('lets go of what it may not capture, and says that nothing was paid', async () => {
    const world = await paying((given) => {
      given.captureAnswers = ['declined'];
    });
    expect(only(world.payments)).toMatchObject({ result: 'failed', attention: null });
    expect(only(world.attempts)).toMatchObject({ state: 'voided', declineReason: 'do-not-honor' });
    expect([world.charged.size, world.authorized.size]).toEqual([0, 0]);
    expect(world.said).toContain('try-again-later');
    expect(world.results[0]?.result).toMatchObject({ errorCode: 'GATEWAY_CAPTURE_FAILED' });
  });
  it('lets go of what it could not capture within the hold', async () => {
    const world = await paying((given) => {
      given.captureAnswers = many('noAnswer' as const);
    }, replay);
    expect(only(world.payments)).toMatchObject({ result: 'failed', attention: null });
    expect([world.charged.size, world.authorized.size]).toEqual([0, 0]);
  });
  it('takes a capture that is answered late for no proof of the void', async () => {
    const world = await paying((given) => {
      // The second takes longer than the hold of 30 s, so that the void overtakes it; and the void is not answered.
      const takesMs = { capture: [1_000, 35_000], void: [20_000] } as Record<string, number[]>;
      given.answerMs = (verb) => takesMs[verb]?.shift() ?? 1_000;
      given.captureAnswers = ['noAnswer'];
      given.voidAnswers = ['noAnswer'];
    });
    expect(world.charged.size).toBe(1);
    expect(only(world.payments)).toMatchObject({ result: 'unknown' });
    expect(only(world.payments).attention).toMatch(/its void was not confirmed/);
    expect(only(world.attempts).state).toBe('approved');
  });
  it('is not undone before its capture was answered, where the flow holds nothing', async () => {
    const world = await paying(withFlow({ outcomeHoldMsMax: 0 }));
    expect(only(world.payments)).toMatchObject({ result: 'approved' });
  });
  it('puts it before a person where neither capture nor void is answered', async () => {
    const world = await paying((given) => {
      given.captureAnswers = many('noAnswer' as const);
      given.voidAnswers = ['noAnswer'];
    });
    expect(only(world.payments)).toMatchObject({ result: 'unknown' });
    expect(only(world.payments).attention).toMatch(/capture of charge 1 is unknown/);
    expect(only(world.attempts).state).toBe('authorized');
    expect(world.said).toContain('agent-will-check');
  });
  it('captures nothing of a caller who hung up before it was authorized, where the flow voids', async () => {
    const world = await paying((given) => {
      withFlow({ onHangUp: 'void' })(given);
      given.onSend = () => given.hangUp();
    });
    expect(only(world.payments)).toMatchObject({ result: 'abandoned', attention: null });
    expect(sends(world)).toEqual(['authorize', 'void']);
    expect(world.authorized.size).toBe(0);
  });
  it('finds an authorization whose answer was lost, and captures it', async () => {
    const world = await paying(answering('lost'));
    expect(only(world.payments).result).toBe('approved');
    expect(sends(world)).toEqual(['authorize', 'lookup', 'capture']);
  });

  /** The process dies at this order, and another finds what is on disk and at the gateway. */
  async function crashedAt(order: string, arrange: (world: FakeWorld) => void = () => {}): Promise<FakeWorld> {
    const clock = new VirtualClock();
    const dead = new FakeWorld(clock);
    dead.capabilities = lookup;
    arrange(dead);
    void createApp(dead.deps()).callArrived(dead.incoming());
    for (let steps = 0; !dead.calls.includes(order); steps += 1) {
      expect(steps).toBeLessThan(100);
      await clock.advance(500);
    }
    const next = new FakeWorld(new VirtualClock());
    for (const name of ['payments', 'attempts'] as const) {
      for (const [key, row] of dead[name]) (next[name] as Map<string, unknown>).set(key, row);
    }
    for (const name of ['authorized', 'charged'] as const) for (const key of dead[name]) next[name].add(key);
    Object.assign(next, { flow: dead.flow, capabilities: dead.capabilities });
    next.captureAnswers = dead.captureAnswers;
    const recovering = createApp(next.deps()).recover();
    await next.clock.advance(60_000);
    await recovering;
    return next;
  }
  const whole = (world: FakeWorld) => ({
    ...only(world.payments),
    attempt: only(world.attempts).state,
    charged: world.charged.size,
    held: world.authorized.size,
  });
  it('is captured after a crash between authorize and capture', async () => {
    const world = await crashedAt('send capture');
    expect(whole(world)).toMatchObject({
      result: 'approved',
      attention: null,
      attempt: 'approved',
      charged: 1,
      held: 0,
    });
    expect(sends(world)).toEqual(['capture']);
  });
  it('is not captured twice after a crash between capture and its answer', async () => {
    const world = await crashedAt('send lookup', (given) => {
      given.captureAnswers = ['lost'];
    });
    expect(whole(world)).toMatchObject({ result: 'approved', attempt: 'approved', charged: 1, held: 0 });
  });
  it('is looked up, and then captured, after a crash before the authorization was answered', async () => {
    const world = await crashedAt('send lookup', answering('lost'));
    expect(sends(world)).toEqual(['lookup', 'capture']);
    expect(whole(world)).toMatchObject({ result: 'approved', attempt: 'approved', charged: 1, held: 0 });
  });
  it.each([
    ['between authorize and capture where the flow voids', withFlow({ onHangUp: 'void' })],
    ['where the capture is then refused', (given: FakeWorld) => Object.assign(given, { captureAnswers: ['declined'] })],
  ])('is voided after a crash %s', async (_, arrange) => {
    const world = await crashedAt('send capture', arrange);
    expect(whole(world)).toMatchObject({
      result: 'abandoned',
      attention: null,
      attempt: 'voided',
      charged: 0,
      held: 0,
    });
  });
  it('is voided, not captured, after a crash in the middle of a void', async () => {
    const world = await crashedAt('send void', (given) => {
      given.captureAnswers = ['declined'];
    });
    expect(sends(world)).toEqual(['lookup', 'void']);
    expect(whole(world)).toMatchObject({ result: 'abandoned', attempt: 'voided', charged: 0, held: 0 });
  });
  it('stays before a person after a crash where no capture is answered, and is let go later', async () => {
    const world = await crashedAt('saveAttempt authorized', (given) => {
      given.captureAnswers = many('noAnswer' as const);
    });
    expect(whole(world)).toMatchObject({ result: 'unknown', attempt: 'authorized', charged: 0, held: 1 });
    expect(only(world.payments).attention).toMatch(/neither captured nor voided/);
    await world.clock.advance(LOOK_AGAIN_EVERY_MS);
    expect(whole(world)).toMatchObject({ result: 'failed', attempt: 'voided', charged: 0, held: 0 });
    expect(only(world.payments).attention).toMatch(/^voided: found after the call had ended as unknown/);
  });
});

describe('identification', () => {
  const flow: Partial<Flow> = { identification: { target: 'sip:id@127.0.0.1', timeoutMs: 60_000, whenNot: 'queue' } };
  async function identifiedAs(identified: boolean | null, how: 'bye' | 'refer' = 'bye'): Promise<FakeWorld> {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    withFlow(flow)(world);
    const app = createApp(world.deps());
    const incoming = world.incoming();
    const call = app.callArrived(incoming);
    await clock.advance(3_000);
    expect(world.routes.at(-1)).toHaveLength(2);
    const listener = world.dialed[0]?.listener();
    // Both legs are shown, and what is agreed anew for the target is what is shown from then on.
    await listener?.mediaChanged({ ...MEDIA, direction: 'recvonly' });
    const { legs = [] } = (await app.callMedia(incoming.callId)) ?? {};
    const seen = legs.map(({ role, agreed }) => [role, agreed?.direction]);
    expect(seen).toEqual([
      ['caller', 'sendrecv'],
      ['target', 'recvonly'],
    ]);
    // Each hears the other openly, and on hold the one who is left may have the music: nothing is ordered anew.
    const [callerId, targetId] = legs.map(({ legId }) => legId);
    expect(world.routes).toEqual([
      [
        { from: callerId, to: targetId, mode: 'open' },
        { from: targetId, to: callerId, mode: 'open' },
      ],
    ]);
    if (how === 'bye') listener?.ended({ kind: 'bye', headers: {}, identified });
    else expect(await listener?.transferRequested({ target: 'sip:pay@127.0.0.1', identified })).toBe('accept');
    await settle();
    expect(world.routes.at(-1)).toEqual([]);
    await clock.advance(LONG_MS);
    await call;
    return world;
  }
  it('bridges the target and pays when it says yes', async () => {
    const world = await identifiedAs(true);
    expect(only(world.payments).result).toBe('approved');
    const closed = world.events.filter(({ kind }) => kind === 'legClosed').map(({ detail }) => detail.role);
    expect(closed).toEqual(['target', 'caller']);
  });
  it('takes the word of a REFER that sends the caller back', async () => {
    expect(only((await identifiedAs(true, 'refer')).payments).result).toBe('approved');
    for (const said of [false, null]) expect((await identifiedAs(said, 'refer')).payments.size).toBe(0);
  });
  it('goes to the queue when it says no, or nothing', async () => {
    for (const said of [false, null]) {
      const world = await identifiedAs(said);
      expect(world.payments.size).toBe(0);
      const brought = { reference: 'INV-7', amountMinor: 4210 };
      expect(world.results[0]).toMatchObject({
        how: 'sip:queue@127.0.0.1',
        result: { result: 'not-identified', ...brought },
      });
    }
  });
});

describe('a call on its way', () => {
  it('rings where its answer takes longer than a moment, and not otherwise', async () => {
    const slow = await callOf((world) => {
      world.openLegMs = 1_000;
    });
    expect(slow.calls.filter((name) => name === 'ring' || name === 'accept')).toEqual(['ring', 'accept']);
    expect((await callOf()).calls).not.toContain('ring');
  });
  it('has an end on record where no leg could be opened', async () => {
    const world = await callOf((given) => {
      given.failAt = 1;
    });
    expect(world.calls).toContain('reject WORKER_UNAVAILABLE');
    expect(only(world.conversations)).toMatchObject({ endedBy: 'us', endedAt: expect.any(Number) });
  });
  it('gives up a target that rings when the caller leaves', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    const target = 'sip:agent@127.0.0.1';
    withFlow({ identification: { target, timeoutMs: 60_000, whenNot: 'queue' } })(world);
    world.targetAnswers = false;
    const app = createApp(world.deps());
    const call = app.callArrived(world.incoming());
    await clock.advance(3_000);
    expect(world.calls).toContain('dial');
    expect(world.openLegs.size).toBe(2);
    world.hangUp();
    await clock.advance(0);
    expect(world.openLegs.size).toBe(0);
    await call;
    expect(only(world.conversations).endedBy).toBe('caller');
  });
});

describe('a worker that dies in the middle of the number', () => {
  /** The number that is keyed first goes nowhere, and this happens; what is keyed after it is whole. */
  const dying = (happens: (world: FakeWorld) => void) => (world: FakeWorld) => {
    let isKilled = false;
    const facts = () => {
      if (isKilled) return {};
      isKilled = true;
      happens(world);
      return 'silent' as const;
    };
    world.script = { ...world.script, facts };
  };
  const comesBack = (world: FakeWorld) => world.emit({ kind: 'legRecreated', legId: 'ca_1_le' });
  const findsNone = (world: FakeWorld) => {
    world.failAt = world.calls.length;
  };

  it('has the field asked again from its first key', async () => {
    const world = await callOf(dying(comesBack));
    expect(world.said).toContain('interrupted');
    expect(world.calls.filter((name) => name === 'beginPayment')).toHaveLength(2);
    // Whoever has an SRTP key gets another.
    expect(world.calls.filter((name) => name === 'renewKeys')).toHaveLength(1);
    expect(only(world.payments).result).toBe('approved');
  });
  it('does not lose the payment over an order that finds no worker, when the next one comes', async () => {
    const world = await callOf(
      dying((given) => {
        findsNone(given);
        given.onFail = () => given.clock.startTimer(WORKER_AWAY_MS_MAX - 1, () => comesBack(given));
      }),
    );
    expect(world.said).toContain('interrupted');
    expect(only(world.payments).result).toBe('approved');
  });
  it('fails the payment when no other worker comes', async () => {
    const world = await callOf(dying(findsNone));
    expect(only(world.payments).result).toBe('failed');
    expect(world.charged.size).toBe(0);
  });
});

describe('the application', () => {
  it('refuses a call above its limit, an unknown flow and another currency', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    const app = createApp(world.deps());
    const calls = ['ca_1', 'ca_2', 'ca_3'].map((callId) => app.callArrived(world.incoming({ amountMinor: 1 }, callId)));
    await settle();
    expect(world.calls.filter((name) => name.startsWith('reject'))).toEqual(['reject CALL_LIMIT_REACHED']);
    await clock.advance(LONG_MS);
    await Promise.all(calls);
    await app.callArrived(world.incoming({ flow: 'other' }));
    await app.callArrived(world.incoming({ currency: 'EUR' }));
    expect(world.calls.slice(-2)).toEqual(['reject FLOW_UNKNOWN', 'reject CALL_CONTEXT_INVALID']);
  });
  it('lets calls finish when it stops, and ends those that do not', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    world.script = { ...world.script, facts: () => 'silent' };
    const app = createApp(world.deps());
    const call = app.callArrived(world.incoming());
    await clock.advance(1_000);
    const stopped = app.stop(3_000);
    await app.callArrived(world.incoming({}, 'ca_2'));
    expect(world.calls).toContain('reject CALL_LIMIT_REACHED');
    expect(app.callsActive()).toBe(1);
    await clock.advance(3_000);
    await Promise.all([call, stopped]);
    expect(world.held.size).toBe(0);
    expect(world.calls).toContain('hangUp');
  });
  it('tells live listeners until they leave', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    const app = createApp(world.deps());
    const kinds: string[] = [];
    const leave = app.subscribe((live) => kinds.push(live.type === 'progress' ? live.type : live.event.kind));
    const call = app.callArrived(world.incoming());
    await clock.advance(LONG_MS);
    await call;
    expect(kinds).toContain('paymentEnded');
    expect(kinds).toContain('progress');
    leave?.();
  });
  it('tells listeners of each key how the field looks, in dots, and the last four once it has ended', async () => {
    const clock = new VirtualClock();
    const world = new FakeWorld(clock);
    world.script = { ...world.script, facts: () => 'silent' };
    const app = createApp(world.deps());
    const seen: unknown[] = [];
    app.subscribe((live) => {
      if (live.type === 'progress') seen.push(live.progress);
      else if (live.event.kind === 'field') seen.push(live.event.detail.state);
    });
    const call = app.callArrived(world.incoming());
    await clock.advance(1_000);
    const facts = (over: object) => factsOf('pan', { last4: null, complete: false, luhnOk: false, ...over });
    const key = { kind: 'fieldKey', key: 'digit', field: 'pan' } as const;
    world.emit({ ...key, facts: facts({ length: 1, brands: ['visa', 'mir'] }) });
    world.emit({ ...key, facts: facts({ length: 7, brands: ['amex'] }) });
    world.emit({ ...key, facts: facts({ length: 16, brands: ['visa'], complete: true }) });
    world.emit({ kind: 'fieldEnded', field: 'pan', by: 'full', facts: factsOf('pan') });
    await settle();
    const same = { callId: 'ca_1', paymentId: expect.any(String), at: clock.now(), field: 'pan' };
    expect(seen).toEqual([
      'collecting',
      { ...same, masked: '•', length: 1, brands: ['visa', 'mir'], valid: false, ended: false },
      { ...same, masked: '•••• •••', length: 7, brands: ['amex'], valid: false, ended: false },
      { ...same, masked: '•••• •••• •••• ••••', length: 16, brands: ['visa'], valid: true, ended: false },
      { ...same, masked: '•••• •••• •••• 4242', length: 16, brands: ['visa'], valid: true, ended: true },
      'collecting',
    ]);
    world.hangUp();
    await clock.advance(LONG_MS);
    await call;
  });
});

describe('with any one port call failing', () => {
  const scenarios: readonly [string, (world: FakeWorld) => void][] = [
    ['an approved payment', () => {}],
    ['a decline and an approval', answering('declined', 'answered')],
    ['a lost answer', answering('lost')],
    [
      'an authorization and a capture',
      (world) => {
        world.capabilities = { verbs: ['authorize', 'capture', 'void', 'lookup'], unknownOutcome: 'lookup' };
      },
    ],
    [
      'a capture that is refused',
      (world) => {
        world.capabilities = { verbs: ['authorize', 'capture', 'void', 'lookup'], unknownOutcome: 'lookup' };
        world.captureAnswers = ['declined'];
      },
    ],
    ['a confirmed field', withFlow({ fields: { pan: { confirm: true, retriesMax: 1 } } })],
    [
      'a hang-up that voids',
      (world) => {
        withFlow({ onHangUp: 'void' })(world);
        world.onSend = () => world.hangUp();
      },
    ],
  ];
  it.each(scenarios)('%s wipes its fields, ends, and charges at most once', async (_, arrange) => {
    const calls = await failNth(async (failAt) => {
      const world = await callOf((given) => {
        arrange(given);
        given.failAt = failAt;
      });
      const approved = [...world.payments.values()].some((row) => row.result === 'approved');
      const isTold = [...world.payments.values()].some((row) => row.result === 'unknown' || row.attention !== null);
      // Money that was taken is either known as taken, or before a person; a store that fails cannot say more.
      if (world.calls[failAt] === 'savePayment') return world.portCalls;
      if (world.charged.size > 0) expect(approved || isTold).toBe(true);
      if (world.authorized.size > 0) expect(isTold).toBe(true);
      return world.portCalls;
    });
    expect(calls).toBeGreaterThan(20);
  });
});
