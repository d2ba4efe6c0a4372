import type { RtpView } from '../../pcap/reorder.ts';
import { type Law, OfflineDecoder, type TonePress } from '../../worker/offline.ts';
import type { KeyPress } from './key-press.ts';

export const SAMPLES_PER_MS = 8;
/** After a longer gap time is taken from arrival: the sender stopped, or began again at another timestamp. */
export const GAP_MS_MAX = 60_000;
/**
 * Silence that is fed for a gap, at most: the detector has forgotten what came before it, and a capture full of gaps
 * costs no more than one that is full of audio.
 */
const PAUSE_SAMPLES = 500 * SAMPLES_PER_MS;
/** Audio that goes back further than this in time is a new beginning, not a repeated packet. */
const OVERLAP_MS_MAX = 2_000;
/** Codes that are handed to the detector at once: half a second; a call into it costs as much as hearing 100 samples. */
const BATCH_CODES = 4_096;

/** What a track heard, as it heard it: for a picture. Good during the call. */
export interface AudioSink {
  /** `sample` counts from the stream's first packet, at 8 kHz. */
  codes(law: Law, sample: number, codes: Uint8Array, count: number): void;
}

/** Audio of one stream on its own time line: gaps become silence, repeats are left out. */
export class ToneTrack {
  readonly #decoder = new OfflineDecoder();
  readonly #presses: KeyPress[] = [];
  readonly #audio: AudioSink | null;
  /** Where the present stretch began: its first sample as fed, and that sample's time from the stream's first packet. */
  #base = { sample: 0, atMs: 0 };
  #fed = 0;
  /** RTP timestamp that would follow without a gap; null before the first packet. */
  #next: number | null = null;
  readonly #batch = new Uint8Array(BATCH_CODES);
  #batched = 0;
  #law: Law = 'ulaw';

  constructor(audio: AudioSink | null = null) {
    this.#audio = audio;
  }

  /** `atMs`: from the stream's first packet, by arrival; used where the timestamps say nothing. */
  push(law: Law, { timestamp, bytes, from, to }: RtpView, atMs: number): void {
    const gap = this.#next === null ? 0 : (timestamp - this.#next) | 0;
    if (this.#next === null) this.#base = { sample: this.#fed, atMs };
    else if (gap > GAP_MS_MAX * SAMPLES_PER_MS || gap < -OVERLAP_MS_MAX * SAMPLES_PER_MS) {
      this.#silence(PAUSE_SAMPLES);
      this.#base = { sample: this.#fed, atMs };
    } else if (gap < 0) return;
    else if (gap > 0) {
      this.#silence(Math.min(gap, PAUSE_SAMPLES));
      const skipped = gap - Math.min(gap, PAUSE_SAMPLES);
      if (skipped > 0) this.#base = { sample: this.#fed, atMs: this.#timeOf(this.#fed + skipped) };
    }
    if (law !== this.#law) this.#flush();
    this.#law = law;
    for (let at = from; at < to; at += 1) {
      if (this.#batched === BATCH_CODES) this.#flush();
      this.#batch[this.#batched] = bytes[at] ?? 0;
      this.#batched += 1;
    }
    this.#next = (timestamp + to - from) >>> 0;
  }

  finish(): KeyPress[] {
    this.#flush();
    this.#take(this.#decoder.finish());
    return this.#presses;
  }

  #silence(count: number): void {
    this.#flush();
    this.#take(this.#decoder.feedSilence(count));
    this.#fed += count;
  }

  #flush(): void {
    if (this.#batched === 0) return;
    const sample = Math.round(this.#timeOf(this.#fed) * SAMPLES_PER_MS);
    this.#audio?.codes(this.#law, sample, this.#batch, this.#batched);
    this.#take(this.#decoder.feedCoded(this.#law, this.#batch, this.#batched));
    this.#fed += this.#batched;
    this.#batched = 0;
  }

  /** Milliseconds from the stream's first packet. */
  #timeOf(sample: number): number {
    return this.#base.atMs + (sample - this.#base.sample) / SAMPLES_PER_MS;
  }

  #take(presses: readonly TonePress[]): void {
    for (const { event, onsetSample, durationSamples, levelDbm0 } of presses) {
      const onsetMs = Math.max(0, this.#timeOf(onsetSample));
      const durationMs = durationSamples / SAMPLES_PER_MS;
      this.#presses.push({ source: 'inband', event, onsetMs, durationMs, levelDbm0 });
    }
  }
}
