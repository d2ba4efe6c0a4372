import { addonObject } from './addon.ts';

/** What the addon's OfflineDecoder takes and gives; native/addon/offline.cc. */
export interface NativeOfflineDecoder {
  feed(samples: Int16Array): Float64Array | undefined;
  feedCoded(isAlaw: boolean, codes: Uint8Array, count: number): Float64Array | undefined;
  feedSilence(count: number): Float64Array | undefined;
  finish(): Float64Array | undefined;
  event(timestamp: number, bytes: Uint8Array, from: number, to: number, answer: Float64Array): boolean;
}

interface OfflineAddon {
  readonly OfflineDecoder: new (sampleRate: number) => NativeOfflineDecoder;
}

export type Law = 'ulaw' | 'alaw';

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

  /** Throws where the addon was not built. `sampleRate` is that of what `feed` gets, 1 to 192,000. */
  constructor(sampleRate = NARROW_RATE) {
    const { OfflineDecoder: Native } = addonObject() as OfflineAddon;
    this.#native = new Native(sampleRate);
  }

  /** Samples in order; the presses that ended in them, counted at 8 kHz. */
  feed(samples: Int16Array): readonly TonePress[] {
    return tones(this.#native.feed(samples));
  }

  /** As feed, of the first `count` G.711 codes. */
  feedCoded(law: Law, codes: Uint8Array, count: number): readonly TonePress[] {
    return tones(this.#native.feedCoded(law === 'alaw', codes, count));
  }

  /** As feed, of samples that are all 0. */
  feedSilence(count: number): readonly TonePress[] {
    return tones(this.#native.feedSilence(count));
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
