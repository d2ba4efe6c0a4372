import brands from '../card/brands.json' with { type: 'json' };
import { addonObject } from './addon.ts';
import {
  CODECS,
  DTMF_MODES,
  EVENT,
  EVENT_KINDS,
  type EventKind,
  FAULTS,
  KEY_MODES,
  LEG_ORDERS,
  SENDABLE_KEYS,
  SRTP_SUITES,
  STATS_LENGTH,
  VOICE_LENGTH,
} from './contract.ts';
import { readStats } from './stats.ts';
import type { Orders, WireFacts, WireMedia, WireSrtp, WireStats } from './wire.ts';

/** What the addon exports; native/addon says what each takes. */
interface NativeEngine {
  addRecording(samples: Int16Array): number;
  setReadBackVoice(locale: number, recordings: Int32Array): void;
  openLeg(
    call: number,
    localAddress: string,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
    media: Int32Array,
    keys: Uint8Array,
  ): [fault: number, leg: number, port: number];
  updateLeg(
    request: number,
    leg: number,
    remoteAddress: string,
    remotePort: number,
    media: Int32Array,
    keys: Uint8Array,
  ): number;
  setRoutes(request: number, call: number, routes: Uint32Array): number;
  armMask(request: number, leg: number, fill: number, neutralEvent: number): number;
  play(request: number, leg: number, recordings: Int32Array, bargeIn: boolean, loops: boolean): number;
  openField(request: number, leg: number, field: number, lengthMin: number, lengthMax: number, brands: number): number;
  openKeys(request: number, leg: number, allowedEvents: number, lengthMax: number): number;
  sendKeys(request: number, leg: number, events: Uint8Array, numbers: Float64Array): number;
  readBack(request: number, leg: number, field: number, style: number, locale: number): number;
  legOrder(which: number, request: number, leg: number, field: number): number;
  setToday(year: number, month: number): number;
  readStats(leg: number, numbers: Float64Array): number;
  pulse(): number;
  drain(bytes: Uint8Array): [written: number, lost: number];
  close(): void;
}

interface Addon {
  readonly Engine: new (
    brands: readonly object[],
    portFirst: number,
    portLast: number,
    silenceMs: number,
    jitterMsMax: number,
    wake: () => void,
  ) => NativeEngine;
  eventLayout(): number[];
}

export function loadAddon(): Addon {
  return addonObject() as Addon;
}

/** An order that the engine refused; `fault` indexes FAULTS. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal';
  readonly fault: number;

  constructor(fault: number) {
    super(FAULTS[fault] ?? `fault ${fault}`);
    this.fault = fault;
  }
}

export interface EngineEvent {
  readonly kind: EventKind;
  readonly code: number;
  readonly field: number;
  readonly leg: number;
  readonly request: number;
  readonly valueMs: number;
  readonly facts: WireFacts;
}

export interface EngineOptions {
  readonly portFirst: number;
  readonly portLast: number;
  readonly silenceMs: number;
  readonly jitterMsMax: number;
  /** Called on the JavaScript thread with events in the order in which they happened. */
  readonly onEvent: (event: EngineEvent) => void;
}

const BAD_ARGUMENT = FAULTS.indexOf('an argument that the engine does not take');

/** `masked`: during `from`'s payment through its mask, and not at all while that is not armed. */
export interface EngineRoute {
  readonly from: number;
  readonly to: number;
  readonly masked: boolean;
}

export type LegOrderName = keyof typeof LEG_ORDERS;

const DRAIN_BYTES = 64 * EVENT.size * 16;
const BRAND_NAMES = brands.brands.map((brand) => brand.name);

/** The engine in TypeScript's words: it checks and explains, native code only asserts. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #onEvent: (event: EngineEvent) => void;
  readonly #buffer = new Uint8Array(DRAIN_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #closed = false;
  /** Events that a full ring dropped; anything but 0 is a bug of ours. */
  eventsLost = 0;

  constructor(options: EngineOptions) {
    const addon = loadAddon();
    this.#onEvent = options.onEvent;
    const wake = () => this.#drain();
    const { portFirst, portLast, silenceMs, jitterMsMax } = options;
    this.#native = new addon.Engine(nativeBrands(), portFirst, portLast, silenceMs, jitterMsMax, wake);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
    // Digits are not in it, but what is done with is wiped.
    this.#buffer.fill(0);
  }

  addRecording(samples: Int16Array): number {
    const index = this.#native.addRecording(samples);
    if (index < 0) throw new Error('more recordings than the engine holds');
    return index;
  }

  setReadBackVoice(locale: number, recordings: readonly number[]): void {
    if (recordings.length !== VOICE_LENGTH) throw new Error(`a read-back voice has ${VOICE_LENGTH} recordings`);
    this.#native.setReadBackVoice(locale, Int32Array.from(recordings));
  }

  openLeg(
    call: number,
    local: { address: string; port: number },
    media: WireMedia | undefined,
  ): { leg: number; port: number } {
    const keys = srtpKeys(media?.srtp);
    const [fault, leg, port] = this.#native.openLeg(
      call,
      local.address,
      local.port,
      media?.remoteAddress ?? '',
      media?.remotePort ?? 0,
      mediaNumbers(media),
      keys,
    );
    keys.fill(0);
    refuse(fault);
    return { leg, port };
  }

  updateLeg(request: number, leg: number, media: WireMedia): void {
    const keys = srtpKeys(media.srtp);
    const { remoteAddress, remotePort } = media;
    const fault = this.#native.updateLeg(request, leg, remoteAddress, remotePort, mediaNumbers(media), keys);
    keys.fill(0);
    refuse(fault);
  }

  setRoutes(request: number, call: number, routes: readonly EngineRoute[]): void {
    const numbers = routes.flatMap(({ from, to, masked }) => [from, to, masked ? 1 : 0]);
    refuse(this.#native.setRoutes(request, call, Uint32Array.from(numbers)));
  }

  /** `maskChanged` tells when it is armed and proven. `neutralEvent` -1: keys by event are left out altogether. */
  armMask(request: number, leg: number, fill: number, neutralEvent: number): void {
    refuse(this.#native.armMask(request, leg, fill, neutralEvent));
  }

  play(request: number, leg: number, recordings: readonly number[], bargeIn: boolean, loops: boolean): void {
    refuse(this.#native.play(request, leg, Int32Array.from(recordings), bargeIn, loops));
  }

  openField(
    request: number,
    leg: number,
    order: { field: number; lengthMin: number; lengthMax: number; brands: readonly string[] },
  ) {
    const mask = order.brands.reduce((bits, name) => bits | (1 << BRAND_NAMES.indexOf(name)), 0) >>> 0;
    refuse(this.#native.openField(request, leg, order.field, order.lengthMin, order.lengthMax, mask));
  }

  /** `allowed`: keys of EVENT_KEYS whose values may be told. */
  openKeys(request: number, leg: number, allowedEvents: number, lengthMax: number): void {
    refuse(this.#native.openKeys(request, leg, allowedEvents, lengthMax));
  }

  /** Limits stand natively; a key that is none is refused as one. */
  sendKeys(request: number, leg: number, order: Omit<Orders['sendKeys'], 'legId'>): void {
    const events = Uint8Array.from(order.keys, (key) => SENDABLE_KEYS.indexOf(key));
    const mode = (KEY_MODES as readonly string[]).indexOf(order.mode);
    const whole = [order.durationMs, order.gapMs].every((ms) => Number.isInteger(ms) && ms >= 0 && ms <= 0xffff);
    if (events.length === 0 || mode < 0 || !whole) throw new EngineRefusal(BAD_ARGUMENT);
    const numbers = Float64Array.of(mode, order.levelDbm0, order.twistDb, order.durationMs, order.gapMs);
    refuse(this.#native.sendKeys(request, leg, events, numbers));
  }

  readBack(request: number, leg: number, field: number, style: number, locale: number): void {
    refuse(this.#native.readBack(request, leg, field, style, locale));
  }

  legOrder(name: LegOrderName, request: number, leg: number, field = 0): void {
    refuse(this.#native.legOrder(LEG_ORDERS[name], request, leg, field));
  }

  setToday(year: number, month: number): void {
    refuse(this.#native.setToday(year, month));
  }

  /** Turns of the media thread so far; grows from one call to the next, or the thread stands. */
  pulse(): number {
    return this.#native.pulse();
  }

  /** At any time while the leg lives, and after it was closed until its place is taken. */
  stats(leg: number): WireStats {
    const numbers = new Float64Array(STATS_LENGTH);
    refuse(this.#native.readStats(leg, numbers));
    return readStats(numbers, this.eventsLost);
  }

  /** For egress, which lives in the same addon. */
  get native(): object {
    return this.#native;
  }

  #drain(): void {
    for (;;) {
      if (this.#closed) return;
      const [written, lost] = this.#native.drain(this.#buffer);
      this.eventsLost = lost;
      for (let at = 0; at < written; at += EVENT.size) this.#onEvent(this.#read(at));
      if (written < this.#buffer.length) return;
    }
  }

  #read(at: number): EngineEvent {
    const view = this.#view;
    return {
      kind: EVENT_KINDS[view.getUint16(at + EVENT.kind, true) as keyof typeof EVENT_KINDS],
      code: view.getUint8(at + EVENT.code),
      field: view.getUint8(at + EVENT.field),
      leg: view.getUint32(at + EVENT.leg, true),
      request: view.getUint32(at + EVENT.request, true),
      valueMs: view.getUint32(at + EVENT.valueMs, true),
      facts: readFacts(view, this.#buffer, at + EVENT.facts),
    };
  }
}

function readFacts(view: DataView, bytes: Uint8Array, at: number): WireFacts {
  const mask = view.getUint32(at + EVENT.brands, true);
  const dateValid = view.getUint8(at + EVENT.dateValid);
  const cvcLength = view.getUint8(at + EVENT.cvcLength);
  const last4 = bytes.subarray(at + EVENT.last4, at + EVENT.last4 + 4);
  return {
    length: view.getUint8(at + EVENT.length),
    brands: BRAND_NAMES.filter((_, bit) => ((mask >>> bit) & 1) === 1),
    luhnOk: view.getUint8(at + EVENT.luhnOk) === 1,
    complete: view.getUint8(at + EVENT.complete) === 1,
    full: view.getUint8(at + EVENT.full) === 1,
    ...(last4[0] === 0 ? {} : { last4: String.fromCharCode(...last4) }),
    ...(dateValid === 2 ? {} : { dateValid: dateValid === 1 }),
    ...(cvcLength === 0 ? {} : { cvcLength }),
  };
}

function refuse(fault: number): void {
  if (fault !== 0) throw new EngineRefusal(fault);
}

function mediaNumbers(media: WireMedia | undefined): Int32Array {
  if (media === undefined) return Int32Array.of(0, 0, 0, -1, -1, 20, 0, 1, 0, 0, 0, 8000, -1, -1, 0, 0, 0);
  return Int32Array.of(
    // A codec that the engine does not have is refused there.
    CODECS[media.codec] ?? 0x7f,
    media.sendPayloadType,
    media.receivePayloadType,
    media.sendEventPayloadType ?? -1,
    media.receiveEventPayloadType ?? -1,
    media.ptimeMs,
    media.direction === 'sendrecv' || media.direction === 'sendonly' ? 1 : 0,
    media.direction === 'sendrecv' || media.direction === 'recvonly' ? 1 : 0,
    Math.max(0, (DTMF_MODES as readonly string[]).indexOf(media.dtmf)),
    suiteNumber(media.srtp),
    media.srtp?.receiveRocMax ?? 0,
    media.eventClockRate || 8000,
    media.sendRedPayloadType ?? -1,
    media.receiveRedPayloadType ?? -1,
    media.sendNoise ? 1 : 0,
    media.sendVoipMetrics ? 1 : 0,
    media.sendReferenceTime ? 1 : 0,
  );
}

/** Media that shall be secure never become plain by a wrong word: an unknown suite is refused. */
function suiteNumber(srtp: WireSrtp | undefined): number {
  if (srtp === undefined) return 0;
  const number = SRTP_SUITES.findIndex(({ name }) => name === srtp.suite);
  if (number < 1) throw new EngineRefusal(BAD_ARGUMENT);
  return number;
}

/** Ours, then the peer's. The caller wipes it. */
function srtpKeys(srtp: WireSrtp | undefined): Uint8Array {
  if (srtp === undefined) return new Uint8Array(0);
  const each = SRTP_SUITES[suiteNumber(srtp)]?.keyBytes;
  if (srtp.sendKey.length !== each || srtp.receiveKey.length !== each) throw new EngineRefusal(BAD_ARGUMENT);
  const keys = new Uint8Array(2 * each);
  keys.set(srtp.sendKey);
  keys.set(srtp.receiveKey, each);
  return keys;
}

function nativeBrands(): object[] {
  return brands.brands.map((brand) => ({
    name: brand.name,
    cvcLength: brand.cvcLength,
    precedence: brand.precedence,
    luhn: brand.luhn,
    ranges: Uint32Array.from(
      brand.ranges.flatMap((range) => [
        Number(range.first),
        Number(range.last),
        range.first.length,
        range.lengths.reduce((bits, length) => bits | (1 << length), 0) >>> 0,
      ]),
    ),
  }));
}
