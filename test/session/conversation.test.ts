import { describe, expect, it } from 'vitest';
import { type ConversationInput, type ConversationState, stepConversation } from '../../src/session/conversation.ts';
import type { Flow } from '../../src/session/flow.ts';
import { PLAIN_FLOW } from '../harness/flow.ts';
import { tableOf } from '../harness/table.ts';

const identifying = (whenNot: 'queue' | 'go-on'): Flow => ({
  ...PLAIN_FLOW,
  identification: { target: 'sip:id@127.0.0.1', timeoutMs: 1_000, whenNot },
});

const KINDS = ['arriving', 'identifying', 'paying', 'leaving'] as const;

function inputOf(name: string): ConversationInput {
  switch (name) {
    case 'arrived':
      return { kind: 'arrived', identified: null };
    case 'approved':
    case 'declined':
    case 'failed':
      return { kind: 'paymentEnded', result: name, caller: 'present' };
    case 'callerGone':
      return { kind: 'paymentEnded', result: 'abandoned', caller: 'gone' };
    default:
      return { kind: name } as ConversationInput;
  }
}

function stateOf(kind: string, mark: string): ConversationState {
  if (kind === 'leaving') return { kind, to: mark === '!' ? 'queue' : 'next' };
  return { kind } as ConversationState;
}

describe('the table of the conversation machine', () => {
  const rows = tableOf('src/session/conversation.ts');
  it('has its rows found in the comment', () => expect(rows.length).toBe(13));
  it.each(rows)('$state, $input: goes to $next and orders $outputs', (row) => {
    const mark = /\W$/.exec(row.input)?.[0] ?? '';
    const flow =
      mark === '?' || row.state === 'identifying' ? identifying(mark === '+' ? 'go-on' : 'queue') : PLAIN_FLOW;
    const states = row.state === 'any' ? KINDS.filter((kind) => kind !== 'paying') : [row.state];
    for (const kind of states) {
      const step = stepConversation(flow, stateOf(kind, mark), inputOf(row.input.replace(/\W$/, '')));
      expect(step.ignored).toBeUndefined();
      expect(step.state.kind).toBe(row.next);
      expect(step.outputs.map((output) => output.kind)).toEqual(row.outputs);
    }
  });
});

describe('a conversation', () => {
  it('goes to the next target when approved, and to the queue when not', () => {
    const to = (result: 'approved' | 'declined' | 'failed' | 'unknown') =>
      stepConversation(PLAIN_FLOW, { kind: 'paying' }, { kind: 'paymentEnded', result, caller: 'present' }).state;
    expect(to('approved')).toEqual({ kind: 'leaving', to: 'next' });
    expect(to('declined')).toEqual({ kind: 'leaving', to: 'queue' });
    expect(to('failed')).toEqual({ kind: 'leaving', to: 'queue' });
    expect(to('unknown')).toEqual({ kind: 'leaving', to: 'queue' });
  });
  it('waits for the payment when the caller hangs up in it', () => {
    const step = stepConversation(PLAIN_FLOW, { kind: 'paying' }, { kind: 'callEnded' });
    expect(step).toEqual({ state: { kind: 'paying' }, outputs: [], ignored: true });
  });
  it('does not ask who calls when the call says so', () => {
    const step = stepConversation(identifying('queue'), { kind: 'arriving' }, { kind: 'arrived', identified: true });
    expect(step.state.kind).toBe('paying');
  });
});

describe('a caller who leaves', () => {
  const said = (flow: Flow, result: 'approved' | 'failed') =>
    stepConversation(flow, { kind: 'paying' }, { kind: 'paymentEnded', result, caller: 'present' }).outputs.flatMap(
      (output) => (output.kind === 'say' ? [output.name] : []),
    );
  it('is asked to hold for the next target, told of a person, and said goodbye to where the call ends', () => {
    expect(said(PLAIN_FLOW, 'approved')).toEqual(['connecting-next']);
    expect(said(PLAIN_FLOW, 'failed')).toEqual(['connecting-queue']);
    expect(said({ ...PLAIN_FLOW, next: { kind: 'bye' } }, 'approved')).toEqual(['goodbye']);
    expect(said({ ...PLAIN_FLOW, queue: { kind: 'bye' } }, 'failed')).toEqual(['goodbye']);
  });
  it('hears that there is no account before that a person comes', () => {
    const { outputs } = stepConversation(identifying('queue'), { kind: 'identifying' }, { kind: 'notIdentified' });
    expect(outputs.filter(({ kind }) => kind === 'say')).toEqual([
      { kind: 'say', name: 'not-identified' },
      { kind: 'say', name: 'connecting-queue' },
    ]);
  });
});
