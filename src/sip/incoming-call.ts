import { randomBytes } from 'node:crypto';
import type Srf from 'drachtio-srf';
import type { SrfRequest, SrfResponse } from 'drachtio-srf';
import type { CallContext, IncomingCall, LocalMedia, NegotiatedMedia, SipLeg } from '../app/ports.ts';
import type { Timer } from '../lib/clock.ts';
import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { CODEC_FORMATS } from './codecs.ts';
import type { SecureOffer } from './crypto.ts';
import { HEADER_NAMES } from './headers.ts';
import { Leg } from './leg.ts';
import { ANSWER_WAIT_MS } from './limits.ts';
import { type AgreedAnswer, type Origin, secureOfferFor, writeAnswer, writeOffer } from './offer-answer.ts';
import type { Profile } from './profiles.ts';
import { refuse, respond } from './respond.ts';
import { ALLOW, type LegNames, reasonOf, type SipWorld } from './world.ts';

export interface IncomingParts {
  readonly world: SipWorld;
  readonly srf: Srf;
  readonly req: SrfRequest;
  readonly res: SrfResponse;
  readonly names: LegNames;
  readonly profile: Profile;
  readonly context: CallContext;
  readonly from: string;
  readonly to: string;
  /** Null where the INVITE had no offer: ours goes with the 200, and the answer comes with the ACK. */
  readonly agreed: AgreedAnswer | null;
  readonly closed: () => void;
}

/** What a call has before its media are known: nothing is sent or expected until `mediaChanged` brings them. */
function unknownMedia(profile: Profile): NegotiatedMedia {
  const codec = profile.media.codecs[0] ?? 'PCMU';
  const { payloadType } = CODEC_FORMATS[codec];
  return {
    remoteAddress: '0.0.0.0',
    remotePort: 9,
    codec,
    sendPayloadType: payloadType,
    receivePayloadType: payloadType,
    sendEventPayloadType: null,
    receiveEventPayloadType: null,
    ptimeMs: profile.media.ptimeMs,
    direction: 'inactive',
    dtmf: profile.media.dtmf,
  };
}

/** An INVITE that a profile admitted. Ends exactly once: accepted, rejected, cancelled, or out of time. */
export class IncomingInvite implements IncomingCall {
  readonly callId: string;
  readonly legId: string;
  readonly profile: string;
  readonly context: CallContext;
  readonly from: string;
  readonly to: string;
  readonly media: NegotiatedMedia;
  readonly #parts: IncomingParts;
  readonly #timer: Timer;
  readonly #stopWatching: () => void;
  #state: 'waiting' | 'accepting' | 'over' = 'waiting';
  #cancelled: (() => void) | null = null;
  #wasCancelled = false;
  #failAccept: ((error: ServiceError) => void) | null = null;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.callId = parts.names.callId;
    this.legId = parts.names.legId;
    this.profile = parts.profile.name;
    this.context = parts.context;
    this.from = parts.from;
    this.to = parts.to;
    this.media = parts.agreed?.media ?? unknownMedia(parts.profile);
    this.#timer = parts.world.clock.startTimer(ANSWER_WAIT_MS, () => this.#outOfTime());
    this.#stopWatching = parts.world.onLost(() => this.#cancel());
    parts.req.on('cancel', () => this.#cancel());
  }

  onCancelled(cancelled: () => void): void {
    this.#cancelled = cancelled;
    if (this.#wasCancelled) cancelled();
  }

  async ring(): Promise<void> {
    if (this.#state !== 'waiting') return;
    // RFC 3262 §3: a caller that requires reliable provisional responses gets no others.
    const isReliable = /\b100rel\b/i.test(this.#parts.req.get('Require') ?? '');
    respond(this.#parts.world, this.#parts.res, 180, isReliable ? { headers: { Require: '100rel' } } : {});
  }

  /** Throws CALL_NOT_FOUND where the caller has gone. With a late offer it settles once the ACK has brought the answer. */
  async accept(local: LocalMedia): Promise<SipLeg> {
    if (this.#state !== 'waiting') throw new ServiceError('CALL_NOT_FOUND', 'the call is over');
    this.#state = 'accepting';
    this.#timer.cancel();
    const origin: Origin = { sessionId: String(this.#parts.world.clock.now()), version: 1 };
    const { agreed, profile } = this.#parts;
    const secure = agreed === null ? secureOfferFor(profile.media, randomBytes) : null;
    const sdp = agreed === null ? writeOffer(profile.media, local, origin, secure) : writeAnswer(agreed, local, origin);

    let late: Promise<NegotiatedMedia | null> | null = null;
    const leg = await this.#answer(sdp, { local, origin, secure }, (established) => {
      if (agreed === null) late = established.media.lateAnswer();
    });
    if (late === null) return leg;
    const media = await (late as Promise<NegotiatedMedia | null>);
    if (media === null || leg.ended) {
      await leg.hangUp();
      throw new ServiceError('SDP_INVALID', 'the ACK brought no answer to our offer');
    }
    leg.announce(media);
    return leg;
  }

  #answer(
    sdp: string,
    own: { local: LocalMedia; origin: Origin; secure: SecureOffer | null },
    established: (leg: Leg) => void,
  ): Promise<Leg> {
    const { world, srf, req, res, names, profile, agreed } = this.#parts;
    return new Promise<Leg>((resolve, reject) => {
      const fail = (error: ServiceError) => {
        this.#finish();
        reject(error);
      };
      this.#failAccept = fail;
      const headers = { Allow: ALLOW, 'Content-Type': 'application/sdp', [HEADER_NAMES.call]: names.callId };
      srf.createUAS(req, res, { localSdp: sdp, headers }, (error, dialog) => {
        if (this.#state === 'over') {
          // The caller cancelled while our 200 was on its way: a dialog that came of it all the same is ended.
          dialog?.destroy({}, () => {});
          return;
        }
        if (error || dialog === undefined) {
          return fail(new ServiceError('CALL_NOT_FOUND', `the call could not be answered: ${reasonOf(error)}`));
        }
        this.#state = 'over';
        this.#stopWatching();
        const media = agreed?.media ?? null;
        const { closed } = this.#parts;
        const leg = new Leg({ world, names, profile, dialog, media, ...own, sdp, ownsCallId: false, closed });
        established(leg);
        resolve(leg);
      });
    });
  }

  async reject(code: ErrorCode): Promise<void> {
    if (this.#state !== 'waiting') return;
    this.#parts.world.count('callsRefusedByApplication');
    refuse(this.#parts.world, this.#parts.res, code, code);
    this.#finish();
  }

  #outOfTime(): void {
    if (this.#state !== 'waiting') return;
    this.#parts.world.log.error('nobody answered or rejected a call in time', { ...this.#parts.names });
    refuse(this.#parts.world, this.#parts.res, 'WORKER_TIMEOUT', 'not answered in time');
    this.#finish();
    this.#cancelled?.();
  }

  #cancel(): void {
    if (this.#state === 'over') return;
    this.#parts.world.count('callsCancelled');
    const failAccept = this.#failAccept;
    this.#wasCancelled = true;
    this.#finish();
    failAccept?.(new ServiceError('CALL_NOT_FOUND', 'the caller gave up'));
    this.#cancelled?.();
  }

  #finish(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#timer.cancel();
    this.#stopWatching();
    this.#parts.closed();
  }
}
