import { createServer, type Server } from 'node:net';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type Log, silentLog } from '../lib/log.ts';
import { Answers } from './core/answers.ts';
import { Context, type CounterName, sayAddress } from './core/context.ts';
import { removeDialog } from './core/dialogs.ts';
import { answerOwn } from './core/incoming.ts';
import { type Resolver, systemResolver } from './core/locate.ts';
import { Network } from './core/network.ts';
import { ProxyRoutes } from './core/proxy.ts';
import { Requests } from './core/requests.ts';
import { Responses } from './core/responses.ts';
import { Sessions } from './core/sessions.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { parseDraft } from './message/build.ts';
import { parseMessage } from './message/parse.ts';
import { formatHost } from './message/uri.ts';
import { Credentials, type TlsSettings } from './transport/credentials.ts';
import { type Endpoint, type Flow, isSecure, type Transport, type TransportEvents } from './transport/flow.ts';
import { openTcp, openTls } from './transport/stream.ts';
import { openUdp } from './transport/udp.ts';
import { openWs } from './transport/ws.ts';
import { Application, type Command } from './wire/application.ts';
import { plainAnswer } from './wire/meta.ts';

/** drachtio-srf starts its pings for v0.8.2 and later; the protocol spoken is that of 0.9. */
const VERSION = 'v0.9.10-hushtone';

export interface SipServerOptions {
  readonly admin: { readonly host: string; readonly port: number };
  readonly secret: string;
  readonly sip: readonly Endpoint[];
  /** Needed where `sip` has an endpoint of `tls` or `wss`. */
  readonly tls?: TlsSettings;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  readonly resolver?: Resolver;
  /** Never sees a body: methods, statuses, Call-IDs and counts only. */
  readonly log?: Log;
}

export interface SipServer {
  /** Ends at once: sockets close, transactions stop, nothing more is sent. */
  close(): Promise<void>;
  /** What happened since the start, by name. */
  counters(): Readonly<Record<CounterName, number>>;
  /** What is under way now. */
  gauges(): { dialogs: number; transactions: number; applications: number };
  /** Ports as bound, where 0 was asked for. */
  readonly adminPort: number;
  readonly sip: readonly Endpoint[];
}

/**
 * Starts the embedded SIP server. Rejects with the system's error (EADDRINUSE, …) or a TlsFileFault, and leaves nothing
 * open.
 */
export async function runSipServer(options: SipServerOptions): Promise<SipServer> {
  const log = options.log ?? silentLog;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const context = new Context({
    clock: options.clock ?? systemClock,
    limits,
    log,
    resolver: options.resolver ?? systemResolver,
  });
  const core = compose(context);
  const events = transportEvents(context, core);
  let admin: Server | undefined;
  let credentials: Credentials | undefined;
  const close = async () => {
    credentials?.stop();
    for (const incoming of [...context.incomingById.values()]) incoming.transaction.machine.stop();
    for (const outgoing of [...context.outgoingById.values()]) outgoing.transaction?.machine.stop();
    for (const dialog of [...context.dialogs.values()]) removeDialog(context, dialog);
    for (const application of context.applications) application.end();
    const server = admin;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(context.transports.map((transport) => transport.close()));
  };
  try {
    if (options.tls !== undefined) credentials = new Credentials(options.tls, { clock: context.clock, log });
    for (const endpoint of options.sip) {
      context.transports.push(await openTransport(endpoint, { events, limits, credentials }));
    }
    admin = await openAdmin(options, context, core);
  } catch (error) {
    await close();
    throw error;
  }
  const bound = admin.address();
  return {
    close,
    counters: () => ({ ...context.counters }),
    gauges: () => ({
      dialogs: context.dialogs.size,
      transactions: context.incomingById.size + context.outgoingById.size,
      applications: context.applications.size,
    }),
    adminPort: typeof bound === 'object' && bound !== null ? bound.port : options.admin.port,
    sip: context.transports.map(({ endpoint }) => endpoint),
  };
}

interface Core {
  readonly network: Network;
  readonly responses: Responses;
  readonly requests: Requests;
  readonly answers: Answers;
  readonly proxy: ProxyRoutes;
}

function compose(context: Context): Core {
  const responses = new Responses(context);
  const requests = new Requests(context, responses);
  const sessions = new Sessions(context, {
    refresh: (dialog, method, done) => requests.refresh(dialog, method, done),
    end: (dialog, why) => requests.endDialog(dialog, why),
  });
  responses.use(requests, sessions);
  const proxy = new ProxyRoutes(context, responses);
  return {
    responses,
    requests,
    proxy,
    network: new Network(context, proxy),
    answers: new Answers(context, requests, sessions),
  };
}

interface TransportParts {
  readonly events: TransportEvents;
  readonly limits: Limits;
  readonly credentials: Credentials | undefined;
}

function openTransport(endpoint: Endpoint, { events, limits, credentials }: TransportParts): Promise<Transport> {
  const { protocol } = endpoint;
  if (isSecure(protocol)) {
    if (credentials === undefined) throw new Error(`${protocol}: there is no certificate`);
    const open = protocol === 'tls' ? openTls : openWs;
    return open(endpoint, events, limits, credentials);
  }
  if (protocol === 'udp') return openUdp(endpoint, events);
  return protocol === 'tcp' ? openTcp(endpoint, events, limits) : openWs(endpoint, events, limits);
}

function transportEvents(context: Context, core: Core): TransportEvents {
  return {
    received: (text, flow) => guarded(context, () => receive(context, core, text, flow)),
    dropped: (reason) => {
      context.count('malformed_dropped');
      context.log.debug('dropped', { reason });
    },
    flowFailed: (flow) => guarded(context, () => flowFailed(context, flow)),
  };
}

function receive(context: Context, core: Core, text: string, flow: Flow): void {
  const message = parseMessage(text, context.limits);
  if (message.kind === 'fault') {
    context.log.debug('malformed', { reason: message.reason, from: flow.remoteAddress, protocol: flow.protocol });
    core.network.malformed(message, flow);
  } else if (message.kind === 'request') {
    context.log.debug('request', { method: message.method, callId: message.callId, from: flow.remoteAddress });
    core.network.request(message, flow);
  } else {
    context.log.debug('response', { status: message.status, callId: message.callId, from: flow.remoteAddress });
    core.responses.receive(message, flow);
  }
}

/** A fault of ours ends the message it happened with, is counted and logged, and ends nothing else. */
function guarded(context: Context, act: () => void): void {
  try {
    act();
  } catch (error) {
    context.count('faults');
    context.log.error('fault', {
      at: error instanceof Error ? (error.stack ?? error.message).slice(0, 600) : 'unknown',
    });
  }
}

/** ICMP says nobody is there, or a connection ended: requests that wait on this way fail now (RFC 3261 §18.4). */
function flowFailed(context: Context, flow: Flow): void {
  context.forgetFlow(flow);
  for (const outgoing of [...context.outgoingById.values()]) {
    const used = outgoing.flow;
    if (used === undefined || outgoing.finalSeen) continue;
    const same =
      used === flow ||
      (!flow.reliable && used.remoteAddress === flow.remoteAddress && used.remotePort === flow.remotePort);
    if (same) outgoing.transaction?.machine.input('transportFailed');
  }
}

async function openAdmin(options: SipServerOptions, context: Context, core: Core): Promise<Server> {
  const server = createServer((socket) => {
    if (context.applications.size >= context.limits.adminConnectionsMax) {
      context.count('admin_refused');
      socket.destroy();
      return;
    }
    const application = new Application(socket, context.clock, {
      secret: Buffer.from(options.secret, 'utf8').toString('latin1'),
      hello: () => hello(context),
      limits: context.limits,
      events: {
        authenticated: () => undefined,
        command: (from, command) => guarded(context, () => obey(core, from, command)),
        gone: (lost) => guarded(context, () => applicationGone(context, core, lost)),
        counted: (what) => context.count(what),
      },
    });
    context.applications.add(application);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.admin.port, options.admin.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server;
}

/** `OK|hostports|version|localHostports`. */
function hello(context: Context): string {
  const list = (near: string | undefined) =>
    context.transports
      .map(({ endpoint }) => {
        const address = near === undefined ? endpoint.address : sayAddress(endpoint, near);
        return `${endpoint.protocol}/${formatHost(address)}:${endpoint.port}`;
      })
      .join(',');
  return `${list('')}|${VERSION}|${list(undefined)}`;
}

/** Section 3: what an application may say. */
function obey(core: Core, application: Application, { id, tokens, message }: Command): void {
  const [name, first = '', second = '', third = ''] = tokens;
  switch (name) {
    case 'ping':
      application.send(plainAnswer(id, 'OK', 'pong'));
      return;
    case 'route':
      application.verbs.add(first.toLowerCase());
      application.send(plainAnswer(id, 'OK'));
      return;
    case 'remove_route':
      application.verbs.delete(first.toLowerCase());
      application.send(plainAnswer(id, 'OK'));
      return;
    case 'proxy':
      core.proxy.proxy(application, id, tokens, message === '' ? undefined : parseDraft(message));
      return;
    case 'sip':
      obeySip(core, application, { id, transactionId: first, dialogId: second, routeUrl: third, message });
      return;
    default:
      application.refuse(id, 'Unknown message type');
      return;
  }
}

function obeySip(
  core: Core,
  application: Application,
  frame: { id: string; transactionId: string; dialogId: string; routeUrl: string; message: string },
): void {
  const { id, transactionId, dialogId, routeUrl, message } = frame;
  const draft = parseDraft(message);
  if (draft === undefined) {
    const line = message.slice(0, message.indexOf('\r\n'));
    application.send(plainAnswer(id, 'NOK', `invalid request-uri: ${line.replace(/\|/g, ' ')}`));
  } else if ('status' in draft.start) {
    if (transactionId === '') application.refuse(id, 'transaction id missing');
    else core.answers.respond(application, id, transactionId, draft);
  } else if (dialogId !== '') core.requests.sendInDialog(application, id, draft, dialogId);
  else if (transactionId !== '') core.requests.cancel(application, id, transactionId, draft);
  else core.requests.send(application, id, draft, routeUrl);
}

/** Its unanswered requests get 503; its dialogs wait for an application that takes them up, then end. */
function applicationGone(context: Context, core: Core, application: Application): void {
  context.applications.delete(application);
  for (const incoming of [...context.incomingById.values()]) {
    if (incoming.application !== application || incoming.answered) continue;
    incoming.application = undefined;
    if (incoming.proxy === undefined) answerOwn(incoming, 503, 'Service Unavailable');
    if (incoming.dialog !== undefined && !incoming.dialog.state.confirmed) removeDialog(context, incoming.dialog);
  }
  for (const outgoing of context.outgoingById.values()) {
    if (outgoing.application === application) outgoing.application = undefined;
  }
  for (const dialog of context.dialogs.values()) {
    if (dialog.owner !== application) continue;
    dialog.owner = undefined;
    dialog.endTimer = context.clock.startTimer(context.limits.orphanDialogMsMax, () =>
      core.requests.endDialog(dialog, 'application gone'),
    );
  }
}
