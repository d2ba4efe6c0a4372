import { stepOf, type Table, to } from './step.ts';

/**
 * Non-INVITE client transaction (RFC 3261 §17.1.2.2). A timer E that runs when the first provisional response comes
 * fires as it was set; in `proceeding` it is then set to T2 at once, without doubling.
 *
 *   state       input            next        outputs
 *   initial     start            trying      send, startE, startF
 *   trying      timerE           trying      resend, startE
 *   trying      timerF           terminated  timedOut
 *   trying      provisional      proceeding  pass
 *   trying      final            completed   stopE, stopF, startK, pass
 *   trying      transportFailed  terminated  transportError
 *   proceeding  timerE           proceeding  resend, startEAtT2
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
    timerE: to('proceeding', 'resend', 'startEAtT2'),
    timerF: to('terminated', 'timedOut'),
    provisional: to('proceeding', 'pass'),
    final: to('completed', 'stopE', 'stopF', 'startK', 'pass'),
    transportFailed: to('terminated', 'transportError'),
  },
  completed: { timerK: to('terminated') },
};

export const stepNict = (state: NictState, input: NictInput) => stepOf(TABLE, state, input);
