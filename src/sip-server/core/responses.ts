import { contactUri, refreshesTarget, uacDialog } from '../dialog.ts';
import type { SipResponse } from '../message/message.ts';
import { refreshesSession, sessionExpiresOf, termsOf } from '../session-timer.ts';
import { clientKey, rseqOf } from '../transaction/key.ts';
import type { Flow } from '../transport/flow.ts';
import { networkFrame, wireProtocol } from '../wire/meta.ts';
import type { Context } from './context.ts';
import { addDialog, noteAllow, removeDialog } from './dialogs.ts';
import { failureAck, type OutgoingEvents, sendCancel } from './outgoing.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './sessions.ts';
import type { Dialog, Outgoing } from './types.ts';

const REASONS: Readonly<Record<number, string>> = { 408: 'Request Timeout', 503: 'Service Unavailable' };

/** Responses from the network, passed to the application whose request they answer. */
export class Responses implements OutgoingEvents {
  readonly #context: Context;
  #requests: Requests | undefined;
  #sessions: Sessions | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** They need each other; the composition ties them. */
  use(requests: Requests, sessions: Sessions): void {
    this.#requests = requests;
    this.#sessions = sessions;
  }

  receive(response: SipResponse, flow: Flow): void {
    this.#context.count('responses_received');
    const outgoing = this.#context.outgoingByKey.get(clientKey(response) ?? '');
    const transaction = outgoing?.transaction;
    if (outgoing === undefined || transaction === undefined) {
      this.#context.count('responses_unmatched');
      return;
    }
    // RFC 3261 §17.1.1.3: over the transport that the request took; the flow stays the one we know.
    if (outgoing.flow?.reliable === false) outgoing.flow = flow;
    const { status } = response;
    if (transaction.kind === 'invite') {
      if (status >= 300) transaction.machine.ack ??= failureAck(outgoing, response);
      transaction.machine.input(status < 200 ? 'provisional' : status < 300 ? 'success' : 'failure', response);
    } else transaction.machine.input(status < 200 ? 'provisional' : 'final', response);
  }

  response(outgoing: Outgoing, response: SipResponse, flow: Flow): void {
    const { status } = response;
    if (status < 200) {
      outgoing.provisionalSeen = true;
      sendCancel(this.#context, outgoing);
      if (status === 100) return;
    }
    if (outgoing.handler !== undefined) {
      if (status >= 200) outgoing.finalSeen = true;
      outgoing.handler(response, flow);
      return;
    }
    if (
      outgoing.method === 'INVITE' &&
      status >= 200 &&
      status < 300 &&
      !this.#firstSuccess(outgoing, response, flow)
    ) {
      return;
    }
    // RFC 3262 §4: a reliable provisional response that comes again is not passed up twice; its PRACK is on the way.
    if (status < 200 && this.#isRepeated(outgoing, response)) return;
    if (status >= 200) outgoing.finalSeen = true;
    this.#keepDialog(outgoing, response, flow);
    if (status >= 200 && status < 300) this.#agreeOnSession(outgoing, response);
    this.#pass(outgoing, flow, { status, bytes: response.bytes, text: `${response.head}\r\n\r\n${response.body}` });
    this.#finish(outgoing, status);
  }

  readonly #rseqs = new WeakMap<Outgoing, Set<string>>();

  #isRepeated(outgoing: Outgoing, response: SipResponse): boolean {
    const rseq = rseqOf(response);
    if (rseq === undefined) return false;
    const seen = this.#rseqs.get(outgoing) ?? new Set<string>();
    this.#rseqs.set(outgoing, seen);
    const key = `${response.to.tag}|${rseq}`;
    if (seen.has(key)) return true;
    seen.add(key);
    return false;
  }

  /** RFC 3261 §13.2.2.4: the same 2xx again gets its ACK again; a 2xx of another fork gets ACK and BYE. */
  #firstSuccess(outgoing: Outgoing, response: SipResponse, flow: Flow): boolean {
    const tag = response.to.tag ?? '';
    if (outgoing.wonBy === undefined) {
      outgoing.wonBy = tag;
      return true;
    }
    const { dialog } = outgoing;
    if (outgoing.wonBy === tag) {
      if (dialog?.acks?.cseq === outgoing.cseq) dialog.acks.flow.send(dialog.acks.text);
    } else this.#requests?.refuseFork(this.#unlisted(outgoing, response, flow));
    return false;
  }

  #unlisted(outgoing: Outgoing, response: SipResponse, flow: Flow): Dialog {
    return {
      state: uacDialog(response, { ...outgoing, remoteTarget: outgoing.uri }),
      owner: undefined,
      flow,
      unacked: undefined,
      acks: undefined,
      inviteCseq: outgoing.cseq,
      byeAfterAck: false,
      endTimer: undefined,
      reliableInvite: undefined,
      session: undefined,
      peerTakesUpdate: false,
      localSdp: '',
    };
  }

  /** Makes the dialog at the first answer with a tag, confirms it at the 2xx, moves its target. */
  #keepDialog(outgoing: Outgoing, response: SipResponse, flow: Flow): void {
    const { status } = response;
    const { dialog } = outgoing;
    if (status >= 300 || outgoing.dialogId === '') return;
    const isCreator = outgoing.method === 'INVITE' || outgoing.method === 'SUBSCRIBE';
    if (dialog === undefined || (isCreator && !dialog.state.confirmed)) {
      if (!isCreator || (response.to.tag === undefined && status < 200)) return;
      const fresh = uacDialog(response, { ...outgoing, remoteTarget: outgoing.uri });
      const localCseq = Math.max(fresh.localCseq, dialog?.state.localCseq ?? 0);
      if (dialog === undefined) outgoing.dialog = addDialog(this.#context, fresh, outgoing.application, flow);
      else dialog.state = { ...fresh, localCseq, remoteCseq: dialog.state.remoteCseq };
      const made = outgoing.dialog;
      if (made === undefined) return;
      made.flow = flow;
      if (outgoing.method === 'INVITE' && status >= 200) made.inviteCseq = outgoing.cseq;
      made.byeAfterAck = status >= 200 && outgoing.cancel !== undefined;
      return;
    }
    dialog.flow = flow;
    if (outgoing.method === 'INVITE' && status >= 200) dialog.inviteCseq = outgoing.cseq;
    const target = refreshesTarget(outgoing.method) && status >= 200 ? contactUri(response) : undefined;
    if (target !== undefined) dialog.state = { ...dialog.state, remoteTarget: target };
  }

  #agreeOnSession({ method, dialog, text }: Outgoing, response: SipResponse): void {
    if (dialog === undefined || !refreshesSession(method)) return;
    noteAllow(dialog, response);
    const body = text.slice(text.indexOf('\r\n\r\n') + 4);
    if (body !== '') dialog.localSdp = body;
    this.#sessions?.agreed(dialog, termsOf(sessionExpiresOf(response), true));
  }

  #pass(outgoing: Outgoing, flow: Flow | undefined, response: { status: number; bytes: number; text: string }): void {
    const frame = networkFrame(
      {
        bytes: response.bytes,
        flow,
        protocol: wireProtocol(outgoing.endpoint),
        nowMs: this.#context.clock.now(),
        transactionId: outgoing.id,
        dialogId: outgoing.dialogId,
        isNew: false,
      },
      response.text,
    );
    outgoing.application?.send(frame, outgoing.callId, response.status >= 300 ? 'end' : 'event');
  }

  /**
   * What a final response does to the dialog. DEVIATION RFC 3261 §12.2.1.2: 408 and 481 do not end it here; the
   * application is told and ends it with BYE, which then still finds it.
   */
  #finish(outgoing: Outgoing, status: number): void {
    const { dialog, method } = outgoing;
    if (status < 200 || dialog === undefined) return;
    const isChallenge = status === 401 || status === 407;
    // RFC 3261 §17.1.1.3: the transaction has acknowledged a failure; the application's own ACK is refused.
    if (method === 'INVITE' && status >= 300) dialog.inviteCseq = 0;
    if (method === 'BYE') {
      if (!isChallenge) removeDialog(this.#context, dialog);
    } else if (status >= 300 && !dialog.state.confirmed && method === 'INVITE') removeDialog(this.#context, dialog);
    else if (method === 'NOTIFY' && /\r\nSubscription-State:[ \t]*terminated/i.test(outgoing.text)) {
      if (dialog.state.method === 'SUBSCRIBE') removeDialog(this.#context, dialog);
    }
  }

  /** Section 7.12: a response that the server makes because none came. */
  failed(outgoing: Outgoing, status: number): void {
    if (outgoing.failed !== undefined) {
      outgoing.failed(status);
      return;
    }
    const head = outgoing.text.slice(0, outgoing.text.indexOf('\r\n\r\n')).split('\r\n');
    const kept = head.filter((line) => /^(?:Via|From|To|Call-ID|CSeq): /.test(line)).join('\r\n');
    const text = `SIP/2.0 ${status} ${REASONS[status]}\r\n${kept}\r\nContent-Length: 0\r\n\r\n`;
    this.#pass(outgoing, undefined, { status, bytes: 0, text });
    this.#finish(outgoing, status);
  }
}
