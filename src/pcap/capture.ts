import type { Frame, FrameReader } from './frame.ts';
import { IpReader } from './ip.ts';
import { ipPacketAt } from './link.ts';
import { PCAP_MAGICS, PcapReader } from './pcap-reader.ts';
import { PcapngReader } from './pcapng-reader.ts';
import type { RtpView } from './reorder.ts';
import { type PacketOrder, type PacketSink, type RtpStream, RtpStreams } from './rtp-streams.ts';
import { type InfoPress, Sessions } from './sessions.ts';
import { type CodecName, parseSip, type Security } from './sip.ts';
import { TcpSipReader } from './tcp.ts';
import { type Ends, emptyTransport, endsOf, readTransport, type Transport } from './transport.ts';

export type { InfoPress } from './sessions.ts';

/** `codec` is SDP's word, null where it says nothing. The packet is good during the call. */
export type CodedSink = (packet: RtpView, codec: CodecName | null) => void;

/** What the SIP seen so far says of a stream. */
export interface StreamFacts {
  /** Grows with each description: what was asked before may be another now. */
  readonly version: number;
  codecOf(payloadType: number): CodecName | null;
  security(): Security;
}

export interface CaptureSink {
  /** A stream begins; its packets come in the order that the capture was asked for. */
  stream(stream: RtpStream, facts: StreamFacts): CodedSink;
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
const PAYLOAD_TYPES = 128;
/** RFC 3261 §7.1: a message begins with a method or with SIP, in capitals. */
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;

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
  readonly #transport = emptyTransport();
  readonly #streams: RtpStreams;
  #frames = 0;
  #cut = 0;
  #notIp = 0;

  constructor(sink: CaptureSink, order: PacketOrder = 'sequence') {
    this.#sink = sink;
    this.#streams = new RtpStreams({
      isNamed: (ends) => this.#sessions.knows(ends),
      begin: (stream) => this.#begin(stream),
      order,
    });
  }

  frame(frame: Frame): void {
    this.#frames += 1;
    if (frame.cut) this.#cut += 1;
    const at = ipPacketAt(frame.linkType, frame.bytes, frame.from, frame.to);
    if (at < 0) {
      this.#notIp += 1;
      return;
    }
    const packet = this.#ip.read(frame.bytes, at, frame.to, frame.atMs);
    if (packet === null || !readTransport(packet, this.#transport)) return;
    if (this.#transport.kind === 'udp') this.#udp(this.#transport, frame.atMs);
    else this.#tcpSegment(this.#transport, frame.atMs);
  }

  finish(): CaptureCounts {
    this.#streams.finish();
    return { frames: this.#frames, cut: this.#cut, notIp: this.#notIp, ignoredRtp: this.#streams.ignored };
  }

  #udp(datagram: Transport, atMs: number): void {
    const first = datagram.from < datagram.to ? (datagram.bytes[datagram.from] ?? 0) : 0;
    // RTP begins with a byte of 0x80 and more. What the capture cut off would be heard as silence or read as another event.
    if (first >= 0x80 && !datagram.cut) this.#streams.push(datagram, atMs);
    else if (first >= LETTER_A && first <= LETTER_Z) {
      this.#sip(datagram.bytes.subarray(datagram.from, datagram.to), endsOf(datagram), atMs);
    }
  }

  #tcpSegment(segment: Transport, atMs: number): void {
    const { sequence, isSyn, isReset } = segment;
    const ends = endsOf(segment);
    const payload = segment.bytes.slice(segment.from, segment.to);
    for (const message of this.#tcp.read({ ...ends, sequence, isSyn, isReset, payload }))
      this.#sip(message, ends, atMs);
  }

  /** What SDP says of a payload type is looked up once for each description. */
  #begin(stream: RtpStream): PacketSink {
    const sessions = this.#sessions;
    const codecs = new Array<CodecName | null | undefined>(PAYLOAD_TYPES);
    let version = sessions.version;
    const codecOf = (payloadType: number): CodecName | null => {
      if (version !== sessions.version) {
        codecs.fill(undefined);
        version = sessions.version;
      }
      let codec = codecs[payloadType];
      if (codec === undefined) {
        codec = sessions.codecOf(stream, payloadType);
        codecs[payloadType] = codec;
      }
      return codec;
    };
    const sink = this.#sink.stream(stream, {
      get version() {
        return sessions.version;
      },
      codecOf,
      security: () => sessions.securityOf(stream),
    });
    return (packet) => sink(packet, codecOf(packet.payloadType));
  }

  #sip(bytes: Uint8Array, from: Ends, atMs: number): void {
    const message = parseSip(bytes);
    if (message === null) return;
    const press = this.#sessions.read(message, from, atMs);
    if (press !== null) this.#sink.info(press);
  }
}
