import { type Draft, spellHeader } from '../message/build.ts';
import { headerOf, headersOf, type SipRequest, type SipResponse } from '../message/message.ts';
import { parseNameAddr, splitList } from '../message/name-addr.ts';
import { formatHost, parseSipUri } from '../message/uri.ts';
import { markVia } from '../message/via.ts';
import { defaultPort, type Endpoint, type Flow, transportParam } from '../transport/flow.ts';
import type { Application } from '../wire/application.ts';
import { plainAnswer, proxyProgress } from '../wire/meta.ts';
import { type Context, newBranch, newTransactionId, sayAddress } from './context.ts';
import { answer, answerOwn, beginIncoming, stopReliable } from './incoming.ts';
import { cancelText, launch, newOutgoing, type OutgoingEvents, sendCancel } from './outgoing.ts';
import { openTarget, targetOf } from './target.ts';
import { TimerC } from './timer-c.ts';
import type { Incoming, Outgoing } from './types.ts';

const NOT_COPIED = /^(?:via|v|max-forwards|route)$/i;

interface Options {
  readonly stays: boolean;
  readonly fullResponse: boolean;
  readonly followRedirects: boolean;
  readonly simultaneous: boolean;
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
}

/** Forwards by order of an application (protocol section 4.4) and along routes it recorded. */
export class ProxyRoutes {
  readonly #context: Context;
  readonly #events: OutgoingEvents;

  constructor(context: Context, events: OutgoingEvents) {
    this.#context = context;
    this.#events = events;
  }

  /** `proxy|txn|remainInDialog|fullResponse|followRedirects|forking|provTimeout|finalTimeout|dest…`. */
  proxy(application: Application, id: string, tokens: readonly string[], draft: Draft | undefined): void {
    const [, transactionId = '', stays, full, follow, forking, provisional = '', final = '', ...targets] = tokens;
    const incoming = this.#context.incomingById.get(transactionId);
    const refuse = (reason: string) => application.send(plainAnswer(id, 'NOK', reason));
    if (incoming === undefined || incoming.answered) {
      refuse(`Unknown transaction id: ${transactionId}`);
      return;
    }
    if (headerOf(incoming.request, 'max-forwards') === '0') {
      answerOwn(incoming, 483, 'Too Many Hops');
      refuse('Rejected with 483 Too Many Hops');
      return;
    }
    const options = {
      stays: stays === 'remainInDialog',
      fullResponse: full === 'fullResponse',
      followRedirects: follow === 'followRedirects',
      simultaneous: forking === 'simultaneous',
      provisionalMs: durationMs(provisional),
      finalMs: durationMs(final),
    };
    const run = new ProxyRun(this.#context, this.#events, { incoming, application, id, options, draft, targets });
    incoming.proxy = run;
    incoming.heardFromApplication = true;
    if (!run.begin()) {
      answerOwn(incoming, 500, 'Server Internal Error');
      refuse('error proxying request to ');
    } else if (!options.fullResponse) application.send(plainAnswer(id, 'OK', 'done'));
  }

  /** A request whose top Route is one that we recorded; false where it is not ours to forward. */
  forwards(request: SipRequest, flow: Flow): boolean {
    const routes = headersOf(request, 'route').flatMap((value) => splitList(value) ?? []);
    const first = parseNameAddr(routes[0] ?? '');
    const uri = first === undefined ? undefined : parseSipUri(first.uri);
    if (uri === undefined || !this.#isUs(uri.host, uri.port)) return false;
    const rest = routes.slice(1);
    const nextHop = rest[0] === undefined ? request.uri : (parseNameAddr(rest[0])?.uri ?? request.uri);
    const target = targetOf(this.#context, nextHop);
    if (request.method === 'ACK') {
      if (target.kind === 'refused') return true;
      openTarget(this.#context, target, (out) => {
        const text = forwarded(this.#context, request, flow, {
          uri: request.uri,
          routes: rest,
          endpoint: target.endpoint,
        });
        out?.send(text.text);
      });
      return true;
    }
    const incoming = beginIncoming(this.#context, request, flow);
    if (incoming === undefined) return true;
    if (request.method === 'INVITE') answerOwn(incoming, 100, 'Trying');
    if (headerOf(request, 'max-forwards') === '0') answerOwn(incoming, 483, 'Too Many Hops');
    else if (target.kind === 'refused') answerOwn(incoming, 404, 'Not Found');
    else {
      const made = forwarded(this.#context, request, flow, {
        uri: request.uri,
        routes: rest,
        endpoint: target.endpoint,
      });
      const outgoing = outgoingFor(request, made, target.endpoint);
      // RFC 3261 §16.8: a CANCEL; where nothing comes of it either, `failed` answers 408 after 64*T1.
      const timerC = new TimerC(this.#context.clock, () => cancelBranch(this.#context, outgoing));
      outgoing.handler = (response) => {
        if (response.status >= 200) timerC.cancel();
        else timerC.again();
        passBack(incoming, response);
      };
      outgoing.failed = (status) => {
        timerC.cancel();
        answerOwn(incoming, status, status === 408 ? 'Request Timeout' : 'Service Unavailable');
      };
      incoming.proxy = { cancel: () => cancelBranch(this.#context, outgoing) };
      launch(this.#context, outgoing, target, this.#events);
    }
    return true;
  }

  #isUs(host: string, port: number | undefined): boolean {
    return this.#context.transports.some(
      ({ endpoint }) =>
        endpoint.port === (port ?? defaultPort(endpoint.protocol)) &&
        (endpoint.address === host || sayAddress(endpoint, host) === host),
    );
  }
}

interface RunParts {
  readonly incoming: Incoming;
  readonly application: Application;
  readonly id: string;
  readonly options: Options;
  readonly draft: Draft | undefined;
  /** Those not tried yet. */
  readonly targets: string[];
}

/** One proxied request: its targets in turn or at once, the best final response sent back (RFC 3261 §16.7). */
class ProxyRun {
  readonly #context: Context;
  readonly #events: OutgoingEvents;
  readonly #parts: RunParts;
  readonly #branches = new Set<Outgoing>();
  #best: SipResponse | undefined;
  #done = false;
  #cancelled = false;

  constructor(context: Context, events: OutgoingEvents, parts: RunParts) {
    this.#context = context;
    this.#events = events;
    this.#parts = parts;
  }

  begin(): boolean {
    const { options, targets } = this.#parts;
    let begun = false;
    while (targets.length > 0 && (options.simultaneous || !begun)) begun = this.#try(targets.shift() ?? '') || begun;
    return begun;
  }

  cancel(): void {
    this.#cancelled = true;
    for (const branch of this.#branches) cancelBranch(this.#context, branch);
    if (this.#branches.size === 0 && !this.#parts.incoming.answered) {
      answerOwn(this.#parts.incoming, 487, 'Request Terminated');
    }
  }

  #try(uri: string): boolean {
    const { incoming, options, draft } = this.#parts;
    const target = targetOf(this.#context, uri);
    if (target.kind === 'refused') return false;
    const { request, flow } = incoming;
    const { endpoint } = target;
    const routes: string[] = [];
    const made = forwarded(this.#context, request, flow, { uri, routes, endpoint, stays: options.stays, draft });
    const outgoing = outgoingFor(request, made, endpoint);
    this.#branches.add(outgoing);
    const { clock } = this.#context;
    const timers: { cancel(): void }[] = [];
    const over = () => {
      for (const timer of timers) timer.cancel();
      return this.#branches.delete(outgoing);
    };
    const giveUp = () => {
      if (over()) this.#giveUp(outgoing);
    };
    const timerC = new TimerC(clock, giveUp);
    timers.push(timerC);
    if (options.finalMs !== undefined) timers.push(clock.startTimer(options.finalMs, giveUp));
    if (options.provisionalMs !== undefined) {
      timers.push(clock.startTimer(options.provisionalMs, () => outgoing.provisionalSeen || giveUp()));
    }
    outgoing.handler = (response, from) => {
      if (response.status >= 200) over();
      else timerC.again();
      this.#answered(response, from);
    };
    outgoing.failed = () => {
      over();
      this.#next();
    };
    launch(this.#context, outgoing, target, this.#events);
    return true;
  }

  #giveUp(outgoing: Outgoing): void {
    cancelBranch(this.#context, outgoing);
    outgoing.handler = (response) => {
      if (response.status < 300 && response.status >= 200) this.#answered(response, outgoing.flow);
    };
    this.#next();
  }

  #answered(response: SipResponse, flow: Flow | undefined): void {
    const { incoming, options, application, id, targets } = this.#parts;
    const { status } = response;
    if (status < 200) {
      if (!this.#done) passBack(incoming, response);
      return;
    }
    if (options.fullResponse && !this.#done) {
      const text = `${response.head}\r\n\r\n${response.body}`;
      application.send(proxyProgress(id, flow, this.#context.clock.now(), text), incoming.request.callId);
    }
    if (status < 300) {
      // RFC 3261 §16.7 step 5: every 2xx to an INVITE goes back at once.
      passBack(incoming, response);
      for (const other of this.#branches) cancelBranch(this.#context, other);
      this.#finish();
      return;
    }
    if (status < 400 && options.followRedirects) {
      for (const contact of headersOf(response, 'contact').flatMap((value) => splitList(value) ?? [])) {
        const uri = parseNameAddr(contact)?.uri;
        if (uri !== undefined) targets.push(uri);
      }
    }
    if (isBetter(response, this.#best)) this.#best = response;
    if (status >= 600) targets.length = 0;
    this.#next();
  }

  #next(): void {
    const { incoming, targets } = this.#parts;
    if (this.#done || this.#branches.size > 0) return;
    if (!this.#cancelled && targets.length > 0 && this.begin()) return;
    if (this.#best !== undefined) passBack(incoming, this.#best);
    else if (!incoming.answered) answerOwn(incoming, 408, 'Request Timeout');
    this.#finish();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    const { application, id, incoming, options } = this.#parts;
    stopReliable(incoming);
    if (options.fullResponse) application.send(plainAnswer(id, 'OK', 'done'), incoming.request.callId);
  }
}

/** RFC 3261 §16.7 step 6: 6xx before all, then the lowest class. */
function isBetter(response: SipResponse, best: SipResponse | undefined): boolean {
  if (best === undefined || best.status >= 600) return best === undefined;
  return response.status >= 600 || Math.floor(response.status / 100) < Math.floor(best.status / 100);
}

function durationMs(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (match[2] === 's' ? 1_000 : 1);
}

function cancelBranch(context: Context, outgoing: Outgoing): void {
  if (outgoing.method !== 'INVITE' || outgoing.finalSeen) return;
  outgoing.cancel ??= { text: cancelText(outgoing, ''), sent: false };
  sendCancel(context, outgoing);
}

interface Forwarded {
  readonly text: string;
  readonly branch: string;
  readonly uri: string;
}

/** RFC 3261 §16.6: the copy that goes on: Via of ours on top, Max-Forwards one less, routes as given. */
function forwarded(
  context: Context,
  request: SipRequest,
  flow: Flow,
  to: { uri: string; routes: readonly string[]; endpoint: Endpoint; stays?: boolean; draft?: Draft | undefined },
): Forwarded {
  const branch = newBranch();
  const near = flow.remoteAddress;
  const vias = headersOf(request, 'via');
  const first =
    markVia(request.via, flow.remoteAddress, flow.remotePort) + (vias[0] ?? '').slice(request.via.text.length);
  const maxForwards = Number(headerOf(request, 'max-forwards') ?? 70) - 1;
  const address = formatHost(sayAddress(to.endpoint, near));
  const transport = transportParam(to.endpoint.protocol);
  const extra =
    to.draft?.headers.filter(({ name }) => !/^(?:content-length|via|route|call-id|from|to|cseq)$/i.test(name)) ?? [];
  const replaced = new Set(extra.map(({ name }) => name.toLowerCase()));
  const text = [
    `${request.method} ${to.uri} SIP/2.0\r\nVia: ${context.newVia(to.endpoint, branch, near)}\r\n`,
    ...[first, ...vias.slice(1)].map((value) => `Via: ${value}\r\n`),
    to.stays ? `Record-Route: <sip:${address}:${to.endpoint.port};lr${transport}>\r\n` : '',
    ...to.routes.map((value) => `Route: ${value}\r\n`),
    `Max-Forwards: ${Math.max(0, maxForwards)}\r\n`,
    ...request.headers
      .filter(({ name }) => !NOT_COPIED.test(name) && name !== 'content-length' && !replaced.has(name))
      .map(({ name, value }) => `${spellHeader(name)}: ${value}\r\n`),
    ...extra.map(({ name, value }) => `${spellHeader(name)}: ${value}\r\n`),
    `Content-Length: ${request.body.length}\r\n\r\n${request.body}`,
  ].join('');
  return { text, branch, uri: to.uri };
}

function outgoingFor(request: SipRequest, made: Forwarded, endpoint: Endpoint): Outgoing {
  const { method, callId, cseq } = request;
  const local = headerOf(request, 'from') ?? '';
  const localTag = request.from.tag ?? '';
  return newOutgoing({
    ...made,
    id: newTransactionId(),
    method,
    callId,
    cseq,
    local,
    localTag,
    endpoint,
    routes: [],
    dialogId: '',
  });
}

/** RFC 3261 §16.7 step 3: our Via comes off, the rest goes back as it came; 100 stays here. */
function passBack(incoming: Incoming, response: SipResponse): void {
  if (response.status === 100) return;
  const machine = incoming.transaction.machine;
  if (incoming.answered && machine.state !== 'accepted') return;
  const { head, viaStart, via } = response;
  const lineStart = head.lastIndexOf('\r\n', viaStart) + 2;
  const lineEnd = head.indexOf('\r\n', viaStart);
  const rest = head
    .slice(viaStart + via.text.length, lineEnd < 0 ? head.length : lineEnd)
    .replace(/^[ \t]*,[ \t]*/, '');
  const after = lineEnd < 0 ? '' : head.slice(lineEnd + 2);
  const kept = rest === '' ? after : `Via: ${rest}\r\n${after}`;
  answer(incoming, response.status, `${head.slice(0, lineStart)}${kept}\r\n\r\n${response.body}`);
}
