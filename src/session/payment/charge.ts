import { fieldsFor } from '../../card/fields.ts';
import type { FieldName, Flow } from '../flow.ts';
import { authorized } from './capture.ts';
import { announce, end, play } from './end.ts';
import { collect } from './fields.ts';
import { authorize, ignore, RESOLVE_DELAY_MS, resolve, start, stop } from './outputs.ts';
import { approved } from './stand.ts';
import type { Known, Of, PaymentInput, PaymentOutput, PaymentStep, Result, Words } from './state.ts';

/** A charge that surely was not made is asked this often again. */
export const SAFE_RETRIES_MAX = 2;
export const SAFE_RETRY_DELAY_MS = 2_000;

/**
 * The gateway is asked for the charge, and asked again where that is safe.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   authorizing  approved          announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  declined          collecting   wipeField, wipeField, wipeField, openField, say
 *   authorizing  declined!         announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  notSent           waiting      say, startTimer
 *   authorizing  notSent!          announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  unknown           resolving    startTimer, say, resolve
 *   authorizing  authorized        capturing    stopTimer, endPayment, capture
 *   authorizing  authorized~       voiding      stopTimer, endPayment, void
 *   waiting      timerFired        authorizing  authorize
 *   resolving    approved          announcing   stopTimer, stopTimer, stopTimer, endPayment, say, startTimer
 *   resolving    authorized        capturing    stopTimer, stopTimer, stopTimer, endPayment, capture
 *   resolving    notFound          authorizing  stopTimer, stopTimer, authorize
 *   resolving    unknown           resolving    startTimer
 *   resolving    timerFired        resolving    resolve
 *   resolving    holdOver          announcing   stopTimer, stopTimer, stopTimer, endPayment, attention, say, startTimer
 *
 *   ! the last decline, or the last try that was safe   ~ the caller is gone, and the flow voids
 *
 * What the gateway is asked carries a charge number; a charge that was asked is asked again under the same number, and
 * a new one begins only after the one before was declined. A caller who is gone is remembered as `caller: 'gone'`: an
 * approved payment then stands or is voided by the flow's rule.
 */
export function stepAuthorizing(flow: Flow, state: Of<'authorizing'>, input: PaymentInput): PaymentStep {
  const { known, charge } = state;
  switch (input.kind) {
    case 'approved':
      return approved(flow, state, input.reference, [stop('payment')]);
    case 'authorized':
      return authorized(flow, state, [stop('payment')]);
    case 'declined':
      return declined(flow, state, []);
    case 'notSent':
      return notCharged(state);
    case 'unknown':
      return {
        state: { kind: 'resolving', known, charge },
        outputs: [
          { kind: 'startTimer', timer: 'hold', ms: flow.outcomeHoldMsMax },
          { kind: 'say', words: [{ kind: 'stillWorking' }], bargeIn: false },
          resolve(known, charge),
        ],
      };
    default:
      return ignore(state);
  }
}

export function stepWaiting(state: Of<'waiting'>, input: PaymentInput): PaymentStep {
  return input.kind === 'timerFired' ? authorize(state.known, state.charge, []) : ignore(state);
}

export function stepResolving(flow: Flow, state: Of<'resolving'>, input: PaymentInput): PaymentStep {
  const { known, charge } = state;
  const leave = [stop('step'), stop('hold')];
  switch (input.kind) {
    case 'approved':
      return approved(flow, state, input.reference, [...leave, stop('payment')]);
    case 'authorized':
      return authorized(flow, state, [...leave, stop('payment')]);
    case 'declined':
      return declined(flow, state, leave);
    case 'notFound':
      // Not known there, so not charged; yet it may still be on its way, so it is asked again under the same number only.
      if (charge.fieldsHeld && charge.caller === 'present' && charge.retries < SAFE_RETRIES_MAX) {
        return authorize(known, { ...charge, retries: charge.retries + 1 }, leave);
      }
      return notCharged({ ...state, charge: { ...charge, retries: SAFE_RETRIES_MAX } }, leave);
    case 'notSent':
    case 'unknown':
      return { state, outputs: [start(RESOLVE_DELAY_MS)] };
    case 'timerFired':
      return { state, outputs: [resolve(known, charge)] };
    case 'holdOver': {
      const text = `outcome of charge ${charge.number} is unknown`;
      const before: PaymentOutput[] = [...leave, stop('payment')];
      const result: Result = { result: 'unknown', errorCode: 'GATEWAY_OUTCOME_UNKNOWN' };
      const told: PaymentOutput[] = [{ kind: 'endPayment' }, { kind: 'attention', text }];
      if (charge.caller === 'gone') return end(known, result, [...before, ...told]);
      return play(known, result, [{ kind: 'failed', code: 'GATEWAY_OUTCOME_UNKNOWN' }], [...before, ...told]);
    }
    default:
      return ignore(state);
  }
}

function declined(
  flow: Flow,
  { known, charge }: Of<'authorizing'> | Of<'resolving'>,
  before: readonly PaymentOutput[],
): PaymentStep {
  const counted: Known = { ...known, declines: known.declines + 1 };
  const result: Result = { result: 'declined', errorCode: null };
  if (charge.caller === 'gone') return end(counted, result, [...before, stop('payment'), { kind: 'endPayment' }]);
  if (counted.declines >= flow.declinesMax) {
    const words: Words[] = [{ kind: 'declined' }, { kind: 'declinesMax' }, { kind: 'notCharged' }];
    return announce(counted, result, words, [...before, stop('payment')]);
  }
  // After a worker's death there is no payment in the vault to go on with.
  const held: PaymentOutput[] = charge.fieldsHeld
    ? fieldsFor(known.brand ?? '', Object.keys(flow.fields) as FieldName[]).map((field) => ({
        kind: 'wipeField',
        field,
      }))
    : [{ kind: 'beginPayment' }];
  return collect(flow, counted, [{ kind: 'declined' }, { kind: 'tryAgain' }], [...before, ...held]);
}

/** Surely not charged: tried again a little later, or given up. */
function notCharged(
  { known, charge }: Of<'authorizing'> | Of<'resolving'>,
  before: readonly PaymentOutput[] = [],
): PaymentStep {
  if (charge.caller === 'gone') {
    const result: Result = { result: 'abandoned', errorCode: null };
    return end(known, result, [...before, stop('payment'), { kind: 'endPayment' }]);
  }
  if (charge.fieldsHeld && charge.retries < SAFE_RETRIES_MAX) {
    return {
      state: { kind: 'waiting', known, charge: { ...charge, retries: charge.retries + 1 } },
      outputs: [
        ...before,
        { kind: 'say', words: [{ kind: 'stillWorking' }], bargeIn: false },
        start(SAFE_RETRY_DELAY_MS),
      ],
    };
  }
  const result: Result = { result: 'failed', errorCode: 'GATEWAY_UNREACHABLE' };
  const words: Words[] = [{ kind: 'failed', code: 'GATEWAY_UNREACHABLE' }, { kind: 'notCharged' }];
  return announce(known, result, words, [...before, stop('payment')]);
}
