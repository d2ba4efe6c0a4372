import { OfflineDecoder, type TonePress } from '../../worker/offline.ts';
import type { KeyPress } from './key-press.ts';

export const SAMPLES_PER_MS = 8;
/** A longer gap is not filled: the sender stopped, or began again at another timestamp. */
export const GAP_MS_MAX = 60_000;
/** What is fed instead, so that a press before the gap ends. */
const PAUSE_SAMPLES = 100 * SAMPLES_PER_MS;
/** Audio that goes back further than this in time is a new beginning, not a repeated packet. */
const OVERLAP_MS_MAX = 2_000;

/** Audio of one stream on its own time line: gaps become silence, repeats are left out. */
export class ToneTrack {
  readonly #decoder = new OfflineDecoder();
  readonly #presses: KeyPress[] = [];
  /** Where the present stretch began: its first sample as fed, and that sample's time. */
  #base = { sample: 0, atMs: 0 };
  #fed = 0;
  /** RTP timestamp that would follow without a gap; null before the first packet. */
  #next: number | null = null;

  /** `atMs`: from the stream's first packet, by arrival; used where the timestamps say nothing. */
  push(timestamp: number, samples: Int16Array, atMs: number): void {
    const gap = this.#next === null ? 0 : (timestamp - this.#next) | 0;
    if (this.#next === null) this.#base = { sample: this.#fed, atMs };
    else if (gap > GAP_MS_MAX * SAMPLES_PER_MS || gap < -OVERLAP_MS_MAX * SAMPLES_PER_MS) {
      this.#feed(new Int16Array(PAUSE_SAMPLES));
      this.#base = { sample: this.#fed, atMs };
    } else if (gap < 0) return;
    else if (gap > 0) this.#feed(new Int16Array(gap));
    this.#feed(samples);
    this.#next = (timestamp + samples.length) >>> 0;
  }

  finish(): KeyPress[] {
    this.#take(this.#decoder.finish());
    return this.#presses;
  }

  #feed(samples: Int16Array): void {
    this.#take(this.#decoder.feed(samples));
    this.#fed += samples.length;
  }

  #take(presses: readonly TonePress[]): void {
    for (const { event, onsetSample, durationSamples, levelDbm0 } of presses) {
      const onsetMs = Math.max(0, this.#base.atMs + (onsetSample - this.#base.sample) / SAMPLES_PER_MS);
      const durationMs = durationSamples / SAMPLES_PER_MS;
      this.#presses.push({ source: 'inband', event, onsetMs, durationMs, levelDbm0 });
    }
  }
}
