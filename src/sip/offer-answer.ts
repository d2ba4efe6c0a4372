import { isIP } from 'node:net';
import type { LocalMedia, MediaSecurity, NegotiatedMedia } from '../app/ports.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import {
  CODEC_FORMATS,
  type Codec,
  formatLines,
  NOISE_PAYLOAD_TYPE,
  OFFERED_EVENTS,
  OFFERED_RED,
  type OurFormats,
  pickCodec,
  pickEvent,
  pickRed,
  ptimeOf,
  type SideFormat,
} from './codecs.ts';
import {
  type CryptoAttribute,
  type CryptoFault,
  isSameKey,
  isSameSecurity,
  makeSecureOffer,
  type RandomBytes,
  type SecureOffer,
  writeCrypto,
} from './crypto.ts';
import { PTIME_MS_MAX, PTIME_MS_MIN } from './limits.ts';
import { type Direction, isUnicast, isUnspecified, type SdpMedia, type SessionDescription } from './sdp.ts';

/*
 * Offer and answer (RFC 3264) for one audio stream, pure: descriptions in, what was agreed out. Secure media by
 * RFC 4568, or by RFC 8643 where the peer need not: RTP/AVP with a=crypto, and whoever knows no SRTP passes it over.
 */

/** What a profile lets a call agree to. */
export interface MediaPolicy {
  /** In the operator's order, which wins over the offerer's. */
  readonly codecs: readonly Codec[];
  readonly ptimeMs: number;
  readonly dtmf: NegotiatedMedia['dtmf'];
  /** Absent: off. */
  readonly srtp?: 'require' | 'prefer' | 'off';
  /** RFC 2198 for events: true offers it, false refuses it; where nothing is said it is taken if offered. */
  readonly redundantEvents?: boolean;
  /** Whether silence of ours is announced (RFC 3389) to a peer that takes it. */
  readonly comfortNoise?: boolean;
  /** RFC 3611: true asks for the peer's VoIP metrics, false sends none; where nothing is said the peer decides. */
  readonly rtcpXr?: boolean;
}

export type OfferFault =
  | 'no audio stream'
  | 'secure media only'
  | 'secure media by DTLS only'
  | 'secure media without a=crypto'
  | 'no secure media, which the profile demands'
  | `a=crypto with ${CryptoFault}`
  | 'answer has no a=crypto of those offered'
  | 'transport is not RTP/AVP'
  | 'no codec that the profile allows'
  | 'no telephone-event, which the profile demands'
  | 'address is not a unicast IP address'
  | 'every audio stream is disabled'
  | 'answer has another number of streams'
  | 'answer chose a format that was not offered';

/** Enough to write the answer once our own port is known. */
export interface AgreedAnswer {
  readonly media: NegotiatedMedia;
  /** Which m-line we took; the others are refused with port 0. */
  readonly index: number;
  readonly lines: readonly Pick<SdpMedia, 'kind' | 'protocol' | 'formats'>[];
  readonly eventClockRate: number;
  /** Of `a=rtcp-xr` in our answer; empty for none. */
  readonly rtcpXr: readonly string[];
  /** The attribute of our answer: the tag that we chose, and our key. Null for RTP in clear. */
  readonly crypto: CryptoAttribute | null;
}

/** Our key for the attribute that we take; `ownKeyFor` of crypto.ts. */
export type OwnKey = (offered: CryptoAttribute) => Sensitive<Uint8Array>;

export type Agreement =
  | { readonly ok: true; readonly agreed: AgreedAnswer }
  | { readonly ok: false; readonly fault: OfferFault };

/** Session id and version of our own origin line; the version grows by one with each change (RFC 3264 §8). */
export interface Origin {
  readonly sessionId: string;
  readonly version: number;
}

/**
 * Settles an offer, or says why it cannot be. The first audio stream that can be taken; where the profile prefers secure
 * media, the first that is secure, wherever it stands: some offer one stream twice, in clear and secure.
 */
export function settleOffer(offer: SessionDescription, policy: MediaPolicy, ownKey: OwnKey): Agreement {
  let fault: OfferFault | null = null;
  for (const manner of mannersOf(policy)) {
    for (const [index, stream] of offer.media.entries()) {
      const settled = settleStream(stream, policy, manner);
      if (settled.ok) {
        const lines = offer.media.map(({ kind, protocol, formats }) => ({ kind, protocol, formats }));
        const { media, eventClockRate, offered } = settled.stream;
        const rtcpXr = answeredXr(stream, policy);
        if (offered === null)
          return { ok: true, agreed: { media, eventClockRate, index, lines, rtcpXr, crypto: null } };
        const crypto = { ...offered, key: ownKey(offered) };
        const security = { suite: offered.suite, sendKey: crypto.key, receiveKey: offered.key };
        return { ok: true, agreed: { media: { ...media, security }, eventClockRate, index, lines, rtcpXr, crypto } };
      }
      fault = worseFault(fault, settled.fault);
    }
  }
  return { ok: false, fault: fault ?? 'no audio stream' };
}

type Manner = 'secure' | 'plain';

function mannersOf({ srtp = 'off' }: MediaPolicy): readonly Manner[] {
  if (srtp === 'off') return ['plain'];
  return srtp === 'require' ? ['secure'] : ['secure', 'plain'];
}

/** The fault that tells the caller most: one stream further into the rules beats one that fell at the first. */
const FAULT_RANK: readonly string[] = [
  'no audio stream',
  'every audio stream is disabled',
  'transport is not RTP/AVP',
  'secure media only',
  'secure media by DTLS only',
  'no secure media, which the profile demands',
  'secure media without a=crypto',
  'a=crypto with ',
  'address is not a unicast IP address',
  'no codec that the profile allows',
  'no telephone-event, which the profile demands',
];

function worseFault(known: OfferFault | null, next: OfferFault): OfferFault {
  const rankOf = (fault: OfferFault) => FAULT_RANK.findIndex((start) => fault.startsWith(start));
  return known === null || rankOf(next) > rankOf(known) ? next : known;
}

type SettledStream =
  | {
      readonly ok: true;
      readonly stream: Pick<AgreedAnswer, 'media' | 'eventClockRate'> & { readonly offered: CryptoAttribute | null };
    }
  | { readonly ok: false; readonly fault: OfferFault };

function settleStream(stream: SdpMedia, policy: MediaPolicy, manner: Manner): SettledStream {
  const usable = checkStream(stream, manner);
  if (usable !== null) return { ok: false, fault: usable };
  const crypto = manner === 'secure' ? pickCrypto(stream) : null;
  if (typeof crypto === 'string') return { ok: false, fault: crypto };

  const audio = pickCodec(stream.encodings, policy.codecs);
  if (audio === null) return { ok: false, fault: 'no codec that the profile allows' };
  const event = policy.dtmf === 'inband' ? null : pickEvent(stream.encodings, audio.codec);
  if (event === null && policy.dtmf === 'event') {
    return { ok: false, fault: 'no telephone-event, which the profile demands' };
  }
  const { clockRate } = CODEC_FORMATS[audio.codec];
  const isAudioClock = event?.clockRate === clockRate;
  const red = event === null || policy.redundantEvents === false ? null : pickRed(stream.encodings, event);
  const noise = policy.comfortNoise === true && clockRate === 8000 && hasNoise(stream);
  const address = stream.address ?? '';
  const media: NegotiatedMedia = {
    remoteAddress: address,
    remotePort: stream.port,
    codec: audio.codec,
    // We mirror the offer's numbers, so both directions of this stream use the same ones (RFC 3264 §6.1).
    sendPayloadType: audio.payloadType,
    receivePayloadType: audio.payloadType,
    // An event clock other than the audio's can be heard, because a press is told by its timestamp alone, but we send none.
    sendEventPayloadType: event !== null && isAudioClock ? event.payloadType : null,
    receiveEventPayloadType: event?.payloadType ?? null,
    ptimeMs: ptimeOf(audio.codec, ptimeToSend(stream, policy)),
    direction: isUnspecified(address) ? withoutSending(reverse(stream.direction)) : reverse(stream.direction),
    dtmf: policy.dtmf,
    ...(event === null || event.clockRate === 8000 ? {} : { eventClockRate: event.clockRate }),
    ...(red === null ? {} : { receiveRedPayloadType: red.payloadType }),
    ...(red === null || !isAudioClock ? {} : { sendRedPayloadType: red.payloadType }),
    ...(noise ? { sendNoise: true } : {}),
    ...(policy.rtcpXr !== false && stream.rtcpXr.voipMetrics ? { sendVoipMetrics: true } : {}),
    ...(policy.rtcpXr !== false && stream.rtcpXr.roundTrip ? { sendReferenceTime: true } : {}),
  };
  return { ok: true, stream: { media, eventClockRate: event?.clockRate ?? 8000, offered: crypto } };
}

function checkStream(stream: SdpMedia, manner: Manner): OfferFault | null {
  if (stream.kind !== 'audio') return 'no audio stream';
  if (stream.port === 0) return 'every audio stream is disabled';
  if (stream.protocol !== 'RTP/AVP' && (manner === 'plain' || stream.protocol !== 'RTP/SAVP')) {
    if (manner === 'secure' && stream.protocol.includes('TLS')) return 'secure media by DTLS only';
    return /SAVP/.test(stream.protocol) ? 'secure media only' : 'transport is not RTP/AVP';
  }
  const address = stream.address ?? '';
  if (!isUnspecified(address) && !isUnicast(address)) return 'address is not a unicast IP address';
  return null;
}

/** RFC 4568 §5.1.2: the offerer's order is its preference, and the first that we can take is taken. */
function pickCrypto({ crypto, protocol }: SdpMedia): CryptoAttribute | OfferFault {
  for (const one of crypto) if (one.ok) return { tag: one.tag, suite: one.suite, key: one.key };
  const faults = crypto.flatMap((one) => (one.ok ? [] : [one.fault]));
  // A suite that nobody here knows is expected beside others; what else is wrong says more.
  const fault = faults.find((known) => known !== 'a suite that we do not know') ?? faults[0];
  if (fault !== undefined) return `a=crypto with ${fault}`;
  return protocol === 'RTP/SAVP' ? 'secure media without a=crypto' : 'no secure media, which the profile demands';
}

function hasNoise(stream: SdpMedia): boolean {
  return stream.encodings.some(({ encoding, payloadType }) => encoding === 'CN' && payloadType === NOISE_PAYLOAD_TYPE);
}

function sideFormat(payloadType: number | null, clockRate: number): SideFormat[] {
  return payloadType === null ? [] : [{ payloadType, clockRate }];
}

/** The number that our offer gave to what the answer chose; an answer may choose only what was offered. */
function offered(formats: readonly SideFormat[], clockRate: number): number | null {
  return formats.find((format) => format.clockRate === clockRate)?.payloadType ?? null;
}

/** `a=ptime` is what the peer wants to receive (RFC 3264 §5.1); we send it in steps of 10 ms, within `a=maxptime`. */
function ptimeToSend(stream: SdpMedia, policy: MediaPolicy): number {
  const wished = Math.min(stream.ptimeMs ?? policy.ptimeMs, stream.maxptimeMs ?? PTIME_MS_MAX, PTIME_MS_MAX);
  return Math.max(PTIME_MS_MIN, Math.floor(wished / 10) * 10);
}

function reverse(direction: Direction): Direction {
  if (direction === 'sendonly') return 'recvonly';
  return direction === 'recvonly' ? 'sendonly' : direction;
}

function withoutSending(direction: Direction): Direction {
  return direction === 'sendrecv' || direction === 'recvonly' ? 'recvonly' : 'inactive';
}

/**
 * RFC 3611 §5.2: each side's `voip-metrics` asks the other to send them, so ours may stand in an answer whatever was offered;
 * `rcvr-rtt` is agreed, so only where it was offered. A peer that says nothing of XR is sent none: every report would carry 44
 * octets that nobody reads.
 */
function answeredXr({ rtcpXr }: SdpMedia, policy: MediaPolicy): string[] {
  if (policy.rtcpXr === false) return [];
  const asks = policy.rtcpXr === true || rtcpXr.voipMetrics;
  return [...(rtcpXr.roundTrip ? [ROUND_TRIP] : []), ...(asks ? [VOIP_METRICS] : [])];
}

const VOIP_METRICS = 'voip-metrics';
const ROUND_TRIP = 'rcvr-rtt=all';

/** The answer to an offer that was settled: our one stream, every other m-line with port 0 (RFC 3264 §6). */
export function writeAnswer(agreed: AgreedAnswer, local: LocalMedia, origin: Origin): string {
  const { media } = agreed;
  const streams = agreed.lines.flatMap((line, index) => {
    if (index !== agreed.index) return [`m=${line.kind} 0 ${line.protocol} ${line.formats.join(' ')}`];
    return audioLines({
      port: local.port,
      protocol: line.protocol,
      crypto: agreed.crypto === null ? [] : [agreed.crypto],
      codecs: [[media.receivePayloadType, media.codec]],
      events: sideFormat(media.receiveEventPayloadType, agreed.eventClockRate),
      red: sideFormat(media.receiveRedPayloadType ?? null, agreed.eventClockRate),
      comfortNoise: media.sendNoise === true,
      rtcpXr: agreed.rtcpXr,
      ptimeMs: media.ptimeMs,
      direction: media.direction,
    });
  });
  return writeDescription(local, origin, streams);
}

/**
 * What an offer of ours says of keys where it can be made once only, because its answer comes with an ACK. `prefer` is
 * RFC 8643: RTP/AVP, which a peer without SRTP answers in clear.
 */
export function secureOfferFor({ srtp = 'off' }: MediaPolicy, random: RandomBytes): SecureOffer | null {
  if (srtp === 'off') return null;
  return makeSecureOffer(srtp === 'require' ? 'RTP/SAVP' : 'RTP/AVP', random);
}

/**
 * The offers of a call that we place, each after the one before was refused as not acceptable. RFC 8643 first: most PBXs
 * answer it, those without SRTP in clear. A FreeSWITCH as it comes and a trunk that demands SRTP refuse a key in RTP/AVP, so
 * RTP/SAVP is next; who refuses that too has none.
 */
export function secureOffersFor({ srtp = 'off' }: MediaPolicy, random: RandomBytes): readonly (SecureOffer | null)[] {
  if (srtp === 'off') return [null];
  const demanded = makeSecureOffer('RTP/SAVP', random);
  return srtp === 'require' ? [demanded] : [makeSecureOffer('RTP/AVP', random), demanded, null];
}

/** Our own offer: what the profile allows, in its order; `secure` null offers RTP in clear. */
export function writeOffer(
  policy: MediaPolicy,
  local: LocalMedia,
  origin: Origin,
  secure: SecureOffer | null = null,
): string {
  const clockRates = new Set(policy.codecs.map((codec) => CODEC_FORMATS[codec].clockRate));
  const isUsed = ({ clockRate }: SideFormat) => clockRates.has(clockRate);
  const streams = audioLines({
    port: local.port,
    protocol: secure?.protocol ?? 'RTP/AVP',
    crypto: secure?.crypto ?? [],
    codecs: policy.codecs.map((codec) => [CODEC_FORMATS[codec].payloadType, codec] as const),
    events: policy.dtmf === 'inband' ? [] : OFFERED_EVENTS.filter(isUsed),
    red: policy.dtmf !== 'inband' && policy.redundantEvents === true ? OFFERED_RED.filter(isUsed) : [],
    comfortNoise: policy.comfortNoise === true && clockRates.has(8000),
    rtcpXr: policy.rtcpXr === true ? [ROUND_TRIP, VOIP_METRICS] : [],
    ptimeMs: policy.ptimeMs,
    direction: 'sendrecv',
  });
  return writeDescription(local, origin, streams);
}

/**
 * Reads the answer to an offer of `writeOffer`. The answer's payload types are what we send, ours are what the peer
 * sends, and they may differ (RFC 3264 §6.1).
 */
export function settleAnswer(
  answer: SessionDescription,
  policy: MediaPolicy,
  secure: SecureOffer | null = null,
): Agreement {
  const stream = answer.media[0];
  if (stream === undefined || answer.media.length !== 1) {
    return { ok: false, fault: 'answer has another number of streams' };
  }
  const security = secure === null ? null : answeredSecurity(stream, secure);
  if (security === null && secure !== null && (secure.protocol === 'RTP/SAVP' || policy.srtp === 'require')) {
    return { ok: false, fault: 'answer has no a=crypto of those offered' };
  }
  if (security === 'other') return { ok: false, fault: 'answer has no a=crypto of those offered' };
  const manner = security === null ? 'plain' : 'secure';
  const settled = settleStream(stream, { ...policy, codecs: answeredOrder(stream, policy.codecs) }, manner);
  if (!settled.ok) {
    const none = settled.fault === 'no codec that the profile allows';
    return { ok: false, fault: none ? 'answer chose a format that was not offered' : settled.fault };
  }
  const { media, eventClockRate } = settled.stream;
  const ourRed = offered(OFFERED_RED, eventClockRate);
  const agreed: NegotiatedMedia = {
    ...media,
    receivePayloadType: CODEC_FORMATS[media.codec].payloadType,
    receiveEventPayloadType: media.receiveEventPayloadType === null ? null : offered(OFFERED_EVENTS, eventClockRate),
    ...(media.receiveRedPayloadType === undefined || ourRed === null ? {} : { receiveRedPayloadType: ourRed }),
    ...(security === null ? {} : { security }),
  };
  const lines = [{ kind: stream.kind, protocol: stream.protocol, formats: stream.formats }];
  return { ok: true, agreed: { media: agreed, index: 0, lines, eventClockRate, rtcpXr: [], crypto: null } };
}

/** RFC 4568 §5.1.3: an answer has one attribute, with tag and suite of the one that it takes. Null: it takes none. */
function answeredSecurity(stream: SdpMedia, secure: SecureOffer): MediaSecurity | 'other' | null {
  const answered = stream.crypto[0];
  if (answered === undefined) return null;
  const ours = answered.ok ? secure.crypto.find(({ tag }) => tag === answered.tag) : undefined;
  if (!answered.ok || ours?.suite !== answered.suite || stream.crypto.length !== 1) return 'other';
  // RFC 4568 §7.1.2: never a key of the offer. Both directions under one key would be a key stream twice.
  if (secure.crypto.some(({ key }) => isSameKey(key, answered.key))) return 'other';
  return { suite: ours.suite, sendKey: ours.key, receiveKey: answered.key };
}

/** RFC 3264 §7: the offerer should send the first format the answer lists. */
function answeredOrder(stream: SdpMedia, codecs: readonly Codec[]): Codec[] {
  return stream.encodings
    .map((format) => format.encoding)
    .filter((name): name is Codec => codecs.includes(name as Codec));
}

function audioLines(
  audio: OurFormats & {
    port: number;
    protocol: string;
    crypto: readonly CryptoAttribute[];
    rtcpXr: readonly string[];
    ptimeMs: number;
    direction: Direction;
  },
): string[] {
  const { payloadTypes, attributes } = formatLines(audio);
  return [
    `m=audio ${audio.port} ${audio.protocol} ${payloadTypes.join(' ')}`,
    ...audio.crypto.map(writeCrypto),
    ...attributes,
    `a=ptime:${audio.ptimeMs}`,
    `a=maxptime:${PTIME_MS_MAX}`,
    ...(audio.rtcpXr.length === 0 ? [] : [`a=rtcp-xr:${audio.rtcpXr.join(' ')}`]),
    `a=${audio.direction}`,
  ];
}

function writeDescription(local: LocalMedia, origin: Origin, streams: readonly string[]): string {
  const version = isIP(local.address) === 6 ? 6 : 4;
  const lines = [
    'v=0',
    `o=- ${origin.sessionId} ${origin.version} IN IP${version} ${local.address}`,
    's=-',
    `c=IN IP${version} ${local.address}`,
    't=0 0',
    ...streams,
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** Whether two agreements are the same, so that a session refresh moves nothing. */
export function sameMedia(a: NegotiatedMedia, b: NegotiatedMedia): boolean {
  const { security, ...rest } = a;
  const { security: otherSecurity, ...other } = b;
  const keys = Object.keys(rest) as (keyof typeof rest)[];
  const isSame = keys.length === Object.keys(other).length && keys.every((key) => rest[key] === other[key]);
  return isSame && isSameSecurity(security, otherSecurity);
}
