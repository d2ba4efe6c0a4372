import { unreachable } from '../lib/assert.ts';
import type { Destination, Flow } from './flow.ts';

/**
 * One call, from its arrival to whoever gets it next. Each state but the ends is a segment of the conversation.
 *
 *   state        input               next         outputs
 *   -----------  ------------------  -----------  ------------------------------------------
 *   arriving     arrived             paying       beginSegment, startPayment
 *   arriving     arrived?            identifying  beginSegment, say, identify
 *   identifying  identified          paying       endSegment, beginSegment, startPayment
 *   identifying  notIdentified       leaving      endSegment, beginSegment, say, say, go
 *   identifying  notIdentified+      paying       endSegment, beginSegment, startPayment
 *   paying       approved            leaving      endSegment, beginSegment, say, go
 *   paying       declined            leaving      endSegment, beginSegment, say, go
 *   paying       failed              leaving      endSegment, beginSegment, say, go
 *   paying       callerGone          ended        endSegment, hangUp
 *   leaving      left                ended        endSegment, hangUp
 *   leaving      leavingFailed       leaving      endSegment, beginSegment, say, go
 *   leaving      leavingFailed!      ended        endSegment, say, hangUp
 *   any          callEnded           ended        endSegment
 *
 *   ? the flow identifies, and the call did not say that it is done   + the flow goes on all the same
 *   ! it was the queue already, or there is nothing else to try
 *
 * Nobody is passed on or hung up on without a word: whoever goes to a person or to the next target is asked to hold, and
 * a call that ends here is said goodbye to.
 *
 * `callEnded` while paying waits for the payment: `paying` stays, and the payment's end comes as `callerGone`.
 */
export type SegmentKind = 'ivr' | 'identification' | 'secure-payment' | 'queue';
export type PaymentResult = 'approved' | 'declined' | 'abandoned' | 'failed' | 'unknown';

export type ConversationState =
  | { readonly kind: 'arriving' }
  | { readonly kind: 'identifying' }
  | { readonly kind: 'paying' }
  | { readonly kind: 'leaving'; readonly to: 'next' | 'queue' | 'bye' }
  | { readonly kind: 'ended' };

export type ConversationInput =
  | { readonly kind: 'arrived'; readonly identified: boolean | null }
  | { readonly kind: 'identified' }
  | { readonly kind: 'notIdentified' }
  | { readonly kind: 'paymentEnded'; readonly result: PaymentResult; readonly caller: 'present' | 'gone' }
  | { readonly kind: 'left' }
  | { readonly kind: 'leavingFailed' }
  | { readonly kind: 'callEnded' };

export type ConversationSentence =
  | 'please-hold-identification'
  | 'not-identified'
  | 'connecting-queue'
  | 'connecting-next'
  | 'goodbye'
  | 'try-again-later';

export type ConversationOutput =
  | { readonly kind: 'beginSegment'; readonly segment: SegmentKind }
  | { readonly kind: 'endSegment'; readonly outcome: string }
  | { readonly kind: 'say'; readonly name: ConversationSentence }
  | { readonly kind: 'identify'; readonly target: string; readonly timeoutMs: number }
  | { readonly kind: 'startPayment' }
  | { readonly kind: 'go'; readonly destination: Destination; readonly to: 'next' | 'queue' | 'bye' }
  | { readonly kind: 'hangUp' };

export interface ConversationStep {
  readonly state: ConversationState;
  readonly outputs: readonly ConversationOutput[];
  readonly ignored?: true;
}

type ConversationFlow = Pick<Flow, 'identification' | 'next' | 'queue' | 'atDeclinesMax'>;

export function stepConversation(
  flow: ConversationFlow,
  state: ConversationState,
  input: ConversationInput,
): ConversationStep {
  if (input.kind === 'callEnded' && state.kind !== 'ended' && state.kind !== 'paying') {
    return { state: { kind: 'ended' }, outputs: [{ kind: 'endSegment', outcome: 'caller-gone' }] };
  }
  switch (state.kind) {
    case 'arriving':
      return input.kind === 'arrived' ? arrive(flow, input.identified) : ignore(state);
    case 'identifying':
      return stepIdentifying(flow, state, input);
    case 'paying':
      return input.kind === 'paymentEnded' ? paid(flow, input) : ignore(state);
    case 'leaving':
      return stepLeaving(flow, state, input);
    case 'ended':
      return ignore(state);
    default:
      return unreachable(state);
  }
}

function arrive(flow: ConversationFlow, identified: boolean | null): ConversationStep {
  if (flow.identification === null || identified === true) return pay([]);
  const { target, timeoutMs } = flow.identification;
  return {
    state: { kind: 'identifying' },
    outputs: [
      { kind: 'beginSegment', segment: 'identification' },
      { kind: 'say', name: 'please-hold-identification' },
      { kind: 'identify', target, timeoutMs },
    ],
  };
}

function stepIdentifying(flow: ConversationFlow, state: ConversationState, input: ConversationInput): ConversationStep {
  if (input.kind === 'identified') return pay([{ kind: 'endSegment', outcome: 'identified' }]);
  if (input.kind !== 'notIdentified') return ignore(state);
  const ended: ConversationOutput = { kind: 'endSegment', outcome: 'not-identified' };
  if (flow.identification?.whenNot === 'go-on') return pay([ended]);
  return go(flow, 'queue', [ended], [{ kind: 'say', name: 'not-identified' }]);
}

function pay(before: readonly ConversationOutput[]): ConversationStep {
  return {
    state: { kind: 'paying' },
    outputs: [...before, { kind: 'beginSegment', segment: 'secure-payment' }, { kind: 'startPayment' }],
  };
}

function paid(
  flow: ConversationFlow,
  { result, caller }: Extract<ConversationInput, { kind: 'paymentEnded' }>,
): ConversationStep {
  const ended: ConversationOutput = { kind: 'endSegment', outcome: result };
  if (caller === 'gone') return { state: { kind: 'ended' }, outputs: [ended, { kind: 'hangUp' }] };
  if (result === 'approved') return go(flow, 'next', [ended]);
  return go(flow, result === 'declined' ? flow.atDeclinesMax : 'queue', [ended]);
}

function stepLeaving(
  flow: ConversationFlow,
  state: Extract<ConversationState, { kind: 'leaving' }>,
  input: ConversationInput,
): ConversationStep {
  if (input.kind === 'left') {
    return { state: { kind: 'ended' }, outputs: [{ kind: 'endSegment', outcome: 'transferred' }, { kind: 'hangUp' }] };
  }
  if (input.kind !== 'leavingFailed') return ignore(state);
  const ended: ConversationOutput = { kind: 'endSegment', outcome: 'transfer-failed' };
  if (state.to === 'next') return go(flow, 'queue', [ended]);
  return {
    state: { kind: 'ended' },
    outputs: [ended, { kind: 'say', name: 'try-again-later' }, { kind: 'hangUp' }],
  };
}

function go(
  flow: ConversationFlow,
  to: 'next' | 'queue' | 'bye',
  before: readonly ConversationOutput[],
  say: readonly ConversationOutput[] = [],
): ConversationStep {
  const destination: Destination = to === 'bye' ? { kind: 'bye' } : flow[to];
  const segment: SegmentKind = to === 'queue' ? 'queue' : 'ivr';
  const last: ConversationOutput = { kind: 'say', name: farewell(destination, to) };
  return {
    state: { kind: 'leaving', to },
    outputs: [...before, { kind: 'beginSegment', segment }, ...say, last, { kind: 'go', destination, to }],
  };
}

function farewell(destination: Destination, to: 'next' | 'queue' | 'bye'): ConversationSentence {
  if (destination.kind === 'bye') return 'goodbye';
  return to === 'queue' ? 'connecting-queue' : 'connecting-next';
}

function ignore(state: ConversationState): ConversationStep {
  return { state, outputs: [], ignored: true };
}
