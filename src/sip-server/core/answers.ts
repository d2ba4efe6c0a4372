import { refreshesTarget, uasDialog } from '../dialog.ts';
import { bracketed, contentTypeOf, type Draft, draftHeader, replaceLocalhost, restOf } from '../message/build.ts';
import { headerOf, headersOf, listHas } from '../message/message.ts';
import { parseNameAddr } from '../message/name-addr.ts';
import { answerLines, parseSessionExpires, refreshesSession, termsOf } from '../session-timer.ts';
import { T1_MS, T2_MS, TIMEOUT_MS } from '../transaction/timers.ts';
import type { Application } from '../wire/application.ts';
import { plainAnswer, responseEcho } from '../wire/meta.ts';
import type { Context } from './context.ts';
import { sayAddress } from './context.ts';
import { addDialog, noteAllow, removeDialog } from './dialogs.ts';
import { answer, bracketTo, stopReliable } from './incoming.ts';
import type { Requests } from './requests.ts';
import type { Sessions } from './sessions.ts';
import type { Dialog, Incoming } from './types.ts';

const TAKEN = new Set(['via', 'from', 'to', 'call-id', 'cseq', 'contact']);
const UNKNOWN_TRANSACTION = 'Response not sent due to unknown transaction';

/** Responses of the application, sent to the network. */
export class Answers {
  readonly #context: Context;
  readonly #requests: Requests;
  readonly #sessions: Sessions;

  constructor(context: Context, requests: Requests, sessions: Sessions) {
    this.#context = context;
    this.#requests = requests;
    this.#sessions = sessions;
  }

  respond(application: Application, id: string, transactionId: string, draft: Draft): void {
    const incoming = this.#context.incomingById.get(transactionId);
    if (!('status' in draft.start)) return;
    const { status } = draft.start;
    const refuse = (reason: string) => application.send(plainAnswer(id, 'NOK', reason));
    if (incoming === undefined || incoming.answered || incoming.proxy !== undefined) {
      refuse(UNKNOWN_TRANSACTION);
      return;
    }
    const { request } = incoming;
    const contentType = contentTypeOf(draft);
    if (draft.body !== '' && contentType === undefined) {
      refuse('missing content-type');
      return;
    }
    const isReliable = status > 100 && status < 200 && /\b100rel\b/i.test(draftHeader(draft, 'require') ?? '');
    if (isReliable && !listHas(request, 'supported', '100rel') && !listHas(request, 'require', '100rel')) {
      refuse('Remote endpoint does not support 100rel');
      return;
    }
    this.#chooseTag(incoming, draft);
    const makesDialog = (request.method === 'INVITE' || request.method === 'SUBSCRIBE') && incoming.toTag === '';
    if (makesDialog && status > 100) this.#dialog(incoming, application, status);
    incoming.heardFromApplication = true;
    const rseq = isReliable ? this.#nextRseq(incoming) : undefined;
    const text = this.#compose(incoming, draft, { status, rseq, contentType });
    const dialogId = request.method === 'BYE' ? '' : (incoming.dialog?.state.id ?? '');
    const nowMs = this.#context.clock.now();
    const echo = responseEcho({ id, flow: incoming.flow, nowMs, transactionId, dialogId }, text);
    application.send(echo, request.callId);
    if (rseq !== undefined) this.#sendReliable(incoming, status, rseq, text);
    else this.#send(incoming, status, text);
    if (status >= 200 && status < 300) this.#agreeOnSession(incoming, draft);
  }

  /** RFC 4028 §9: the application's word, or ours where it says nothing. */
  #agreeOnSession({ request, dialog }: Incoming, draft: Draft): void {
    if (dialog === undefined || !refreshesSession(request.method)) return;
    if (draft.body !== '') dialog.localSdp = draft.body;
    const said = draftHeader(draft, 'session-expires') ?? /^Session-Expires: (.*)\r$/m.exec(answerLines(request))?.[1];
    this.#sessions.agreed(dialog, termsOf(parseSessionExpires(said ?? ''), false));
  }

  #send(incoming: Incoming, status: number, text: string): void {
    const { request, dialog } = incoming;
    answer(incoming, status, text);
    if (status < 200) return;
    stopReliable(incoming);
    if (dialog === undefined) return;
    if (request.method === 'BYE' || endsSubscription(incoming)) removeDialog(this.#context, dialog);
    else if (request.method === 'INVITE' && status < 300) this.#awaitAck(incoming, dialog, text);
    else if (status >= 300 && incoming.toTag === '') removeDialog(this.#context, dialog);
  }

  /** The application names the tag with its first answer, in `to: …;tag=xyz`; later ones keep it. */
  #chooseTag(incoming: Incoming, draft: Draft): void {
    if (incoming.heardFromApplication || incoming.toTag !== '') return;
    const wanted = /;[ \t]*tag=([A-Za-z0-9\-.!%*_+`'~]+)/i.exec(draftHeader(draft, 'to') ?? '')?.[1];
    if (wanted !== undefined) incoming.tag = wanted;
  }

  #dialog(incoming: Incoming, application: Application, status: number): void {
    const confirmed = status >= 200 && status < 300;
    if (incoming.dialog === undefined) {
      const state = uasDialog(incoming.request, incoming.tag, confirmed);
      incoming.dialog = addDialog(this.#context, state, application, incoming.flow);
      if (incoming.dialog !== undefined) noteAllow(incoming.dialog, incoming.request);
    } else if (confirmed) incoming.dialog.state = { ...incoming.dialog.state, confirmed };
  }

  #nextRseq(incoming: Incoming): number {
    const last = incoming.reliable.at(-1)?.rseq;
    return last === undefined ? 1 + Math.floor(Math.random() * 2 ** 30) : last + 1 + incoming.waitingReliable.length;
  }

  #compose(
    incoming: Incoming,
    draft: Draft,
    parts: { status: number; rseq: number | undefined; contentType: string | undefined },
  ): string {
    const { request, flow } = incoming;
    const { status, rseq } = parts;
    const isSuccess = status >= 200 && status < 300;
    const reason = 'reason' in draft.start ? draft.start.reason : '';
    const tag = incoming.toTag !== '' ? '' : `;tag=${incoming.tag}`;
    const near = sayAddress(flow.local, flow.remoteAddress);
    let contact = draftHeader(draft, 'contact');
    if (contact !== undefined) contact = replaceLocalhost(contact, near, flow.local.port);
    else if (needsContact(request.method, status, rseq !== undefined)) {
      contact = this.#context.contact(flow.local, flow.remoteAddress, request.uri);
    }
    const routes = status > 100 ? headersOf(request, 'record-route') : [];
    return [
      `SIP/2.0 ${status} ${reason}\r\n${incoming.viaLines}`,
      ...routes.map((value) => `Record-Route: ${value}\r\n`),
      `From: ${headerOf(request, 'from')}\r\nTo: ${bracketTo(headerOf(request, 'to') ?? '', tag)}\r\n`,
      `Call-ID: ${request.callId}\r\nCSeq: ${request.cseq} ${request.method}\r\n`,
      contact === undefined
        ? ''
        : `Contact: ${parseNameAddr(contact) === undefined ? contact : bracketed(contact)}\r\n`,
      rseq === undefined ? '' : `RSeq: ${rseq}\r\n`,
      isSuccess && refreshesSession(request.method) && draftHeader(draft, 'session-expires') === undefined
        ? answerLines(request)
        : '',
      restOf(draft, TAKEN, parts.contentType),
    ].join('');
  }

  /** RFC 3262 §3: again after T1, doubling, until its PRACK; without one in 64*T1 the INVITE fails. One at a time. */
  #sendReliable(incoming: Incoming, status: number, rseq: number, text: string): void {
    if (incoming.reliable.length > 0) {
      incoming.waitingReliable.push(() => this.#sendReliable(incoming, status, rseq, text));
      return;
    }
    const stop = this.#repeat(
      () => incoming.flow.send(text),
      () => {
        if (!incoming.answered) answer(incoming, 504, this.#timeoutAnswer(incoming));
      },
      Number.POSITIVE_INFINITY,
    );
    incoming.reliable.push({ rseq, text, stop });
    if (incoming.dialog !== undefined) incoming.dialog.reliableInvite = incoming;
    answer(incoming, status, text);
  }

  #timeoutAnswer(incoming: Incoming): string {
    const draft: Draft = { start: { status: 504, reason: 'Server Time-out' }, headers: [], body: '' };
    return this.#compose(incoming, draft, { status: 504, rseq: undefined, contentType: undefined });
  }

  /** RFC 3261 §13.3.1.4: a 2xx goes out again, T1 doubling to T2, until its ACK; after 64*T1 the call ends. */
  #awaitAck(incoming: Incoming, dialog: Dialog, text: string): void {
    dialog.unacked?.stop();
    const stop = this.#repeat(
      () => incoming.flow.send(text),
      () => {
        dialog.unacked = undefined;
        this.#context.count('ack_timeouts');
        this.#requests.endDialog(dialog, 'ACK timeout');
      },
      T2_MS,
    );
    dialog.unacked = { cseq: incoming.request.cseq, transactionId: incoming.id, stop };
  }

  #repeat(again: () => void, gaveUp: () => void, intervalMsMax: number): () => void {
    const { clock } = this.#context;
    let intervalMs = T1_MS;
    const next = () => {
      again();
      intervalMs = Math.min(intervalMs * 2, intervalMsMax);
      timer = clock.startTimer(intervalMs, next);
    };
    let timer = clock.startTimer(intervalMs, next);
    const end = clock.startTimer(TIMEOUT_MS, () => {
      timer.cancel();
      gaveUp();
    });
    return () => {
      timer.cancel();
      end.cancel();
    };
  }
}

/** RFC 6665 §4.1.3: the peer's NOTIFY that says terminated is the last of its subscription. */
function endsSubscription({ request, dialog }: Incoming): boolean {
  if (request.method !== 'NOTIFY' || dialog?.state.method !== 'SUBSCRIBE') return false;
  return /^terminated/i.test(headerOf(request, 'subscription-state') ?? '');
}

function needsContact(method: string, status: number, reliable: boolean): boolean {
  if (method === 'INVITE') return (status >= 200 && status < 300) || reliable;
  return (refreshesTarget(method) || method === 'REFER') && method !== 'NOTIFY' && status >= 200 && status < 300;
}
