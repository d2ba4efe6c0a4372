import { randomBytes } from 'node:crypto';
import type { SrfDialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import type { LocalMedia, NegotiatedMedia } from '../app/ports.ts';
import type { Timer } from '../lib/clock.ts';
import { ServiceError, VERDICTS } from '../lib/errors.ts';
import { makeSecureOffer, ownKeyFor, type SecureOffer } from './crypto.ts';
import { GLARE_RETRIES_MAX, LATE_ANSWER_WAIT_MS, MEDIA_CHANGE_WAIT_MS, REQUEST_WAIT_MS } from './limits.ts';
import {
  type AgreedAnswer,
  type Origin,
  sameMedia,
  secureOfferFor,
  settleAnswer,
  settleOffer,
  writeAnswer,
  writeOffer,
} from './offer-answer.ts';
import type { Profile } from './profiles.ts';
import { bodyOf, refuse, respond } from './respond.ts';
import { parseSdp } from './sdp.ts';
import { type SipWorld, within } from './world.ts';

/**
 * The description side of one leg: what was agreed, our own SDP with its version, and every change of it.
 *
 *   busy        input                      next        what happens
 *   ----------  -------------------------  ----------  ------------------------------------------------
 *   idle        offer from the peer        answering   application moves its media, then 200 with answer
 *   idle        re-INVITE without SDP      late        200 with our offer
 *   idle        reoffer, renewKeys         offering    re-INVITE of ours
 *   late        ACK with answer            idle        application moves its media
 *   offering    offer from the peer        offering    491 (RFC 3261 §14.2)
 *   answering   offer from the peer        answering   500 with Retry-After (RFC 3261 §14.2)
 *   late        offer from the peer        late        500 with Retry-After
 *   offering    491                        idle        tried again after a random wait (RFC 3261 §14.1)
 */
export class LegMedia {
  readonly #world: SipWorld;
  readonly #profile: Profile;
  readonly #dialog: SrfDialog;
  readonly #change: (media: NegotiatedMedia) => Promise<LocalMedia>;
  /** The owner of the Call-ID waits longer after 491. */
  readonly #ownsCallId: boolean;
  #media: NegotiatedMedia | null;
  #local: LocalMedia;
  #origin: Origin;
  #sdp: string;
  /** The keys of our offer whose answer the ACK must bring. */
  #offered: SecureOffer | null;
  #busy: 'idle' | 'answering' | 'offering' | 'late' = 'idle';
  #lateTimer: Timer | null = null;
  #onLateAnswer: ((media: NegotiatedMedia | null) => void) | null = null;

  constructor(parts: {
    world: SipWorld;
    profile: Profile;
    dialog: SrfDialog;
    /** Null while the answer to our late offer is still to come. */
    media: NegotiatedMedia | null;
    local: LocalMedia;
    origin: Origin;
    sdp: string;
    secure: SecureOffer | null;
    ownsCallId: boolean;
    change: (media: NegotiatedMedia) => Promise<LocalMedia>;
  }) {
    this.#world = parts.world;
    this.#profile = parts.profile;
    this.#dialog = parts.dialog;
    this.#change = parts.change;
    this.#ownsCallId = parts.ownsCallId;
    this.#media = parts.media;
    this.#local = parts.local;
    this.#origin = parts.origin;
    this.#sdp = parts.sdp;
    this.#offered = parts.secure;
    this.#dialog.on('ack', (req: SrfRequest) => this.#acknowledged(req));
  }

  /** The answer that the ACK of a late offer must bring; null where it brings none that can be used. */
  lateAnswer(): Promise<NegotiatedMedia | null> {
    return new Promise((resolve) => {
      this.#expectLateAnswer((media) => {
        if (media !== null) this.#media = media;
        resolve(media);
      });
    });
  }

  /** A re-INVITE or UPDATE within the dialog. */
  async offered(req: SrfRequest, res: SrfResponse): Promise<void> {
    if (this.#busy !== 'idle') {
      const isOurs = this.#busy === 'offering';
      respond(this.#world, res, isOurs ? 491 : 500, isOurs ? {} : { headers: { 'Retry-After': '2' } });
      return;
    }
    const body = bodyOf(req);
    if (body.kind === 'other') {
      respond(this.#world, res, 415, { headers: { Accept: 'application/sdp' } });
    } else if (body.kind === 'none' && req.method === 'UPDATE') {
      respond(this.#world, res, 200, { headers: { Contact: this.#dialog.local.contact } });
    } else if (body.kind === 'none') {
      this.#offerLate(res);
    } else {
      await this.#answer(body.text, res);
    }
  }

  async #answer(text: string, res: SrfResponse): Promise<void> {
    const parsed = parseSdp(text);
    const settled = parsed.ok
      ? settleOffer(parsed.description, this.#profile.media, (offered) =>
          ownKeyFor(offered, this.#media?.security, randomBytes),
        )
      : null;
    if (settled === null || !settled.ok) {
      const fault = settled === null ? 'session description cannot be read' : settled.fault;
      this.#world.count('mediaChangesRefused');
      respond(this.#world, res, 488, { headers: { Warning: `305 hushtone "${fault}"` } });
      return;
    }
    this.#busy = 'answering';
    try {
      const { agreed } = settled;
      await this.#moveTo(agreed.media);
      this.#sendDescription(res, (origin) => writeAnswer(agreed, this.#local, origin));
    } catch (error) {
      this.#world.count('mediaChangesRefused');
      const code = error instanceof ServiceError ? error.code : 'INTERNAL';
      this.#world.log.warn('media could not be changed', { code });
      // Only what lies in the description is the offer's fault; 503 would say that this whole host is away.
      if (VERDICTS[code].sipStatus === 488) refuse(this.#world, res, code, code);
      else respond(this.#world, res, 500, { headers: { 'Retry-After': '5' } });
      this.#moveBack();
    } finally {
      this.#busy = 'idle';
    }
  }

  /** RFC 3261 §14.1: after a refusal the session is as it was; a change that came too late must not stand. */
  #moveBack(): void {
    if (this.#media === null) return;
    this.#change(this.#media).catch(() => this.#world.log.warn('media could not be moved back'));
  }

  /** Tells the application, unless nothing changes: a session refresh moves nothing. */
  async #moveTo(media: NegotiatedMedia): Promise<void> {
    if (this.#media !== null && sameMedia(media, this.#media)) return;
    this.#world.count('mediaChanges');
    this.#local = await within(this.#world.clock, MEDIA_CHANGE_WAIT_MS, 'changing media', this.#change(media));
    this.#media = media;
  }

  #sendDescription(res: SrfResponse, write: (origin: Origin) => string): void {
    this.#sdp = this.#nextSdp(write);
    this.#dialog.local.sdp = this.#sdp;
    respond(this.#world, res, 200, {
      headers: { Contact: this.#dialog.local.contact, 'Content-Type': 'application/sdp' },
      body: this.#sdp,
    });
  }

  /** RFC 3264 §8: the version grows by one where the description differs, and only there. */
  #nextSdp(write: (origin: Origin) => string): string {
    if (write(this.#origin) === this.#sdp) return this.#sdp;
    this.#origin = { ...this.#origin, version: this.#origin.version + 1 };
    return write(this.#origin);
  }

  #offerLate(res: SrfResponse): void {
    // Whoever answers may be somebody else now (RFC 3725): every suite again, by fresh keys.
    const secure = secureOfferFor(this.#profile.media, randomBytes);
    this.#offered = secure;
    this.#sendDescription(res, (origin) => writeOffer(this.#profile.media, this.#local, origin, secure));
    this.#expectLateAnswer((media) => {
      if (media === null) {
        this.#world.log.warn('an ACK brought no usable answer to our offer; the media stay as they were');
        return;
      }
      this.#moveTo(media).catch(() => this.#world.log.warn('media could not be changed after a late answer'));
    });
  }

  #expectLateAnswer(answered: (media: NegotiatedMedia | null) => void): void {
    this.#busy = 'late';
    this.#onLateAnswer = answered;
    this.#lateTimer = this.#world.clock.startTimer(LATE_ANSWER_WAIT_MS, () => this.#settleLate(null));
  }

  #acknowledged(req: SrfRequest): void {
    if (this.#busy !== 'late') return;
    const body = bodyOf(req);
    const parsed = body.kind === 'sdp' ? parseSdp(body.text) : null;
    const settled = parsed?.ok ? settleAnswer(parsed.description, this.#profile.media, this.#offered) : null;
    if (settled?.ok === false) this.#world.log.warn('an answer is refused', { fault: settled.fault });
    this.#settleLate(settled?.ok ? settled.agreed.media : null);
  }

  #settleLate(media: NegotiatedMedia | null): void {
    const answered = this.#onLateAnswer;
    this.#lateTimer?.cancel();
    this.#lateTimer = null;
    this.#onLateAnswer = null;
    if (this.#busy === 'late') this.#busy = 'idle';
    answered?.(media);
  }

  /** Our own re-INVITE with another address or port of ours. */
  reoffer(local: LocalMedia): Promise<'moved' | 'refused'> {
    return this.#offerUntilTaken(() => ({ local, secure: this.#sameKeys() }));
  }

  /** Our own re-INVITE with a fresh key of the suite in use: a secure call is not offered in clear again. */
  async renewKeys(): Promise<'renewed' | 'refused' | 'plain'> {
    if (this.#media?.security === undefined) return 'plain';
    const outcome = await this.#offerUntilTaken(() => {
      const suite = this.#media?.security?.suite;
      const secure = suite === undefined ? null : makeSecureOffer(this.#secureProtocol(), randomBytes, [suite]);
      return { local: this.#local, secure };
    });
    return outcome === 'moved' ? 'renewed' : 'refused';
  }

  #sameKeys(): SecureOffer | null {
    const security = this.#media?.security;
    if (security === undefined) return null;
    const { suite, sendKey } = security;
    return { protocol: this.#secureProtocol(), crypto: [{ tag: 1, suite, key: sendKey }] };
  }

  /** RFC 3264 §8.3.1: a stream keeps the transport that both sides have in use. */
  #secureProtocol(): SecureOffer['protocol'] {
    return /^m=audio \d+ RTP\/SAVP /m.test(this.#sdp) ? 'RTP/SAVP' : 'RTP/AVP';
  }

  /** Tried again after 491 (glare), at most so often. What is offered is asked for anew each time. */
  async #offerUntilTaken(make: () => { local: LocalMedia; secure: SecureOffer | null }): Promise<'moved' | 'refused'> {
    for (let attempt = 0; attempt <= GLARE_RETRIES_MAX; attempt += 1) {
      if (attempt > 0) await this.#glareWait();
      if (this.#busy !== 'idle') continue;
      const { local, secure } = make();
      const outcome = await this.#offerOnce(local, secure);
      if (outcome !== 'glare') return outcome;
    }
    return 'refused';
  }

  async #offerOnce(local: LocalMedia, secure: SecureOffer | null): Promise<'moved' | 'refused' | 'glare'> {
    this.#busy = 'offering';
    const sdp = this.#nextSdp((origin) => writeOffer(this.#profile.media, local, origin, secure));
    this.#sdp = sdp;
    try {
      const response = await within(this.#world.clock, REQUEST_WAIT_MS, 'a re-INVITE', this.#sendInvite(sdp));
      if (response.status === 491) return 'glare';
      const parsed = response.status === 200 ? parseSdp(response.body ?? '') : null;
      const settled: { ok: true; agreed: AgreedAnswer } | { ok: false } | null = parsed?.ok
        ? settleAnswer(parsed.description, this.#profile.media, secure)
        : null;
      if (!settled?.ok) return 'refused';
      this.#dialog.local.sdp = sdp;
      this.#local = local;
      await this.#moveTo(settled.agreed.media);
      return 'moved';
    } catch {
      return 'refused';
    } finally {
      this.#busy = 'idle';
    }
  }

  #sendInvite(body: string): Promise<SrfResponse> {
    return new Promise((resolve, reject) => {
      const headers = { Contact: this.#dialog.local.contact, 'Content-Type': 'application/sdp' };
      this.#dialog.request({ method: 'INVITE', headers, body }, (error, response) => {
        if (error || response === undefined) reject(new ServiceError('CALL_NOT_FOUND', 'the re-INVITE did not go out'));
        else if (response.status >= 200) resolve(response);
      });
    });
  }

  /** RFC 3261 §14.1: 2.1 to 4 s where the Call-ID is ours, otherwise up to 2 s, in steps of 10 ms. */
  #glareWait(): Promise<void> {
    const steps = this.#ownsCallId ? 210 + Math.floor(Math.random() * 191) : Math.floor(Math.random() * 201);
    return new Promise((resolve) => {
      this.#world.clock.startTimer(steps * 10, resolve);
    });
  }

  /** The leg has ended: nobody waits for an answer any more. */
  close(): void {
    this.#settleLate(null);
  }
}
