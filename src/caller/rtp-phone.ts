import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { RtpPacket } from 'rtp.js/packets';
import type { Clock, Timer } from '../lib/clock.ts';
import { decodeUlaw, encodeUlaw } from '../lib/g711.ts';
import { Ear } from './ear.ts';
import { mix, SAMPLE_RATE, toneOf } from './tones.ts';

/*
 * The media of a simulated caller: RTP of rtp.js over a UDP socket, a packet each 20 ms. It hears, records and keys as a
 * telephone does, and it is not our media code.
 */

const FRAME_MS = 20;
const FRAME_SAMPLES = (SAMPLE_RATE * FRAME_MS) / 1000;
const SILENCE = 0xff;
/** A recording longer than this goes on without being kept. */
const RECORD_MS_MAX = 600_000;
/** A key is down for so long, and so long passes to the next. */
const KEY_FRAMES = 5;
const GAP_FRAMES = 4;
/** RFC 4733 §2.5.1.4: the end of an event is sent three times. */
const END_PACKETS = 3;
/** Packets that came early wait for their frame of the recording; more than this is a burst, and the oldest go. */
const HEARD_WAITING_MAX = 10;
const EVENT_CODES = '0123456789*#';
/** An Opus packet of 20 ms that holds silence: RFC 6716 §3.1, full band, one frame. */
const OPUS_SILENCE = Uint8Array.of(0xf8, 0xff, 0xfe);
/** Opus counts its timestamps, and those of its events, at 48 kHz (RFC 7587 §4.1). */
const OPUS_CLOCK_SCALE = 6;

export type KeyStyle = 'event' | 'inband';

export interface Heard {
  /** Left: what the caller heard. Right: what the caller keyed, as tones. 8 kHz. */
  readonly left: Int16Array;
  readonly right: Int16Array;
}

/** The way to the server: sends a packet on, now or later, once, twice or never. */
export type Link = (packet: Uint8Array, send: (packet: Uint8Array) => void) => void;

/** 20 ms of a key press: what goes out, and how it sounds in the recording. */
interface KeyFrame {
  /** In the place of audio; null: audio, with the tone in it where there is one. */
  readonly event: {
    readonly code: number;
    readonly end: boolean;
    readonly durationTs: number;
    readonly first: boolean;
  } | null;
  /** The key goes down with this frame. */
  readonly first: boolean;
  readonly tone: Int16Array | null;
}

export class RtpPhone {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #timer: Timer | null = null;
  #startedAt = 0;
  #frames = 0;
  #remote: { readonly address: string; readonly port: number } | null = null;
  #eventPayloadType = 101;
  /** Null: PCMU. With Opus it says silence and events only, and hears nothing. */
  #opusPayloadType: number | null = null;
  #sequenceNumber = Math.floor(Math.random() * 0x8000);
  #timestamp = Math.floor(Math.random() * 0x7fff_ffff);
  readonly #ssrc = Math.floor(Math.random() * 0xffff_ffff);
  /** Samples to say, 20 ms a frame; behind them silence. */
  #saying = new Int16Array(0);
  /** One a frame, so that a clock that comes late delays a press and never shortens it. */
  #keyFrames: KeyFrame[] = [];
  #eventTimestamp = 0;
  readonly #heard: Int16Array[] = [];
  readonly #keyed: Int16Array[] = [];
  #heardWaiting: Int16Array[] = [];
  readonly #ear = new Ear();
  #lastPacketAt: number | null = null;
  /** A busy machine: what was due came so late, and then all at once. */
  #lateMsMax = 0;
  #isClosed = false;
  packetsReceived = 0;
  /** Of them telephone-events: keys that somebody else pressed. */
  eventsReceived = 0;
  /** What happens to packets on the way out; a network that loses none where nobody says otherwise. */
  link: Link = (packet, send) => send(packet);

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.on('message', (message) => this.#hear(message));
  }

  static async open(clock: Clock, address = '127.0.0.1'): Promise<RtpPhone> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, address, resolve);
    });
    return new RtpPhone(socket, clock);
  }

  get port(): number {
    return (this.#socket.address() as AddressInfo).port;
  }

  get address(): string {
    return (this.#socket.address() as AddressInfo).address;
  }

  /** The call is over. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Where it sends to, once it knows. */
  get remote(): { readonly address: string; readonly port: number } | null {
    return this.#remote;
  }

  /** Begins to send, and sends to another place from now on. */
  talkTo(remote: { address: string; port: number; eventPayloadType: number; opusPayloadType?: number }): void {
    this.#remote = remote;
    this.#eventPayloadType = remote.eventPayloadType;
    this.#opusPayloadType = remote.opusPayloadType ?? null;
    if (this.#timer !== null) return;
    this.#startedAt = this.#clock.now();
    this.#next();
  }

  /** Keys one after the other; settles when the last is through. */
  async key(keys: string, style: KeyStyle, background?: Int16Array): Promise<void> {
    if (background !== undefined) this.say(background);
    for (const key of keys) this.#keyFrames.push(...framesOf(key, style));
    while (!this.#isClosed && this.#keyFrames.length > 0) await this.wait(FRAME_MS);
  }

  /** Speech or noise, behind whatever is being said already. */
  say(samples: Int16Array): void {
    this.#saying = Int16Array.from([...this.#saying, ...samples]);
  }

  wait(durationMs: number): Promise<void> {
    return new Promise((resolve) => this.#clock.startTimer(durationMs, resolve));
  }

  /**
   * Until a prompt that came after the last key was heard to its end, and it has been quiet for `quietMs`: that prompt is
   * then old. False where nothing came, or no end, within `limitMs`, or the call is over.
   */
  async promptEnds(quietMs = 700, limitMs = 30_000): Promise<boolean> {
    const isOver = await this.#hears(() => this.#ear.hasHeardPrompt && this.#ear.quietMs >= quietMs, limitMs);
    if (isOver) this.#ear.forget();
    return isOver;
  }

  /** Until a prompt that came after the last key has begun; it may have ended meanwhile. */
  promptBegins(limitMs = 30_000): Promise<boolean> {
    return this.#hears(() => this.#ear.hasHeardPrompt, limitMs);
  }

  /** Whatever was said so far is not what the caller waits for. */
  forgetPrompts(): void {
    this.#ear.forget();
  }

  async #hears(what: () => boolean, limitMs: number): Promise<boolean> {
    const deadline = this.#clock.now() + limitMs;
    while (!this.#isClosed && this.#clock.now() < deadline) {
      if (what()) return true;
      await this.wait(FRAME_MS);
    }
    return false;
  }

  /** For a call that went wrong: whether the line is dead, only nobody speaks, or we ourselves were late. */
  lineText(): string {
    const late = `own packets up to ${this.#lateMsMax} ms late`;
    if (this.#lastPacketAt === null) return `no packet came; ${late}`;
    const { heardMs, quietMs } = this.#ear;
    const silence = this.#clock.now() - this.#lastPacketAt;
    const audio = `${heardMs} ms of audio, the last ${quietMs} quiet`;
    return `${this.packetsReceived} packets, the last ${silence} ms ago; ${audio}; ${late}`;
  }

  recording(): Heard {
    return { left: join(this.#heard), right: join(this.#keyed) };
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#socket.close();
  }

  /** Absolute times, so that no delay adds up. */
  #next(): void {
    const keyFrame = this.#keyFrames.shift() ?? null;
    this.#send(keyFrame);
    this.#record(keyFrame);
    this.#frames += 1;
    const inMs = this.#startedAt + this.#frames * FRAME_MS - this.#clock.now();
    this.#lateMsMax = Math.max(this.#lateMsMax, -inMs);
    this.#timer = this.#clock.startTimer(Math.max(0, inMs), () => this.#next());
  }

  #send(keyFrame: KeyFrame | null): void {
    if (this.#remote === null) return;
    const event = keyFrame?.event ?? null;
    if (event?.first) this.#eventTimestamp = this.#timestamp;
    if (keyFrame?.first) this.#ear.keyed();
    const packet = new RtpPacket();
    packet.setSsrc(this.#ssrc >>> 0);
    packet.setSequenceNumber(this.#sequenceNumber++ & 0xffff);
    packet.setPayloadType(event === null ? (this.#opusPayloadType ?? 0) : this.#eventPayloadType);
    packet.setMarker(event?.first === true);
    packet.setTimestamp((event === null ? this.#timestamp : this.#eventTimestamp) >>> 0);
    const scale = this.#opusPayloadType === null ? 1 : OPUS_CLOCK_SCALE;
    packet.setPayload(asView(event === null ? this.#audio(keyFrame?.tone ?? null) : eventBytes(event, scale)));
    this.#timestamp += FRAME_SAMPLES * scale;
    const view = packet.getView();
    const { address, port } = this.#remote;
    this.link(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), (bytes) => {
      if (!this.#isClosed) this.#socket.send(bytes, port, address);
    });
  }

  #audio(tone: Int16Array | null): Uint8Array {
    if (this.#opusPayloadType !== null) return OPUS_SILENCE;
    if (this.#saying.length === 0 && tone === null) return new Uint8Array(FRAME_SAMPLES).fill(SILENCE);
    const said = this.#saying.subarray(0, FRAME_SAMPLES);
    this.#saying = this.#saying.subarray(FRAME_SAMPLES);
    const frame = mix(said, tone ?? new Int16Array(FRAME_SAMPLES));
    return encodeUlaw(frame.subarray(0, FRAME_SAMPLES));
  }

  #hear(message: Buffer): void {
    let packet: RtpPacket;
    try {
      packet = new RtpPacket(asView(message));
    } catch {
      return;
    }
    this.packetsReceived += 1;
    this.#lastPacketAt = this.#clock.now();
    if (packet.getPayloadType() === this.#eventPayloadType) this.eventsReceived += 1;
    if (packet.getPayloadType() !== 0) return;
    const view = packet.getPayload();
    const samples = decodeUlaw(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    this.#heardWaiting.push(samples);
    if (this.#heardWaiting.length > HEARD_WAITING_MAX) this.#heardWaiting.shift();
    this.#ear.hear(samples);
  }

  #record(keyFrame: KeyFrame | null): void {
    if (this.#heard.length * FRAME_MS > RECORD_MS_MAX) return;
    this.#heard.push(frameOf(this.#heardWaiting.shift()));
    this.#keyed.push(frameOf(keyFrame?.tone));
  }
}

function framesOf(key: string, style: KeyStyle): KeyFrame[] {
  const code = EVENT_CODES.indexOf(key);
  if (code < 0) throw new Error(`no key ${key}`);
  const tone = toneOf(key, KEY_FRAMES * FRAME_MS);
  return Array.from({ length: KEY_FRAMES + GAP_FRAMES }, (_, i): KeyFrame => {
    const isDown = i < KEY_FRAMES;
    const isEvent = style === 'event' && i < KEY_FRAMES + END_PACKETS;
    const durationTs = Math.min(i + 1, KEY_FRAMES) * FRAME_SAMPLES;
    return {
      event: isEvent ? { code, end: !isDown, durationTs, first: i === 0 } : null,
      first: i === 0,
      tone: isDown ? tone.subarray(i * FRAME_SAMPLES, (i + 1) * FRAME_SAMPLES) : null,
    };
  });
}

/** Exactly one frame: cut, or silence behind it. */
function frameOf(samples: Int16Array | null | undefined): Int16Array {
  const frame = new Int16Array(FRAME_SAMPLES);
  if (samples) frame.set(samples.subarray(0, FRAME_SAMPLES));
  return frame;
}

function asView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function eventBytes(event: { code: number; end: boolean; durationTs: number }, scale: number): Uint8Array {
  const durationTs = event.durationTs * scale;
  return Uint8Array.of(event.code, (event.end ? 0x80 : 0) | 10, durationTs >> 8, durationTs & 0xff);
}

function join(parts: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
