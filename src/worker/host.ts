import type { Clock, Timer } from '../lib/clock.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import {
  EVENT_KEYS,
  FIELD_ENDS,
  FIELDS,
  KEYS,
  MASK_CHANGES,
  MASK_FILLS,
  PLAY_ENDS,
  PROOF_RESULTS,
  READ_BACK_STYLES,
} from './contract.ts';
import type { Engine, EngineEvent, LegOrderName } from './engine.ts';
import { EngineRefusal } from './engine.ts';
import type { Voice } from './recordings.ts';
import type { Answer, Answers, Event, Order, Orders, WireFacts } from './wire.ts';

/** The engine answers within a tick; without an answer for so long it is broken, and control hears so. */
const ENGINE_ANSWER_MS_MAX = 2000;
/** The proof takes half a second, stretching the line as long again. */
const MASK_ARM_MS_MAX = 2000;

/** Fills, encrypts, sends and scrubs natively; `leg` null sends no card field. */
export interface Egress {
  send(order: Orders['send'], leg: number | null): Promise<Answers['sent']>;
}

export interface HostOptions {
  readonly engine: Engine;
  readonly egress: Egress;
  readonly voices: ReadonlyMap<string, Voice>;
  readonly localAddress: string;
  readonly legsMax: number;
  readonly clock: Clock;
  readonly log: Log;
  /** To control; dropped while it is away. */
  readonly emit: (callId: string, event: Event) => void;
}

interface LegEntry {
  readonly legId: string;
  readonly callId: string;
  readonly handle: number;
  readonly port: number;
}

interface CallEntry {
  readonly number: number;
  readonly legs: Set<string>;
}

/** A failure with the code that control knows it by. */
export class HostFault extends Error {
  override readonly name = 'HostFault';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const CODE_OF_FAULT: Readonly<Record<number, ErrorCode>> = {
  1: 'RTP_PORTS_EXHAUSTED',
  2: 'CALL_NOT_FOUND',
  3: 'CALL_NOT_FOUND',
  4: 'PAYMENT_NOT_FOUND',
  5: 'VAULT_FULL',
  6: 'WORKER_UNAVAILABLE',
  7: 'CALL_LIMIT_REACHED',
};

/** Turns control's orders into the engine's, and the engine's events into control's. Holds ids, never a digit. */
export class Host {
  readonly #options: HostOptions;
  readonly #calls = new Map<string, CallEntry>();
  readonly #legs = new Map<string, LegEntry>();
  readonly #legOfHandle = new Map<number, LegEntry>();
  /** The leg that pays, by payment. */
  readonly #payments = new Map<string, LegEntry>();
  readonly #waiting = new Map<number, (event: EngineEvent | null) => void>();
  /** Legs whose mask is being armed. */
  readonly #arming = new Map<LegEntry, (event: EngineEvent | null) => void>();
  readonly #plays = new Map<number, { readonly playId: string; readonly callId: string }>();
  #lastRequest = 0;
  #lastCall = 0;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  async handle(order: Order): Promise<Answer> {
    try {
      return await this.#do(order);
    } catch (error) {
      if (error instanceof HostFault) return failed(error.code, error.message);
      if (error instanceof EngineRefusal) return failed(CODE_OF_FAULT[error.fault] ?? 'INTERNAL', error.message);
      this.#options.log.error('order failed', { order: order.kind, reason: String(error) });
      return failed('INTERNAL', `${order.kind} failed`);
    }
  }

  /** Control is gone: what was keyed is wiped at once, the legs stand. */
  wipeAll(): void {
    for (const leg of this.#payments.values()) this.#orderQuietly('endPayment', leg.handle);
    this.#payments.clear();
  }

  /** Control did not come back. */
  closeAll(): void {
    this.wipeAll();
    for (const leg of [...this.#legs.values()]) {
      this.#orderQuietly('closeLeg', leg.handle);
      this.#forget(leg);
    }
  }

  get legCount(): number {
    return this.#legs.size;
  }

  onEvent(event: EngineEvent): void {
    if (event.kind === 'answer' || event.kind === 'fieldClosed') {
      const waiting = this.#waiting.get(event.request);
      this.#waiting.delete(event.request);
      waiting?.(event);
      return;
    }
    if (event.kind === 'playEnded') {
      const play = this.#plays.get(event.request);
      this.#plays.delete(event.request);
      const reason = PLAY_ENDS[event.code] ?? 'stopped';
      if (play !== undefined)
        this.#options.emit(play.callId, { kind: 'playEnded', value: { playId: play.playId, reason } });
      return;
    }
    const leg = this.#legOfHandle.get(event.leg);
    if (leg !== undefined) this.#tell(leg, event);
  }

  #tell(leg: LegEntry, event: EngineEvent): void {
    const { emit } = this.#options;
    const field = FIELDS[event.field] ?? '';
    switch (event.kind) {
      case 'maskChanged':
        // An earlier mask that is open now says nothing of the one being armed.
        if (MASK_CHANGES[event.code] !== 'open') this.#arming.get(leg)?.(event);
        return;
      case 'fieldKey': {
        const value = { key: KEYS[event.code] ?? 'digit' };
        emit(leg.callId, { kind: 'fieldKey', value: field === '' ? value : { ...value, field, facts: event.facts } });
        return;
      }
      case 'fieldEnded':
        emit(leg.callId, {
          kind: 'fieldEnded',
          value: { field, by: FIELD_ENDS[event.code] ?? '', facts: event.facts },
        });
        return;
      case 'openKey':
        emit(leg.callId, { kind: 'openKey', value: { key: EVENT_KEYS[event.code] ?? '' } });
        return;
      case 'keysSent':
        emit(leg.callId, { kind: 'keysSent', value: { legId: leg.legId } });
        return;
      case 'legSilent':
        emit(leg.callId, { kind: 'legSilent', value: { legId: leg.legId, silentMs: event.valueMs } });
        return;
      default:
        return;
    }
  }

  async #do(order: Order): Promise<Answer> {
    const { engine } = this.#options;
    switch (order.kind) {
      case 'hello':
        throw new HostFault('REQUEST_INVALID', 'hello comes first and once');
      case 'openLeg':
        return this.#openLeg(order.value);
      case 'updateLeg': {
        const leg = this.#leg(order.value.legId);
        await this.#ask((request) => engine.updateLeg(request, leg.handle, order.value.media));
        return this.#opened(leg);
      }
      case 'closeLeg': {
        const leg = this.#leg(order.value.legId);
        await this.#order('closeLeg', leg.handle);
        const stats = engine.stats(leg.handle);
        this.#forget(leg);
        return { kind: 'stats', value: stats };
      }
      case 'getStats':
        return { kind: 'stats', value: engine.stats(this.#leg(order.value.legId).handle) };
      case 'setRoutes': {
        const call = this.#calls.get(order.value.callId);
        if (call === undefined) throw new HostFault('CALL_NOT_FOUND', 'no such call');
        const routes = order.value.routes.map(({ from, to, masked }) => {
          return { from: this.#leg(from).handle, to: this.#leg(to).handle, masked };
        });
        await this.#ask((request) => engine.setRoutes(request, call.number, routes));
        return done();
      }
      case 'armMask':
        return this.#armMask(order.value);
      case 'disarmMask': {
        const leg = this.#leg(order.value.legId);
        // The engine refuses it too; here it can be said in words.
        if ([...this.#payments.values()].includes(leg))
          throw new HostFault('PAYMENT_IN_PROGRESS', 'a payer is not unmasked before his payment has ended');
        await this.#order('disarmMask', leg.handle);
        return done();
      }
      case 'play':
        return this.#play(order.value);
      case 'stopPlay':
        await this.#order('stopPlay', this.#leg(order.value.legId).handle);
        return done();
      case 'beginPayment': {
        const leg = this.#leg(order.value.legId);
        // After a worker's death the client begins it before anybody could hear the payer, and the session again.
        if (this.#payments.get(order.value.paymentId) === leg) return done();
        await this.#order('beginPayment', leg.handle);
        this.#payments.set(order.value.paymentId, leg);
        return done();
      }
      case 'endPayment': {
        const leg = this.#payments.get(order.value.paymentId);
        this.#payments.delete(order.value.paymentId);
        if (leg !== undefined && this.#legs.has(leg.legId)) await this.#order('endPayment', leg.handle);
        return done();
      }
      case 'openField': {
        const { field, lengthMin, lengthMax, brands } = order.value;
        const leg = this.#payer(order.value.paymentId);
        const ask = { field: fieldNumber(field), lengthMin, lengthMax, brands };
        await this.#ask((request) => engine.openField(request, leg.handle, ask));
        return done();
      }
      case 'closeField': {
        const leg = this.#payer(order.value.paymentId);
        const facts = await this.#order('closeField', leg.handle);
        return { kind: 'facts', value: facts };
      }
      case 'wipeField':
        await this.#order('wipeField', this.#payer(order.value.paymentId).handle, fieldNumber(order.value.field));
        return done();
      case 'openKeys': {
        const { allowed, lengthMax, legId } = order.value;
        const leg = this.#leg(legId);
        await this.#ask((request) => engine.openKeys(request, leg.handle, allowedEvents(allowed), lengthMax));
        return done();
      }
      case 'closeKeys':
        await this.#order('closeKeys', this.#leg(order.value.legId).handle);
        return done();
      case 'sendKeys': {
        const { legId, ...keys } = order.value;
        const leg = this.#leg(legId);
        await this.#ask((request) => engine.sendKeys(request, leg.handle, keys)).catch(explainKeys);
        return done();
      }
      case 'readBack':
        return this.#readBack(order.value);
      case 'send': {
        const { paymentId } = order.value;
        const leg = paymentId === undefined ? null : this.#payer(paymentId).handle;
        return { kind: 'sent', value: await this.#options.egress.send(order.value, leg) };
      }
    }
  }

  /** A leg that is known already is the same leg: control lost the connection and asks again. */
  async #openLeg(order: Orders['openLeg']): Promise<Answer> {
    const known = this.#legs.get(order.legId);
    if (known !== undefined) return this.#opened(known);
    if (this.#legs.size >= this.#options.legsMax)
      throw new HostFault('CALL_LIMIT_REACHED', `${this.#legs.size} legs are open`);
    const call = this.#calls.get(order.callId) ?? { number: ++this.#lastCall, legs: new Set<string>() };
    const local = { address: this.#options.localAddress, port: order.localPort };
    const { leg: handle, port } = this.#options.engine.openLeg(call.number, local, order.media);
    const leg = { legId: order.legId, callId: order.callId, handle, port };
    call.legs.add(order.legId);
    this.#calls.set(order.callId, call);
    this.#legs.set(order.legId, leg);
    this.#legOfHandle.set(handle, leg);
    return this.#opened(leg);
  }

  /** The engine takes the order at once and says later whether the mask was proven. */
  async #armMask({ legId, replace, neutralKey }: Orders['armMask']): Promise<Answer> {
    const leg = this.#leg(legId);
    const fill = (MASK_FILLS as readonly string[]).indexOf(replace);
    const neutralEvent = EVENT_KEYS.indexOf(neutralKey);
    if (fill < 0) throw new HostFault('REQUEST_INVALID', `no replacement ${replace}`);
    if (neutralKey.length > 1 || neutralEvent < 0) throw new HostFault('REQUEST_INVALID', `no key ${neutralKey}`);
    if (this.#arming.has(leg)) throw new HostFault('REQUEST_INVALID', 'the mask is being armed');
    let timer: Timer | null = null;
    const changed = new Promise<EngineEvent | null>((resolve) => {
      this.#arming.set(leg, resolve);
      timer = this.#options.clock.startTimer(MASK_ARM_MS_MAX, () => resolve(null));
    });
    try {
      const event = neutralKey === '' ? -1 : neutralEvent;
      await this.#ask((request) => this.#options.engine.armMask(request, leg.handle, fill, event));
      return armed(await changed);
    } finally {
      (timer as Timer | null)?.cancel();
      this.#arming.delete(leg);
    }
  }

  #opened(leg: LegEntry): Answer {
    return { kind: 'legOpened', value: { localAddress: this.#options.localAddress, localPort: leg.port } };
  }

  #forget(leg: LegEntry): void {
    this.#legs.delete(leg.legId);
    this.#legOfHandle.delete(leg.handle);
    this.#arming.get(leg)?.(null);
    for (const [paymentId, payer] of this.#payments) if (payer === leg) this.#payments.delete(paymentId);
    const call = this.#calls.get(leg.callId);
    call?.legs.delete(leg.legId);
    if (call?.legs.size === 0) this.#calls.delete(leg.callId);
  }

  async #play(order: Orders['play']): Promise<Answer> {
    const leg = this.#leg(order.legId);
    const voice = this.#voice(order.locale);
    const recordings = order.recordings.map((name) => {
      const index = voice.recordings.get(name);
      if (index === undefined) throw new HostFault('PROMPT_MISSING', `no recording ${name} in ${order.locale}`);
      return index;
    });
    const play = { playId: order.playId, callId: leg.callId };
    await this.#ask((request) => {
      this.#options.engine.play(request, leg.handle, recordings, order.bargeIn, order.loop);
      this.#plays.set(request, play);
    });
    return done();
  }

  async #readBack(order: Orders['readBack']): Promise<Answer> {
    const leg = this.#payer(order.paymentId);
    const style = (READ_BACK_STYLES as readonly string[]).indexOf(order.style);
    if (style < 1) throw new HostFault('REQUEST_INVALID', `no read-back style ${order.style}`);
    const { index } = this.#voice(order.locale);
    const play = { playId: order.playId, callId: leg.callId };
    await this.#ask((request) => {
      this.#options.engine.readBack(request, leg.handle, fieldNumber(order.field), style, index);
      this.#plays.set(request, play);
    });
    return done();
  }

  #voice(locale: string): Voice {
    const voice = this.#options.voices.get(locale);
    if (voice === undefined) throw new HostFault('PROMPT_MISSING', `no recordings for ${locale}`);
    return voice;
  }

  #leg(legId: string): LegEntry {
    const leg = this.#legs.get(legId);
    if (leg === undefined) throw new HostFault('CALL_NOT_FOUND', `no leg ${legId}`);
    return leg;
  }

  #payer(paymentId: string): LegEntry {
    const leg = this.#payments.get(paymentId);
    if (leg === undefined) throw new HostFault('PAYMENT_NOT_FOUND', `no payment ${paymentId}`);
    return leg;
  }

  #order(name: LegOrderName, handle: number, field = 0): Promise<WireFacts> {
    return this.#ask((request) => this.#options.engine.legOrder(name, request, handle, field));
  }

  #orderQuietly(name: LegOrderName, handle: number): void {
    try {
      this.#options.engine.legOrder(name, 0, handle);
    } catch (error) {
      this.#options.log.warn('order refused', { order: name, reason: String(error) });
    }
  }

  /** Hands the engine an order and waits for its answer, which comes before every event it causes. */
  #ask(give: (request: number) => void): Promise<WireFacts> {
    this.#lastRequest = (this.#lastRequest % 0xffff_fffe) + 1;
    const request = this.#lastRequest;
    return new Promise((resolve, reject) => {
      let timer: Timer | null = null;
      this.#waiting.set(request, (event) => {
        timer?.cancel();
        if (event === null) reject(new HostFault('WORKER_TIMEOUT', 'the engine did not answer'));
        else if (event.kind === 'answer' && event.code !== 0) reject(this.#refused(request, event.code));
        else resolve(event.facts);
      });
      timer = this.#options.clock.startTimer(ENGINE_ANSWER_MS_MAX, () => {
        const waiting = this.#waiting.get(request);
        this.#waiting.delete(request);
        waiting?.(null);
      });
      try {
        give(request);
      } catch (error) {
        timer.cancel();
        this.#waiting.delete(request);
        reject(error);
      }
    });
  }

  #refused(request: number, code: number): EngineRefusal {
    this.#plays.delete(request);
    return new EngineRefusal(code);
  }
}

/** What cannot be sent is the order's fault; that others are being sent is not. */
function explainKeys(error: unknown): never {
  const isAnswered = error instanceof EngineRefusal && CODE_OF_FAULT[error.fault] !== undefined;
  if (error instanceof EngineRefusal && !isAnswered) throw new HostFault('REQUEST_INVALID', error.message);
  throw error;
}

const done = (): Answer => ({ kind: 'done', value: {} });

const failed = (code: ErrorCode, message: string): Answer => ({ kind: 'failed', value: { code, message } });

function armed(event: EngineEvent | null): Answer {
  const change = event === null ? 'open' : (MASK_CHANGES[event.code] ?? 'open');
  if (event !== null && change === 'armed') return { kind: 'maskArmed', value: { delayMs: event.valueMs } };
  if (event === null || change === 'open') return failed('MASK_NOT_ARMED', 'the mask was not armed in time');
  return failed('MASK_NOT_ARMED', `the proof ${PROOF_RESULTS[event.field] ?? 'failed'}`);
}

function fieldNumber(name: string): number {
  const number = (FIELDS as readonly string[]).indexOf(name);
  if (number < 1) throw new HostFault('REQUEST_INVALID', `no field ${name}`);
  return number;
}

function allowedEvents(keys: string): number {
  let mask = 0;
  for (const key of keys) {
    const event = EVENT_KEYS.indexOf(key);
    if (event < 0) throw new HostFault('REQUEST_INVALID', `no key ${key}`);
    mask |= 1 << event;
  }
  return mask;
}
