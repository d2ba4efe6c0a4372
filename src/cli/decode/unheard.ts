import { type CodecName, STATIC_CODECS } from '../../pcap/sip.ts';

const PAYLOAD_TYPES = 128;
const HEARD = 'PCMU, PCMA, G722 and opus';

/** Counts the packets of one stream that could not be heard, and says why. */
export class Unheard {
  readonly #counts = new Uint32Array(PAYLOAD_TYPES);
  readonly #codecs = new Map<number, CodecName>();
  readonly #damaged = new Map<string, number>();
  #tooMany = 0;

  /** Packets of a type that is no audio of ours; `codec` is SDP's word. */
  add(payloadType: number, codec: CodecName | null, packets: number): void {
    this.#counts[payloadType] = (this.#counts[payloadType] ?? 0) + packets;
    if (codec !== null) this.#codecs.set(payloadType, codec);
  }

  damaged(kind: string): void {
    this.#damaged.set(kind, (this.#damaged.get(kind) ?? 0) + 1);
  }

  /** More streams than are decoded at once. */
  tooMany(): void {
    this.#tooMany += 1;
  }

  notes(): string[] {
    const notes: string[] = [];
    for (const [payloadType, count] of this.#counts.entries()) {
      if (count === 0) continue;
      const codec = this.#codecs.get(payloadType) ?? STATIC_CODECS.get(payloadType);
      const packets = `${count} packet${count === 1 ? '' : 's'}`;
      notes.push(
        codec === undefined
          ? `${packets} of payload type ${payloadType} were not heard: no SDP in the capture says what it is`
          : `${packets} of ${codec.name}/${codec.clockRate} were not heard: only ${HEARD} are decoded`,
      );
    }
    for (const [kind, count] of this.#damaged)
      notes.push(`${count} packets of ${kind} were not heard: they are damaged`);
    if (this.#tooMany > 0) notes.push(`${this.#tooMany} packets were not heard: too many streams of G722 and opus`);
    return notes;
  }
}
