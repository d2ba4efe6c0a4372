import type { SipResponse } from '../message/message.ts';
import { stepIct } from '../transaction/ict.ts';
import { stepNict } from '../transaction/nict.ts';
import { TIMEOUT_MS } from '../transaction/timers.ts';
import { Transaction, type TransactionUser } from '../transaction/transaction.ts';
import type { Flow } from '../transport/flow.ts';
import type { Context } from './context.ts';
import { openTarget, type Target } from './target.ts';
import type { Outgoing } from './types.ts';

/** What a client transaction tells its side of the core. */
export interface OutgoingEvents {
  response(outgoing: Outgoing, response: SipResponse, flow: Flow): void;
  /** 408: no answer in time; 503: no way there. Nothing came from the network. */
  failed(outgoing: Outgoing, status: number): void;
}

/** Opens the way and starts the client transaction; a failure is reported on a later turn, after the echo. */
export function launch(context: Context, outgoing: Outgoing, target: Target, events: OutgoingEvents): void {
  context.outgoingByKey.set(outgoing.key, outgoing);
  context.outgoingById.set(outgoing.id, outgoing);
  context.count('requests_sent');
  openTarget(context, target, (flow) => {
    if (flow === undefined) {
      context.count('transport_failures');
      fail(context, outgoing, 503, events);
      return;
    }
    outgoing.flow = flow;
    start(context, outgoing, flow, events);
  });
}

function start(context: Context, outgoing: Outgoing, flow: Flow, events: OutgoingEvents): void {
  const user: TransactionUser<SipResponse> = {
    passed: (response) => events.response(outgoing, response, outgoing.flow ?? flow),
    timedOut: () => {
      context.count('transaction_timeouts');
      fail(context, outgoing, 408, events);
    },
    transportFailed: () => {
      context.count('transport_failures');
      fail(context, outgoing, 503, events);
    },
    terminated: () => forget(context, outgoing),
  };
  const parts = { clock: context.clock, port: flow, user };
  if (outgoing.method === 'INVITE') {
    const machine = new Transaction('initial', stepIct, parts);
    machine.lastSent = outgoing.text;
    outgoing.transaction = { kind: 'invite', machine };
    machine.input('start');
  } else {
    const machine = new Transaction('initial', stepNict, parts);
    machine.lastSent = outgoing.text;
    outgoing.transaction = { kind: 'other', machine };
    machine.input('start');
  }
}

function fail(context: Context, outgoing: Outgoing, status: number, events: OutgoingEvents): void {
  if (outgoing.finalSeen) return;
  outgoing.finalSeen = true;
  // A turn later: the echo of the request is written first, whatever fails.
  setImmediate(() => {
    forget(context, outgoing);
    events.failed(outgoing, status);
  });
}

function forget(context: Context, outgoing: Outgoing): void {
  outgoing.cancelTimer?.cancel();
  if (context.outgoingByKey.get(outgoing.key) === outgoing) context.outgoingByKey.delete(outgoing.key);
  context.outgoingById.delete(outgoing.id);
}

/** RFC 3261 §17.1.1.3: the ACK of a failure response: same branch, Request-URI, routes; To of the response. */
export function failureAck(outgoing: Outgoing, response: SipResponse): string {
  const lines = outgoing.text.slice(0, outgoing.text.indexOf('\r\n\r\n')).split('\r\n');
  const keep = (name: string) => lines.filter((line) => line.startsWith(`${name}: `)).join('\r\n');
  const route = keep('Route');
  const to = response.headers.find((header) => header.name === 'to')?.value ?? '';
  const via = lines.find((line) => line.startsWith('Via: ')) ?? '';
  return `ACK ${outgoing.uri} SIP/2.0\r\n${via}\r\n${route === '' ? '' : `${route}\r\n`}Max-Forwards: 70\r\n${keep('From')}\r\nTo: ${to}\r\n${keep('Call-ID')}\r\nCSeq: ${outgoing.cseq} ACK\r\nContent-Length: 0\r\n\r\n`;
}

/** RFC 3261 §9.1: the CANCEL of an INVITE, in a transaction of its own on the same branch. */
export function cancelText(outgoing: Outgoing, extra: string): string {
  const lines = outgoing.text.slice(0, outgoing.text.indexOf('\r\n\r\n')).split('\r\n');
  const keep = (name: string) => lines.filter((line) => line.startsWith(`${name}: `)).join('\r\n');
  const route = keep('Route');
  const via = lines.find((line) => line.startsWith('Via: ')) ?? '';
  return `CANCEL ${outgoing.uri} SIP/2.0\r\n${via}\r\n${route === '' ? '' : `${route}\r\n`}Max-Forwards: 70\r\n${keep('From')}\r\n${keep('To')}\r\n${keep('Call-ID')}\r\nCSeq: ${outgoing.cseq} CANCEL\r\n${extra}Content-Length: 0\r\n\r\n`;
}

/** Sends the CANCEL that waits, once a provisional response has come. */
export function sendCancel(context: Context, outgoing: Outgoing): void {
  const { cancel, flow } = outgoing;
  if (cancel === undefined || cancel.sent || flow === undefined || !outgoing.provisionalSeen || outgoing.finalSeen)
    return;
  cancel.sent = true;
  const record = newOutgoing({
    ...outgoing,
    id: `${outgoing.id}-cancel`,
    method: 'CANCEL',
    text: cancel.text,
    dialogId: '',
  });
  record.handler = () => undefined;
  launch(context, record, { kind: 'flow', flow, endpoint: outgoing.endpoint }, { response() {}, failed() {} });
  // RFC 3261 §9.1: no final response in 64*T1 means the INVITE is over.
  outgoing.cancelTimer = context.clock.startTimer(TIMEOUT_MS, () => {
    if (outgoing.transaction?.kind === 'invite') outgoing.transaction.machine.input('abandon');
  });
}

export function newOutgoing(
  parts: Pick<
    Outgoing,
    | 'id'
    | 'branch'
    | 'method'
    | 'uri'
    | 'text'
    | 'callId'
    | 'cseq'
    | 'local'
    | 'localTag'
    | 'endpoint'
    | 'routes'
    | 'dialogId'
  >,
): Outgoing {
  const { id, branch, method, uri, text, callId, cseq, local, localTag, endpoint, routes, dialogId } = parts;
  return {
    id,
    branch,
    method,
    uri,
    text,
    callId,
    cseq,
    local,
    localTag,
    endpoint,
    routes,
    dialogId,
    key: `${branch}|${method}`,
    flow: undefined,
    transaction: undefined,
    application: undefined,
    dialog: undefined,
    provisionalSeen: false,
    finalSeen: false,
    wonBy: undefined,
    cancel: undefined,
    cancelTimer: undefined,
    handler: undefined,
    failed: undefined,
  };
}
