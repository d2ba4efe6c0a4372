import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FieldFactsSeen, type FieldInput, type FieldState, stepField } from '../../src/session/field.ts';
import type { Flow } from '../../src/session/flow.ts';
import { PLAIN_FLOW } from '../harness/flow.ts';
import { tableOf } from '../harness/table.ts';

const CONFIRMED: Flow = { ...PLAIN_FLOW, fields: { pan: { confirm: true, retriesMax: 1 } } };
const right: FieldFactsSeen = { length: 16, brands: ['visa'], complete: true, last4: '4242', dateValid: null };
const wrong: FieldFactsSeen = { ...right, length: 7, complete: false, last4: null };
const asked = { field: 'pan', brand: null } as const;
const found = { brand: 'visa', last4: '4242' };

/** A sample of the state and input of a row; the mark after the input says which. */
function sample(row: { state: string; input: string }): { flow: Flow; state: FieldState; input: FieldInput } {
  const mark = /\W$/.exec(row.input)?.[0] ?? '';
  const name = row.input.replace(/\W$/, '');
  const tries = mark === '!' ? 1 : 0;
  const flow = row.state !== 'confirming' && mark === '+' ? PLAIN_FLOW : CONFIRMED;
  const stage = mark === '*' ? 'digits' : mark === '+' ? 'question' : 'words';
  const states: Record<string, FieldState> = {
    idle: { kind: 'idle' },
    collecting: { kind: 'collecting', ...asked, wrong: tries, starred: mark === '*' },
    closing: { kind: 'closing', ...asked, wrong: tries },
    confirming: { kind: 'confirming', ...asked, wrong: tries, stage, found },
  };
  const inputs: Record<string, FieldInput> = {
    requested: { kind: 'requested', ...asked },
    promptEnded: { kind: 'promptEnded' },
    digitPressed: { kind: 'digitPressed', complete: false },
    starPressed: { kind: 'starPressed' },
    ended: { kind: 'ended', facts: mark === '-' || mark === '!' ? wrong : right },
    onePressed: { kind: 'onePressed' },
    twoPressed: { kind: 'twoPressed' },
    timerFired: { kind: 'timerFired' },
  };
  const [state, input] = [states[row.state], inputs[name]];
  if (state === undefined || input === undefined) throw new Error(`no sample for ${row.state} ${row.input}`);
  return { flow, state, input };
}

describe('the table of the field machine', () => {
  const rows = tableOf('src/session/field.ts');
  it('has its rows found in the comment', () => expect(rows.length).toBe(22));
  it.each(rows)('$state, $input: goes to $next and orders $outputs', (row) => {
    const { flow, state, input } = sample(row);
    const step = stepField(flow, state, input);
    expect(step.ignored).toBeUndefined();
    expect(step.state.kind).toBe(row.next);
    expect(step.outputs.map((output) => output.kind)).toEqual(row.outputs);
  });
});

describe('collecting a field', () => {
  const collecting: FieldState = { kind: 'collecting', ...asked, wrong: 0, starred: false };
  it('waits less once the number is complete for a candidate', () => {
    const wait = (complete: boolean) => stepField(PLAIN_FLOW, collecting, { kind: 'digitPressed', complete }).outputs;
    expect(wait(false)).toEqual([{ kind: 'startTimer', ms: 5_000 }]);
    expect(wait(true)).toEqual([{ kind: 'startTimer', ms: 1_500 }]);
  });
  it('names the refused brand when the flow does not take it', () => {
    const facts = { ...right, brands: ['discover'] };
    const { outputs } = stepField(PLAIN_FLOW, collecting, { kind: 'ended', facts });
    expect(outputs).toContainEqual({ kind: 'ask', ...asked, wrong: 'brandRefused', refusedBrand: 'discover' });
  });
  it('does not go back when a digit stands between two stars', () => {
    let state: FieldState = collecting;
    for (const kind of ['starPressed', 'digitPressed', 'starPressed'] as const) {
      state = stepField(PLAIN_FLOW, state, kind === 'digitPressed' ? { kind, complete: false } : { kind }).state;
    }
    expect(state.kind).toBe('collecting');
  });
  it('refuses a date that is past', () => {
    const facts = { ...right, length: 4, dateValid: false };
    const expiry: FieldState = { ...collecting, field: 'expiry', brand: 'visa' };
    expect(stepField(PLAIN_FLOW, expiry, { kind: 'ended', facts }).state.kind).toBe('collecting');
  });
  it.each([
    ['visa', 3, 'complete'],
    ['visa', 4, 'collecting'],
    ['amex', 3, 'collecting'],
    ['amex', 4, 'complete'],
  ])('takes for %s a code of %i digits: %s', (brand, length, kind) => {
    const cvc: FieldState = { ...collecting, field: 'cvc', brand };
    const facts = { ...right, length, last4: null };
    expect(stepField(PLAIN_FLOW, cvc, { kind: 'ended', facts }).state.kind).toBe(kind);
  });
  it('does not read the code back unless the flow says so twice', () => {
    const cvc: FieldState = { ...collecting, field: 'cvc', brand: 'visa' };
    const ended: FieldInput = { kind: 'ended', facts: { ...right, length: 3 } };
    const fields = { cvc: { confirm: true, retriesMax: 0 } };
    expect(stepField({ ...PLAIN_FLOW, fields }, cvc, ended).state.kind).toBe('complete');
    expect(stepField({ ...PLAIN_FLOW, fields, readBackCvc: true }, cvc, ended).state.kind).toBe('confirming');
  });
  it('ends after its tries whatever is keyed', () => {
    const inputs = fc.array(
      fc.constantFrom<FieldInput>({ kind: 'ended', facts: wrong }, { kind: 'timerFired' }, { kind: 'twoPressed' }),
      { minLength: 12, maxLength: 12 },
    );
    fc.assert(
      fc.property(inputs, (list) => {
        let state = stepField(CONFIRMED, { kind: 'idle' }, { kind: 'requested', ...asked }).state;
        let asks = 0;
        for (const input of list) {
          const step = stepField(CONFIRMED, state, input);
          asks += step.outputs.filter((output) => output.kind === 'ask').length;
          state = step.state;
        }
        expect(asks).toBeLessThanOrEqual(1);
      }),
    );
  });
});
