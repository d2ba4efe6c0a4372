import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldFactsSeen, FieldState } from '../../src/session/field.ts';
import type { Flow } from '../../src/session/flow.ts';
import {
  type Charge,
  type PaymentInput,
  type PaymentOutput,
  type PaymentState,
  SAFE_RETRIES_MAX,
  stepPayment,
} from '../../src/session/payment.ts';
import { PLAIN_FLOW } from '../harness/flow.ts';
import { tableOf } from '../harness/table.ts';

const right: FieldFactsSeen = { length: 16, brands: ['visa'], complete: true, last4: '4242', dateValid: null };
const known = { amountMinor: 4210, brand: 'visa', last4: '4242', declines: 0 };
const charge: Charge = { number: 1, retries: 0, caller: 'present', fieldsHeld: true };
const lastField: FieldState = { kind: 'collecting', field: 'cvc', brand: 'visa', wrong: 0, starred: false };
const approvedResult = { result: 'approved', errorCode: null } as const;

/** The last field to be keyed is open; the mark says which variant of a row it is. */
function stateOf(kind: string, mark: string): PaymentState {
  const states: Record<string, PaymentState> = {
    idle: { kind: 'idle' },
    fetching: { kind: 'fetching' },
    offering: { kind: 'offering', balanceMinor: 4210, wrong: 0 },
    keying: { kind: 'keying', keys: '4210', maximumMinor: 100_000, wrong: 0 },
    settling: { kind: 'settling', amountMinor: 4210, maximumMinor: 100_000, wrong: 0 },
    collecting: { kind: 'collecting', known, field: lastField },
    authorizing: {
      kind: 'authorizing',
      known: { ...known, declines: mark === '!' ? PLAIN_FLOW.declinesMax - 1 : 0 },
      charge: { ...charge, retries: mark === '!' ? SAFE_RETRIES_MAX : 0 },
    },
    waiting: { kind: 'waiting', known, charge },
    resolving: { kind: 'resolving', known, charge },
    capturing: { kind: 'capturing', known, charge: { ...charge, fieldsHeld: false }, isSlow: mark === '+' },
    voiding: { kind: 'voiding', known, charge, cause: mark === '^' ? 'captureRefused' : 'hungUp' },
    announcing: {
      kind: 'announcing',
      known,
      result: approvedResult,
      words: [{ kind: 'approved', known, reference: 'A1B2C3' }],
    },
  };
  const given = states[kind];
  const state =
    mark === '~' && given !== undefined && 'charge' in given
      ? { ...given, charge: { ...given.charge, caller: 'gone' as const } }
      : given;
  if (state === undefined) throw new Error(`no sample of ${kind}`);
  return state;
}

function inputOf(name: string, mark: string): PaymentInput {
  switch (name) {
    case 'begun':
      return { kind: 'begun', passedMinor: mark === '@' || mark === '#' ? null : 4210 };
    case 'amountFetched':
      return { kind: 'amountFetched', amountMinor: 4210 };
    case 'keyPressed':
      return { kind: 'keyPressed', key: '#' };
    case 'keyPressed1':
    case 'keyPressed2':
      return { kind: 'keyPressed', key: name.slice(-1) };
    case 'fieldEnded':
      return { kind: 'fieldEnded', facts: { ...right, length: 3, last4: null } };
    case 'approved':
      return { kind: 'approved', reference: 'A1B2C3' };
    default:
      return { kind: name } as PaymentInput;
  }
}

function flowOf(mark: string): Flow {
  const { amount } = PLAIN_FLOW;
  if (mark === '?') return { ...PLAIN_FLOW, amount: { ...amount, offerFullAmount: true } };
  if (mark === '~') return { ...PLAIN_FLOW, onHangUp: 'void' };
  if (mark === '#') return { ...PLAIN_FLOW, amount: { ...amount, source: { kind: 'keyed' } } };
  if (mark !== '@') return PLAIN_FLOW;
  return { ...PLAIN_FLOW, amount: { ...amount, source: { kind: 'dataDip', url: 'http://127.0.0.1/', timeoutMs: 1 } } };
}

describe('the table of the payment machine', () => {
  const rows = tableOf('src/session/payment.ts');
  it('has its rows found in the comment', () => expect(rows.length).toBe(55));
  it.each(rows)('$state, $input: goes to $next and orders $outputs', (row) => {
    const mark = /\W$/.exec(row.input)?.[0] ?? '';
    const flow = row.state === 'idle' || mark === '~' ? flowOf(mark) : PLAIN_FLOW;
    const step = stepPayment(flow, stateOf(row.state, mark), inputOf(row.input.replace(/\W$/, ''), mark));
    expect(step.ignored).toBeUndefined();
    expect(step.state.kind).toBe(row.next);
    expect(step.outputs.map((output) => output.kind)).toEqual(row.outputs);
  });
});

/** Runs inputs through the machine and keeps everything it ordered. */
function run(flow: Flow, inputs: readonly PaymentInput[]): { state: PaymentState; outputs: PaymentOutput[] } {
  const outputs: PaymentOutput[] = [];
  let state: PaymentState = { kind: 'idle' };
  for (const input of inputs) {
    const step = stepPayment(flow, state, input);
    state = step.state;
    outputs.push(...step.outputs);
  }
  return { state, outputs };
}

const begun: PaymentInput = { kind: 'begun', passedMinor: 4210 };
const keyed: readonly PaymentInput[] = [
  { kind: 'fieldEnded', facts: right },
  { kind: 'fieldEnded', facts: { ...right, length: 4, dateValid: true, last4: null } },
  { kind: 'fieldEnded', facts: { ...right, length: 3, last4: null } },
];

describe('a payment', () => {
  it('asks number, expiry and code, and then the gateway', () => {
    const { state, outputs } = run(PLAIN_FLOW, [begun, ...keyed]);
    expect(state.kind).toBe('authorizing');
    const opened = outputs.flatMap((output) => (output.kind === 'openField' ? [output.field] : []));
    expect(opened).toEqual(['pan', 'expiry', 'cvc']);
    expect(outputs.at(-1)).toEqual({ kind: 'authorize', charge: 1, amountMinor: 4210 });
  });
  it('goes back one field at two stars and wipes both', () => {
    const star: PaymentInput = { kind: 'fieldKeyPressed', key: 'star', complete: false };
    const { state, outputs } = run(PLAIN_FLOW, [begun, ...keyed.slice(0, 1), star, star]);
    expect(state).toMatchObject({ kind: 'collecting', field: { field: 'pan' } });
    const wiped = outputs.flatMap((output) => (output.kind === 'wipeField' ? [output.field] : []));
    expect(wiped).toEqual(['expiry', 'pan']);
  });
  it('charges again under a new number only after a decline', () => {
    const { outputs } = run(PLAIN_FLOW, [begun, ...keyed, { kind: 'declined' }, ...keyed]);
    const charges = outputs.flatMap((output) => (output.kind === 'authorize' ? [output.charge] : []));
    expect(charges).toEqual([1, 2]);
  });
  it('ends at the last decline and says so', () => {
    const { state } = run(PLAIN_FLOW, [begun, ...keyed, { kind: 'declined' }, ...keyed, { kind: 'declined' }]);
    expect(state).toMatchObject({ kind: 'announcing', result: { result: 'declined' } });
  });
  it('voids what was approved after the caller hung up, where the flow says void', () => {
    const inputs: PaymentInput[] = [begun, ...keyed, { kind: 'callEnded' }, { kind: 'approved', reference: null }];
    expect(run({ ...PLAIN_FLOW, onHangUp: 'void' }, inputs).outputs.at(-1)).toMatchObject({ kind: 'void', charge: 1 });
    expect(run(PLAIN_FLOW, inputs).state).toMatchObject({ kind: 'ended', result: { result: 'approved' } });
  });
  describe('where authorize and capture are apart', () => {
    const held: readonly PaymentInput[] = [begun, ...keyed, { kind: 'authorized' }];
    const heldThen = (...inputs: readonly PaymentInput['kind'][]) =>
      run(PLAIN_FLOW, [...held, ...inputs.map((kind) => ({ kind, reference: null }) as PaymentInput)]);
    const wordsOf = (outputs: readonly PaymentOutput[]) =>
      outputs.flatMap((output) => (output.kind === 'say' ? output.words.map(({ kind }) => kind) : []));
    it('captures what is held under the same number, and wipes the card first', () => {
      const kinds = run(PLAIN_FLOW, held).outputs.map(({ kind }) => kind);
      expect(kinds.at(-1)).toBe('capture');
      expect(kinds.lastIndexOf('endPayment')).toBeLessThan(kinds.indexOf('capture'));
      expect(heldThen('approved').state).toMatchObject({ kind: 'announcing', result: { result: 'approved' } });
    });
    it('asks again what became of a capture, and tells the caller once that it takes longer', () => {
      const { state, outputs } = heldThen('unknown', 'timerFired', 'unknown', 'timerFired', 'authorized', 'approved');
      expect(outputs.filter(({ kind }) => kind === 'resolve')).toHaveLength(2);
      expect(outputs.filter(({ kind }) => kind === 'capture')).toHaveLength(2);
      expect(wordsOf(outputs).filter((word) => word === 'stillWorking')).toHaveLength(1);
      expect(state).toMatchObject({ kind: 'announcing', result: { result: 'approved' } });
    });
    it.each([
      ['refused and voided', ['declined', 'voided'], 'failed', 'GATEWAY_CAPTURE_FAILED', null],
      [
        'refused and perhaps still held',
        ['declined', 'notVoided'],
        'failed',
        'GATEWAY_CAPTURE_FAILED',
        /still be held/,
      ],
      ['unknown and voided', ['unknown', 'holdOver', 'approved', 'voided'], 'failed', 'GATEWAY_CAPTURE_FAILED', null],
      [
        'never sent, nor its void',
        ['notSent', 'holdOver', 'notVoided'],
        'unknown',
        'GATEWAY_OUTCOME_UNKNOWN',
        /unknown/,
      ],
    ] as const)('ends a capture that is %s', (_, inputs, result, errorCode, attention) => {
      const { state, outputs } = heldThen(...inputs);
      expect(state).toMatchObject({ kind: 'announcing', result: { result, errorCode } });
      const texts = outputs.flatMap((output) => (output.kind === 'attention' ? [output.text] : []));
      expect(texts.length).toBe(attention === null ? 0 : 1);
      if (attention !== null) expect(texts[0]).toMatch(attention);
      expect(wordsOf(outputs).at(-1)).toBe('failed');
    });
    it('holds nothing of a caller who hung up, where the flow voids, and captures where it completes', () => {
      const inputs: PaymentInput[] = [begun, ...keyed, { kind: 'callEnded' }, { kind: 'authorized' }];
      const voided = run({ ...PLAIN_FLOW, onHangUp: 'void' }, inputs);
      expect(voided.outputs.at(-1)).toMatchObject({ kind: 'void', charge: 1 });
      expect(voided.outputs.some(({ kind }) => kind === 'capture')).toBe(false);
      expect(run(PLAIN_FLOW, inputs).outputs.at(-1)).toMatchObject({ kind: 'capture', charge: 1 });
    });
    it('says nothing to a caller who hangs up while it is undone', () => {
      expect(heldThen('declined', 'callEnded', 'voided').state).toMatchObject({
        kind: 'ended',
        result: { result: 'failed' },
      });
    });
  });
  it('does not send again what it no longer holds after a worker died', () => {
    const inputs: PaymentInput[] = [
      begun,
      ...keyed,
      { kind: 'legRecreated' },
      { kind: 'unknown' },
      { kind: 'notFound' },
    ];
    const { state, outputs } = run(PLAIN_FLOW, inputs);
    expect(outputs.filter((output) => output.kind === 'authorize')).toHaveLength(1);
    expect(state).toMatchObject({ kind: 'announcing', result: { result: 'failed' } });
  });
  it('refuses an amount above the maximum that the call brought', () => {
    const { state } = run(PLAIN_FLOW, [{ kind: 'begun', passedMinor: 100_001 }]);
    expect(state).toMatchObject({ kind: 'announcing', result: { errorCode: 'CALL_CONTEXT_INVALID' } });
  });
  it('does not take more than the balance when the caller keys another amount', () => {
    const flow = flowOf('?');
    const keys = [...'2', ...'9999', '#'].map((key): PaymentInput => ({ kind: 'keyPressed', key }));
    expect(run(flow, [begun, ...keys]).state).toMatchObject({ kind: 'keying', wrong: 1, maximumMinor: 4210 });
  });
});

const anyInput = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<PaymentInput>(...keyed) },
  {
    weight: 6,
    arbitrary: fc.constantFrom<PaymentInput>(
      { kind: 'approved', reference: null },
      { kind: 'authorized' },
      { kind: 'voided' },
      { kind: 'notVoided' },
      { kind: 'declined' },
      { kind: 'notSent' },
      { kind: 'notFound' },
      { kind: 'unknown' },
      { kind: 'timerFired' },
      { kind: 'promptEnded' },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<PaymentInput>(
      { kind: 'holdOver' },
      { kind: 'legRecreated' },
      { kind: 'paymentTimeOver' },
      { kind: 'orderFailed', code: 'INTERNAL' },
      { kind: 'callEnded' },
      { kind: 'keyPressed', key: '1' },
      { kind: 'fieldKeyPressed', key: 'star', complete: false },
    ),
  },
);
const anyFlow = fc.record({
  onHangUp: fc.constantFrom<Flow['onHangUp']>('complete', 'void'),
  declinesMax: fc.integer({ min: 1, max: 3 }),
});

describe('for any sequence of inputs', () => {
  it('begins a new charge only after the one before was declined, and never after an approval', () => {
    fc.assert(
      fc.property(anyFlow, fc.array(anyInput, { maxLength: 60 }), (settings, inputs) => {
        const flow = { ...PLAIN_FLOW, ...settings };
        let state: PaymentState = { kind: 'idle' };
        let number = 0;
        let isDeclined = true;
        let isApproved = false;
        for (const input of [begun, ...inputs]) {
          const step = stepPayment(flow, state, input);
          // What the gateway says counts only while it is being asked.
          const isAsked = state.kind === 'authorizing' || state.kind === 'resolving';
          if (isAsked && input.kind === 'declined') isDeclined = true;
          if (isAsked && (input.kind === 'approved' || input.kind === 'authorized')) isApproved = true;
          for (const output of step.outputs) {
            if (output.kind !== 'authorize') continue;
            expect(isApproved).toBe(false);
            if (output.charge !== number) expect(isDeclined).toBe(true);
            if (output.charge !== number) isDeclined = false;
            number = output.charge;
          }
          state = step.state;
        }
        expect(number).toBeLessThanOrEqual(flow.declinesMax);
      }),
      { numRuns: 2_000 },
    );
  });
  it('has wiped every field when it announces or ends, and ends once', () => {
    fc.assert(
      fc.property(anyFlow, fc.array(anyInput, { maxLength: 60 }), (settings, inputs) => {
        const { state, outputs } = run({ ...PLAIN_FLOW, ...settings }, [begun, ...inputs]);
        const held = outputs.filter((output) => ['beginPayment', 'endPayment'].includes(output.kind)).at(-1);
        if (['announcing', 'ended', 'capturing', 'voiding'].includes(state.kind)) expect(held?.kind).toBe('endPayment');
        const ends = outputs.filter((output) => output.kind === 'paymentEnded').length;
        expect(ends).toBe(state.kind === 'ended' ? 1 : 0);
      }),
      { numRuns: 2_000 },
    );
  });
  it('leaves no authorization behind: each is captured, voided or before a person', () => {
    fc.assert(
      fc.property(anyFlow, fc.array(anyInput, { maxLength: 60 }), (settings, inputs) => {
        const flow = { ...PLAIN_FLOW, ...settings };
        const open = new Set(['capturing', 'voiding']);
        let state: PaymentState = { kind: 'idle' };
        for (const input of [begun, ...inputs]) {
          const step = stepPayment(flow, state, input);
          if (open.has(state.kind) && !open.has(step.state.kind)) {
            const isToldPerson = step.outputs.some(({ kind }) => kind === 'attention');
            const proof = state.kind === 'capturing' ? 'approved' : 'voided';
            expect(input.kind === proof || isToldPerson).toBe(true);
          }
          state = step.state;
        }
      }),
      { numRuns: 2_000 },
    );
  });
  it('holds no digit in its state but an open amount and the last four', () => {
    fc.assert(
      fc.property(fc.array(anyInput, { maxLength: 30 }), (inputs) => {
        const { state } = run(PLAIN_FLOW, [begun, ...inputs]);
        const text = JSON.stringify(state).replaceAll('4242', '').replaceAll('4210', '');
        expect(text).not.toMatch(/\d{3}/);
      }),
    );
  });
  it('knows an unknown outcome for what it is until it is resolved or the hold is over', () => {
    const asked: PaymentInput[] = [begun, ...keyed, { kind: 'unknown' }];
    const idle = fc.constantFrom<PaymentInput>(
      { kind: 'callEnded' },
      { kind: 'legRecreated' },
      { kind: 'unknown' },
      { kind: 'timerFired' },
      { kind: 'paymentTimeOver' },
      { kind: 'notSent' },
    );
    fc.assert(
      fc.property(fc.array(idle, { maxLength: 20 }), (inputs) => {
        expect(run(PLAIN_FLOW, [...asked, ...inputs]).state.kind).toBe('resolving');
        const over = run(PLAIN_FLOW, [...asked, ...inputs, { kind: 'holdOver' }]);
        expect(over.outputs.some((output) => output.kind === 'attention')).toBe(true);
      }),
    );
  });
});
