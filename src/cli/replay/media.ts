import { createSocket, type Socket } from 'node:dgram';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { RtpView } from '../../pcap/reorder.ts';
import { readRtp, ssrcAt } from '../../pcap/rtp.ts';
import type { Heard } from './heard.ts';
import type { Answer, Offer } from './offer.ts';
import type { Sending } from './schedule.ts';
import type { ReplayPacket } from './stream-source.ts';

const RTP_HEADER_BYTES = 12;
/** A timer comes late rather than early: what is due within this goes out now. */
const DUE_WITHIN_MS = 0.5;

export interface MediaOrder {
  /** Ours. */
  readonly address: string;
  readonly ssrc: number;
  readonly offer: Offer;
  readonly heard: Heard;
}

export interface Played {
  readonly sent: number;
  /** Packets whose payload type was not agreed on, by that type. */
  readonly notAgreed: ReadonlyMap<number, number>;
  /** Of what was scheduled, packets that were still to go when the call ended. */
  readonly unsent: number;
}

/** The RTP of the call: sends what is due, hears what comes. */
export class ReplayMedia {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #heard: Heard;
  readonly #ssrc: number;
  readonly #offer: Offer;
  #answer: Answer | null = null;
  #beganAt = 0;
  #timer: Timer | null = null;
  #isClosed = false;
  #sent = 0;
  #next = 0;
  readonly #notAgreed = new Map<number, number>();

  private constructor(socket: Socket, { ssrc, offer, heard }: MediaOrder, clock: Clock) {
    this.#socket = socket;
    this.#ssrc = ssrc;
    this.#offer = offer;
    this.#heard = heard;
    this.#clock = clock;
    socket.on('message', (bytes) => this.#hear(bytes));
    // A far end that closed its port is heard of by SIP.
    socket.on('error', () => {});
  }

  static async open(order: MediaOrder, clock: Clock): Promise<ReplayMedia> {
    const { address } = order;
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, address, resolve);
    });
    return new ReplayMedia(socket, order, clock);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Where it goes from now on; a later answer moves it. */
  sendTo(answer: Answer): void {
    if (this.#answer === null) this.#beganAt = this.#clock.now();
    this.#answer = answer;
  }

  /** Settles when the last has gone out, or the socket was closed. `progress` gets 0 to 1. */
  play(sendings: readonly Sending[], progress: (done: number) => void): Promise<void> {
    return new Promise((resolve) => {
      const step = (): void => {
        const elapsed = this.#clock.now() - this.#beganAt;
        for (let next = sendings[this.#next]; next !== undefined; next = sendings[this.#next]) {
          if (this.#isClosed || next.dueMs > elapsed + DUE_WITHIN_MS) break;
          this.#send(next.packet);
          this.#next += 1;
        }
        progress(this.#next / sendings.length);
        const waiting = sendings[this.#next];
        if (waiting === undefined || this.#isClosed) resolve();
        else this.#timer = this.#clock.startTimer(Math.max(1, waiting.dueMs - elapsed), step);
      };
      step();
    });
  }

  played(sendings: readonly Sending[]): Played {
    return { sent: this.#sent, notAgreed: this.#notAgreed, unsent: sendings.length - this.#next };
  }

  /** Ends the playing; what has not gone out stays. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#socket.close();
  }

  #send({ payloadType, sequenceNumber, timestamp, marker, payload }: ReplayPacket): void {
    const mapping = this.#answer?.mappings.get(payloadType);
    if (this.#answer === null || mapping === undefined) {
      this.#notAgreed.set(payloadType, (this.#notAgreed.get(payloadType) ?? 0) + 1);
      return;
    }
    const body = mapping.convert === null ? payload : mapping.convert(payload);
    const bytes = Buffer.alloc(RTP_HEADER_BYTES + body.length);
    // RFC 3550 §5.1: version 2; sequence number and timestamp are the capture's, so that they can be found again.
    bytes.writeUInt8(0x80, 0);
    bytes.writeUInt8((marker ? 0x80 : 0) | mapping.payloadType, 1);
    bytes.writeUInt16BE(sequenceNumber, 2);
    bytes.writeUInt32BE(timestamp, 4);
    bytes.writeUInt32BE(this.#ssrc, 8);
    bytes.set(body, RTP_HEADER_BYTES);
    this.#socket.send(bytes, this.#answer.port, this.#answer.address);
    this.#sent += 1;
  }

  #hear(bytes: Buffer): void {
    const view: RtpView = {
      payloadType: 0,
      sequenceNumber: 0,
      timestamp: 0,
      marker: false,
      bytes,
      from: 0,
      to: 0,
      packetFrom: 0,
      packetTo: 0,
      atMs: 0,
    };
    if (!readRtp(bytes, 0, bytes.length, view)) return;
    const atMs = this.#answer === null ? 0 : this.#clock.now() - this.#beganAt;
    // RFC 3264 §5.1: what comes has the payload types that we offered.
    this.#heard.packet(view, ssrcAt(bytes, 0), this.#offer.get(view.payloadType) ?? null, atMs);
  }
}
