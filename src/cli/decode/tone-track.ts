import { decodeAlaw, decodeUlaw } from '../../lib/g711.ts';
import type { RtpView } from '../../pcap/reorder.ts';
import { type Law, OfflineDecoder, type PacketCodec, type TonePress } from '../../worker/offline.ts';
import type { KeyPress } from './key-press.ts';

export const SAMPLES_PER_MS = 8;
/** After a longer gap time is taken from arrival: the sender stopped, or began again at another timestamp. */
export const GAP_MS_MAX = 60_000;
/**
 * Silence that is fed for a gap, at most: the detector has forgotten what came before it, and a capture full of gaps
 * costs no more than one that is full of audio. Shorter losses of G.722 and Opus are concealed, as on a call.
 */
const PAUSE_SAMPLES = 500 * SAMPLES_PER_MS;
/** Audio that goes back further than this in time is a new beginning, not a repeated packet. */
const OVERLAP_MS_MAX = 2_000;
/** Codes that are handed to the detector at once: half a second; a call into it costs as much as hearing 100 samples. */
const BATCH_CODES = 4_096;

export type AudioKind = Law | PacketCodec;

const isG711 = (kind: AudioKind): kind is Law => kind === 'ulaw' || kind === 'alaw';
/** RTP timestamp units in a sample of 8 kHz: Opus counts at 48 kHz (RFC 7587 §4.1), G.722 at 8 (RFC 3551 §4.5.2). */
const scaleOf = (kind: AudioKind): number => (kind === 'opus' ? 6 : 1);

/** What a track heard, as it heard it: for a picture. Good during the call. */
export interface AudioSink {
  /** At 8 kHz; `sample` counts from the stream's first packet. */
  samples(sample: number, samples: Int16Array): void;
}

/** Audio of one stream on its own time line: gaps become silence or the announced noise, repeats are left out. */
export class ToneTrack {
  readonly #decoder: OfflineDecoder;
  readonly #presses: KeyPress[] = [];
  readonly #audio: AudioSink | null;
  /** Where the present stretch began: its first sample as placed, and that sample's time from the stream's first packet. */
  #base = { sample: 0, atMs: 0 };
  /** Samples that have their place, and those of them that the detector has heard. */
  #placed = 0;
  #heard = 0;
  /** RTP timestamp that would follow without a gap; null before the first packet. */
  #next: number | null = null;
  readonly #batch = new Uint8Array(BATCH_CODES);
  #batched = 0;
  #kind: AudioKind = 'ulaw';
  /** RFC 3389: the level below 0 dBov of the silence that was announced; null where none was. */
  #noiseLevel: number | null = null;

  constructor(audio: AudioSink | null = null) {
    this.#audio = audio;
    this.#decoder = new OfflineDecoder(undefined, audio !== null);
  }

  /**
   * `atMs`: from the stream's first packet, by arrival; used where the timestamps say nothing. False where the payload is
   * none of its codec.
   */
  push(kind: AudioKind, packet: RtpView, atMs: number): boolean {
    const { timestamp, bytes, from, to } = packet;
    const count = isG711(kind) ? to - from : this.#decoder.countSamples(kind, bytes, from, to);
    if (count === 0) return false;
    if (!this.#moveTo(kind, timestamp, atMs)) return true;
    this.#noiseLevel = null;
    if (isG711(kind)) this.#batchCodes(packet);
    else this.#decoder.feedPacket(kind, timestamp, bytes, from, to);
    this.#placed += count;
    this.#next = (timestamp + count * scaleOf(kind)) >>> 0;
    if (!isG711(kind)) this.#show();
    return true;
  }

  /** RFC 3389: from here on there is silence, and this is how loud it is. */
  noise({ timestamp, bytes, from, to }: RtpView, atMs: number): void {
    const kind = this.#kind;
    // Its clock is of 8 kHz.
    if (this.#next === null || scaleOf(kind) !== 1 || to <= from || !this.#moveTo(kind, timestamp, atMs)) return;
    this.#next = timestamp;
    if (isG711(kind)) this.#noiseLevel = (bytes[from] ?? 0) & 0x7f;
    else this.#decoder.feedNoise(timestamp, bytes, from, to);
  }

  finish(): KeyPress[] {
    this.#settle();
    this.#take(this.#decoder.finish());
    return this.#presses;
  }

  /** The time line goes on to this packet. False where it was heard already. */
  #moveTo(kind: AudioKind, timestamp: number, atMs: number): boolean {
    if (kind !== this.#kind) {
      this.#settle();
      // Timestamps of another clock say nothing of what came before.
      if (scaleOf(kind) !== scaleOf(this.#kind)) this.#next = null;
      this.#kind = kind;
    }
    if (this.#next === null) {
      this.#begin(atMs);
      return true;
    }
    const gap = Math.trunc(((timestamp - this.#next) | 0) / scaleOf(kind));
    if (gap > GAP_MS_MAX * SAMPLES_PER_MS || gap < -OVERLAP_MS_MAX * SAMPLES_PER_MS) {
      this.#silence(PAUSE_SAMPLES);
      this.#begin(atMs);
    } else if (gap < 0) return false;
    else if (gap > 0) this.#pass(gap);
    return true;
  }

  #begin(atMs: number): void {
    this.#take(this.#decoder.take());
    this.#base = { sample: this.#placed, atMs };
  }

  #pass(gap: number): void {
    if (!isG711(this.#kind) && gap <= PAUSE_SAMPLES) {
      this.#placed += gap;
      return;
    }
    this.#silence(Math.min(gap, PAUSE_SAMPLES));
    const skipped = gap - Math.min(gap, PAUSE_SAMPLES);
    if (skipped > 0) this.#begin(this.#timeOf(this.#placed + skipped));
  }

  #silence(count: number): void {
    this.#settle();
    this.#take(this.#decoder.feedSilence(count, this.#noiseLevel));
    if (this.#noiseLevel !== null) this.#show();
    this.#placed += count;
    this.#heard = this.#placed;
  }

  #batchCodes({ bytes, from, to }: RtpView): void {
    for (let at = from; at < to; at += 1) {
      if (this.#batched === BATCH_CODES) this.#flush();
      this.#batch[this.#batched] = bytes[at] ?? 0;
      this.#batched += 1;
    }
  }

  #flush(): void {
    const kind = this.#kind;
    if (this.#batched === 0 || !isG711(kind)) return;
    const codes = this.#batch.subarray(0, this.#batched);
    this.#audio?.samples(this.#drawnAt(), kind === 'alaw' ? decodeAlaw(codes) : decodeUlaw(codes));
    this.#take(this.#decoder.feedCoded(kind, this.#batch, this.#batched));
    this.#heard += this.#batched;
    this.#batched = 0;
  }

  /** Everything placed is heard. */
  #settle(): void {
    this.#flush();
    if (!isG711(this.#kind)) {
      this.#decoder.endPackets();
      this.#show();
    }
    this.#heard = this.#placed;
  }

  #show(): void {
    const samples = this.#audio === null ? null : this.#decoder.heard();
    if (samples === null) return;
    this.#audio?.samples(this.#drawnAt(), samples);
    this.#heard += samples.length;
  }

  #drawnAt(): number {
    return Math.round(this.#timeOf(this.#heard) * SAMPLES_PER_MS);
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
