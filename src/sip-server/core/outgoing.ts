import type { SipResponse } from '../message/message.ts';
import { stepIct } from '../transaction/ict.ts';
import { stepNict } from '../transaction/nict.ts';
import { TIMEOUT_MS } from '../transaction/timers.ts';
import { Transaction, type TransactionUser } from '../transaction/transaction.ts';
import type { Flow } from '../transport/flow.ts';
import { type Context, newBranch } from './context.ts';
import { findWays, type Target } from './target.ts';
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
  if (target.kind === 'flow') start(context, outgoing, target, { flow: target.flow, events });
  else if (target.kind === 'refused') noWay(context, outgoing, events);
  else {
    findWays(context, target, (ways) => {
      outgoing.ways = ways;
      startNext(context, outgoing, target, events);
    });
  }
}

function noWay(context: Context, outgoing: Outgoing, events: OutgoingEvents): void {
  context.count('transport_failures');
  fail(context, outgoing, 503, events);
}

/** At the best host that is left and can be reached. */
function startNext(
  context: Context,
  outgoing: Outgoing,
  target: Target & { kind: 'host' },
  events: OutgoingEvents,
): void {
  const { endpoint, domain } = target;
  const transport = context.transportOf(endpoint);
  for (let way = outgoing.ways.shift(); way !== undefined; way = outgoing.ways.shift()) {
    const flow = transport?.flowTo(way.address, way.port, domain);
    if (flow === undefined) {
      context.penalties.give(endpoint.protocol, way);
      continue;
    }
    outgoing.way = way;
    start(context, outgoing, target, { flow, events });
    return;
  }
  noWay(context, outgoing, events);
}

/**
 * RFC 3263 §4.3: a host that is not there, says nothing, or answers 503 is left for the next one of its domain, in a new
 * transaction. False where there is none, or where it has begun to answer. DEVIATION RFC 3261 §17.1.1.2: a 503 that comes
 * again is not acknowledged again.
 */
export function failOver(context: Context, outgoing: Outgoing, target: Target, events: OutgoingEvents): boolean {
  if (target.kind !== 'host' || outgoing.way === undefined) return false;
  context.penalties.give(target.endpoint.protocol, outgoing.way);
  const isOpen = !outgoing.provisionalSeen && !outgoing.finalSeen && outgoing.cancel === undefined;
  if (!isOpen || outgoing.ways.length === 0) return false;
  context.count('failed_over');
  const left = outgoing.transaction?.machine;
  context.outgoingByKey.delete(outgoing.key);
  const branch = newBranch();
  outgoing.text = outgoing.text.replace(`branch=${outgoing.branch}`, `branch=${branch}`);
  outgoing.branch = branch;
  outgoing.key = `${branch}|${outgoing.method}`;
  context.outgoingByKey.set(outgoing.key, outgoing);
  startNext(context, outgoing, target, events);
  left?.stop();
  return true;
}

function start(
  context: Context,
  outgoing: Outgoing,
  target: Target,
  { flow, events }: { flow: Flow; events: OutgoingEvents },
): void {
  outgoing.flow = flow;
  const user: TransactionUser<SipResponse> = {
    passed: (response) => {
      if (response.status === 503 && failOver(context, outgoing, target, events)) return;
      events.response(outgoing, response, outgoing.flow ?? flow);
    },
    timedOut: () => {
      context.count('transaction_timeouts');
      if (!failOver(context, outgoing, target, events)) fail(context, outgoing, 408, events);
    },
    transportFailed: () => {
      context.count('transport_failures');
      if (!failOver(context, outgoing, target, events)) fail(context, outgoing, 503, events);
    },
    terminated: () => {
      // One that was left for the next host is not the transaction any more.
      if (outgoing.transaction?.machine === machine) forget(context, outgoing);
    },
  };
  const parts = { clock: context.clock, port: flow, user };
  const machine =
    outgoing.method === 'INVITE'
      ? new Transaction('initial', stepIct, parts)
      : new Transaction('initial', stepNict, parts);
  machine.lastSent = outgoing.text;
  outgoing.transaction = (
    outgoing.method === 'INVITE' ? { kind: 'invite', machine } : { kind: 'other', machine }
  ) as Outgoing['transaction'];
  machine.input('start');
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
    ways: [],
    way: undefined,
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
