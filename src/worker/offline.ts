import type { SrtpSuite } from '../app/ports.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import { addonObject } from './addon.ts';
import { SRTP_SUITES } from './contract.ts';

/** What the addon's OfflineDecoder takes and gives; native/addon/offline.cc. */
export interface NativeOfflineDecoder {
  feed(samples: Int16Array): Float64Array | undefined;
  feedCoded(isAlaw: boolean, codes: Uint8Array, count: number): Float64Array | undefined;
  feedSilence(count: number, noiseLevel: number): Float64Array | undefined;
  countSamples(codec: number, bytes: Uint8Array, from: number, to: number): number;
  feedPacket(codec: number, timestamp: number, bytes: Uint8Array, from: number, to: number): void;
  feedNoise(timestamp: number, bytes: Uint8Array, from: number, to: number): void;
  endPackets(): void;
  take(): Float64Array | undefined;
  heard(): Int16Array | undefined;
  finish(): Float64Array | undefined;
  event(timestamp: number, bytes: Uint8Array, from: number, to: number, answer: Float64Array): boolean;
}

/** The addon's OfflineSrtp; native/addon/offline_srtp.cc. Gives the plain packet's length, or -1. */
interface NativeOfflineSrtp {
  open(bytes: Uint8Array, from: number, to: number, atMs: number, plain: Uint8Array): number;
}

type ReadRed = (bytes: Uint8Array, from: number, to: number, answer: Float64Array) => number;

/** What of the addon is for files. */
interface OfflineAddon {
  readonly OfflineDecoder: new (sampleRate: number, keepsAudio: boolean) => NativeOfflineDecoder;
  readonly OfflineSrtp: new (suite: number, key: Uint8Array) => NativeOfflineSrtp;
  readonly readRed: ReadRed;
}

/** Throws where the addon was not built. */
export function offlineAddon(): OfflineAddon {
  return addonObject() as OfflineAddon;
}

export type Law = 'ulaw' | 'alaw';
export type PacketCodec = 'g722' | 'opus';

/** Numbers of native/audio/codec.h. */
const CODECS: Readonly<Record<PacketCodec, number>> = { g722: 9, opus: 96 };

export interface TonePress {
  /** RFC 4733 event code, 0 to 15. */
  readonly event: number;
  /** At 8 kHz, counted from the first sample fed. */
  readonly onsetSample: number;
  readonly durationSamples: number;
  /** Both tones together. */
  readonly levelDbm0: number;
}

export interface EventUpdate {
  readonly begins: boolean;
  readonly event: number;
  /** Power below 0 dBm0, 0 to 63. */
  readonly volume: number;
  /** RTP timestamp of the press's beginning. */
  readonly timestamp: number;
  readonly durationTs: number;
}

const NARROW_RATE = 8_000;
const NO_NOISE = -1;
/** native/srtp/srtp.cc: longer packets are not opened. */
const SRTP_PACKET_BYTES_MAX = 1_500;
/** native/rtp/redundancy.h, kRedBlocksMax. */
const RED_BLOCKS_MAX = 6;
const RED_NUMBERS = 4;
const TONE_NUMBERS = 4;
const EVENT_NUMBERS = 5;
const NO_PRESSES: readonly TonePress[] = [];

/**
 * The engine's detector and event receiver, for files: one for each audio stream, and one for each payload type of
 * events. Its values are digits: only `decode` uses it, on files that a person names.
 */
export class OfflineDecoder {
  readonly #native: NativeOfflineDecoder;
  readonly #answer = new Float64Array(EVENT_NUMBERS);

  /**
   * Throws where the addon was not built. `sampleRate` is that of what `feed` gets, 1 to 192,000. `keepsAudio`: `heard`
   * gives what packets held.
   */
  constructor(sampleRate = NARROW_RATE, keepsAudio = false) {
    this.#native = new (offlineAddon().OfflineDecoder)(sampleRate, keepsAudio);
  }

  /** Samples in order; the presses that ended in them, counted at 8 kHz. */
  feed(samples: Int16Array): readonly TonePress[] {
    return tones(this.#native.feed(samples));
  }

  /** As feed, of the first `count` G.711 codes. */
  feedCoded(law: Law, codes: Uint8Array, count: number): readonly TonePress[] {
    return tones(this.#native.feedCoded(law === 'alaw', codes, count));
  }

  /** As feed, of samples that are all 0, or of noise so far below 0 dBov (RFC 3389). */
  feedSilence(count: number, noiseLevel: number | null = null): readonly TonePress[] {
    return tones(this.#native.feedSilence(count, noiseLevel ?? NO_NOISE));
  }

  /** Samples of 8 kHz in a payload that stands in `bytes`; 0 where it is none of this codec. */
  countSamples(codec: PacketCodec, bytes: Uint8Array, from: number, to: number): number {
    return this.#native.countSamples(CODECS[codec], bytes, from, to);
  }

  /**
   * The next packet of a stream of G.722 or Opus, at most half a second after the one before: what is missing between them is
   * concealed as on a call. Its presses wait for `take`.
   */
  feedPacket(codec: PacketCodec, timestamp: number, bytes: Uint8Array, from: number, to: number): void {
    this.#native.feedPacket(CODECS[codec], timestamp, bytes, from, to);
  }

  /** RFC 3389, between packets: silence, and how loud it is. */
  feedNoise(timestamp: number, bytes: Uint8Array, from: number, to: number): void {
    this.#native.feedNoise(timestamp, bytes, from, to);
  }

  /** The last packet is heard to its end, and the next one begins anew. */
  endPackets(): void {
    this.#native.endPackets();
  }

  /** The presses that ended in packets. */
  take(): readonly TonePress[] {
    return tones(this.#native.take());
  }

  /** What of packets, and of noise, was heard since the last call; null for nothing. */
  heard(): Int16Array | null {
    return this.#native.heard() ?? null;
  }

  /** The press that is still on where the audio ends. */
  finish(): readonly TonePress[] {
    return tones(this.#native.finish());
  }

  /** The payload stands in `bytes`. Null where it says nothing new, is malformed, or is no key. */
  event(timestamp: number, bytes: Uint8Array, from: number, to: number): EventUpdate | null {
    if (!this.#native.event(timestamp, bytes, from, to, this.#answer)) return null;
    const [begins = 0, event = 0, volume = 0, beganAt = 0, durationTs = 0] = this.#answer;
    return { begins: begins === 1, event, volume, timestamp: beganAt, durationTs };
  }
}

function tones(numbers: Float64Array | undefined): readonly TonePress[] {
  if (numbers === undefined) return NO_PRESSES;
  return Array.from({ length: numbers.length / TONE_NUMBERS }, (_, index) => {
    const [event = 0, onsetSample = 0, durationSamples = 0, levelDbm0 = 0] = numbers.subarray(index * TONE_NUMBERS);
    return { event, onsetSample, durationSamples, levelDbm0 };
  });
}

/** One direction of one SRTP key, for files: packets in order. */
export class OfflineSrtp {
  readonly #native: NativeOfflineSrtp;
  readonly #plain = new Uint8Array(SRTP_PACKET_BYTES_MAX);

  constructor(suite: SrtpSuite, key: Sensitive<Uint8Array>) {
    this.#native = new (offlineAddon().OfflineSrtp)(
      SRTP_SUITES.findIndex(({ name }) => name === suite),
      key.reveal(),
    );
  }

  /** The plain packet, good until the next call; null where this key does not open it, or it came before. */
  open(bytes: Uint8Array, from: number, to: number, atMs: number): Uint8Array | null {
    const length = this.#native.open(bytes, from, to, atMs, this.#plain);
    return length < 0 ? null : this.#plain.subarray(0, length);
  }
}

export interface RedBlock {
  readonly payloadType: number;
  /** Before the packet's timestamp. */
  readonly timestampOffset: number;
  readonly from: number;
  readonly to: number;
}

/** Reads RFC 2198 payloads. */
export class RedReader {
  readonly #read: ReadRed = offlineAddon().readRed;
  readonly #answer = new Float64Array(RED_BLOCKS_MAX * RED_NUMBERS);

  /** How many blocks stand in the payload, oldest first, the packet's own last; 0 where it is damaged. */
  read(bytes: Uint8Array, from: number, to: number): number {
    return this.#read(bytes, from, to, this.#answer);
  }

  /** Of the payload read last. */
  block(index: number): RedBlock {
    const at = index * RED_NUMBERS;
    const [payloadType = 0, timestampOffset = 0, from = 0, to = 0] = this.#answer.subarray(at, at + RED_NUMBERS);
    return { payloadType, timestampOffset, from, to };
  }
}
