import { Inviter, type Session, SessionState, UserAgent, type UserAgentOptions } from 'sip.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
import { UdpTransport, VIA_NAME } from '../../caller/udp-transport.ts';
import type { Clock } from '../../lib/clock.ts';

/** Nothing at all came back for so long: nobody is there. RFC 3261 §17.1.1.2 would wait 32 s. */
const SILENCE_MS_MAX = 8_000;
/** So long it may ring. */
const RING_MS_MAX = 60_000;
const HANG_UP_MS_MAX = 5_000;

export interface CallOrder {
  /** `sip:…`, as a person gave it. */
  readonly to: string;
  /** Our address on the way there. */
  readonly address: string;
  /** Over WebSocket: `ws://host:port`; over UDP null. */
  readonly webSocket: string | null;
  readonly offer: string;
  /** Of each answer, re-INVITEs too; false where it is of no use. */
  answered(sdp: string): boolean;
}

export type Outcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ReplayCall {
  readonly outcome: Promise<Outcome>;
  /** Settles when either side hung up. */
  readonly ended: Promise<void>;
  /** Hangs up where nobody did, and lets go of sockets once the last word is said. */
  close(): Promise<void>;
}

/** Places the call by sip.js. Throws where the URI is none, or the WebSocket cannot be opened. */
export async function placeReplayCall(order: CallOrder, clock: Clock): Promise<ReplayCall> {
  const target = UserAgent.makeURI(order.to);
  const host = order.address.includes(':') ? `[${order.address}]` : order.address;
  const from = UserAgent.makeURI(`sip:replay@${host}`);
  if (target === undefined || from === undefined) throw new Error(`${order.to} is no SIP URI`);
  const udp = order.webSocket === null ? await UdpTransport.open(order.address, clock) : null;
  const agent = new UserAgent({
    uri: from,
    logBuiltinEnabled: false,
    sessionDescriptionHandlerFactory: () => new Descriptions(order),
    ...transportOf(order, udp),
  });
  await agent.start();
  const session = new Inviter(agent, target);
  session.delegate = { onBye: (bye) => void bye.accept() };
  const ended = terminated(session);
  return {
    outcome: invite(session, clock),
    ended,
    async close() {
      if (session.state === SessionState.Established) await bye(session, clock);
      else if (session.state === SessionState.Establishing) {
        await session.cancel();
        await Promise.race([ended, wait(HANG_UP_MS_MAX, clock)]);
      }
      await udp?.idle(HANG_UP_MS_MAX);
      await agent.stop();
    },
  };
}

/** sip.js has done with a session before its BYE is answered, or has left. */
function bye(session: Session, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.startTimer(HANG_UP_MS_MAX, resolve);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    session.bye({ requestDelegate: { onAccept: done, onReject: done } }).catch(done);
  });
}

function transportOf(order: CallOrder, transport: UdpTransport | null): Partial<UserAgentOptions> {
  if (transport === null) {
    return { transportOptions: { server: order.webSocket ?? '', connectionTimeout: 5, traceSip: false } };
  }
  // sip.js constructs its transport; ours is open already, and a function that is constructed may return it.
  function opened(): UdpTransport | null {
    return transport;
  }
  return {
    transportConstructor: opened as unknown as NonNullable<UserAgentOptions['transportConstructor']>,
    viaHost: VIA_NAME,
    contactParams: { transport: 'udp' },
    forceRport: true,
  };
}

function invite(session: Inviter, clock: Clock): Promise<Outcome> {
  return new Promise((resolve) => {
    const fail = (reason: string) => resolve({ kind: 'failed', reason });
    const silence = clock.startTimer(SILENCE_MS_MAX, () => fail(`no answer within ${SILENCE_MS_MAX / 1000} s`));
    const ringing = clock.startTimer(RING_MS_MAX, () => fail(`not answered within ${RING_MS_MAX / 1000} s`));
    const settle = (outcome: Outcome) => {
      silence.cancel();
      ringing.cancel();
      resolve(outcome);
    };
    const requestDelegate = {
      onTrying: () => silence.cancel(),
      onProgress: () => silence.cancel(),
      onAccept: () => settle({ kind: 'answered' }),
      onReject: ({ message }: { message: { statusCode?: number | undefined; reasonPhrase?: string | undefined } }) =>
        settle({ kind: 'refused', status: message.statusCode ?? 0, reason: message.reasonPhrase ?? '' }),
    };
    session.invite({ requestDelegate }).catch((error: unknown) => {
      settle({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    });
  });
}

function terminated(session: Session): Promise<void> {
  return new Promise((resolve) => {
    session.stateChange.addListener((state) => {
      if (state === SessionState.Terminated) resolve();
    });
  });
}

function wait(durationMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.startTimer(durationMs, resolve));
}

/** One offer, also as the answer to a later one, in the place where sip.js expects a browser. */
class Descriptions implements SessionDescriptionHandler {
  readonly #order: CallOrder;

  constructor(order: CallOrder) {
    this.#order = order;
  }

  close(): void {}

  hasDescription(contentType: string): boolean {
    return contentType === 'application/sdp';
  }

  getDescription(): Promise<{ body: string; contentType: string }> {
    return Promise.resolve({ body: this.#order.offer, contentType: 'application/sdp' });
  }

  setDescription(sdp: string): Promise<void> {
    if (this.#order.answered(sdp)) return Promise.resolve();
    return Promise.reject(new Error('no common codec'));
  }

  sendDtmf(): boolean {
    return false;
  }
}
