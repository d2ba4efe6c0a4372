import { FlowTable } from './flow-table.ts';
import { emptyView, kept, Reorder, type RtpView } from './reorder.ts';
import { readRtp, ssrcAt } from './rtp.ts';
import { type Ends, endsOf, type Transport } from './transport.ts';

/** One RTP stream: a source, a destination, an SSRC. */
export interface RtpStream extends Ends {
  /** `src:port>dst:port/ssrc`, the SSRC as 8 hexadecimal digits. */
  readonly name: string;
  readonly firstAtMs: number;
}

export type PacketSink = (packet: RtpView) => void;

export const STREAMS_MAX = 4096;
/** Without SIP: this many packets of one SSRC, in step, make a stream. */
export const PROBATION_PACKETS = 3;
/** In step: at most this far from the packet before. */
const PROBATION_STEP_MAX = 100;

/** Takes a stream's packets as they were captured. */
interface Order {
  push(packet: RtpView): void;
  flush(): void;
}

interface Entry {
  readonly stream: RtpStream;
  /** Packets of a stream that is not yet believed; null once it is. */
  probation: RtpView[] | null;
  order: Order | null;
}

export interface StreamRules {
  /** SDP named one of these endpoints. */
  isNamed(ends: Ends): boolean;
  /** A stream is believed: where do its packets go? */
  begin(stream: RtpStream): PacketSink;
  /** `sequence`: by sequence numbers, each packet once. `arrival`: as they were captured, repeats too. */
  readonly order: PacketOrder;
}

export type PacketOrder = 'sequence' | 'arrival';

/**
 * Finds the RTP streams among UDP datagrams. An endpoint that SDP named is believed at once; otherwise the header must
 * be RTP's (RFC 3550 §5.1), the payload type one that RFC 3551 leaves to RTP, and a few packets must be in step.
 */
export class RtpStreams {
  readonly #entries = new FlowTable<Entry>();
  /** In the order in which they came; the first gives way. */
  readonly #unbelieved = new Set<Entry>();
  readonly #rules: StreamRules;
  readonly #view = emptyView();
  /** Datagrams of streams past the limit. */
  ignored = 0;

  constructor(rules: StreamRules) {
    this.#rules = rules;
  }

  push(datagram: Transport, atMs: number): void {
    const view = this.#view;
    if (!readRtp(datagram.bytes, datagram.from, datagram.to, view)) return;
    view.atMs = atMs;
    const ssrc = ssrcAt(datagram.bytes, datagram.from);
    const entry = this.#entries.find(datagram, ssrc) ?? this.#add(datagram, ssrc, atMs);
    if (entry === null) this.ignored += 1;
    else if (entry.order !== null) entry.order.push(view);
    else this.#judge(entry, view);
  }

  /** The end of the capture. */
  finish(): void {
    for (const entry of this.#entries.values()) entry.order?.flush();
  }

  #add(datagram: Transport, ssrc: number, atMs: number): Entry | null {
    if (this.#entries.size >= STREAMS_MAX && !this.#evict()) return null;
    const ends = endsOf(datagram);
    const name = `${ends.source}>${ends.destination}/${ssrc.toString(16).padStart(8, '0')}`;
    const entry: Entry = { stream: { name, ...ends, firstAtMs: atMs }, order: null, probation: [] };
    this.#entries.add(datagram, ssrc, entry);
    this.#unbelieved.add(entry);
    return entry;
  }

  /** Makes room by forgetting a stream that nobody believed. */
  #evict(): boolean {
    const oldest = this.#unbelieved.values().next();
    if (oldest.done === true) return false;
    this.#unbelieved.delete(oldest.value);
    this.#entries.delete(oldest.value);
    return true;
  }

  #judge(entry: Entry, view: RtpView): void {
    const waiting = entry.probation ?? [];
    const before = waiting.at(-1);
    const step = before === undefined ? 0 : ((view.sequenceNumber - before.sequenceNumber + 0x8000) & 0xffff) - 0x8000;
    const copy = kept(view);
    entry.probation = Math.abs(step) <= PROBATION_STEP_MAX ? [...waiting, copy] : [copy];
    if (entry.probation.length < PROBATION_PACKETS && !this.#rules.isNamed(entry.stream)) return;
    const believed = entry.probation;
    entry.probation = null;
    this.#unbelieved.delete(entry);
    const sink = this.#rules.begin(entry.stream);
    entry.order = this.#rules.order === 'sequence' ? new Reorder(sink) : { push: sink, flush: () => {} };
    for (const packet of believed) entry.order.push(packet);
  }
}
