import { contactUri } from '../dialog.ts';
import { headerOf, headersOf, type SipRequest } from '../message/message.ts';
import { parseSipUri } from '../message/uri.ts';
import { markVia } from '../message/via.ts';
import { stepIst } from '../transaction/ist.ts';
import { serverKey } from '../transaction/key.ts';
import { stepNist } from '../transaction/nist.ts';
import { Transaction, type TransactionUser } from '../transaction/transaction.ts';
import type { Flow } from '../transport/flow.ts';
import type { Context } from './context.ts';
import { newTag, newTransactionId } from './context.ts';
import type { Incoming } from './types.ts';

/** Text of a request with the top Via marked, Content-Length and body as received. */
export function markedText(request: SipRequest, flow: Flow): string {
  const { head, viaStart, via } = request;
  const marked = markVia(via, flow.remoteAddress, flow.remotePort);
  return `${head.slice(0, viaStart)}${marked}${head.slice(viaStart + via.text.length)}\r\n\r\n${request.body}`;
}

function viaLinesOf(request: SipRequest, flow: Flow): string {
  const [first = '', ...others] = headersOf(request, 'via');
  const marked = markVia(request.via, flow.remoteAddress, flow.remotePort) + first.slice(request.via.text.length);
  return [marked, ...others].map((value) => `Via: ${value}\r\n`).join('');
}

/** Begins a server transaction; undefined where there are too many. */
export function beginIncoming(context: Context, request: SipRequest, flow: Flow): Incoming | undefined {
  if (context.incomingById.size + context.outgoingById.size >= context.limits.transactionsMax) {
    context.count('limit_transactions');
    return undefined;
  }
  rememberContact(context, request, flow);
  const user: TransactionUser<SipRequest> = {
    passed: () => undefined,
    timedOut: () => context.count('transaction_timeouts'),
    transportFailed: () => context.count('transport_failures'),
    terminated: () => endIncoming(context, incoming),
  };
  const port = { reliable: flow.reliable, send: (text: string) => sendAnswer(context, request, flow, text) };
  const parts = { clock: context.clock, port, user };
  const incoming: Incoming = {
    id: newTransactionId(),
    key: serverKey(request),
    request,
    flow,
    toTag: request.to.tag ?? '',
    tag: request.to.tag ?? newTag(),
    text: markedText(request, flow),
    viaLines: viaLinesOf(request, flow),
    transaction:
      request.method === 'INVITE'
        ? { kind: 'invite', machine: new Transaction('proceeding', stepIst, parts) }
        : { kind: 'other', machine: new Transaction('trying', stepNist, parts) },
    application: undefined,
    dialog: undefined,
    answered: false,
    cancelled: false,
    heardFromApplication: false,
    reliable: [],
    waitingReliable: [],
    unansweredTimer: undefined,
    proxy: undefined,
  };
  context.incomingByKey.set(incoming.key, incoming);
  context.incomingById.set(incoming.id, incoming);
  return incoming;
}

/** RFC 3261 §18.2.2: over the same flow; where a connection is gone, a new one to the sent-by port. */
function sendAnswer(context: Context, request: SipRequest, flow: Flow, text: string): boolean {
  if (flow.send(text)) return true;
  if (flow.protocol !== 'tcp') return false;
  const transport = context.transportOf(flow.local);
  return transport?.flowTo(flow.remoteAddress, request.via.port ?? 5060)?.send(text) ?? false;
}

/** RFC 7118 §5: a Contact whose host ends in `.invalid` can be reached over this connection only. */
function rememberContact(context: Context, request: SipRequest, flow: Flow): void {
  if (flow.protocol !== 'ws' && flow.protocol !== 'wss') return;
  const uri = contactUri(request);
  const host = uri === undefined ? undefined : parseSipUri(uri)?.host.toLowerCase();
  if (host?.endsWith('.invalid')) context.remember(host, flow);
}

/** The transaction is over: nothing finds it any more. */
export function endIncoming(context: Context, incoming: Incoming): void {
  incoming.answered = true;
  stopReliable(incoming);
  incoming.unansweredTimer?.cancel();
  if (context.incomingByKey.get(incoming.key) === incoming) context.incomingByKey.delete(incoming.key);
  context.incomingById.delete(incoming.id);
}

export function stopReliable(incoming: Incoming): void {
  for (const one of incoming.reliable) one.stop();
  incoming.reliable = [];
  incoming.waitingReliable = [];
}

/** An answer of the server's own: Via, From, To with our tag, Call-ID, CSeq, what is given, no body. */
export function ownAnswer(incoming: Incoming, status: number, reason: string, extra = ''): string {
  const { request } = incoming;
  const to = headerOf(request, 'to') ?? '';
  // RFC 3261 §8.2.6.2: every answer but 100 has a To tag.
  const tag = status === 100 || incoming.toTag !== '' ? '' : `;tag=${incoming.tag}`;
  return `SIP/2.0 ${status} ${reason}\r\n${incoming.viaLines}From: ${headerOf(request, 'from')}\r\nTo: ${bracketTo(to, tag)}\r\nCall-ID: ${request.callId}\r\nCSeq: ${request.cseq} ${request.method}\r\n${extra}Content-Length: 0\r\n\r\n`;
}

/** `To: sip:a@b;x=y` needs no brackets for a tag: what follows a bare address are the header's parameters. */
export function bracketTo(to: string, tag: string): string {
  return `${to}${tag}`;
}

/** Sends an answer through the machine. */
export function answer(incoming: Incoming, status: number, text: string): void {
  const { transaction } = incoming;
  transaction.machine.lastSent = text;
  if (status >= 200) {
    incoming.answered = true;
    incoming.unansweredTimer?.cancel();
  }
  if (transaction.kind === 'invite') {
    transaction.machine.input(status < 200 ? 'provisional' : status < 300 ? 'success' : 'failure');
  } else transaction.machine.input(status < 200 ? 'provisional' : 'final');
}

export function answerOwn(incoming: Incoming, status: number, reason: string, extra = ''): void {
  answer(incoming, status, ownAnswer(incoming, status, reason, extra));
}
