import { stepOf, type Table, to } from './step.ts';

/**
 * INVITE client transaction (RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2).
 *
 *   state       input            next        outputs
 *   initial     start            calling     send, startA, startB
 *   calling     timerA           calling     resend, startA
 *   calling     timerB           terminated  timedOut
 *   calling     provisional      proceeding  stopA, stopB, pass
 *   calling     success          accepted    stopA, stopB, startM, pass
 *   calling     failure          completed   stopA, stopB, sendAck, startD, pass
 *   calling     transportFailed  terminated  transportError
 *   calling     abandon          terminated  timedOut
 *   proceeding  provisional      proceeding  pass
 *   proceeding  success          accepted    startM, pass
 *   proceeding  failure          completed   sendAck, startD, pass
 *   proceeding  transportFailed  terminated  transportError
 *   proceeding  abandon          terminated  timedOut
 *   completed   failure          completed   sendAck
 *   completed   timerD           terminated  -
 *   completed   transportFailed  terminated  -
 *   accepted    success          accepted    pass
 *   accepted    timerM           terminated  -
 */
export type IctState = 'initial' | 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';
/** `abandon`: no final response within 64*T1 of our CANCEL (RFC 3261 §9.1). */
export type IctInput =
  | 'start'
  | 'timerA'
  | 'timerB'
  | 'timerD'
  | 'timerM'
  | 'provisional'
  | 'success'
  | 'failure'
  | 'transportFailed'
  | 'abandon';

const TABLE: Table<IctState, IctInput> = {
  initial: { start: to('calling', 'send', 'startA', 'startB') },
  calling: {
    timerA: to('calling', 'resend', 'startA'),
    timerB: to('terminated', 'timedOut'),
    provisional: to('proceeding', 'stopA', 'stopB', 'pass'),
    success: to('accepted', 'stopA', 'stopB', 'startM', 'pass'),
    failure: to('completed', 'stopA', 'stopB', 'sendAck', 'startD', 'pass'),
    transportFailed: to('terminated', 'transportError'),
    abandon: to('terminated', 'timedOut'),
  },
  proceeding: {
    provisional: to('proceeding', 'pass'),
    success: to('accepted', 'startM', 'pass'),
    failure: to('completed', 'sendAck', 'startD', 'pass'),
    transportFailed: to('terminated', 'transportError'),
    abandon: to('terminated', 'timedOut'),
  },
  completed: {
    failure: to('completed', 'sendAck'),
    timerD: to('terminated'),
    transportFailed: to('terminated'),
  },
  accepted: { success: to('accepted', 'pass'), timerM: to('terminated') },
};

export const stepIct = (state: IctState, input: IctInput) => stepOf(TABLE, state, input);
