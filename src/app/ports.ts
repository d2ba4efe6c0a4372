import type { ErrorCode } from '../lib/errors.ts';
import type { CallId, LegId, PaymentId } from '../lib/ids.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import type { FieldName } from '../session/flow.ts';

/*
 * The ports of the application: what sessions need from the world, in the application's words. Adapters on floor 4
 * implement them; none imports another. Every promise here settles within a named limit of its adapter.
 */

// ---------------------------------------------------------------- SIP

/** What a call brought with it; a profile says which of these it may set and whether they must be signed. */
export interface CallContext {
  readonly customer?: string;
  readonly amountMinor?: number;
  readonly currency?: string;
  readonly reference?: string;
  readonly flow?: string;
  readonly identified?: boolean;
}

export type SrtpSuite = 'AES_CM_128_HMAC_SHA1_80' | 'AES_CM_128_HMAC_SHA1_32' | 'AEAD_AES_128_GCM' | 'AEAD_AES_256_GCM';

/** What protects one stream, however the keys were agreed: master key and salt, ours for what we send, and the peer's. */
export interface MediaSecurity {
  readonly suite: SrtpSuite;
  readonly sendKey: Sensitive<Uint8Array>;
  readonly receiveKey: Sensitive<Uint8Array>;
}

/** One audio stream as agreed by offer and answer, seen from our side. */
export interface NegotiatedMedia {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** G722 and OPUS are heard and sent at 8 kHz too: the engine's rate. */
  readonly codec: 'PCMU' | 'PCMA' | 'G722' | 'OPUS';
  /** Payload type we put on audio we send; payload type the peer puts on audio it sends. */
  readonly sendPayloadType: number;
  readonly receivePayloadType: number;
  /** telephone-event payload types, which may differ by direction; null where not agreed. */
  readonly sendEventPayloadType: number | null;
  readonly receiveEventPayloadType: number | null;
  /** Clock of the event payload types where it is not 8000. */
  readonly eventClockRate?: number;
  /** RFC 2198 for events, where agreed: each packet says the presses before it again. */
  readonly sendRedPayloadType?: number;
  readonly receiveRedPayloadType?: number;
  /** RFC 3389 was agreed: silence of ours is announced instead of sent. */
  readonly sendNoise?: boolean;
  /** RFC 3611: the peer asked for our VoIP metrics; it answers our reference time while we only listen. */
  readonly sendVoipMetrics?: boolean;
  readonly sendReferenceTime?: boolean;
  /** What we send, 10 to 60 ms. */
  readonly ptimeMs: number;
  /**
   * Ours: `recvonly` means that the peer put us on hold, `sendonly` that it only listens. `inactive` at 0.0.0.0 is a call
   * whose INVITE had no offer: its media come with the first `mediaChanged`. At 0.0.0.0 nothing may be sent.
   */
  readonly direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
  readonly dtmf: 'event' | 'inband' | 'auto';
  /** Absent: RTP in clear. With it nothing passes in clear. */
  readonly security?: MediaSecurity;
}

export interface LocalMedia {
  readonly address: string;
  readonly port: number;
}

/** How a payment ended for those who get the call next; `sip/` writes it into headers, names in one table. */
export interface CallResult {
  readonly result: 'approved' | 'declined' | 'abandoned' | 'failed' | 'unknown' | 'not-identified';
  readonly paymentId?: PaymentId;
  readonly amountMinor?: number;
  readonly currency?: string;
  readonly brand?: string;
  readonly last4?: string;
  readonly gatewayReference?: string;
  readonly reference?: string;
  readonly customer?: string;
  readonly declines?: number;
  readonly errorCode?: ErrorCode;
}

export type LegEnd =
  | { readonly kind: 'bye'; readonly headers: Readonly<Record<string, string>>; readonly identified: boolean | null }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'lost' };

export interface LegListener {
  ended(end: LegEnd): void;
  /**
   * A re-INVITE or UPDATE with a new offer: hold, resume, moved media. A rejection refuses the offer: 488 where its code's
   * verdict is that, otherwise 500. The old media are then asked for again; the first media of a call end it instead.
   */
  mediaChanged(media: NegotiatedMedia): Promise<LocalMedia>;
  /** A REFER from the peer; `identified` is what its headers say, signed if the profile demands it. */
  transferRequested(request: {
    readonly target: string;
    readonly identified: boolean | null;
  }): Promise<'accept' | 'refuse'>;
}

/** One established dialog. */
export interface SipLeg {
  readonly legId: LegId;
  listen(listener: LegListener): void;
  hangUp(result?: CallResult): Promise<void>;
  /**
   * A re-INVITE with a new key of ours, after the worker that had the old one in use died (RFC 3711 §9.1). The new media
   * come with `mediaChanged`. `plain`: there is no key to renew.
   */
  renewKeys(): Promise<'renewed' | 'refused' | 'plain'>;
  /** REFER; settles with what the NOTIFYs said, or after the profile's limit. */
  refer(target: string, result: CallResult): Promise<'accepted' | 'completed' | 'failed'>;
}

export interface IncomingCall {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly profile: string;
  readonly context: CallContext;
  /** Caller's number as the profile lets us know it. */
  readonly from: string;
  readonly to: string;
  readonly media: NegotiatedMedia;
  /** Called when the caller gives up before the answer. */
  onCancelled(cancelled: () => void): void;
  ring(): Promise<void>;
  accept(local: LocalMedia): Promise<SipLeg>;
  reject(code: ErrorCode): Promise<void>;
}

export interface DialRequest {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly target: string;
  readonly from: string;
  readonly local: LocalMedia;
  readonly context: CallContext;
  readonly result?: CallResult;
  readonly timeoutMs: number;
  /** Aborted when nobody wants the answer any more: the INVITE is cancelled, and `dial` throws. */
  readonly unwanted?: AbortSignal;
}

export interface DialedLeg {
  readonly leg: SipLeg;
  readonly media: NegotiatedMedia;
}

export interface SipPort {
  /** Throws ServiceError TRANSFER_FAILED where the target did not answer with 2xx. */
  dial(request: DialRequest): Promise<DialedLeg>;
}

export interface CallHandler {
  /** Called once for each call that a profile admitted and whose offer was understood. */
  callArrived(call: IncomingCall): Promise<void>;
}

// ---------------------------------------------------------------- media

export interface FieldOrder {
  readonly field: FieldName;
  readonly lengthMin: number;
  readonly lengthMax: number;
  /** For `pan`: brands the flow allows; candidates are judged among all brands, so that a refused one is named. */
  readonly brands: readonly string[];
}

/** What control may know of a field: never a digit but the last four of a finished number. */
export interface FieldFacts {
  readonly length: number;
  /** Names of src/card/brands.json that the digits so far still fit. */
  readonly brands: readonly string[];
  readonly luhnOk: boolean;
  /** The length is complete for a candidate, and its check passes. */
  readonly complete: boolean;
  /** No candidate can be longer. */
  readonly full: boolean;
  /** For `pan`, once ended; otherwise null. */
  readonly last4: string | null;
  /** For `expiry` and `startDate`: is it a month, and is it not past (or future)? Judged natively. */
  readonly dateValid: boolean | null;
  /** How many digits the chosen brand's cvc has; null until the number is known. */
  readonly cvcLength: number | null;
}

export type KeyKind = 'digit' | 'star' | 'hash';

export type MediaEvent =
  /** A key in a sensitive field or, with `field` null, outside any (type-ahead, held in the vault). */
  | {
      readonly kind: 'fieldKey';
      readonly key: KeyKind;
      readonly field: FieldName | null;
      readonly facts: FieldFacts | null;
    }
  /** The field ended by itself: hash, or no candidate can be longer. */
  | { readonly kind: 'fieldEnded'; readonly field: FieldName; readonly by: 'hash' | 'full'; readonly facts: FieldFacts }
  /** A key in an open collection; the value may cross. */
  | { readonly kind: 'openKey'; readonly key: string }
  | { readonly kind: 'playEnded'; readonly playId: string; readonly reason: 'finished' | 'bargedIn' | 'stopped' }
  /** The last gap of a `sendKeys` has passed. */
  | { readonly kind: 'keysSent'; readonly legId: LegId }
  | { readonly kind: 'legSilent'; readonly legId: LegId; readonly silentMs: number }
  /** The worker died and the leg stands again: vault empty, caller blocked until `setRoutes` opens it. */
  | { readonly kind: 'legRecreated'; readonly legId: LegId }
  | { readonly kind: 'legLost'; readonly legId: LegId };

export interface Route {
  readonly from: LegId;
  readonly to: LegId;
  /**
   * `open` passes audio and key events; `blocked` passes neither, and no row is `blocked`. From the beginning of a payment
   * of `from` to its end `open` passes nothing; `masked` passes the audio that the mask of `from` lets through, and
   * nothing while that is not armed. Without a payment `masked` passes what `open` does, once armed through the mask and
   * without keys.
   */
  readonly mode: 'open' | 'masked' | 'blocked';
}

export interface MaskOrder {
  /** What is heard instead of a key. */
  readonly replace: 'silence' | 'tone' | 'noise';
  /** What masked listeners get for every key that comes as an event; null: nothing. */
  readonly neutralKey: string | null;
}

/** Keys that control knows and wants sent to a leg's peer, an IVR behind us or a test; a field's digits are never these. */
export interface KeysOrder {
  /** `0`-`9`, `*`, `#`, `A`-`D`; 1 to 32 of them. */
  readonly keys: string;
  readonly mode: 'event' | 'inband';
  /** -40 to -3: of each tone, or their mean in dB where there is a twist; the louder one at most -3. */
  readonly levelDbm0: number;
  /** How much louder the column (high) tone is than the row's. In events there is no twist. */
  readonly twistDb: number;
  /** 20 to 60,000 each. Events go in steps of 20 ms, and their gap is at least 40. */
  readonly durationMs: number;
  readonly gapMs: number;
}

export type ReadBackStyle = 'digits' | 'lastFour' | 'monthYear';

/** How a stream sounds where it is heard (RFC 3611 §4.7); null where it was not rated. docs/quality.md says what each is. */
export interface StreamQuality {
  /** Of the packets expected since the beginning: 0 to 1. */
  readonly lossRatio: number;
  readonly discardRatio: number;
  readonly endSystemDelayMs: number;
  /** 0 to 100. */
  readonly rFactor: number | null;
  /** 1 to 4.5: without and with the delay of a conversation. */
  readonly mosListening: number | null;
  readonly mosConversation: number | null;
}

export interface Bursts {
  readonly burstDensity: number;
  readonly gapDensity: number;
  readonly burstMs: number;
  readonly gapMs: number;
}

/** What the peer's reports say of the stream that we send. */
export interface PeerReport {
  /** Since its report before. */
  readonly lossRatio: number;
  readonly packetsLost: number;
  readonly jitterMs: number;
}

export interface LegStats {
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly packetsLate: number;
  readonly packetsDuplicate: number;
  readonly packetsFromElsewhere: number;
  readonly packetsMalformed: number;
  /** SRTP: what no key of ours opened, what had come before, and what could not be protected and was not sent. */
  readonly packetsUnauthentic: number;
  readonly packetsReplayed: number;
  readonly packetsUnprotected: number;
  readonly jitterMs: number;
  readonly roundTripMs: number | null;
  readonly playoutDelayMs: number;
  /** 20 ms each. */
  readonly framesConcealed: number;
  readonly keysByEvent: number;
  readonly keysInband: number;
  /** Where the peer sends from; null until it has. */
  readonly remote: { readonly address: string; readonly port: number } | null;
  /** Of what we hear, as of our last RTCP report, every 2.5 to 7.5 s; null before it and while nothing came. */
  readonly quality: (StreamQuality & Bursts) | null;
  /** Of what the peer hears of us, by its RTCP reports and by its XR; null where it sends none. */
  readonly peerReport: PeerReport | null;
  readonly peerQuality: StreamQuality | null;
}

/** A request template: `{{pan}}`, `{{expiry|month2}}`, `{{expiry|year2}}`, `{{cvc}}` … are filled natively. */
export interface EgressRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string | Sensitive<string>>>;
  readonly body: { readonly format: 'json' | 'form' | 'xml'; readonly template: string } | null;
  readonly timeoutMs: number;
}

export type EgressAnswer =
  /** `body` has been scrubbed of every value the vault held. */
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }
  /** Nothing of the request can have arrived: safe to try again. */
  | { readonly kind: 'notSent'; readonly reason: string }
  /** Sent, perhaps in part, and no answer came within the limit. */
  | { readonly kind: 'noAnswer'; readonly reason: string };

export interface MediaPort {
  openLeg(order: { callId: CallId; legId: LegId; media: NegotiatedMedia | null }): Promise<LocalMedia>;
  updateLeg(legId: LegId, media: NegotiatedMedia): Promise<LocalMedia>;
  closeLeg(legId: LegId): Promise<LegStats>;
  /** As of now, while the leg lives. */
  legStats(legId: LegId): Promise<LegStats>;
  /** Replaces the whole matrix of a call. */
  setRoutes(callId: CallId, routes: readonly Route[]): Promise<void>;
  /**
   * Settles when what `legId` says to masked listeners goes through a mask that has proved itself; a failure says why
   * not. From here to `disarmMask` no key of this leg is relayed.
   */
  armMask(legId: LegId, order: MaskOrder): Promise<{ readonly delayMs: number }>;
  /** After the payment; refused during one. */
  disarmMask(legId: LegId): Promise<void>;
  /** Plays recordings one after the other, or `loop` all of them for an hour; `playEnded` follows exactly once. */
  play(
    legId: LegId,
    order: { playId: string; recordings: readonly string[]; bargeIn: boolean; loop?: boolean; locale?: string },
  ): Promise<void>;
  stopPlay(legId: LegId): Promise<void>;
  /** From here to `endPayment` every key of this leg outside an open collection is sensitive. */
  beginPayment(callId: CallId, paymentId: PaymentId, legId: LegId): Promise<void>;
  /** Wipes everything; safe to call again. */
  endPayment(paymentId: PaymentId): Promise<void>;
  openField(paymentId: PaymentId, order: FieldOrder): Promise<void>;
  /** Ends the open field from outside (a time limit); its value stays in the vault. */
  closeField(paymentId: PaymentId): Promise<FieldFacts>;
  wipeField(paymentId: PaymentId, field: FieldName): Promise<void>;
  /** Values of these keys may cross to control. Opening wipes type-ahead: it may be card digits. */
  openKeys(legId: LegId, order: { allowed: string; lengthMax: number }): Promise<void>;
  closeKeys(legId: LegId): Promise<void>;
  /** Sends keys to the leg's peer, one after the other; `keysSent` follows. Refused while the leg pays, or sends others. */
  sendKeys(legId: LegId, order: KeysOrder): Promise<void>;
  readBack(
    paymentId: PaymentId,
    order: { playId: string; field: FieldName; style: ReadBackStyle; locale: string },
  ): Promise<void>;
  /** With a payment the vault fills the template; with null it holds no card field (void, refund, lookup). */
  send(paymentId: PaymentId | null, request: EgressRequest): Promise<EgressAnswer>;
  /** Events of one call in order; one listener a call. */
  listen(callId: CallId, listener: (event: MediaEvent) => void): void;
}

// ---------------------------------------------------------------- gateway

export type GatewayVerb = 'authorize' | 'capture' | 'purchase' | 'void' | 'refund' | 'lookup';

export interface GatewayOperation {
  readonly verb: GatewayVerb;
  /** Ours; the same for every try of the same charge. */
  readonly idempotencyKey: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly reference: string;
  readonly description: string;
  /** Which card fields the vault holds; names only. */
  readonly fields: readonly FieldName[];
  /** Theirs, for capture, void, refund and lookup; without it the charge is meant that `idempotencyKey` made. */
  readonly gatewayReference?: string;
}

export type GatewayOutcome =
  /** The amount is taken; of a void or refund: it is undone. */
  | { readonly outcome: 'approved'; readonly gatewayReference: string; readonly authorizationCode: string | null }
  /** The amount is held and not taken: authorize's yes, or what a lookup finds before the capture. */
  | { readonly outcome: 'authorized'; readonly gatewayReference: string; readonly authorizationCode: string | null }
  | {
      readonly outcome: 'declined';
      readonly reason: DeclineReason;
      readonly gatewayReference: string | null;
      readonly text: string;
    }
  /** lookup only: the gateway has never heard of this key, so nothing was charged. */
  | { readonly outcome: 'notFound' }
  | { readonly outcome: 'unknown'; readonly reason: string };

export type DeclineReason =
  | 'do-not-honor'
  | 'insufficient-funds'
  | 'expired-card'
  | 'incorrect-cvc'
  | 'lost-or-stolen'
  | 'not-supported'
  | 'invalid-card'
  | 'other';

export interface GatewayCapabilities {
  readonly verbs: readonly GatewayVerb[];
  /** How an unknown outcome is settled. */
  readonly unknownOutcome: 'lookup' | 'replay';
}

/** Pure mapping between our words and one gateway's; it neither sends nor waits. */
export interface GatewayAdapter {
  readonly name: string;
  readonly capabilities: GatewayCapabilities;
  request(operation: GatewayOperation): EgressRequest;
  /** Throws ServiceError GATEWAY_UNREACHABLE for `notSent`: nothing can have been charged. */
  outcome(operation: GatewayOperation, answer: EgressAnswer): GatewayOutcome;
}

// ---------------------------------------------------------------- records

export type SegmentKind = 'ivr' | 'identification' | 'secure-payment' | 'queue';

export interface ConversationRow {
  readonly callId: CallId;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly profile: string;
  readonly from: string;
  readonly to: string;
  readonly customer: string | null;
  readonly reference: string | null;
  readonly endedBy: string | null;
}

export interface SegmentRow {
  readonly segmentId: string;
  readonly callId: CallId;
  readonly kind: SegmentKind;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly outcome: string | null;
}

export interface PaymentRow {
  readonly paymentId: PaymentId;
  readonly callId: CallId;
  readonly flow: string;
  /** The machine's state name. */
  readonly state: string;
  readonly result: CallResult['result'] | null;
  readonly amountMinor: number | null;
  readonly currency: string;
  readonly reference: string | null;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly declines: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** What a person must look at, or null. */
  readonly attention: string | null;
}

export interface AttemptRow {
  readonly attemptId: string;
  readonly paymentId: PaymentId;
  readonly idempotencyKey: string;
  readonly verb: GatewayVerb;
  readonly gateway: string;
  readonly amountMinor: number;
  readonly currency: string;
  /** `authorized`: held, and perhaps asked to be captured; the same key captures or voids it. */
  readonly state: 'asking' | 'authorized' | 'approved' | 'declined' | 'notSent' | 'unknown' | 'voided';
  readonly gatewayReference: string | null;
  readonly authorizationCode: string | null;
  readonly declineReason: DeclineReason | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
}

/** Ordered within a call: `sequence` counts from 1. `detail` holds identifiers, numbers and names only. */
export interface EventRow {
  readonly callId: CallId;
  readonly paymentId: PaymentId | null;
  readonly sequence: number;
  readonly at: number;
  readonly kind: string;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

/** `ordinal` counts over all calls, in the order of their recording; it is never given twice. */
export interface RecordedEvent extends EventRow {
  readonly ordinal: number;
}

/** Every write is durable when its promise settles: the journal a crash is resolved from. */
export interface StorePort {
  saveConversation(row: ConversationRow): Promise<void>;
  saveSegment(row: SegmentRow): Promise<void>;
  savePayment(row: PaymentRow): Promise<void>;
  saveAttempt(row: AttemptRow): Promise<void>;
  /** Returns its ordinal. Promises settle in the order of the ordinals. */
  appendEvent(row: EventRow): Promise<number>;
  /**
   * Payments that have no end, or an attempt that is `asking`, `unknown` or `authorized`, with all their attempts, oldest first; the
   * newest payments first, those that began before `since` left out, and at most `limit` of them.
   */
  unsettledPayments(since: number, limit: number): Promise<readonly UnsettledPayment[]>;
  /**
   * Before calls are let in: gives every conversation and segment of an earlier run an end, at the last moment that it
   * is known to have lasted; conversations are `endedBy: 'crash'`. Returns how many conversations.
   */
  endLeftOpen(): Promise<number>;
}

export interface UnsettledPayment {
  readonly payment: PaymentRow;
  readonly attempts: readonly AttemptRow[];
}

// ---------------------------------------------------------------- the rest

export interface DataDipPort {
  /** Throws ServiceError DATA_DIP_FAILED. */
  fetchAmount(request: { url: string; timeoutMs: number; customer: string | null; reference: string | null }): Promise<{
    amountMinor: number;
    currency: string | null;
  }>;
}

/** Names of recordings that exist, so that a missing one is named at start. */
export interface RecordingsPort {
  has(locale: string, name: string): boolean;
}
