import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

/*
 * The protocol between control and worker: worker.proto, each frame behind a 4-byte big-endian length. Both ends import
 * this file and nothing else of each other.
 */

export const PROTOCOL = 1;
/** A frame longer than this ends the connection: the longest is a gateway's answer. */
export const FRAME_BYTES_MAX = 1024 * 1024;

/** Keys cross as bytes, in this frame and nowhere else; no frame is ever logged. */
export interface WireSrtp {
  readonly suite: string;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The highest roll-over counter that the peer's stream may have reached: not 0 for a leg made again in a call. */
  readonly receiveRocMax: number;
}

export interface WireMedia {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly codec: string;
  readonly sendPayloadType: number;
  readonly receivePayloadType: number;
  readonly sendEventPayloadType?: number;
  readonly receiveEventPayloadType?: number;
  readonly ptimeMs: number;
  readonly direction: string;
  readonly dtmf: string;
  /** Absent: plain RTP. */
  readonly srtp?: WireSrtp;
  readonly eventClockRate?: number;
  readonly sendRedPayloadType?: number;
  readonly receiveRedPayloadType?: number;
  readonly sendNoise?: boolean;
  readonly sendVoipMetrics?: boolean;
  readonly sendReferenceTime?: boolean;
}

export interface WireHeader {
  readonly name: string;
  readonly value: string;
}

export interface Orders {
  hello: { protocol: number; secret: string };
  openLeg: { callId: string; legId: string; localPort: number; media?: WireMedia; blocked: boolean };
  updateLeg: { legId: string; media: WireMedia };
  closeLeg: { legId: string };
  setRoutes: { callId: string; routes: readonly { from: string; to: string; masked: boolean }[] };
  armMask: { legId: string; replace: string; neutralKey: string };
  disarmMask: { legId: string };
  play: {
    legId: string;
    playId: string;
    locale: string;
    recordings: readonly string[];
    bargeIn: boolean;
    loop: boolean;
  };
  stopPlay: { legId: string };
  beginPayment: { callId: string; paymentId: string; legId: string };
  endPayment: { paymentId: string };
  openField: { paymentId: string; field: string; lengthMin: number; lengthMax: number; brands: readonly string[] };
  closeField: { paymentId: string };
  wipeField: { paymentId: string; field: string };
  openKeys: { legId: string; allowed: string; lengthMax: number };
  closeKeys: { legId: string };
  sendKeys: {
    legId: string;
    keys: string;
    mode: string;
    levelDbm0: number;
    twistDb: number;
    durationMs: number;
    gapMs: number;
  };
  readBack: { paymentId: string; playId: string; field: string; style: string; locale: string };
  send: {
    paymentId?: string;
    method: string;
    url: string;
    headers: readonly WireHeader[];
    bodyFormat: string;
    bodyTemplate: string;
    timeoutMs: number;
  };
  getStats: { legId: string };
}
export type OrderKind = keyof Orders;

export interface WireFacts {
  readonly length: number;
  readonly brands: readonly string[];
  readonly luhnOk: boolean;
  readonly complete: boolean;
  readonly full: boolean;
  readonly last4?: string;
  readonly dateValid?: boolean;
  readonly cvcLength?: number;
}

/** What was not rated stays away. */
export interface WireQuality {
  readonly lossRatio: number;
  readonly discardRatio: number;
  readonly endSystemDelayMs: number;
  readonly rFactor?: number;
  readonly mosListening?: number;
  readonly mosConversation?: number;
}

export interface WireRemote {
  readonly address: string;
  readonly port: number;
}

/** `lossRatio`: since the peer's report before. */
export interface WirePeerReport {
  readonly lossRatio: number;
  readonly packetsLost: number;
  readonly jitterMs: number;
}

export interface WireStats {
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly packetsLate: number;
  readonly packetsFromElsewhere: number;
  /** SRTP: what no key of ours opened, what had come before, and what could not be protected and was not sent. */
  readonly packetsUnauthentic: number;
  readonly packetsReplayed: number;
  readonly packetsUnprotected: number;
  readonly jitterMs: number;
  readonly keysByEvent: number;
  readonly keysInband: number;
  /** Of the whole worker since it started: events that a full ring dropped. */
  readonly eventsLost: number;
  /** Likewise: steps of the media clock that came over 5 ms late, and those that a longer stop left out. */
  readonly ticksLate: number;
  readonly ticksSkipped: number;
  readonly packetsDuplicate: number;
  readonly packetsMalformed: number;
  readonly framesConcealed: number;
  /** 0: not known. */
  readonly roundTripMs: number;
  readonly playoutDelayMs: number;
  readonly remote?: WireRemote;
  readonly quality?: WireQuality;
  readonly bursts?: {
    readonly burstDensity: number;
    readonly gapDensity: number;
    readonly burstMs: number;
    readonly gapMs: number;
  };
  readonly peer?: WirePeerReport;
  readonly peerQuality?: WireQuality;
}

export interface Answers {
  done: Record<never, never>;
  failed: { code: string; message: string };
  maskArmed: { delayMs: number };
  legOpened: { localAddress: string; localPort: number };
  stats: WireStats;
  facts: WireFacts;
  sent: { kind: string; status: number; headers: readonly WireHeader[]; body: string; reason: string };
  welcome: { protocol: number; legsMax: number; pid: number; localAddress: string };
}
export type AnswerKind = keyof Answers;

export interface Events {
  fieldKey: { key: string; field?: string; facts?: WireFacts };
  fieldEnded: { field: string; by: string; facts: WireFacts };
  openKey: { key: string };
  playEnded: { playId: string; reason: string };
  keysSent: { legId: string };
  legSilent: { legId: string; silentMs: number };
}

type Tagged<Kinds> = { [K in keyof Kinds]: { readonly kind: K; readonly value: Kinds[K] } }[keyof Kinds];
export type Order = Tagged<Orders>;
export type Answer = Tagged<Answers>;
export type Event = Tagged<Events>;

export type Frame =
  | { readonly type: 'request'; readonly requestId: number; readonly order: Order }
  | { readonly type: 'answer'; readonly requestId: number; readonly answer: Answer }
  | { readonly type: 'event'; readonly callId: string; readonly event: Event };

const root = protobuf.parse(readFileSync(new URL('./worker.proto', import.meta.url), 'utf8')).root;
const FrameType = root.lookupType('hushtone.worker.v1.Frame');

export function encodeFrame(frame: Frame): Buffer {
  const message = FrameType.fromObject(toMessage(frame));
  const payload = FrameType.encode(message).finish();
  const bytes = Buffer.allocUnsafe(4 + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes.set(payload, 4);
  return bytes;
}

function toMessage(frame: Frame): object {
  switch (frame.type) {
    case 'request':
      return { request: { requestId: frame.requestId, [frame.order.kind]: frame.order.value } };
    case 'answer':
      return { answer: { requestId: frame.requestId, [frame.answer.kind]: frame.answer.value } };
    case 'event':
      return { event: { callId: frame.callId, [frame.event.kind]: frame.event.value } };
  }
}

/** Why bytes are no frames: the connection that sent them is closed. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
}

/** Collects bytes into frames. `push` throws WireFault, after which the reader is of no use. */
export class FrameReader {
  #waiting: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): Frame[] {
    this.#waiting = this.#waiting.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#waiting, bytes]);
    const frames: Frame[] = [];
    while (this.#waiting.length >= 4) {
      const length = this.#waiting.readUInt32BE(0);
      if (length > FRAME_BYTES_MAX)
        throw new WireFault(`a frame of ${length} bytes, at most ${FRAME_BYTES_MAX} are read`);
      if (this.#waiting.length < 4 + length) break;
      frames.push(decodeFrame(this.#waiting.subarray(4, 4 + length)));
      this.#waiting = this.#waiting.subarray(4 + length);
    }
    return frames;
  }
}

interface Message {
  readonly [kind: string]: unknown;
}

function decodeFrame(bytes: Uint8Array): Frame {
  let message: Message;
  try {
    // Scalars that were left out come back as their defaults; optional ones stay away.
    message = FrameType.toObject(FrameType.decode(bytes), { defaults: true, longs: Number, oneofs: true }) as Message;
  } catch (cause) {
    throw new WireFault('bytes that are no frame', { cause });
  }
  const type = message.kind as string | undefined;
  const inner = type === undefined ? undefined : (message[type] as Message);
  if (type === 'request' && inner !== undefined) {
    return { type, requestId: inner.requestId as number, order: pick(inner, 'order') as Order };
  }
  if (type === 'answer' && inner !== undefined) {
    return { type, requestId: inner.requestId as number, answer: pick(inner, 'result') as Answer };
  }
  if (type === 'event' && inner !== undefined) {
    return { type, callId: inner.callId as string, event: pick(inner, 'kind') as Event };
  }
  throw new WireFault('a frame of no known type');
}

function pick(message: Message, oneof: string): { kind: string; value: unknown } {
  const kind = message[oneof];
  if (typeof kind !== 'string') throw new WireFault(`a frame without its ${oneof}`);
  return { kind, value: present(message[kind] as Message) };
}

/** A message within a message that was left out comes back as null, which is no value of ours: a leg without media. */
function present(message: Message): Message {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
}
