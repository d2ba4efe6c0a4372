import { isIP } from 'node:net';
import type { LocalMedia, NegotiatedMedia } from '../app/ports.ts';
import { PTIME_MS_MAX, PTIME_MS_MIN } from './limits.ts';
import {
  type Direction,
  isUnicast,
  isUnspecified,
  type SdpFormat,
  type SdpMedia,
  type SessionDescription,
} from './sdp.ts';

/*
 * Offer and answer (RFC 3264) for one G.711 audio stream, pure: descriptions in, what was agreed out.
 */

export type Codec = NegotiatedMedia['codec'];

/** What a profile lets a call agree to. */
export interface MediaPolicy {
  /** In the operator's order, which wins over the offerer's. */
  readonly codecs: readonly Codec[];
  readonly ptimeMs: number;
  readonly dtmf: NegotiatedMedia['dtmf'];
}

export type OfferFault =
  | 'no audio stream'
  | 'secure media only'
  | 'transport is not RTP/AVP'
  | 'no PCMU or PCMA that the profile allows'
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
}

export type Agreement =
  | { readonly ok: true; readonly agreed: AgreedAnswer }
  | { readonly ok: false; readonly fault: OfferFault };

/** Session id and version of our own origin line; the version grows by one with each change (RFC 3264 §8). */
export interface Origin {
  readonly sessionId: string;
  readonly version: number;
}

const STATIC_PAYLOAD_TYPE: Readonly<Record<Codec, number>> = { PCMU: 0, PCMA: 8 };
const OFFERED_EVENT_PAYLOAD_TYPE = 101;

/** Settles an offer: picks the first audio stream that can be taken, or says why none can. */
export function settleOffer(offer: SessionDescription, policy: MediaPolicy): Agreement {
  let fault: OfferFault | null = null;
  for (const [index, stream] of offer.media.entries()) {
    const settled = settleStream(stream, policy);
    if (settled.ok) {
      const lines = offer.media.map(({ kind, protocol, formats }) => ({ kind, protocol, formats }));
      return { ok: true, agreed: { ...settled.stream, index, lines } };
    }
    fault = worseFault(fault, settled.fault);
  }
  return { ok: false, fault: fault ?? 'no audio stream' };
}

/** The fault that tells the caller most: one stream further into the rules beats one that fell at the first. */
const FAULT_RANK: readonly OfferFault[] = [
  'no audio stream',
  'every audio stream is disabled',
  'transport is not RTP/AVP',
  'secure media only',
  'address is not a unicast IP address',
  'no PCMU or PCMA that the profile allows',
  'no telephone-event, which the profile demands',
];

function worseFault(known: OfferFault | null, next: OfferFault): OfferFault {
  if (known === null) return next;
  return FAULT_RANK.indexOf(next) > FAULT_RANK.indexOf(known) ? next : known;
}

type SettledStream =
  | { readonly ok: true; readonly stream: Pick<AgreedAnswer, 'media' | 'eventClockRate'> }
  | { readonly ok: false; readonly fault: OfferFault };

function settleStream(stream: SdpMedia, policy: MediaPolicy): SettledStream {
  const usable = checkStream(stream);
  if (usable !== null) return { ok: false, fault: usable };

  const audio = pickCodec(stream.encodings, policy.codecs);
  if (audio === null) return { ok: false, fault: 'no PCMU or PCMA that the profile allows' };
  const event = policy.dtmf === 'inband' ? null : pickEvent(stream.encodings);
  if (event === null && policy.dtmf === 'event') {
    return { ok: false, fault: 'no telephone-event, which the profile demands' };
  }
  const address = stream.address ?? '';
  const media: NegotiatedMedia = {
    remoteAddress: address,
    remotePort: stream.port,
    codec: audio.codec,
    // We mirror the offer's numbers, so both directions of this stream use the same ones (RFC 3264 §6.1).
    sendPayloadType: audio.payloadType,
    receivePayloadType: audio.payloadType,
    // An event clock other than the audio's can be heard, because a press is told by its timestamp alone, but we send none.
    sendEventPayloadType: event !== null && event.clockRate === 8000 ? event.payloadType : null,
    receiveEventPayloadType: event?.payloadType ?? null,
    ptimeMs: ptimeToSend(stream, policy),
    direction: isUnspecified(address) ? withoutSending(reverse(stream.direction)) : reverse(stream.direction),
    dtmf: policy.dtmf,
  };
  return { ok: true, stream: { media, eventClockRate: event?.clockRate ?? 8000 } };
}

function checkStream(stream: SdpMedia): OfferFault | null {
  if (stream.kind !== 'audio') return 'no audio stream';
  if (stream.port === 0) return 'every audio stream is disabled';
  if (stream.protocol !== 'RTP/AVP') {
    return /SAVP/.test(stream.protocol) ? 'secure media only' : 'transport is not RTP/AVP';
  }
  const address = stream.address ?? '';
  if (!isUnspecified(address) && !isUnicast(address)) return 'address is not a unicast IP address';
  return null;
}

function pickCodec(
  encodings: readonly SdpFormat[],
  allowed: readonly Codec[],
): { codec: Codec; payloadType: number } | null {
  for (const codec of allowed) {
    const format = encodings.find((candidate) => candidate.encoding === codec && candidate.clockRate === 8000);
    if (format !== undefined) return { codec, payloadType: format.payloadType };
  }
  return null;
}

/** An event with the audio's clock first: then its timestamps and the audio's stand on one line. */
function pickEvent(encodings: readonly SdpFormat[]): SdpFormat | null {
  const events = encodings.filter((candidate) => candidate.encoding === 'TELEPHONE-EVENT');
  return events.find((candidate) => candidate.clockRate === 8000) ?? events[0] ?? null;
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

/** The answer to an offer that was settled: our one stream, every other m-line with port 0 (RFC 3264 §6). */
export function writeAnswer(agreed: AgreedAnswer, local: LocalMedia, origin: Origin): string {
  const { media } = agreed;
  const streams = agreed.lines.flatMap((line, index) => {
    if (index !== agreed.index) return [`m=${line.kind} 0 ${line.protocol} ${line.formats.join(' ')}`];
    return audioLines({
      port: local.port,
      codecs: [[media.receivePayloadType, media.codec]],
      event: media.receiveEventPayloadType === null ? null : [media.receiveEventPayloadType, agreed.eventClockRate],
      ptimeMs: media.ptimeMs,
      direction: media.direction,
    });
  });
  return writeDescription(local, origin, streams);
}

/** Our own offer: what the profile allows, in its order. */
export function writeOffer(policy: MediaPolicy, local: LocalMedia, origin: Origin): string {
  const streams = audioLines({
    port: local.port,
    codecs: policy.codecs.map((codec) => [STATIC_PAYLOAD_TYPE[codec], codec] as const),
    event: policy.dtmf === 'inband' ? null : [OFFERED_EVENT_PAYLOAD_TYPE, 8000],
    ptimeMs: policy.ptimeMs,
    direction: 'sendrecv',
  });
  return writeDescription(local, origin, streams);
}

/**
 * Reads the answer to an offer of `writeOffer`. The answer's payload types are what we send, ours are what the peer
 * sends, and they may differ (RFC 3264 §6.1).
 */
export function settleAnswer(answer: SessionDescription, policy: MediaPolicy): Agreement {
  const stream = answer.media[0];
  if (stream === undefined || answer.media.length !== 1) {
    return { ok: false, fault: 'answer has another number of streams' };
  }
  const settled = settleStream(stream, { ...policy, codecs: answeredOrder(stream, policy.codecs) });
  if (!settled.ok) {
    const none = settled.fault === 'no PCMU or PCMA that the profile allows';
    return { ok: false, fault: none ? 'answer chose a format that was not offered' : settled.fault };
  }
  const { media, eventClockRate } = settled.stream;
  const agreed: NegotiatedMedia = {
    ...media,
    receivePayloadType: STATIC_PAYLOAD_TYPE[media.codec],
    sendEventPayloadType: eventClockRate === 8000 ? media.sendEventPayloadType : null,
    receiveEventPayloadType: media.receiveEventPayloadType === null ? null : OFFERED_EVENT_PAYLOAD_TYPE,
  };
  const lines = [{ kind: stream.kind, protocol: stream.protocol, formats: stream.formats }];
  return { ok: true, agreed: { media: agreed, index: 0, lines, eventClockRate } };
}

/** RFC 3264 §7: the offerer should send the first format the answer lists. */
function answeredOrder(stream: SdpMedia, codecs: readonly Codec[]): Codec[] {
  return stream.encodings
    .map((format) => format.encoding)
    .filter((name): name is Codec => codecs.includes(name as Codec));
}

function audioLines(audio: {
  port: number;
  codecs: readonly (readonly [number, Codec])[];
  event: readonly [payloadType: number, clockRate: number] | null;
  ptimeMs: number;
  direction: Direction;
}): string[] {
  const formats = [...audio.codecs.map(([payloadType]) => payloadType), ...(audio.event ? [audio.event[0]] : [])];
  return [
    `m=audio ${audio.port} RTP/AVP ${formats.join(' ')}`,
    ...audio.codecs.map(([payloadType, codec]) => `a=rtpmap:${payloadType} ${codec}/8000`),
    ...(audio.event
      ? [`a=rtpmap:${audio.event[0]} telephone-event/${audio.event[1]}`, `a=fmtp:${audio.event[0]} 0-15`]
      : []),
    `a=ptime:${audio.ptimeMs}`,
    `a=maxptime:${PTIME_MS_MAX}`,
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
  const keys = Object.keys(a) as (keyof NegotiatedMedia)[];
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
