import { kept, type RtpView } from '../../pcap/reorder.ts';
import type { RtpStream } from '../../pcap/rtp-streams.ts';
import type { CodecName } from '../../pcap/sip.ts';
import { EventTrack, looksLikeEvent } from './event-track.ts';
import type { KeyPress, StreamPresses } from './key-press.ts';
import { mergePresses } from './merge.ts';
import { type AudioSink, ToneTrack } from './tone-track.ts';

const CLOCK_RATES = [8_000, 16_000, 32_000, 48_000];
const CLOCK_RATE_DEFAULT = 8_000;
/** Less than this says nothing about a clock. */
const CLOCK_SPAN_MS_MIN = 200;
const DYNAMIC_TYPE_MIN = 96;
/** What the last packet most likely lasts. */
const PACKET_MS = 20;

/** Finds the key presses of one RTP stream; packets come in order. */
export class StreamDecoder {
  readonly stream: RtpStream;
  readonly #audio: AudioSink | null;
  readonly #events = new Map<number, EventTrack>();
  readonly #infos: KeyPress[] = [];
  #tones: ToneTrack | null = null;
  #clockRate: number | null = null;
  #first: RtpView | null = null;
  #lastTimestamp = 0;
  #lastAtMs = 0;
  #latestAtMs = 0;

  constructor(stream: RtpStream, audio: AudioSink | null = null) {
    this.stream = stream;
    this.#audio = audio;
  }

  push(packet: RtpView, codec: CodecName | null): void {
    this.#first ??= kept(packet);
    this.#lastTimestamp = packet.timestamp;
    this.#lastAtMs = packet.atMs;
    this.#latestAtMs = Math.max(this.#latestAtMs, packet.atMs);
    const atMs = packet.atMs - this.stream.firstAtMs;
    const kind = kindOf(packet, codec) ?? (this.#events.has(packet.payloadType) ? 'event' : null);
    if (kind === 'event') {
      if (codec !== null) this.#clockRate = codec.clockRate;
      this.#eventTrack(packet.payloadType, codec !== null).push(packet, atMs);
    } else if (kind !== null) {
      this.#tones ??= new ToneTrack(this.#audio);
      this.#tones.push(kind, packet, atMs);
    }
  }

  /** A key that the sender of this stream sent by INFO. */
  info(press: KeyPress): void {
    this.#infos.push(press);
  }

  finish(): StreamPresses {
    const firstTimestamp = this.#first?.timestamp ?? 0;
    const clockRate = this.#clockRate ?? (this.#tones === null ? this.#measuredClockRate() : CLOCK_RATE_DEFAULT);
    const event = [...this.#events.values()].flatMap((track) => track.finish(firstTimestamp, clockRate));
    const inband = this.#tones?.finish() ?? [];
    const info = this.#infos;
    return {
      stream: this.stream.name,
      presses: mergePresses(event, inband, info),
      paths: { event, inband, info },
      durationMs: this.#first === null ? 0 : this.#latestAtMs - this.stream.firstAtMs + PACKET_MS,
      hasAudio: this.#tones !== null,
    };
  }

  #eventTrack(payloadType: number, isNamedBySdp: boolean): EventTrack {
    const known = this.#events.get(payloadType);
    if (known !== undefined) return known;
    const track = new EventTrack(isNamedBySdp);
    this.#events.set(payloadType, track);
    return track;
  }

  /** Without SDP and G.711: the rate of CLOCK_RATES that fits timestamps and arrival best. */
  #measuredClockRate(): number {
    if (this.#first === null) return CLOCK_RATE_DEFAULT;
    const spanMs = this.#lastAtMs - this.#first.atMs;
    const spanTs = (this.#lastTimestamp - this.#first.timestamp) | 0;
    if (spanMs < CLOCK_SPAN_MS_MIN || spanTs <= 0) return CLOCK_RATE_DEFAULT;
    const measured = (spanTs / spanMs) * 1000;
    const misfit = (rate: number): number => Math.abs(Math.log(measured / rate));
    return CLOCK_RATES.reduce((best, rate) => (misfit(rate) < misfit(best) ? rate : best));
  }
}

function kindOf(packet: RtpView, codec: CodecName | null): 'ulaw' | 'alaw' | 'event' | null {
  switch (codec?.name ?? packet.payloadType) {
    case 'PCMU':
    case 0:
      return 'ulaw';
    case 'PCMA':
    case 8:
      return 'alaw';
    case 'TELEPHONE-EVENT':
      return 'event';
    default:
      // An un-negotiated type: judged by its looks.
      return codec === null && packet.payloadType >= DYNAMIC_TYPE_MIN && looksLikeEvent(packet) ? 'event' : null;
  }
}
