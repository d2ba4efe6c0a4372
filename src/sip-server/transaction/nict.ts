import { stepOf, type Table, to } from './step.ts';

/**
 * Non-INVITE client transaction (RFC 3261 §17.1.2). In `proceeding` timer E fires every T2; the runner's
 * `timerMs` has reached that ceiling or reaches it by doubling, which sends sooner, never more often than T1.
 *
 *   state       input            next        outputs
 *   initial     start            trying      send, startE, startF
 *   trying      timerE           trying      resend, startE
 *   trying      timerF           terminated  timedOut
 *   trying      provisional      proceeding  pass
 *   trying      final            completed   stopE, stopF, startK, pass
 *   trying      transportFailed  terminated  transportError
 *   proceeding  timerE           proceeding  resend, startE
 *   proceeding  timerF           terminated  timedOut
 *   proceeding  provisional      proceeding  pass
 *   proceeding  final            completed   stopE, stopF, startK, pass
 *   proceeding  transportFailed  terminated  transportError
 *   completed   timerK           terminated  -
 */
export type NictState = 'initial' | 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NictInput = 'start' | 'timerE' | 'timerF' | 'timerK' | 'provisional' | 'final' | 'transportFailed';

const TABLE: Table<NictState, NictInput> = {
  initial: { start: to('trying', 'send', 'startE', 'startF') },
  trying: {
    timerE: to('trying', 'resend', 'startE'),
    timerF: to('terminated', 'timedOut'),
    provisional: to('proceeding', 'pass'),
    final: to('completed', 'stopE', 'stopF', 'startK', 'pass'),
    transportFailed: to('terminated', 'transportError'),
  },
  proceeding: {
    timerE: to('proceeding', 'resend', 'startE'),
    timerF: to('terminated', 'timedOut'),
    provisional: to('proceeding', 'pass'),
    final: to('completed', 'stopE', 'stopF', 'startK', 'pass'),
    transportFailed: to('terminated', 'transportError'),
  },
  completed: { timerK: to('terminated') },
};

export const stepNict = (state: NictState, input: NictInput) => stepOf(TABLE, state, input);
