import type { StreamFacts } from '../../pcap/capture.ts';
import { kept, type RtpView } from '../../pcap/reorder.ts';
import type { RtpStream } from '../../pcap/rtp-streams.ts';
import type { CodecName } from '../../pcap/sip.ts';
import type { CryptoAttribute } from '../../sip/crypto.ts';
import { RedReader } from '../../worker/offline.ts';
import { EventTrack, looksLikeEvent } from './event-track.ts';
import type { KeyPress, StreamPresses } from './key-press.ts';
import { mergePresses } from './merge.ts';
import { Protection } from './protection.ts';
import { type AudioKind, type AudioSink, ToneTrack } from './tone-track.ts';
import { Unheard } from './unheard.ts';

const CLOCK_RATES = [8_000, 16_000, 32_000, 48_000];
const CLOCK_RATE_DEFAULT = 8_000;
/** Less than this says nothing about a clock. */
const CLOCK_SPAN_MS_MIN = 200;
const DYNAMIC_TYPE_MIN = 96;
/** What the last packet most likely lasts. */
const PACKET_MS = 20;

export interface StreamTools {
  readonly facts: StreamFacts;
  /** Of SRTP, that a person gave. */
  readonly keys: readonly CryptoAttribute[];
  readonly audio: AudioSink | null;
  /** How many streams may still begin to decode G.722 or Opus; shared by all. */
  readonly coders: { left: number };
}

type Kind = AudioKind | 'event' | 'noise' | 'red';

/** Finds the key presses of one RTP stream; packets come in order. */
export class StreamDecoder {
  readonly stream: RtpStream;
  readonly #tools: StreamTools;
  readonly #protection: Protection;
  readonly #events = new Map<number, EventTrack>();
  readonly #infos: KeyPress[] = [];
  readonly #unheard = new Unheard();
  #red: RedReader | null = null;
  #tones: ToneTrack | null = null;
  #mayCode: boolean | null = null;
  #clockRate: number | null = null;
  #first: RtpView | null = null;
  #lastTimestamp = 0;
  #lastAtMs = 0;
  #latestAtMs = 0;

  constructor(stream: RtpStream, tools: StreamTools) {
    this.stream = stream;
    this.#tools = tools;
    this.#protection = new Protection(tools.facts, tools.keys);
  }

  push(captured: RtpView, codec: CodecName | null): void {
    const packet = this.#protection.open(captured);
    if (packet === null) return;
    this.#first ??= kept(packet);
    this.#lastTimestamp = packet.timestamp;
    this.#lastAtMs = packet.atMs;
    this.#latestAtMs = Math.max(this.#latestAtMs, packet.atMs);
    this.#hear(packet, codec, packet.atMs - this.stream.firstAtMs);
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
    for (const [payloadType, { spoiled }] of this.#events) this.#unheard.add(payloadType, null, spoiled);
    const note = this.#protection.note;
    return {
      stream: this.stream.name,
      presses: mergePresses(event, inband, info),
      paths: { event, inband, info },
      durationMs: this.#first === null ? 0 : this.#latestAtMs - this.stream.firstAtMs + PACKET_MS,
      hasAudio: this.#tones !== null,
      notes: [...(note === null ? [] : [note]), ...this.#unheard.notes()],
    };
  }

  #hear(packet: RtpView, codec: CodecName | null, atMs: number): void {
    const kind = kindOf(packet, codec) ?? (this.#events.has(packet.payloadType) ? 'event' : null);
    if (kind === null) this.#unheard.add(packet.payloadType, codec, 1);
    else if (kind === 'event') {
      if (codec !== null) this.#clockRate = codec.clockRate;
      this.#eventTrack(packet.payloadType, codec !== null).push(packet, atMs);
    } else if (kind === 'red') this.#hearRed(packet, codec, atMs);
    else if (kind === 'noise') this.#tones?.noise(packet, atMs);
    else this.#hearAudio(kind, packet, atMs);
  }

  #hearAudio(kind: AudioKind, packet: RtpView, atMs: number): void {
    if (kind === 'g722' || kind === 'opus') {
      this.#mayCode ??= this.#tools.coders.left-- > 0;
      if (!this.#mayCode) {
        this.#unheard.tooMany();
        return;
      }
    }
    this.#tones ??= new ToneTrack(this.#tools.audio);
    if (!this.#tones.push(kind, packet, atMs)) this.#unheard.damaged(kind);
  }

  /**
   * RFC 2198 §3: blocks of earlier packets, then the packet's own. As on a call, an earlier block is heard where it is an
   * event: its timestamp tells whether its press is known.
   */
  #hearRed(packet: RtpView, codec: CodecName | null, atMs: number): void {
    this.#red ??= new RedReader();
    const red = this.#red;
    const count = red.read(packet.bytes, packet.from, packet.to);
    if (count === 0) this.#unheard.damaged('red');
    for (let index = 0; index < count; index += 1) {
      const { payloadType, timestampOffset, from, to } = red.block(index);
      const isOwn = index + 1 === count;
      const blockCodec = this.#tools.facts.codecOf(payloadType);
      const block = { ...packet, payloadType, timestamp: (packet.timestamp - timestampOffset) >>> 0, from, to };
      const kind = kindOf(block, blockCodec);
      // RED in RED is nobody's; an empty block says that nothing came before.
      if (from === to || kind === 'red' || (!isOwn && kind !== 'event')) continue;
      const earlierMs = (timestampOffset / (codec?.clockRate ?? CLOCK_RATE_DEFAULT)) * 1000;
      this.#hear(block, blockCodec, Math.max(0, atMs - earlierMs));
    }
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

/** SDP's word; without it RFC 3551 §6's. G.711, G.722 and noise at other clocks than theirs are other codecs. */
function kindOf(packet: RtpView, codec: CodecName | null): Kind | null {
  if (codec === null) return kindOfNumber(packet);
  const isNarrow = codec.clockRate === 8_000;
  switch (codec.name) {
    case 'PCMU':
      return isNarrow ? 'ulaw' : null;
    case 'PCMA':
      return isNarrow ? 'alaw' : null;
    case 'G722':
      return isNarrow ? 'g722' : null;
    case 'CN':
      return isNarrow ? 'noise' : null;
    case 'OPUS':
      return codec.clockRate === 48_000 ? 'opus' : null;
    case 'TELEPHONE-EVENT':
      return 'event';
    case 'RED':
      return 'red';
    default:
      return null;
  }
}

function kindOfNumber(packet: RtpView): Kind | null {
  switch (packet.payloadType) {
    case 0:
      return 'ulaw';
    case 8:
      return 'alaw';
    case 9:
      return 'g722';
    case 13:
      return 'noise';
    default:
      // An un-negotiated type: judged by its looks.
      return packet.payloadType >= DYNAMIC_TYPE_MIN && looksLikeEvent(packet) ? 'event' : null;
  }
}
