import type {
  Bursts,
  EgressAnswer,
  EgressRequest,
  FieldFacts,
  FieldOrder,
  LegStats,
  LocalMedia,
  MaskOrder,
  MediaEvent,
  MediaPort,
  MediaSecurity,
  NegotiatedMedia,
  PeerReport,
  ReadBackStyle,
  Route,
  StreamQuality,
} from '../app/ports.ts';
import type { Clock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import type { CallId, LegId, PaymentId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { Sensitive } from '../lib/sensitive.ts';
import type { FieldName } from '../session/flow.ts';
import type { Event, Orders, WireFacts, WireMedia, WireQuality, WireSrtp, WireStats } from '../worker/wire.ts';
import { Connection, type WorkerAddress } from './connection.ts';

/** Where no supervisor kills a worker that hangs. */
const ORDER_TIMEOUT_MS = 3000;
/** From the supervisor's limit to the connection's end: it kills, and the kernel closes. */
const KILL_SLACK_MS = 2000;
/** Orders are answered within a tick; a worker that owes an answer for so long gets no new call while another stands. */
const SILENT_MS = 500;
/** Somebody waits for the answer of an HTTP request, and nothing of the call depends on it. */
const STATS_TIMEOUT_MS = 1000;
/** A worker that has just started on a busy machine may be slow; asking again opens no second leg. */
const RECREATE_TRIES_MAX = 3;
/** On top of the request's own limit, which the worker keeps. */
const SEND_SLACK_MS = 2000;

/** RFC 3711 §3.3.1: the roll-over counter goes up every 2^16 packets, which come every 10 ms or slower. */
const ROC_MS_MIN = 65_536 * 10;

const TOTALS = ['eventsLost', 'ticksLate', 'ticksSkipped'] as const;
const NO_TOTALS = { eventsLost: 0, ticksLate: 0, ticksSkipped: 0 };

export interface MediaClientOptions {
  readonly workers: readonly WorkerAddress[];
  readonly locale: string;
  /**
   * When the supervisor kills a worker that hangs; null: never. An order waits for longer than that: an answer that is
   * late still counts, and a worker that hangs ends as one that died, whose calls go on with the next.
   */
  readonly hangMs?: number | null;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MediaClient extends MediaPort {
  /** Workers connected now; the readiness of the whole. */
  readyWorkers(): number;
  /** How often a worker died with calls on it, what came of its legs, and events that workers said they dropped. */
  readonly counters: WorkerTotals & { workersLost: number; legsRecreated: number; legsLost: number };
  close(): void;
}

/** What a worker counts from its own start; here, over all of them. */
interface WorkerTotals {
  eventsLost: number;
  ticksLate: number;
  ticksSkipped: number;
}

/** Everything that brings a leg back on another worker process: the order that opened it, as it is now. */
interface LegState {
  readonly legId: LegId;
  readonly callId: CallId;
  media: WireMedia | undefined;
  local: LocalMedia;
  /** Armed, or ordered to be. */
  mask: MaskOrder | null;
  /** While it is being proven: whoever asks again meanwhile hears of the same proof. */
  arming: Promise<{ delayMs: number }> | null;
  /** Since when the peer may send under a key; null for plain media. */
  securedAt: number | null;
}

interface CallState {
  readonly worker: WorkerState;
  readonly legs: Map<LegId, LegState>;
  routes: readonly Route[];
  payment: { readonly paymentId: PaymentId; readonly legId: LegId } | null;
}

interface WorkerState {
  readonly connection: Connection;
  pid: number;
  calls: number;
  /** How often it became ready: what was begun for an earlier one is left to the next. */
  readies: number;
  /** As this process of the worker last said. */
  totals: WorkerTotals;
  /** Settles when the legs of a worker that died stand again; a new leg before that could take one's port. */
  recreated: Promise<void>;
}

/** The control side of the workers. A call lives on one worker; when that dies its legs are made again on the next. */
export function createMediaClient(options: MediaClientOptions): MediaClient {
  const { clock, log, hangMs = null } = options;
  const orderTimeoutMs = hangMs === null ? ORDER_TIMEOUT_MS : Math.max(ORDER_TIMEOUT_MS, hangMs + KILL_SLACK_MS);
  const calls = new Map<CallId, CallState>();
  const callOfLeg = new Map<LegId, CallId>();
  const callOfPayment = new Map<PaymentId, CallId>();
  /** Listening may begin before the first leg opens, so that no event is missed. */
  const listeners = new Map<CallId, (event: MediaEvent) => void>();
  const counters = { workersLost: 0, legsRecreated: 0, legsLost: 0, ...NO_TOTALS };

  const workers: WorkerState[] = [];
  for (const address of options.workers) {
    const connection = new Connection(address, clock, log, {
      ready(pid) {
        const isFirst = worker.pid === 0;
        worker.readies += 1;
        if (worker.pid !== pid) worker.totals = NO_TOTALS;
        worker.pid = pid;
        // A worker that lost us has wiped what was keyed, a new one knows nothing: both are told again.
        if (!isFirst) worker.recreated = recreate(worker);
      },
      lost() {
        counters.workersLost += 1;
        log.warn('media worker lost', { pid: worker.pid, calls: worker.calls });
      },
      event: (callId, event) => {
        listeners.get(callId)?.(toMediaEvent(event));
      },
    });
    const worker: WorkerState = {
      connection,
      pid: 0,
      calls: 0,
      readies: 0,
      totals: NO_TOTALS,
      recreated: Promise.resolve(),
    };
    workers.push(worker);
  }

  /** A worker counts from its own start. */
  function countTotals(worker: WorkerState, totals: WorkerTotals): void {
    const events = totals.eventsLost - worker.totals.eventsLost;
    for (const name of TOTALS) counters[name] += Math.max(0, totals[name] - worker.totals[name]);
    worker.totals = totals;
    if (events > 0) log.error('media worker dropped events', { pid: worker.pid, events });
  }

  /** After a worker's death its legs are made again; whoever only looks does not wait long for that. */
  function standsAgain(worker: WorkerState): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = clock.startTimer(STATS_TIMEOUT_MS, () =>
        reject(new ServiceError('WORKER_TIMEOUT', `its legs did not stand again within ${STATS_TIMEOUT_MS} ms`)),
      );
      worker.recreated.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  function toLegStats(worker: WorkerState, answer: WireStats): LegStats {
    const { eventsLost, ticksLate, ticksSkipped, quality, bursts, peer, peerQuality, ...counted } = answer;
    countTotals(worker, { eventsLost, ticksLate, ticksSkipped });
    return {
      ...counted,
      roundTripMs: counted.roundTripMs === 0 ? null : counted.roundTripMs,
      remote: counted.remote ?? null,
      quality: quality === undefined || bursts === undefined ? null : { ...toQuality(quality), ...toBursts(bursts) },
      peerReport: peer === undefined ? null : toPeerReport(peer),
      peerQuality: peerQuality === undefined ? null : toQuality(peerQuality),
    };
  }

  const securedAt = (media: WireMedia | undefined) => (media?.srtp === undefined ? null : clock.now());

  /**
   * A worker that does not know how often the peer's sequence numbers have wrapped tries up to this many (RFC 3711 §3.3.1
   * has it told, and nobody tells). Also for a new key: RFC 4568 §7.1.4 begins again, RFC 3711 §3.3.1 counts on.
   */
  function withRocMax<M extends WireMedia | undefined>(leg: { media: M; securedAt: number | null }): M {
    const { media } = leg;
    if (media?.srtp === undefined || leg.securedAt === null) return media;
    const ageMs = clock.now() - leg.securedAt;
    const receiveRocMax = ageMs <= 0 ? 0 : 1 + Math.floor(ageMs / ROC_MS_MIN);
    return { ...media, srtp: { ...media.srtp, receiveRocMax } };
  }

  function callOf(legId: LegId): CallState {
    const call = calls.get(callOfLeg.get(legId) ?? '');
    if (call === undefined) throw new ServiceError('CALL_NOT_FOUND', `no leg ${legId}`);
    return call;
  }

  function payingCall(paymentId: PaymentId): CallState {
    const call = calls.get(callOfPayment.get(paymentId) ?? '');
    if (call === undefined) throw new ServiceError('PAYMENT_NOT_FOUND', `no payment ${paymentId}`);
    return call;
  }

  function leastLoaded(): WorkerState {
    // One that hangs is ready until the supervisor finds out; whoever comes meanwhile is better off elsewhere.
    const isSilent = (worker: WorkerState) => Number(worker.connection.silentMs > SILENT_MS);
    const ready = workers
      .filter((worker) => worker.connection.isReady)
      .sort((a, b) => isSilent(a) - isSilent(b) || a.calls - b.calls);
    if (ready[0] === undefined) throw new ServiceError('WORKER_UNAVAILABLE', 'no media worker is connected');
    return ready[0];
  }

  /** A call that finds no worker is over: nothing of it stays. */
  function workerFor(callId: CallId): WorkerState {
    try {
      return leastLoaded();
    } catch (error) {
      listeners.delete(callId);
      throw error;
    }
  }

  const orderNow = async <K extends keyof Orders>(call: CallState, kind: K, value: Orders[K]): Promise<void> => {
    await call.worker.connection.ask(kind, value, 'done', orderTimeoutMs);
  };

  /** Not before the legs of a worker that died stand again: the next one does not know them yet. */
  const order = async <K extends keyof Orders>(call: CallState, kind: K, value: Orders[K]): Promise<void> => {
    await call.worker.recreated;
    await orderNow(call, kind, value);
  };

  async function openOn(call: CallState, leg: LegState, blocked: boolean): Promise<LocalMedia> {
    const { legId, callId, local } = leg;
    const media = withRocMax(leg);
    const value = { callId, legId, localPort: local.port, blocked, ...(media === undefined ? {} : { media }) };
    const opened = await call.worker.connection.ask('openLeg', value, 'legOpened', orderTimeoutMs);
    return { address: opened.localAddress, port: opened.localPort };
  }

  /** After a worker's death: the same ports, the payment first, so that nobody hears the payer, then who hears whom. */
  async function recreate(worker: WorkerState): Promise<void> {
    const { readies } = worker;
    // As they are now: what is opened meanwhile waits for this to end and needs no second opening.
    const lost = [...calls].filter(([, call]) => call.worker === worker);
    for (const [callId, call, legs] of lost.map(([id, c]) => [id, c, [...c.legs.values()]] as const)) {
      const tell = listeners.get(callId);
      for (const leg of legs) {
        const fault = await recreateLeg(worker, readies, call, leg);
        // This one died too: the next makes all of them.
        if (fault === 'away') return;
        if (fault === null) {
          counters.legsRecreated += 1;
          tell?.({ kind: 'legRecreated', legId: leg.legId });
          continue;
        }
        counters.legsLost += 1;
        log.error('leg lost with its worker', { callId, legId: leg.legId, reason: fault.message });
        forgetLeg(call, leg.legId);
        tell?.({ kind: 'legLost', legId: leg.legId });
      }
      const routes = call.routes.filter((route) => call.legs.has(route.from) && call.legs.has(route.to));
      if (routes.length > 0) await sendRoutes(call, callId, routes).catch((error) => log.error(String(error)));
      // Masked listeners hear nothing of a payer until this is through; the proof runs anew.
      for (const leg of call.legs.values()) {
        const { legId, mask } = leg;
        if (mask === null) continue;
        arm(call, leg, mask).catch((error) =>
          log.error('mask not armed again', { callId, legId, reason: String(error) }),
        );
      }
    }
  }

  /** Null: it stands again. `away`: its worker is gone once more. */
  async function recreateLeg(
    worker: WorkerState,
    readies: number,
    call: CallState,
    leg: LegState,
  ): Promise<Error | 'away' | null> {
    const { callId, legId } = leg;
    for (let tries = 1; ; tries += 1) {
      try {
        await openOn(call, leg, call.payment !== null);
        if (call.payment?.legId === legId) {
          await orderNow(call, 'beginPayment', { callId, paymentId: call.payment.paymentId, legId });
        }
        return worker.readies === readies ? null : 'away';
      } catch (error) {
        const code = error instanceof ServiceError ? error.code : 'INTERNAL';
        if (worker.readies !== readies || code === 'WORKER_UNAVAILABLE') return 'away';
        if (code !== 'WORKER_TIMEOUT' || tries >= RECREATE_TRIES_MAX) return error as Error;
      }
    }
  }

  function sendRoutes(call: CallState, callId: CallId, routes: readonly Route[]): Promise<void> {
    const heard = routes.filter((route) => route.mode !== 'blocked');
    const rows = heard.map(({ from, to, mode }) => ({ from, to, masked: mode === 'masked' }));
    return orderNow(call, 'setRoutes', { callId, routes: rows });
  }

  /** Two proofs of one line at once would be proofs of nothing. */
  function arm(call: CallState, leg: LegState, { replace, neutralKey }: MaskOrder): Promise<{ delayMs: number }> {
    const value = { legId: leg.legId, replace, neutralKey: neutralKey ?? '' };
    leg.arming ??= call.worker.connection.ask('armMask', value, 'maskArmed', orderTimeoutMs).finally(() => {
      leg.arming = null;
    });
    return leg.arming;
  }

  function forgetLeg(call: CallState, legId: LegId): void {
    call.legs.delete(legId);
    const callId = callOfLeg.get(legId) ?? '';
    callOfLeg.delete(legId);
    if (call.legs.size > 0) return;
    call.worker.calls -= 1;
    calls.delete(callId);
    listeners.delete(callId);
    if (call.payment !== null) callOfPayment.delete(call.payment.paymentId);
  }

  return {
    counters,
    readyWorkers: () => workers.filter((worker) => worker.connection.isReady).length,
    close: () => {
      for (const worker of workers) worker.connection.close();
    },

    async openLeg({ callId, legId, media }) {
      let call = calls.get(callId);
      if (call === undefined) {
        const worker = workerFor(callId);
        worker.calls += 1;
        call = { worker, legs: new Map(), routes: [], payment: null };
        calls.set(callId, call);
      }
      const wire = media === null ? undefined : toWireMedia(media);
      const local = { address: '', port: 0 };
      const leg: LegState = { legId, callId, media: wire, local, mask: null, arming: null, securedAt: securedAt(wire) };
      call.legs.set(legId, leg);
      callOfLeg.set(legId, callId);
      try {
        await call.worker.recreated;
        leg.local = await openOn(call, leg, false);
        return leg.local;
      } catch (error) {
        forgetLeg(call, legId);
        throw error;
      }
    },

    async updateLeg(legId, media) {
      const call = callOf(legId);
      const leg = call.legs.get(legId);
      const wire = toWireMedia(media);
      const since = leg?.securedAt ?? securedAt(wire);
      const order = { legId, media: withRocMax({ media: wire, securedAt: since }) };
      const opened = await call.worker.connection.ask('updateLeg', order, 'legOpened', orderTimeoutMs);
      if (leg !== undefined) Object.assign(leg, { media: wire, securedAt: since });
      return { address: opened.localAddress, port: opened.localPort };
    },

    async closeLeg(legId): Promise<LegStats> {
      const call = callOf(legId);
      try {
        const { worker } = call;
        return toLegStats(worker, await worker.connection.ask('closeLeg', { legId }, 'stats', orderTimeoutMs));
      } finally {
        forgetLeg(call, legId);
      }
    },

    async legStats(legId): Promise<LegStats> {
      const { worker } = callOf(legId);
      await standsAgain(worker);
      return toLegStats(worker, await worker.connection.ask('getStats', { legId }, 'stats', STATS_TIMEOUT_MS));
    },

    async setRoutes(callId, routes) {
      const call = calls.get(callId);
      if (call === undefined) throw new ServiceError('CALL_NOT_FOUND', `no call ${callId}`);
      call.routes = routes;
      await call.worker.recreated;
      await sendRoutes(call, callId, routes);
    },

    async armMask(legId, mask) {
      const call = callOf(legId);
      const leg = call.legs.get(legId);
      if (leg === undefined) throw new ServiceError('CALL_NOT_FOUND', `no leg ${legId}`);
      await call.worker.recreated;
      const armed = await arm(call, leg, mask);
      leg.mask = mask;
      return { delayMs: armed.delayMs };
    },

    async disarmMask(legId) {
      const call = callOf(legId);
      await order(call, 'disarmMask', { legId });
      const leg = call.legs.get(legId);
      if (leg !== undefined) leg.mask = null;
    },

    play: async (legId, { playId, recordings, bargeIn, loop = false, locale = options.locale }) =>
      order(callOf(legId), 'play', { legId, playId, recordings, bargeIn, loop, locale }),
    stopPlay: async (legId) => order(callOf(legId), 'stopPlay', { legId }),

    async beginPayment(callId, paymentId, legId) {
      const call = callOf(legId);
      await order(call, 'beginPayment', { callId, paymentId, legId });
      call.payment = { paymentId, legId };
      callOfPayment.set(paymentId, callId);
    },

    async endPayment(paymentId) {
      const call = calls.get(callOfPayment.get(paymentId) ?? '');
      callOfPayment.delete(paymentId);
      if (call === undefined) return;
      call.payment = null;
      // A worker that is away holds nothing: what it held died with it.
      if (call.worker.connection.isReady) await order(call, 'endPayment', { paymentId });
    },

    openField: async (paymentId, { field, lengthMin, lengthMax, brands }: FieldOrder) =>
      order(payingCall(paymentId), 'openField', { paymentId, field, lengthMin, lengthMax, brands }),

    async closeField(paymentId): Promise<FieldFacts> {
      const { connection, recreated } = payingCall(paymentId).worker;
      await recreated;
      return toFacts(await connection.ask('closeField', { paymentId }, 'facts', orderTimeoutMs));
    },

    wipeField: async (paymentId, field: FieldName) => order(payingCall(paymentId), 'wipeField', { paymentId, field }),
    openKeys: async (legId, { allowed, lengthMax }) => order(callOf(legId), 'openKeys', { legId, allowed, lengthMax }),
    closeKeys: async (legId) => order(callOf(legId), 'closeKeys', { legId }),

    sendKeys: async (legId, { keys, mode, levelDbm0, twistDb, durationMs, gapMs }) =>
      order(callOf(legId), 'sendKeys', { legId, keys, mode, levelDbm0, twistDb, durationMs, gapMs }),

    readBack: async (
      paymentId,
      { playId, field, style, locale }: { playId: string; field: FieldName; style: ReadBackStyle; locale: string },
    ) => order(payingCall(paymentId), 'readBack', { paymentId, playId, field, style, locale }),

    async send(paymentId, request): Promise<EgressAnswer> {
      const { connection } = paymentId === null ? leastLoaded() : payingCall(paymentId).worker;
      try {
        const value = toSend(paymentId, request);
        const sent = await connection.ask('send', value, 'sent', request.timeoutMs + SEND_SLACK_MS);
        return toEgressAnswer(sent);
      } catch (error) {
        // The order may have left before its worker died or fell silent: whether it was sent, nobody knows.
        const isUnknown =
          error instanceof ServiceError && ['WORKER_TIMEOUT', 'WORKER_UNAVAILABLE'].includes(error.code);
        if (isUnknown) return { kind: 'noAnswer', reason: error.message };
        throw error;
      }
    },

    listen(callId, listener) {
      listeners.set(callId, listener);
    },
  };
}

function toWireMedia(media: NegotiatedMedia): WireMedia {
  const { sendEventPayloadType, receiveEventPayloadType, security, ...rest } = media;
  return {
    ...rest,
    ...(security === undefined ? {} : { srtp: toWireSrtp(security) }),
    ...(sendEventPayloadType === null ? {} : { sendEventPayloadType }),
    ...(receiveEventPayloadType === null ? {} : { receiveEventPayloadType }),
  };
}

function toWireSrtp({ suite, sendKey, receiveKey }: MediaSecurity): WireSrtp {
  return { suite, sendKey: sendKey.reveal(), receiveKey: receiveKey.reveal(), receiveRocMax: 0 };
}

function toQuality({ rFactor, mosListening, mosConversation, ...measured }: WireQuality): StreamQuality {
  const { lossRatio, discardRatio, endSystemDelayMs } = measured;
  return {
    lossRatio,
    discardRatio,
    endSystemDelayMs,
    rFactor: rFactor ?? null,
    mosListening: mosListening ?? null,
    mosConversation: mosConversation ?? null,
  };
}

function toBursts({ burstDensity, gapDensity, burstMs, gapMs }: Bursts): Bursts {
  return { burstDensity, gapDensity, burstMs, gapMs };
}

function toPeerReport({ lossRatio, packetsLost, jitterMs }: PeerReport): PeerReport {
  return { lossRatio, packetsLost, jitterMs };
}

function toFacts(facts: WireFacts): FieldFacts {
  return {
    length: facts.length,
    brands: facts.brands,
    luhnOk: facts.luhnOk,
    complete: facts.complete,
    full: facts.full,
    last4: facts.last4 ?? null,
    dateValid: facts.dateValid ?? null,
    cvcLength: facts.cvcLength ?? null,
  };
}

function toMediaEvent(event: Event): MediaEvent {
  switch (event.kind) {
    case 'fieldKey': {
      const { key, field, facts } = event.value;
      const isTyped = field !== undefined && facts !== undefined;
      return {
        kind: 'fieldKey',
        key: key as 'digit' | 'star' | 'hash',
        field: isTyped ? (field as FieldName) : null,
        facts: isTyped ? toFacts(facts) : null,
      };
    }
    case 'fieldEnded': {
      const { field, by, facts } = event.value;
      return { kind: 'fieldEnded', field: field as FieldName, by: by as 'hash' | 'full', facts: toFacts(facts) };
    }
    case 'openKey':
      return { kind: 'openKey', key: event.value.key };
    case 'playEnded': {
      const { playId, reason } = event.value;
      return { kind: 'playEnded', playId, reason: reason as 'finished' | 'bargedIn' | 'stopped' };
    }
    case 'keysSent':
      return { kind: 'keysSent', legId: event.value.legId };
    case 'legSilent':
      return { kind: 'legSilent', legId: event.value.legId, silentMs: event.value.silentMs };
  }
}

function toSend(paymentId: PaymentId | null, request: EgressRequest): Orders['send'] {
  return {
    ...(paymentId === null ? {} : { paymentId }),
    method: request.method,
    url: request.url,
    headers: Object.entries(request.headers).map(([name, value]) => ({
      name,
      value: value instanceof Sensitive ? value.reveal() : value,
    })),
    bodyFormat: request.body?.format ?? '',
    bodyTemplate: request.body?.template ?? '',
    timeoutMs: request.timeoutMs,
  };
}

function toEgressAnswer(sent: {
  kind: string;
  status: number;
  headers: readonly { name: string; value: string }[];
  body: string;
  reason: string;
}): EgressAnswer {
  if (sent.kind === 'answered') {
    const headers = Object.fromEntries(sent.headers.map(({ name, value }) => [name.toLowerCase(), value]));
    return { kind: 'answered', status: sent.status, headers, body: sent.body };
  }
  return { kind: sent.kind === 'notSent' ? 'notSent' : 'noAnswer', reason: sent.reason };
}
