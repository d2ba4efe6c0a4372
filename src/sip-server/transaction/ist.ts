import { stepOf, type Table, to } from './step.ts';

/**
 * INVITE server transaction (RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1). A 2xx is sent again
 * by `core/answers.ts` until its ACK comes, not here (RFC 3261 §13.3.1.4).
 *
 *   state       input            next        outputs
 *   proceeding  request          proceeding  resend
 *   proceeding  provisional      proceeding  send
 *   proceeding  success          accepted    send, startL
 *   proceeding  failure          completed   send, startG, startH
 *   proceeding  transportFailed  terminated  transportError
 *   completed   request          completed   resend
 *   completed   timerG           completed   resend, startG
 *   completed   timerH           terminated  timedOut
 *   completed   ack              confirmed   stopG, stopH, startI
 *   completed   transportFailed  terminated  transportError
 *   confirmed   timerI           terminated  -
 *   accepted    request          accepted    -
 *   accepted    success          accepted    send
 *   accepted    ack              accepted    pass
 *   accepted    timerL           terminated  -
 */
export type IstState = 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';
export type IstInput =
  | 'request'
  | 'provisional'
  | 'success'
  | 'failure'
  | 'ack'
  | 'timerG'
  | 'timerH'
  | 'timerI'
  | 'timerL'
  | 'transportFailed';

const TABLE: Table<IstState, IstInput> = {
  proceeding: {
    request: to('proceeding', 'resend'),
    provisional: to('proceeding', 'send'),
    success: to('accepted', 'send', 'startL'),
    failure: to('completed', 'send', 'startG', 'startH'),
    transportFailed: to('terminated', 'transportError'),
  },
  completed: {
    request: to('completed', 'resend'),
    timerG: to('completed', 'resend', 'startG'),
    timerH: to('terminated', 'timedOut'),
    ack: to('confirmed', 'stopG', 'stopH', 'startI'),
    transportFailed: to('terminated', 'transportError'),
  },
  confirmed: { timerI: to('terminated') },
  accepted: {
    request: to('accepted'),
    success: to('accepted', 'send'),
    ack: to('accepted', 'pass'),
    timerL: to('terminated'),
  },
};

export const stepIst = (state: IstState, input: IstInput) => stepOf(TABLE, state, input);
