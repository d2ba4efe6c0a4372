import type { Frame, FrameReader } from './frame.ts';
import { IpReader } from './ip.ts';
import { ipPacketOf } from './link.ts';
import { PCAP_MAGICS, PcapReader } from './pcap-reader.ts';
import { PcapngReader } from './pcapng-reader.ts';
import type { RtpView } from './reorder.ts';
import { type RtpStream, RtpStreams } from './rtp-streams.ts';
import { Sessions } from './sessions.ts';
import { type CodecName, parseSip } from './sip.ts';
import { TcpSipReader } from './tcp.ts';
import { transportOf, type UdpDatagram } from './transport.ts';

/** A key that came by SIP INFO. */
export interface InfoPress {
  readonly event: number;
  readonly durationMs: number | null;
  readonly atMs: number;
  /** `src:port` and `dst:port` of the SIP message. */
  readonly source: string;
  readonly destination: string;
  /** Where the sender of the INFO sends its audio from, if its SDP said so. */
  readonly mediaEndpoint: string | null;
  /** The first message of the call. */
  readonly callAtMs: number;
}

export interface CaptureSink {
  /** In order of sequence numbers, each packet once; `codec` is SDP's word, null where it says nothing. */
  rtp(stream: RtpStream, packet: RtpView, codec: CodecName | null): void;
  info(press: InfoPress): void;
}

export interface CaptureCounts {
  readonly frames: number;
  /** Frames of which the capture kept only a part. */
  readonly cut: number;
  /** Frames that hold no IP packet that could be read. */
  readonly notIp: number;
  readonly ignoredRtp: number;
}

const PCAPNG_MAGIC = '0a0d0d0a';
export const MAGIC_BYTES = 4;

/** Which reader a file's first four bytes ask for; null where it is no capture. */
export function frameReaderFor(head: Uint8Array): FrameReader | null {
  const magic = Buffer.from(head.subarray(0, MAGIC_BYTES)).toString('hex');
  if (magic === PCAPNG_MAGIC) return new PcapngReader();
  return Object.hasOwn(PCAP_MAGICS, magic) ? new PcapReader() : null;
}

/** From frames to RTP streams and SIP keys. Frames come in the order of the file; memory is bounded by named limits. */
export class Capture {
  readonly #sink: CaptureSink;
  readonly #ip = new IpReader();
  readonly #tcp = new TcpSipReader();
  readonly #sessions = new Sessions();
  readonly #streams: RtpStreams;
  #frames = 0;
  #cut = 0;
  #notIp = 0;

  constructor(sink: CaptureSink) {
    this.#sink = sink;
    this.#streams = new RtpStreams((stream, packet) =>
      sink.rtp(stream, packet, this.#sessions.codecOf(stream, packet.payloadType)),
    );
  }

  frame(frame: Frame): void {
    this.#frames += 1;
    if (frame.cut) this.#cut += 1;
    const bytes = ipPacketOf(frame.linkType, frame.bytes);
    const packet = bytes === null ? null : this.#ip.read(bytes, frame.atMs);
    if (packet === null) {
      if (bytes === null) this.#notIp += 1;
      return;
    }
    const transport = transportOf(packet);
    if (transport?.kind === 'udp') this.#udp(transport, frame.atMs);
    else if (transport?.kind === 'tcp') {
      for (const message of this.#tcp.read(transport)) this.#sip(message, transport, frame.atMs);
    }
  }

  finish(): CaptureCounts {
    this.#streams.finish();
    return { frames: this.#frames, cut: this.#cut, notIp: this.#notIp, ignoredRtp: this.#streams.ignored };
  }

  #udp(datagram: UdpDatagram, atMs: number): void {
    // RTP begins with a byte of 0x80 and more, SIP with a letter.
    if ((datagram.payload[0] ?? 0) < 0x80) this.#sip(datagram.payload, datagram, atMs);
    // What the capture cut off would be heard as silence or read as another event.
    else if (!datagram.cut) this.#streams.push(datagram, atMs, this.#sessions.knows(datagram));
  }

  #sip(bytes: Uint8Array, from: { readonly source: string; readonly destination: string }, atMs: number): void {
    const message = parseSip(bytes);
    if (message === null) return;
    const press = this.#sessions.read(message, from, atMs);
    if (press !== null) this.#sink.info(press);
  }
}
