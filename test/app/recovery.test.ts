import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/app/app.ts';
import type { AttemptRow, PaymentRow } from '../../src/app/ports.ts';
import { checkGateways, LOOK_AGAIN_EVERY_MS, LOOK_AGAIN_MS_MAX } from '../../src/app/recovery.ts';
import { VirtualClock } from '../harness/clock.ts';
import { FakeWorld } from '../harness/fake-ports.ts';
import { PLAIN_FLOW } from '../harness/flow.ts';
import { attempt, payment } from '../store/rows.ts';

interface Left {
  readonly payment?: Partial<PaymentRow>;
  readonly attempts?: readonly Partial<AttemptRow>[];
  /** The gateway took the money of `at_1`. */
  readonly charged?: boolean;
  readonly world?: Partial<Pick<FakeWorld, 'flow' | 'capabilities'>>;
}

/** What an earlier run left, in a world that has just been started; `recover` has run. */
async function recovered({ payment: row, attempts = [{}], charged = false, world: over }: Left) {
  const clock = new VirtualClock();
  const world = new FakeWorld(clock);
  Object.assign(world, over);
  const startedAt = clock.now() - 1_000;
  world.payments.set('pa_1', payment({ flow: world.flow.name, state: 'authorizing', startedAt, ...row }));
  for (const one of attempts) {
    const saved = attempt({ startedAt, ...one });
    world.attempts.set(saved.attemptId, saved);
  }
  if (charged) world.charged.add('at_1');
  const app = createApp(world.deps());
  const recovering = app.recover();
  await clock.advance(60_000);
  return { app, clock, world, told: await recovering, payment: () => world.payments.get('pa_1') };
}

const noLookup = () => ({ capabilities: { verbs: ['purchase', 'void'], unknownOutcome: 'replay' } }) as const;
const voiding: Left['world'] = { flow: { ...PLAIN_FLOW, onHangUp: 'void' } };
const over = { state: 'ended', result: 'unknown', endedAt: 1, attention: 'outcome of charge 1 is unknown' } as const;

describe('a payment that an earlier run left', () => {
  const rows: readonly [string, Left, Partial<PaymentRow>, AttemptRow['state'] | null][] = [
    ['is approved where the gateway took the money', { charged: true }, { result: 'approved' }, 'approved'],
    ['has failed where the gateway has never heard of it', {}, { result: 'failed' }, 'notSent'],
    [
      'has failed where nothing was asked',
      { attempts: [], payment: { state: 'collecting' } },
      { result: 'failed' },
      null,
    ],
    [
      'is declined where the answer was saved',
      { attempts: [{ state: 'declined' }] },
      { result: 'declined', declines: 1 },
      'declined',
    ],
    ['is voided where the flow voids', { charged: true, world: voiding }, { result: 'abandoned' }, 'voided'],
    [
      'stands where the caller was being told so',
      { attempts: [{ state: 'approved' }], payment: { state: 'announcing' }, charged: true, world: voiding },
      { result: 'approved' },
      'approved',
    ],
  ];
  it.each(rows)('%s', async (_, left, expected, state) => {
    const { told, world, payment: row } = await recovered(left);
    expect(row()).toMatchObject({ state: 'ended', attention: null, ...expected });
    expect(row()?.endedAt).not.toBeNull();
    expect(world.attempts.get('at_1')?.state ?? null).toBe(state);
    expect(told).toMatchObject({ settled: 1, open: [] });
  });

  it('is put before a person where there is no lookup', async () => {
    const { told, payment: row } = await recovered({ charged: true, world: noLookup() });
    expect(row()).toMatchObject({ state: 'ended', result: 'unknown' });
    expect(row()?.attention).toMatch(/at_1 at sandbox is unknown/);
    expect(told).toMatchObject({ settled: 0, open: ['pa_1'] });
  });

  it('is put before a person where its void is not confirmed', async () => {
    const capabilities = { verbs: ['purchase', 'lookup'], unknownOutcome: 'lookup' } as const;
    const { payment: row } = await recovered({ charged: true, world: { ...voiding, capabilities } });
    expect(row()).toMatchObject({ result: 'approved' });
    expect(row()?.attention).toMatch(/void was not confirmed/);
  });
});

describe('a flow’s gateway', () => {
  const check = (verbs: FakeWorld['capabilities']['verbs']) => {
    const world = new FakeWorld(new VirtualClock());
    world.capabilities = { verbs, unknownOutcome: 'replay' };
    return () => checkGateways(world.deps());
  };
  it('may purchase, or authorize and capture and let go', () => {
    expect(check(['purchase'])).not.toThrow();
    expect(check(['authorize', 'capture', 'void'])).not.toThrow();
  });
  it('is refused at start where it could hold an amount and not take it, or not let it go', () => {
    expect(check(['authorize', 'void'])).toThrow('gateway sandbox has no purchase, and without it no capture');
    expect(check(['authorize', 'capture'])).toThrow('without it no void');
    expect(check(['lookup'])).toThrow('without it no authorize, capture, void');
  });
});

describe('an outcome that stayed unknown', () => {
  async function unknownThenFound(afterMs: number) {
    const given = await recovered({ payment: over, attempts: [{ state: 'unknown' }], world: noLookup() });
    const lookups = () => given.world.calls.filter((name) => name === 'send lookup').length;
    expect(lookups()).toBe(0);
    await given.clock.advance(afterMs);
    given.world.charged.add('at_1');
    Object.assign(given.world.capabilities, { unknownOutcome: 'lookup' });
    await given.clock.advance(2 * LOOK_AGAIN_EVERY_MS);
    return { ...given, lookups };
  }

  it('is found later, and a person told that the caller heard otherwise', async () => {
    const { world, payment: row, lookups } = await unknownThenFound(LOOK_AGAIN_EVERY_MS);
    expect(row()).toMatchObject({ result: 'approved', endedAt: 1 });
    expect(row()?.attention).toMatch(/^approved: found after the call had ended as unknown/);
    expect(world.attempts.get('at_1')?.state).toBe('approved');
    expect(lookups(), 'not again once it is known').toBe(1);
  });

  it('is looked up for a day and no longer', async () => {
    const { payment: row, lookups } = await unknownThenFound(LOOK_AGAIN_MS_MAX);
    expect(lookups()).toBe(0);
    expect(row()).toMatchObject({ result: 'unknown' });
  });

  it('is left alone once the application stops', async () => {
    const { app, clock } = await recovered({ payment: over, attempts: [{ state: 'unknown' }], world: noLookup() });
    await app.stop(1);
    expect(clock.pending).toBe(0);
  });
});
