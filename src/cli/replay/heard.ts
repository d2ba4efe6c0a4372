import { decodeAlaw, decodeUlaw } from '../../lib/g711.ts';
import type { RtpView } from '../../pcap/reorder.ts';
import type { CodecName } from '../../pcap/sip.ts';

const SAMPLE_RATE = 8_000;
const SAMPLES_PER_MS = SAMPLE_RATE / 1000;
/** A recording longer than this goes on without being kept. */
export const RECORD_MS_MAX = 3_600_000;
/** RFC 3550 §A.1: a larger jump is a sender that began again. */
const SEQUENCE_JUMP_MAX = 3_000;
/** A larger step of timestamps is a sender that began again, whatever its sequence numbers say. */
const TIMESTAMP_STEP_MS_MAX = 60_000;
/** RFC 3550 §6.4.1: the jitter moves by a sixteenth of each difference. */
const JITTER_SHARE = 16;

/** What came back, counted as RFC 3550 §A.3 and §A.8 count it, and the audio of it. */
export class Heard {
  readonly #audio: boolean;
  readonly #counts = new Map<number, number>();
  #packets = 0;
  #lost = 0;
  #firstAfterMs: number | null = null;
  #ssrc: number | null = null;
  #highest = 0;
  #jitterMs = 0;
  /** The packet before: its timestamp, when it came, and its place on the recording's time line. */
  #before: { readonly timestamp: number; readonly atMs: number; readonly sample: number } | null = null;
  #samples = new Int16Array(SAMPLE_RATE);
  #length = 0;

  /** `audio`: whether it is kept. */
  constructor(audio: boolean) {
    this.#audio = audio;
  }

  /** `atMs`: since the playing began. `codec`: what was agreed on for the payload type, null where nothing was. */
  packet(view: RtpView, ssrc: number, codec: CodecName | null, atMs: number): void {
    this.#packets += 1;
    this.#counts.set(view.payloadType, (this.#counts.get(view.payloadType) ?? 0) + 1);
    this.#firstAfterMs ??= atMs;
    this.#count(view.sequenceNumber, ssrc);
    const clockRate = codec?.clockRate ?? SAMPLE_RATE;
    // Timestamps wrap, so only their differences are looked at.
    const stepMs = this.#before === null ? 0 : (((view.timestamp - this.#before.timestamp) | 0) / clockRate) * 1000;
    if (Math.abs(stepMs) > TIMESTAMP_STEP_MS_MAX) this.#before = null;
    let sample = Math.round(atMs * SAMPLES_PER_MS);
    if (this.#before !== null) {
      this.#jitterMs += (Math.abs(atMs - this.#before.atMs - stepMs) - this.#jitterMs) / JITTER_SHARE;
      sample = this.#before.sample + Math.round(stepMs * SAMPLES_PER_MS);
    }
    this.#before = { timestamp: view.timestamp, atMs, sample };
    if (this.#audio && codec !== null) this.#keep(view, codec, sample);
  }

  #count(sequenceNumber: number, ssrc: number): void {
    const ahead = ((sequenceNumber - this.#highest + 0x8000) & 0xffff) - 0x8000;
    if (ssrc !== this.#ssrc || Math.abs(ahead) > SEQUENCE_JUMP_MAX) {
      this.#ssrc = ssrc;
      this.#highest = sequenceNumber;
      this.#before = null;
    } else if (ahead > 0) {
      this.#lost += ahead - 1;
      this.#highest = sequenceNumber;
    } else {
      // Late, or a second time: it was counted as lost, if it was not here yet.
      this.#lost = Math.max(0, this.#lost - 1);
    }
  }

  get packets(): number {
    return this.#packets;
  }

  /** In a person's words; `nameOf` a payload type. */
  describe(nameOf: (payloadType: number) => string): string {
    if (this.#packets === 0) return 'heard nothing';
    const kinds = [...this.#counts].map(([payloadType, count]) => `${count} ${nameOf(payloadType)}`).join(', ');
    const first = Math.round(this.#firstAfterMs ?? 0);
    const jitter = this.#jitterMs.toFixed(1);
    return `heard ${this.#packets} packets (${kinds}), ${this.#lost} lost, the first after ${first} ms, jitter ${jitter} ms`;
  }

  /** On one time line with what was played; silence where nothing came. */
  recording(): Int16Array {
    return this.#samples.slice(0, this.#length);
  }

  #keep({ bytes, from, to }: RtpView, { name }: CodecName, at: number): void {
    if (name !== 'PCMU' && name !== 'PCMA') return;
    const end = at + to - from;
    if (at < 0 || end > RECORD_MS_MAX * SAMPLES_PER_MS) return;
    if (end > this.#samples.length) {
      const larger = new Int16Array(Math.min(RECORD_MS_MAX * SAMPLES_PER_MS, 2 * end));
      larger.set(this.#samples.subarray(0, this.#length));
      this.#samples = larger;
    }
    const payload = bytes.subarray(from, to);
    this.#samples.set(name === 'PCMU' ? decodeUlaw(payload) : decodeAlaw(payload), at);
    this.#length = Math.max(this.#length, end);
  }
}
