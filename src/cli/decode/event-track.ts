import type { RtpView } from '../../pcap/reorder.ts';
import { OfflineDecoder } from '../../worker/offline.ts';
import type { KeyPress } from './key-press.ts';

interface Press {
  readonly event: number;
  readonly volume: number;
  readonly timestamp: number;
  /** By arrival, from the stream's first packet. */
  readonly atMs: number;
  durationTs: number;
}

const EVENT_BYTES = 4;
const BLOCKS_MAX = 4;
const EVENT_CODE_MAX = 16;
/** Timestamps and arrival may differ by this much before the timestamps are not believed. */
const DISAGREEMENT_MS_MAX = 500;

/** RFC 4733 §2.3: four bytes, the reserved bit zero; keys and hook flash. */
export function looksLikeEvent({ bytes, from, to }: RtpView): boolean {
  const length = to - from;
  const whole = length % EVENT_BYTES === 0 && length <= BLOCKS_MAX * EVENT_BYTES && length > 0;
  return whole && (bytes[from] ?? 255) <= EVENT_CODE_MAX && ((bytes[from + 1] ?? 0) & 0x40) === 0;
}

/** Events of one payload type of one stream. */
export class EventTrack {
  readonly #decoder = new OfflineDecoder();
  readonly #presses: Press[] = [];
  readonly #isNamedBySdp: boolean;
  #isSpoiled = false;
  #packets = 0;

  constructor(isNamedBySdp: boolean) {
    this.#isNamedBySdp = isNamedBySdp;
  }

  /** Packets of a type that turned out to carry something else. */
  get spoiled(): number {
    return this.#isSpoiled ? this.#packets : 0;
  }

  push(packet: RtpView, atMs: number): void {
    this.#packets += 1;
    // Nobody said that this type carries events, and here it does not.
    if (!this.#isNamedBySdp && !looksLikeEvent(packet)) this.#isSpoiled = true;
    const update = this.#decoder.event(packet.timestamp, packet.bytes, packet.from, packet.to);
    if (update === null) return;
    const { event, volume, timestamp, durationTs } = update;
    const last = this.#presses.at(-1);
    if (update.begins) this.#presses.push({ event, volume, timestamp, atMs, durationTs });
    else if (last !== undefined && last.timestamp === timestamp)
      last.durationTs = Math.max(last.durationTs, durationTs);
  }

  /** `firstTimestamp` is the stream's; `clockRate` the events'. */
  finish(firstTimestamp: number, clockRate: number): KeyPress[] {
    if (this.#isSpoiled) return [];
    return this.#presses.map(({ event, volume, timestamp, atMs, durationTs }) => {
      const byTimestampMs = (((timestamp - firstTimestamp) | 0) / clockRate) * 1000;
      const isBelieved = byTimestampMs >= 0 && Math.abs(byTimestampMs - atMs) <= DISAGREEMENT_MS_MAX;
      const durationMs = (durationTs / clockRate) * 1000;
      return { source: 'event', event, onsetMs: isBelieved ? byTimestampMs : atMs, durationMs, levelDbm0: -volume };
    });
  }
}
