import type { NegotiatedMedia } from '../app/ports.ts';
import type { SdpFormat } from './sdp.ts';

/*
 * The formats that a description of ours may name, and which of a peer's we take.
 */

export type Codec = NegotiatedMedia['codec'];

interface CodecFormat {
  /** The rest of `a=rtpmap`. */
  readonly rtpmap: string;
  /** Of RTP's timestamps, which is not the sampling rate for G722 (8000, RFC 3551 §4.5.2) and may not be for Opus. */
  readonly clockRate: number;
  /** In our offers; static where RFC 3551 §6 has one. */
  readonly payloadType: number;
  /** `a=fmtp`, or null. */
  readonly parameters: string | null;
  /** Packet times it can have, ascending. */
  readonly ptimesMs: readonly number[];
}

const ANY_PTIME = [10, 20, 30, 40, 50, 60] as const;

export const CODEC_FORMATS: Readonly<Record<Codec, CodecFormat>> = {
  PCMU: { rtpmap: 'PCMU/8000', clockRate: 8000, payloadType: 0, parameters: null, ptimesMs: ANY_PTIME },
  PCMA: { rtpmap: 'PCMA/8000', clockRate: 8000, payloadType: 8, parameters: null, ptimesMs: ANY_PTIME },
  G722: { rtpmap: 'G722/8000', clockRate: 8000, payloadType: 9, parameters: null, ptimesMs: ANY_PTIME },
  OPUS: {
    // RFC 7587 §7: always 48000 and two channels, whatever is in the packets.
    rtpmap: 'opus/48000/2',
    clockRate: 48_000,
    payloadType: 96,
    // RFC 7587 §6.1: the engine works at 8 kHz, so the peer need not send more, and we send no more.
    parameters: 'maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1',
    // RFC 6716 §2.1.4: frames of 30 and 50 ms there are none.
    ptimesMs: [10, 20, 40, 60],
  },
};

/** A format beside the audio. */
export interface SideFormat {
  readonly payloadType: number;
  readonly clockRate: number;
}

/** Payload types of our offers, one telephone-event for each clock in use: RFC 4733 §2.1 wants the audio's. */
export const OFFERED_EVENTS: readonly SideFormat[] = [
  { payloadType: 101, clockRate: 8000 },
  { payloadType: 102, clockRate: 48_000 },
];
export const OFFERED_RED: readonly SideFormat[] = [
  { payloadType: 97, clockRate: 8000 },
  { payloadType: 98, clockRate: 48_000 },
];
/** RFC 3551 §6 table 4, for a clock of 8 kHz. */
export const NOISE_PAYLOAD_TYPE = 13;

export function pickCodec(
  encodings: readonly SdpFormat[],
  allowed: readonly Codec[],
): { codec: Codec; payloadType: number } | null {
  for (const codec of allowed) {
    const { clockRate } = CODEC_FORMATS[codec];
    const format = encodings.find((candidate) => candidate.encoding === codec && candidate.clockRate === clockRate);
    if (format !== undefined) return { codec, payloadType: format.payloadType };
  }
  return null;
}

/** An event with the audio's clock first: then its timestamps and the audio's stand on one line. */
export function pickEvent(encodings: readonly SdpFormat[], codec: Codec): SdpFormat | null {
  const events = encodings.filter((candidate) => candidate.encoding === 'TELEPHONE-EVENT');
  return events.find((candidate) => candidate.clockRate === CODEC_FORMATS[codec].clockRate) ?? events[0] ?? null;
}

/** RFC 2198 §5: `red` whose first format is the event's says events again; one that says audio again is not ours. */
export function pickRed(encodings: readonly SdpFormat[], event: SdpFormat): SdpFormat | null {
  const red = encodings.filter(({ encoding, clockRate }) => encoding === 'RED' && clockRate === event.clockRate);
  return red.find(({ parameters }) => parameters.split('/')[0] === String(event.payloadType)) ?? null;
}

/** The longest packet time that the codec can have and that is not above what is wished. */
export function ptimeOf(codec: Codec, wishedMs: number): number {
  const { ptimesMs } = CODEC_FORMATS[codec];
  return ptimesMs.findLast((ms) => ms <= wishedMs) ?? ptimesMs[0] ?? 20;
}

/** Formats of one of our m-lines, in order, and what is said of each. */
export interface OurFormats {
  readonly codecs: readonly (readonly [payloadType: number, codec: Codec])[];
  readonly events: readonly SideFormat[];
  readonly red: readonly SideFormat[];
  readonly comfortNoise: boolean;
}

export function formatLines(formats: OurFormats): { payloadTypes: number[]; attributes: string[] } {
  const payloadTypes: number[] = [];
  const attributes: string[] = [];
  const add = (payloadType: number, rtpmap: string, parameters: string | null) => {
    payloadTypes.push(payloadType);
    attributes.push(`a=rtpmap:${payloadType} ${rtpmap}`);
    if (parameters !== null) attributes.push(`a=fmtp:${payloadType} ${parameters}`);
  };
  for (const [payloadType, codec] of formats.codecs) {
    add(payloadType, CODEC_FORMATS[codec].rtpmap, CODEC_FORMATS[codec].parameters);
  }
  if (formats.comfortNoise) add(NOISE_PAYLOAD_TYPE, 'CN/8000', null);
  for (const { payloadType, clockRate } of formats.events) add(payloadType, `telephone-event/${clockRate}`, '0-15');
  for (const { payloadType, clockRate } of formats.red) {
    const event = formats.events.find((candidate) => candidate.clockRate === clockRate);
    // The press that is on and two before it.
    if (event !== undefined) add(payloadType, `red/${clockRate}`, Array(3).fill(event.payloadType).join('/'));
  }
  return { payloadTypes, attributes };
}
