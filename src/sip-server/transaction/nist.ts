import { stepOf, type Table, to } from './step.ts';

/**
 * Non-INVITE server transaction (RFC 3261 §17.2.2).
 *
 *   state       input            next        outputs
 *   trying      provisional      proceeding  send
 *   trying      final            completed   send, startJ
 *   trying      transportFailed  terminated  transportError
 *   proceeding  request          proceeding  resend
 *   proceeding  provisional      proceeding  send
 *   proceeding  final            completed   send, startJ
 *   proceeding  transportFailed  terminated  transportError
 *   completed   request          completed   resend
 *   completed   timerJ           terminated  -
 *   completed   transportFailed  terminated  transportError
 */
export type NistState = 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NistInput = 'request' | 'provisional' | 'final' | 'timerJ' | 'transportFailed';

const TABLE: Table<NistState, NistInput> = {
  trying: {
    provisional: to('proceeding', 'send'),
    final: to('completed', 'send', 'startJ'),
    transportFailed: to('terminated', 'transportError'),
  },
  proceeding: {
    request: to('proceeding', 'resend'),
    provisional: to('proceeding', 'send'),
    final: to('completed', 'send', 'startJ'),
    transportFailed: to('terminated', 'transportError'),
  },
  completed: {
    request: to('completed', 'resend'),
    timerJ: to('terminated'),
    transportFailed: to('terminated', 'transportError'),
  },
};

export const stepNist = (state: NistState, input: NistInput) => stepOf(TABLE, state, input);
