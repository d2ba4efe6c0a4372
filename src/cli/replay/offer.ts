import { decodeAlaw, decodeUlaw, encodeAlaw, encodeUlaw } from '../../lib/g711.ts';
import { type CodecName, parseSdp } from '../../pcap/sip.ts';

/** Offer and answer (RFC 3264) of a call that plays a capture: what it has is offered, and mapped to what was answered. */
const PCMU: CodecName = { name: 'PCMU', clockRate: 8_000 };
const PCMA: CodecName = { name: 'PCMA', clockRate: 8_000 };
const EVENT = 'TELEPHONE-EVENT';
const EVENT_TYPE = 101;
const [DYNAMIC_TYPE_MIN, DYNAMIC_TYPE_MAX] = [96, 127];
const STATIC_TYPES: Readonly<Record<string, number>> = { PCMU: 0, PCMA: 8 };

/** Payload types by codec, in order of preference. */
export type Offer = ReadonlyMap<number, CodecName>;

export const isG711 = ({ name }: CodecName): boolean => name === 'PCMU' || name === 'PCMA';
const isSame = (one: CodecName, other: CodecName): boolean =>
  one.name === other.name && one.clockRate === other.clockRate;

/**
 * Every codec of the stream under the number it was captured with. G.711 is offered in both laws, because one is easily
 * made of the other; with events alone it stands for the audio that a call must have. Events are always offered.
 */
export function offerOf(captured: ReadonlyMap<number, CodecName>): Offer {
  const offer = new Map<number, CodecName>();
  const add = (wished: number, codec: CodecName): void => {
    if ([...offer.values()].some((one) => isSame(one, codec))) return;
    let payloadType = wished;
    for (let other = DYNAMIC_TYPE_MIN; offer.has(payloadType) && other <= DYNAMIC_TYPE_MAX; other += 1) {
      payloadType = other;
    }
    if (!offer.has(payloadType)) offer.set(payloadType, codec);
  };
  const audio = [...captured].filter(([, { name }]) => name !== EVENT && name !== 'CN');
  for (const [payloadType, codec] of audio) add(payloadType, codec);
  if (audio.length === 0 || audio.some(([, codec]) => isG711(codec))) {
    for (const codec of [PCMU, PCMA]) add(STATIC_TYPES[codec.name] ?? 0, codec);
  }
  for (const [payloadType, codec] of captured) if (codec.name === 'CN') add(payloadType, codec);
  const events = [...captured].filter(([, { name }]) => name === EVENT);
  for (const [payloadType, codec] of events) add(payloadType, codec);
  if (events.length === 0) add(EVENT_TYPE, { name: EVENT, clockRate: [...offer.values()][0]?.clockRate ?? 8_000 });
  return offer;
}

/** `address` is ours. */
export function sdpOf(address: string, port: number, offer: Offer): string {
  const family = address.includes(':') ? 'IP6' : 'IP4';
  const lines = [
    'v=0',
    `o=replay 1 1 IN ${family} ${address}`,
    's=-',
    `c=IN ${family} ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${[...offer.keys()].join(' ')}`,
  ];
  for (const [payloadType, { name, clockRate }] of offer) {
    // RFC 7587 §7: opus is always said to have two channels.
    const written = name === EVENT ? EVENT.toLowerCase() : name;
    lines.push(`a=rtpmap:${payloadType} ${written}/${clockRate}${name === 'OPUS' ? '/2' : ''}`);
    if (name === EVENT) lines.push(`a=fmtp:${payloadType} 0-15`);
  }
  lines.push('a=sendrecv', '');
  return lines.join('\r\n');
}

/** How packets of one captured payload type are sent. */
export interface Mapping {
  readonly payloadType: number;
  /** Makes the other law of G.711; null where the payload goes as it is. */
  readonly convert: ((payload: Uint8Array) => Uint8Array) | null;
}

export interface Answer {
  readonly address: string;
  readonly port: number;
  /** By captured payload type; one that is not here was not agreed on. */
  readonly mappings: ReadonlyMap<number, Mapping>;
}

/** Null where the answer has no audio. */
export function readAnswer(sdp: string, captured: ReadonlyMap<number, CodecName>): Answer | null {
  const [media] = parseSdp(sdp);
  if (media === undefined) return null;
  const colon = media.endpoint.lastIndexOf(':');
  const mappings = new Map<number, Mapping>();
  for (const [payloadType, codec] of captured) {
    const mapping = mappingOf(codec, media.codecs);
    if (mapping !== null) mappings.set(payloadType, mapping);
  }
  return {
    address: media.endpoint.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(media.endpoint.slice(colon + 1)),
    mappings,
  };
}

function mappingOf(codec: CodecName, answered: ReadonlyMap<number, CodecName>): Mapping | null {
  const find = (wanted: CodecName): number | undefined =>
    [...answered].find(([, candidate]) => isSame(candidate, wanted))?.[0];
  const same = find(codec);
  if (same !== undefined) return { payloadType: same, convert: null };
  if (!isG711(codec)) return null;
  const other = codec.name === 'PCMU' ? PCMA : PCMU;
  const payloadType = find(other);
  if (payloadType === undefined) return null;
  const convert =
    codec.name === 'PCMU'
      ? (payload: Uint8Array) => encodeAlaw(decodeUlaw(payload))
      : (payload: Uint8Array) => encodeUlaw(decodeAlaw(payload));
  return { payloadType, convert };
}
