import { chooseBrand } from '../card/brands.ts';
import { lengthsOf } from '../card/fields.ts';
import { unreachable } from '../lib/assert.ts';
import type { FieldName, Flow } from './flow.ts';

/**
 * Collects one field: prompt, keys, check, read-back, confirmation.
 *
 *   state       input            next        outputs
 *   ----------  ---------------  ----------  -------------------------------------------
 *   idle        requested        collecting  openField, ask
 *   collecting  promptEnded      collecting  startTimer
 *   collecting  digitPressed     collecting  startTimer
 *   collecting  starPressed      collecting  startTimer
 *   collecting  starPressed*     back        stopTimer, wipeField
 *   collecting  ended            confirming  stopTimer, tellReadBack
 *   collecting  ended+           complete    stopTimer
 *   collecting  ended-           collecting  stopTimer, wipeField, openField, ask
 *   collecting  ended!           failed      stopTimer, wipeField
 *   collecting  timerFired       closing     closeField
 *   closing     ended            confirming  stopTimer, tellReadBack
 *   closing     ended+           complete    stopTimer
 *   closing     ended-           collecting  stopTimer, wipeField, openField, ask
 *   closing     ended!           failed      stopTimer, wipeField
 *   confirming  promptEnded      confirming  readBack
 *   confirming  promptEnded*     confirming  openKeys, askConfirm
 *   confirming  promptEnded+     confirming  startTimer
 *   confirming  onePressed       complete    stopTimer, closeKeys
 *   confirming  twoPressed       collecting  stopTimer, closeKeys, wipeField, openField, ask
 *   confirming  twoPressed!      failed      stopTimer, closeKeys, wipeField
 *   confirming  timerFired       confirming  closeKeys, tellReadBack
 *   confirming  timerFired!      failed      closeKeys, wipeField
 *
 *   collecting starPressed*: the key before was a star too, so the caller goes back one field.
 *   ended: right, and to be confirmed   + right, no confirmation wanted   - wrong, incomplete or nothing, a try is left
 *   ! the tries are used up             confirming promptEnded: the words before   * the digits   + the question
 *
 * The field ends natively at hash or when no candidate brand can be longer, and from here when a timer fires. Three
 * limits: to the first digit, between digits, and a shorter one at a length that is complete for a candidate, so that
 * a 16-digit number does not wait and a 19-digit one still goes through. Star clears natively; this machine only counts.
 *
 * The keys open only with the question: a late digit of the number, keyed into the read-back, stays in the vault and is
 * wiped, and does not count as a confirmation.
 *
 * The machine is blind: it counts keys but never sees a digit's value, so state, inputs and trace may be logged.
 * What ends the call ends the payment, whose end wipes every field; so there is no row for it here.
 */
export interface FieldFactsSeen {
  readonly length: number;
  readonly brands: readonly string[];
  readonly complete: boolean;
  readonly last4: string | null;
  readonly dateValid: boolean | null;
}

export type FieldWrong = 'nothing' | 'invalid' | 'brandRefused' | 'again';

interface Asked {
  readonly field: FieldName;
  /** Null for `pan`. */
  readonly brand: string | null;
  /** Tries that were wrong so far. */
  readonly wrong: number;
}

export type FieldState =
  | { readonly kind: 'idle' }
  | (Asked & { readonly kind: 'collecting'; readonly starred: boolean })
  | (Asked & { readonly kind: 'closing' })
  | (Asked & { readonly kind: 'confirming'; readonly stage: 'words' | 'digits' | 'question'; readonly found: Found })
  | { readonly kind: 'complete'; readonly field: FieldName; readonly found: Found }
  | { readonly kind: 'back'; readonly field: FieldName }
  | { readonly kind: 'failed'; readonly field: FieldName; readonly reason: FieldWrong };

/** What a right field tells: the brand and last four of a number, nothing of the others. */
export interface Found {
  readonly brand: string | null;
  readonly last4: string | null;
}

export type FieldInput =
  | { readonly kind: 'requested'; readonly field: FieldName; readonly brand: string | null }
  | { readonly kind: 'promptEnded' }
  | { readonly kind: 'digitPressed'; readonly complete: boolean }
  | { readonly kind: 'starPressed' }
  | { readonly kind: 'ended'; readonly facts: FieldFactsSeen }
  | { readonly kind: 'onePressed' }
  | { readonly kind: 'twoPressed' }
  | { readonly kind: 'timerFired' };

export type FieldOutput =
  | {
      readonly kind: 'openField';
      readonly field: FieldName;
      readonly lengthMin: number;
      readonly lengthMax: number;
      readonly brands: readonly string[];
    }
  /** Plays the field's prompt, after what was wrong with the try before; a key stops it. */
  | {
      readonly kind: 'ask';
      readonly field: FieldName;
      readonly brand: string | null;
      readonly wrong: FieldWrong | null;
      readonly refusedBrand: string | null;
    }
  | { readonly kind: 'closeField' }
  | { readonly kind: 'wipeField'; readonly field: FieldName }
  | { readonly kind: 'openKeys' }
  | { readonly kind: 'closeKeys' }
  | { readonly kind: 'tellReadBack' }
  | { readonly kind: 'readBack'; readonly field: FieldName }
  | { readonly kind: 'askConfirm' }
  | { readonly kind: 'startTimer'; readonly ms: number }
  | { readonly kind: 'stopTimer' };

export interface FieldStep {
  readonly state: FieldState;
  readonly outputs: readonly FieldOutput[];
  /** The input has no row here; the runner counts it. */
  readonly ignored?: true;
}

type FieldFlow = Pick<
  Flow,
  'brands' | 'fields' | 'readBackCvc' | 'firstDigitTimeoutMs' | 'interDigitTimeoutMs' | 'completeInterDigitTimeoutMs'
>;

const RETRIES_MAX_DEFAULT = 2;

export function stepField(flow: FieldFlow, state: FieldState, input: FieldInput): FieldStep {
  switch (state.kind) {
    case 'idle':
      return input.kind === 'requested' ? ask(flow, { ...input, wrong: 0 }, null) : ignore(state);
    case 'collecting':
      return stepCollecting(flow, state, input);
    case 'closing':
      return input.kind === 'ended' ? judge(flow, state, input.facts) : ignore(state);
    case 'confirming':
      return stepConfirming(flow, state, input);
    case 'complete':
    case 'back':
    case 'failed':
      return ignore(state);
    default:
      return unreachable(state);
  }
}

function stepCollecting(
  flow: FieldFlow,
  state: Extract<FieldState, { kind: 'collecting' }>,
  input: FieldInput,
): FieldStep {
  switch (input.kind) {
    case 'promptEnded':
      return { state, outputs: [{ kind: 'startTimer', ms: flow.firstDigitTimeoutMs }] };
    case 'digitPressed': {
      const ms = input.complete ? flow.completeInterDigitTimeoutMs : flow.interDigitTimeoutMs;
      return { state: { ...state, starred: false }, outputs: [{ kind: 'startTimer', ms }] };
    }
    case 'starPressed':
      if (state.starred) {
        return { state: { kind: 'back', field: state.field }, outputs: [{ kind: 'stopTimer' }, wipe(state)] };
      }
      return {
        state: { ...state, starred: true },
        outputs: [{ kind: 'startTimer', ms: flow.firstDigitTimeoutMs }],
      };
    case 'ended':
      return judge(flow, state, input.facts);
    case 'timerFired':
      return { state: { ...asked(state), kind: 'closing' }, outputs: [{ kind: 'closeField' }] };
    default:
      return ignore(state);
  }
}

function stepConfirming(
  flow: FieldFlow,
  state: Extract<FieldState, { kind: 'confirming' }>,
  input: FieldInput,
): FieldStep {
  const leave: FieldOutput[] = [{ kind: 'stopTimer' }, { kind: 'closeKeys' }];
  switch (input.kind) {
    case 'promptEnded':
      if (state.stage === 'words') {
        return { state: { ...state, stage: 'digits' }, outputs: [{ kind: 'readBack', field: state.field }] };
      }
      if (state.stage === 'digits') {
        return { state: { ...state, stage: 'question' }, outputs: [{ kind: 'openKeys' }, { kind: 'askConfirm' }] };
      }
      return { state, outputs: [{ kind: 'startTimer', ms: flow.firstDigitTimeoutMs }] };
    case 'onePressed':
      return { state: { kind: 'complete', field: state.field, found: state.found }, outputs: leave };
    case 'twoPressed':
      return wrong(flow, state, { wrong: 'again', refusedBrand: null }, leave);
    case 'timerFired':
      if (state.wrong >= retriesMax(flow, state.field)) {
        const outputs: FieldOutput[] = [{ kind: 'closeKeys' }, wipe(state)];
        return { state: { kind: 'failed', field: state.field, reason: 'nothing' }, outputs };
      }
      return {
        state: { ...state, wrong: state.wrong + 1, stage: 'words' },
        outputs: [{ kind: 'closeKeys' }, { kind: 'tellReadBack' }],
      };
    default:
      return ignore(state);
  }
}

/** The field has ended: right, or wrong and perhaps asked again. */
function judge(flow: FieldFlow, state: FieldState & Asked, facts: FieldFactsSeen): FieldStep {
  const verdict = check(flow, state, facts);
  const stop: FieldOutput[] = [{ kind: 'stopTimer' }];
  if ('wrong' in verdict) return wrong(flow, state, verdict, stop);
  if (!isConfirmed(flow, state.field)) {
    return { state: { kind: 'complete', field: state.field, found: verdict }, outputs: stop };
  }
  return {
    state: { ...asked(state), kind: 'confirming', stage: 'words', found: verdict },
    outputs: [...stop, { kind: 'tellReadBack' }],
  };
}

interface Wrong {
  readonly wrong: FieldWrong;
  readonly refusedBrand: string | null;
}

function check(flow: FieldFlow, asked: Asked, facts: FieldFactsSeen): Found | Wrong {
  if (facts.length === 0) return { wrong: 'nothing', refusedBrand: null };
  const invalid: Wrong = { wrong: 'invalid', refusedBrand: null };
  switch (asked.field) {
    case 'pan': {
      if (!facts.complete) return invalid;
      const chosen = chooseBrand(facts.brands, flow.brands);
      if (chosen.brand !== null) return { brand: chosen.brand, last4: facts.last4 };
      return { wrong: 'brandRefused', refusedBrand: chosen.refused };
    }
    case 'expiry':
    case 'startDate':
      return facts.length === 4 && facts.dateValid === true ? { brand: null, last4: null } : invalid;
    case 'cvc':
    case 'postcode':
    case 'issueNumber': {
      const { lengthMin, lengthMax } = lengthsOf(asked.field, asked.brand);
      return facts.length >= lengthMin && facts.length <= lengthMax ? { brand: null, last4: null } : invalid;
    }
    default:
      return unreachable(asked.field);
  }
}

function wrong(flow: FieldFlow, state: FieldState & Asked, what: Wrong, before: readonly FieldOutput[]): FieldStep {
  if (state.wrong >= retriesMax(flow, state.field)) {
    const outputs = [...before, wipe(state)];
    return { state: { kind: 'failed', field: state.field, reason: what.wrong }, outputs };
  }
  const again = ask(flow, { ...asked(state), wrong: state.wrong + 1 }, what);
  return { state: again.state, outputs: [...before, wipe(state), ...again.outputs] };
}

function ask(flow: FieldFlow, { field, brand, wrong: tries }: Asked, what: Wrong | null): FieldStep {
  const { lengthMin, lengthMax } = lengthsOf(field, brand);
  return {
    state: { kind: 'collecting', field, brand, wrong: tries, starred: false },
    outputs: [
      { kind: 'openField', field, lengthMin, lengthMax, brands: flow.brands },
      { kind: 'ask', field, brand, wrong: what?.wrong ?? null, refusedBrand: what?.refusedBrand ?? null },
    ],
  };
}

const asked = ({ field, brand, wrong: tries }: Asked): Asked => ({ field, brand, wrong: tries });
const wipe = ({ field }: Asked): FieldOutput => ({ kind: 'wipeField', field });
const retriesMax = (flow: FieldFlow, field: FieldName): number => flow.fields[field]?.retriesMax ?? RETRIES_MAX_DEFAULT;

/** The cvc is read back only where the flow says so twice. */
function isConfirmed(flow: FieldFlow, field: FieldName): boolean {
  const confirm = flow.fields[field]?.confirm ?? false;
  return confirm && (field !== 'cvc' || flow.readBackCvc);
}

function ignore(state: FieldState): FieldStep {
  return { state, outputs: [], ignored: true };
}
