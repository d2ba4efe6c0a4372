import { RtpPacket } from 'rtp.js/packets';
import { Reorder, type RtpView } from './reorder.ts';
import type { UdpDatagram } from './transport.ts';

/** One RTP stream: a source, a destination, an SSRC. */
export interface RtpStream {
  /** `src:port>dst:port/ssrc`, the SSRC as 8 hexadecimal digits. */
  readonly name: string;
  readonly source: string;
  readonly destination: string;
  readonly firstAtMs: number;
}

export type StreamSink = (stream: RtpStream, packet: RtpView) => void;

export const STREAMS_MAX = 4096;
/** Without SIP: this many packets of one SSRC, in step, make a stream. */
export const PROBATION_PACKETS = 3;
/** In step: at most this far from the packet before. */
const PROBATION_STEP_MAX = 100;

interface Entry extends RtpStream {
  readonly reorder: Reorder;
  /** Packets of a stream that is not yet believed; null once it is. */
  probation: RtpView[] | null;
}

/**
 * Finds the RTP streams among UDP datagrams. An endpoint that SDP named is believed at once; otherwise the header must
 * be RTP's (RFC 3550 §5.1), the payload type one that RFC 3551 leaves to RTP, and a few packets must be in step.
 */
export class RtpStreams {
  readonly #entries = new Map<string, Entry>();
  readonly #sink: StreamSink;
  /** Datagrams of streams past the limit. */
  ignored = 0;

  constructor(sink: StreamSink) {
    this.#sink = sink;
  }

  /** False where this is no RTP. */
  push(datagram: UdpDatagram, atMs: number, isNamedBySdp: boolean): boolean {
    const packet = readRtp(datagram.payload);
    if (packet === null) return false;
    const ssrc = packet.getSsrc().toString(16).padStart(8, '0');
    const name = `${datagram.source}>${datagram.destination}/${ssrc}`;
    const entry = this.#entries.get(name) ?? this.#add(name, datagram, atMs);
    if (entry === null) {
      this.ignored += 1;
      return false;
    }
    const payload = packet.getPayload();
    const view: RtpView = {
      payloadType: packet.getPayloadType(),
      sequenceNumber: packet.getSequenceNumber(),
      timestamp: packet.getTimestamp(),
      payload: new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength),
      atMs,
    };
    if (entry.probation === null) entry.reorder.push(view);
    else this.#judge(entry, view, isNamedBySdp);
    return true;
  }

  /** The end of the capture. */
  finish(): void {
    for (const entry of this.#entries.values()) if (entry.probation === null) entry.reorder.flush();
  }

  #add(name: string, datagram: UdpDatagram, atMs: number): Entry | null {
    if (this.#entries.size >= STREAMS_MAX && !this.#evict()) return null;
    const { source, destination } = datagram;
    const stream: RtpStream = { name, source, destination, firstAtMs: atMs };
    const reorder = new Reorder((packet) => this.#sink(stream, packet));
    const entry: Entry = { ...stream, reorder, probation: [] };
    this.#entries.set(name, entry);
    return entry;
  }

  /** Makes room by forgetting a stream that nobody believed. */
  #evict(): boolean {
    for (const [name, entry] of this.#entries) {
      if (entry.probation !== null) return this.#entries.delete(name);
    }
    return false;
  }

  #judge(entry: Entry, view: RtpView, isNamedBySdp: boolean): void {
    const waiting = entry.probation ?? [];
    const before = waiting.at(-1);
    const step = before === undefined ? 0 : ((view.sequenceNumber - before.sequenceNumber + 0x8000) & 0xffff) - 0x8000;
    entry.probation = Math.abs(step) <= PROBATION_STEP_MAX ? [...waiting, view] : [view];
    if (!isNamedBySdp && entry.probation.length < PROBATION_PACKETS) return;
    const believed = entry.probation;
    entry.probation = null;
    for (const packet of believed) entry.reorder.push(packet);
  }
}

/** Null where it is no RTP; rtp.js throws on what it cannot parse. */
function readRtp(payload: Uint8Array): RtpPacket | null {
  const first = payload[0] ?? 0;
  const payloadType = (payload[1] ?? 0) & 0x7f;
  // RFC 3551 §6: 35-71 are unassigned and 72-76 collide with RTCP; RFC 5761 §4 keeps 64-95 free of RTP.
  if (payload.length < 13 || first >> 6 !== 2 || (payloadType > 34 && payloadType < 96)) return null;
  try {
    return new RtpPacket(new DataView(payload.buffer, payload.byteOffset, payload.byteLength));
  } catch {
    return null;
  }
}
