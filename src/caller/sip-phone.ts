import { Inviter, type Session, SessionState, UserAgent } from 'sip.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
import type { IncomingRequestMessage } from 'sip.js/lib/core/messages/incoming-request-message.js';
import type { Clock } from '../lib/clock.ts';
import { RtpPhone } from './rtp-phone.ts';

/*
 * A simulated caller's telephone: a sip.js user agent over WebSocket (RFC 7118), so that the SIP is not ours either.
 */

const ANSWER_MS_MAX = 20_000;

export interface CallTarget {
  /** `ws://127.0.0.1:5066`. */
  readonly server: string;
  /** `sip:pay@127.0.0.1`, with URI parameters where the call brings something. */
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly from?: string;
  /** An INVITE without a description: the offer comes with the 200, our answer goes with the ACK. */
  readonly withoutOffer?: boolean;
  /** Offers Opus alone: then it keys by events and hears nothing. */
  readonly opus?: boolean;
  /** Its description asks for VoIP metrics (RFC 3611 §5). */
  readonly rtcpXr?: boolean;
}

export interface PhoneCall {
  readonly media: RtpPhone;
  /** Settles with the final status where the call is refused; with 200 when it is answered. */
  readonly answered: Promise<number>;
  /** Settles when the other side hung up or we did. */
  readonly ended: Promise<void>;
  /** What REFERs asked for; each was accepted, and told to be done. */
  readonly transfers: readonly Transfer[];
  /** Headers of the BYE that ended the call. */
  byeHeaders(): Readonly<Record<string, string>>;
  hangUp(): Promise<void>;
}

export interface Transfer {
  /** With its URI headers, as the REFER has it. */
  readonly referTo: string;
  /** By names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Places one call. Throws where the server cannot be reached. */
export async function placeCall(target: CallTarget, clock: Clock): Promise<PhoneCall> {
  const media = await RtpPhone.open(clock);
  const uri = UserAgent.makeURI(target.uri);
  const from = UserAgent.makeURI(target.from ?? 'sip:caller@simulated.invalid');
  if (uri === undefined || from === undefined) throw new Error(`no SIP URI: ${target.uri}`);
  const agent = new UserAgent({
    uri: from,
    transportOptions: { server: target.server, connectionTimeout: 5, traceSip: false },
    sessionDescriptionHandlerFactory: () => new Descriptions(media, target),
    logBuiltinEnabled: false,
    hackIpInContact: false,
  });
  await agent.start();
  const extraHeaders = Object.entries(target.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const session = new Inviter(agent, uri, { extraHeaders, inviteWithoutSdp: target.withoutOffer === true });
  let byeHeaders: Record<string, string> = {};
  const transfers: Transfer[] = [];
  session.delegate = {
    onBye: (bye) => {
      byeHeaders = headersOf(bye.request);
      void bye.accept();
    },
    onRefer: (referral) => {
      const headers = headersOf(referral.request);
      transfers.push({ referTo: headers['refer-to'] ?? '', headers });
      void referral.accept().then(() => session.dialog?.notify(undefined, DONE));
    },
  };
  const ended = stateReached(session, SessionState.Terminated).then(async () => {
    media.close();
    await agent.stop();
  });
  const answered = new Promise<number>((resolve, reject) => {
    const timer = clock.startTimer(ANSWER_MS_MAX, () => reject(new Error('nobody answered')));
    const settle = (status: number) => {
      timer.cancel();
      resolve(status);
    };
    session
      .invite({
        requestDelegate: {
          onAccept: (response) => settle(response.message.statusCode ?? 200),
          onReject: (response) => settle(response.message.statusCode ?? 500),
        },
      })
      .catch(reject);
  });
  return {
    media,
    answered,
    ended,
    transfers,
    byeHeaders: () => byeHeaders,
    async hangUp() {
      if (session.state === SessionState.Established) await session.bye();
      else if (session.state === SessionState.Establishing) await session.cancel();
      await ended;
    },
  };
}

/** RFC 3515 §2.4.5: how the transfer ended, as a fragment of a SIP message. */
const DONE = {
  extraHeaders: ['Event: refer', 'Subscription-State: terminated;reason=noresource'],
  body: {
    contentDisposition: 'render',
    contentType: 'message/sipfrag;version=2.0',
    content: 'SIP/2.0 200 OK\r\n',
  },
};

function headersOf({ headers }: IncomingRequestMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, rows]) => [name.toLowerCase(), rows[0]?.raw ?? '']));
}

function stateReached(session: Session, wanted: SessionState): Promise<void> {
  return new Promise((resolve) => {
    session.stateChange.addListener((state) => {
      if (state === wanted) resolve();
    });
  });
}

/** Offer and answer of an RTP phone, in the place where sip.js expects a browser. */
class Descriptions implements SessionDescriptionHandler {
  readonly #media: RtpPhone;
  readonly #opus: boolean;
  readonly #rtcpXr: boolean;

  constructor(media: RtpPhone, { opus = false, rtcpXr = false }: Pick<CallTarget, 'opus' | 'rtcpXr'>) {
    this.#media = media;
    this.#opus = opus;
    this.#rtcpXr = rtcpXr;
  }

  close(): void {}

  hasDescription(contentType: string): boolean {
    return contentType === 'application/sdp';
  }

  getDescription(): Promise<{ body: string; contentType: string }> {
    const { address, port } = this.#media;
    const lines = [
      'v=0',
      `o=caller 1 1 IN IP4 ${address}`,
      's=-',
      `c=IN IP4 ${address}`,
      't=0 0',
      this.#opus ? `m=audio ${port} RTP/AVP 111 101` : `m=audio ${port} RTP/AVP 0 101`,
      this.#opus ? 'a=rtpmap:111 opus/48000/2' : 'a=rtpmap:0 PCMU/8000',
      `a=rtpmap:101 telephone-event/${this.#opus ? 48_000 : 8_000}`,
      'a=fmtp:101 0-15',
      'a=ptime:20',
      ...(this.#rtcpXr ? ['a=rtcp-xr:voip-metrics'] : []),
      'a=sendrecv',
      '',
    ];
    return Promise.resolve({ body: lines.join('\r\n'), contentType: 'application/sdp' });
  }

  setDescription(sdp: string): Promise<void> {
    const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    const eventPayloadType = Number(/^a=rtpmap:(\d+) telephone-event\/(?:48000|8000)/m.exec(sdp)?.[1] ?? 101);
    const opus = /^a=rtpmap:(\d+) opus\/48000/m.exec(sdp)?.[1];
    if (address === undefined || !(port > 0)) return Promise.reject(new Error('no audio in the answer'));
    this.#media.talkTo({
      address,
      port,
      eventPayloadType,
      ...(opus === undefined ? {} : { opusPayloadType: Number(opus) }),
    });
    return Promise.resolve();
  }

  sendDtmf(): boolean {
    return false;
  }
}
