import { Inviter, type Session, SessionState, UserAgent } from 'sip.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/api/session-description-handler.js';
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
}

export interface PhoneCall {
  readonly media: RtpPhone;
  /** Settles with the final status where the call is refused; with 200 when it is answered. */
  readonly answered: Promise<number>;
  /** Settles when the other side hung up or we did. */
  readonly ended: Promise<void>;
  /** Headers of the BYE that ended the call. */
  byeHeaders(): Readonly<Record<string, string>>;
  hangUp(): Promise<void>;
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
    sessionDescriptionHandlerFactory: () => new Descriptions(media),
    logBuiltinEnabled: false,
    hackIpInContact: false,
  });
  await agent.start();
  const extraHeaders = Object.entries(target.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const session = new Inviter(agent, uri, { extraHeaders, inviteWithoutSdp: target.withoutOffer === true });
  let byeHeaders: Record<string, string> = {};
  session.delegate = {
    onBye: (bye) => {
      const { headers } = bye.request;
      byeHeaders = Object.fromEntries(
        Object.entries(headers).map(([name, rows]) => [name.toLowerCase(), rows[0]?.raw ?? '']),
      );
      void bye.accept();
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
    byeHeaders: () => byeHeaders,
    async hangUp() {
      if (session.state === SessionState.Established) await session.bye();
      else if (session.state === SessionState.Establishing) await session.cancel();
      await ended;
    },
  };
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

  constructor(media: RtpPhone) {
    this.#media = media;
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
      `m=audio ${port} RTP/AVP 0 101`,
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      'a=ptime:20',
      'a=sendrecv',
      '',
    ];
    return Promise.resolve({ body: lines.join('\r\n'), contentType: 'application/sdp' });
  }

  setDescription(sdp: string): Promise<void> {
    const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
    const eventPayloadType = Number(/^a=rtpmap:(\d+) telephone-event\/8000/m.exec(sdp)?.[1] ?? 101);
    if (address === undefined || !(port > 0)) return Promise.reject(new Error('no audio in the answer'));
    this.#media.talkTo({ address, port, eventPayloadType });
    return Promise.resolve();
  }

  sendDtmf(): boolean {
    return false;
  }
}
