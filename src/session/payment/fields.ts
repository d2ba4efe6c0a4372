import { fieldsFor } from '../../card/fields.ts';
import { type FieldInput, type FieldOutput, stepField } from '../field.ts';
import type { FieldName, Flow } from '../flow.ts';
import { tooManyTries } from './end.ts';
import { authorize, ignore, start, stop } from './outputs.ts';
import type { Charge, Known, Of, PaymentInput, PaymentOutput, PaymentStep, Words } from './state.ts';

/**
 * The card's fields, one after the other as the number's brand needs them; `field.ts` has the table of each.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   collecting   fieldEnded        authorizing  stopTimer, say, authorize
 *
 *   fieldEnded: the last field's; one before opens the next
 */
export function stepCollecting(flow: Flow, state: Of<'collecting'>, input: PaymentInput): PaymentStep {
  const given = fieldInput(input);
  if (given === null) return ignore(state);
  const step = stepField(flow, state.field, given);
  if (step.ignored) return ignore(state);
  const outputs = step.outputs.map((output) => carry(output, []));
  switch (step.state.kind) {
    case 'complete': {
      const { field, found } = step.state;
      const known = field === 'pan' ? { ...state.known, brand: found.brand, last4: found.last4 } : state.known;
      const next = neighbour(flow, known, field, 1);
      if (next !== null) return request(flow, known, next, known.brand, [], outputs);
      const charge: Charge = { number: known.declines + 1, retries: 0, caller: 'present', fieldsHeld: true };
      return authorize(known, charge, [...outputs, { kind: 'say', words: [{ kind: 'pleaseWait' }], bargeIn: false }]);
    }
    case 'back': {
      const { field } = step.state;
      const previous = neighbour(flow, state.known, field, -1) ?? field;
      const wiped: PaymentOutput[] = [...outputs, { kind: 'wipeField', field: previous }];
      if (previous === 'pan') return collect(flow, state.known, [], wiped);
      return request(flow, state.known, previous, state.known.brand, [], wiped);
    }
    case 'failed':
      return tooManyTries(state.known, outputs);
    default:
      return { state: { ...state, field: step.state }, outputs };
  }
}

/** From the number on: after the amount, after a decline, and after a worker's death. */
export function collect(
  flow: Flow,
  known: Known,
  say: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  const cleared: Known = { ...known, brand: null, last4: null };
  return request(flow, cleared, 'pan', null, say, before);
}

function request(
  flow: Flow,
  known: Known,
  field: FieldName,
  brand: string | null,
  say: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  const step = stepField(flow, { kind: 'idle' }, { kind: 'requested', field, brand });
  return {
    state: { kind: 'collecting', known, field: step.state },
    outputs: [...before, ...step.outputs.map((o) => carry(o, say))],
  };
}

function neighbour(flow: Flow, known: Known, field: FieldName, by: 1 | -1): FieldName | null {
  const fields = fieldsFor(known.brand ?? '', Object.keys(flow.fields) as FieldName[]);
  const at = fields.indexOf(field) + by;
  return at < 0 ? null : (fields[at] ?? null);
}

function fieldInput(input: PaymentInput): FieldInput | null {
  switch (input.kind) {
    case 'promptEnded':
    case 'timerFired':
      return { kind: input.kind };
    case 'fieldEnded':
      return { kind: 'ended', facts: input.facts };
    case 'fieldKeyPressed':
      if (input.key === 'digit') return { kind: 'digitPressed', complete: input.complete };
      return input.key === 'star' ? { kind: 'starPressed' } : null;
    case 'keyPressed':
      if (input.key === '1') return { kind: 'onePressed' };
      return input.key === '2' ? { kind: 'twoPressed' } : null;
    default:
      return null;
  }
}

/** The field's outputs in the payment's words. */
function carry(output: FieldOutput, say: readonly Words[]): PaymentOutput {
  switch (output.kind) {
    case 'ask':
      return { kind: 'say', words: [...say, output], bargeIn: true };
    case 'tellReadBack':
      return { kind: 'say', words: [output], bargeIn: false };
    case 'askConfirm':
      return { kind: 'say', words: [output], bargeIn: true };
    case 'openKeys':
      return { kind: 'openKeys', allowed: '12', lengthMax: 1 };
    case 'startTimer':
      return start(output.ms);
    case 'stopTimer':
      return stop('step');
    default:
      return output;
  }
}
