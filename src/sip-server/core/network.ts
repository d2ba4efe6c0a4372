import { contactUri, isOutOfOrder, refreshesTarget } from '../dialog.ts';
import { type Fault, headerOf, type SipRequest } from '../message/message.ts';
import { markVia } from '../message/via.ts';
import { isTooShort, MIN_SE_SECONDS, refreshesSession } from '../session-timer.ts';
import { serverKey } from '../transaction/key.ts';
import { TIMEOUT_MS } from '../transaction/timers.ts';
import type { Flow } from '../transport/flow.ts';
import { networkFrame } from '../wire/meta.ts';
import type { Context } from './context.ts';
import { findDialog, noteAllow, removeDialog, touchDialog } from './dialogs.ts';
import { answerOwn, beginIncoming, markedText, stopReliable } from './incoming.ts';
import type { ProxyRoutes } from './proxy.ts';
import type { Dialog, Incoming } from './types.ts';

/** Handed to the application outside a dialog; the rest is discarded silently, as drachtio-server does. */
const OUTSIDE_DIALOG = new Set(['INVITE', 'OPTIONS', 'INFO', 'NOTIFY', 'MESSAGE', 'PUBLISH', 'SUBSCRIBE', 'REGISTER']);
/** Mean nothing without a dialog or an INVITE: 481. */
const NEED_DIALOG = new Set(['BYE', 'UPDATE', 'CANCEL', 'PRACK']);

/** Requests from the network. */
export class Network {
  readonly #context: Context;
  readonly #proxy: ProxyRoutes;

  constructor(context: Context, proxy: ProxyRoutes) {
    this.#context = context;
    this.#proxy = proxy;
  }

  /** RFC 3261 §21.4.1 and §8.2.6: a malformed request gets one answer, without a transaction. */
  malformed(fault: Fault, flow: Flow): void {
    const { answer } = fault;
    if (answer === undefined || fault.status === 0) {
      this.#context.count('malformed_dropped');
      return;
    }
    this.#context.count('malformed_answered');
    const via = markVia(answer.via, flow.remoteAddress, flow.remotePort);
    const reason = fault.reason.replace(/[^\x20-\x7e]/g, ' ');
    flow.send(`SIP/2.0 ${fault.status} ${reason}\r\nVia: ${via}\r\n${answer.lines}Content-Length: 0\r\n\r\n`);
  }

  request(request: SipRequest, flow: Flow): void {
    this.#context.count('requests_received');
    const known = this.#context.incomingByKey.get(serverKey(request));
    if (known !== undefined) {
      this.#again(known, request);
      return;
    }
    if (request.method === 'ACK') {
      this.#ack(request, flow);
      return;
    }
    if (request.method === 'CANCEL') {
      this.#cancel(request, flow);
      return;
    }
    const dialog = findDialog(this.#context, request);
    if (dialog === undefined && this.#proxy.forwards(request, flow)) return;
    const incoming = beginIncoming(this.#context, request, flow);
    if (incoming === undefined) return;
    if (request.method === 'INVITE') answerOwn(incoming, 100, 'Trying');
    if (refreshesSession(request.method) && isTooShort(request)) {
      this.#context.count('sessions_too_short');
      answerOwn(incoming, 422, 'Session Interval Too Small', `Min-SE: ${MIN_SE_SECONDS}\r\n`);
      return;
    }
    if (dialog !== undefined) this.#inDialog(incoming, dialog);
    else this.#outside(incoming);
  }

  #again(known: Incoming, request: SipRequest): void {
    if (request.method !== 'ACK') {
      this.#context.count('requests_retransmitted_by_peer');
      known.transaction.machine.input('request');
    } else if (known.transaction.kind === 'invite') {
      if (known.transaction.machine.state === 'accepted') this.#ack(request, known.flow);
      else known.transaction.machine.input('ack');
    }
  }

  #outside(incoming: Incoming): void {
    const { request } = incoming;
    if (incoming.toTag !== '' || NEED_DIALOG.has(request.method)) {
      answerOwn(incoming, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    const application = this.#context.applicationFor(request.method);
    if (application === undefined && !OUTSIDE_DIALOG.has(request.method)) {
      // DEVIATION RFC 3261 §8.2.1: an unknown method gets no 405, because drachtio-server discards it silently.
      incoming.transaction.machine.stop();
      return;
    }
    const isFull = request.method === 'INVITE' && this.#context.dialogs.size >= this.#context.limits.dialogsMax;
    if (isFull) this.#context.count('limit_dialogs');
    if (application === undefined || isFull) {
      if (application === undefined) this.#context.count('requests_without_application');
      answerOwn(incoming, 503, 'Service Unavailable');
      return;
    }
    incoming.application = application;
    this.#deliver(incoming, true);
  }

  #inDialog(incoming: Incoming, dialog: Dialog): void {
    const { request } = incoming;
    incoming.dialog = dialog;
    if (isOutOfOrder(dialog.state, request)) {
      answerOwn(incoming, 500, 'Server Internal Error');
      return;
    }
    if (request.method === 'INVITE' && contactUri(request) === undefined) {
      answerOwn(incoming, 400, 'Bad Request');
      return;
    }
    if (request.method === 'PRACK' && !this.#prack(request, dialog)) {
      answerOwn(incoming, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    const target = refreshesTarget(request.method) ? contactUri(request) : undefined;
    touchDialog(dialog, incoming, target);
    noteAllow(dialog, request);
    if (dialog.owner === undefined || !dialog.owner.open) {
      answerOwn(incoming, 481, 'Call/Transaction Does Not Exist');
      if (request.method === 'BYE') removeDialog(this.#context, dialog);
      return;
    }
    incoming.application = dialog.owner;
    if (request.method === 'BYE') {
      dialog.unacked?.stop();
      dialog.unacked = undefined;
      dialog.endTimer?.cancel();
      dialog.endTimer = this.#context.clock.startTimer(TIMEOUT_MS, () => removeDialog(this.#context, dialog));
    }
    this.#deliver(incoming, false);
  }

  #deliver(incoming: Incoming, isNew: boolean): void {
    const { clock, limits } = this.#context;
    const { request, application } = incoming;
    const frame = networkFrame(
      {
        bytes: request.bytes,
        flow: incoming.flow,
        nowMs: clock.now(),
        transactionId: incoming.id,
        dialogId: incoming.dialog?.state.id ?? '',
        isNew,
      },
      incoming.text,
    );
    application?.send(frame, request.callId, request.method === 'BYE' ? 'end' : 'event');
    incoming.unansweredTimer = clock.startTimer(limits.unansweredRequestMsMax, () => {
      if (incoming.answered || incoming.heardFromApplication) return;
      if (request.method === 'INVITE') answerOwn(incoming, 408, 'Request Timeout');
      else incoming.transaction.machine.stop();
    });
  }

  /** RFC 3262 §3: a PRACK that names a reliable response of ours; the doubled method of sipp is let through. */
  #prack(request: SipRequest, dialog: Dialog): boolean {
    const rack = /^(\d+)[ \t]+(\d+)[ \t]+INVITE/.exec(headerOf(request, 'rack') ?? '');
    if (rack === null) return false;
    const invite = dialog.reliableInvite;
    const at = invite?.reliable.findIndex((one) => one.rseq === Number(rack[1])) ?? -1;
    if (invite === undefined || at < 0) return false;
    invite.reliable.splice(at, 1)[0]?.stop();
    invite.waitingReliable.shift()?.();
    return true;
  }

  /** The ACK of a 2xx (RFC 3261 §13.3.1.4). */
  #ack(request: SipRequest, flow: Flow): void {
    const dialog = findDialog(this.#context, request);
    if (dialog === undefined) {
      this.#proxy.forwards(request, flow);
      return;
    }
    const { unacked } = dialog;
    if (unacked === undefined || unacked.cseq !== request.cseq) return;
    unacked.stop();
    dialog.unacked = undefined;
    dialog.flow = flow;
    const frame = networkFrame(
      {
        bytes: request.bytes,
        flow,
        nowMs: this.#context.clock.now(),
        transactionId: unacked.transactionId,
        dialogId: dialog.state.id,
        isNew: false,
      },
      markedText(request, flow),
    );
    dialog.owner?.send(frame, request.callId, 'event');
  }

  /** RFC 3261 §9.2: 200 to the CANCEL, 487 to the INVITE, both by the server. */
  #cancel(request: SipRequest, flow: Flow): void {
    const invite = this.#context.incomingByKey.get(serverKey(request, 'INVITE'));
    const cancel = beginIncoming(this.#context, request, flow);
    if (cancel === undefined) return;
    if (invite === undefined) {
      answerOwn(cancel, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    cancel.tag = invite.tag;
    answerOwn(cancel, 200, 'OK');
    if (invite.answered) return;
    if (invite.proxy !== undefined) {
      invite.proxy.cancel();
      return;
    }
    stopReliable(invite);
    invite.cancelled = true;
    const dialogId = invite.dialog?.state.id ?? '';
    const frame = networkFrame(
      {
        bytes: request.bytes,
        flow,
        nowMs: this.#context.clock.now(),
        transactionId: invite.id,
        dialogId,
        isNew: false,
      },
      cancel.text,
    );
    answerOwn(invite, 487, 'Request Terminated');
    if (invite.dialog !== undefined && !invite.dialog.state.confirmed) removeDialog(this.#context, invite.dialog);
    invite.application?.send(frame, request.callId, 'end');
  }
}
