import type { AppDeps } from '../../src/app/app.ts';
import { isOpen } from '../../src/app/charges.ts';
import { noMetrics } from '../../src/app/metrics.ts';
import type {
  AttemptRow,
  CallContext,
  CallResult,
  ConversationRow,
  DialRequest,
  EgressAnswer,
  EventRow,
  FieldFacts,
  FieldOrder,
  GatewayAdapter,
  GatewayOutcome,
  IncomingCall,
  LegEnd,
  LegListener,
  LegStats,
  MediaEvent,
  MediaPort,
  NegotiatedMedia,
  PaymentRow,
  Route,
  SegmentRow,
  SipLeg,
  StorePort,
} from '../../src/app/ports.ts';
import { ServiceError } from '../../src/lib/errors.ts';
import { silentLog } from '../../src/lib/log.ts';
import type { FieldName, Flow } from '../../src/session/flow.ts';
import type { VirtualClock } from './clock.ts';
import { PLAIN_FLOW } from './flow.ts';

export const MEDIA: NegotiatedMedia = {
  remoteAddress: '127.0.0.1',
  remotePort: 18_000,
  codec: 'PCMU',
  sendPayloadType: 0,
  receivePayloadType: 0,
  sendEventPayloadType: 101,
  receiveEventPayloadType: 101,
  ptimeMs: 20,
  direction: 'sendrecv',
  dtmf: 'auto',
};

/** Of a leg on which nothing happened. */
export const NO_STATS: LegStats = {
  packetsReceived: 0,
  packetsSent: 0,
  packetsLost: 0,
  packetsLate: 0,
  packetsDuplicate: 0,
  packetsFromElsewhere: 0,
  packetsMalformed: 0,
  packetsUnauthentic: 0,
  packetsReplayed: 0,
  packetsUnprotected: 0,
  jitterMs: 0,
  roundTripMs: null,
  playoutDelayMs: 40,
  framesConcealed: 0,
  keysByEvent: 0,
  keysInband: 0,
  remote: null,
  quality: null,
  peerReport: null,
  peerQuality: null,
};

const RIGHT: Readonly<Record<FieldName, Partial<FieldFacts>>> = {
  pan: { length: 16, brands: ['visa'], luhnOk: true, complete: true, last4: '4242', cvcLength: 3 },
  expiry: { length: 4, dateValid: true },
  cvc: { length: 3 },
  postcode: { length: 5 },
  startDate: { length: 4, dateValid: true },
  issueNumber: { length: 1 },
};

export function factsOf(field: FieldName, over: Partial<FieldFacts> = {}): FieldFacts {
  const none = {
    brands: [],
    luhnOk: false,
    complete: false,
    full: true,
    last4: null,
    dateValid: null,
    cvcLength: null,
  };
  return { ...none, length: 0, ...RIGHT[field], ...over };
}

/** A caller who keys every field right; a test changes what it does. */
export interface CallerScript {
  facts(field: FieldName, time: number): Partial<FieldFacts> | 'silent' | 'hangUp';
  /** What the caller presses in an open collection, key by key. */
  keys(order: { allowed: string }): string;
}

export const WILLING_CALLER: CallerScript = { facts: () => ({}), keys: () => '1' };

/**
 * Media, SIP, store and gateway in one process: what they were asked is in `calls`, what the vault holds in `held`, and
 * `failAt` makes the n-th port call throw.
 */
type FakeAnswer = EgressAnswer['kind'] | 'declined' | 'lost';

export class FakeWorld {
  readonly calls: string[] = [];
  readonly said: string[] = [];
  /** Fields a payment holds; a payment that was ended is gone. */
  readonly held = new Map<string, Set<FieldName>>();
  readonly routes: (readonly Route[])[] = [];
  /** Legs whose mask is armed, and what the proof of the next one finds wrong. */
  readonly armed = new Set<string>();
  maskFault: string | null = null;
  /** What each leg is being played in a loop. */
  readonly looped = new Map<string, { readonly playId: string; readonly recordings: readonly string[] }>();
  readonly conversations = new Map<string, ConversationRow>();
  readonly segments = new Map<string, SegmentRow>();
  readonly payments = new Map<string, PaymentRow>();
  readonly attempts = new Map<string, AttemptRow>();
  readonly events: EventRow[] = [];
  /** Idempotency keys for which the gateway took money. */
  readonly charged = new Set<string>();
  /** Those for which it holds money and has not taken it. */
  readonly authorized = new Set<string>();
  readonly results: { readonly how: string; readonly result: CallResult | undefined }[] = [];
  readonly openLegs = new Set<string>();
  answers: FakeAnswer[] = [];
  /** The same for captures and voids; `declined` is a refusal that changes nothing. */
  captureAnswers: FakeAnswer[] = [];
  voidAnswers: FakeAnswer[] = [];
  /** How long the gateway takes for a verb. */
  answerMs: (verb: string) => number = () => 1_000;
  failAt = -1;
  /** Called in the moment in which the call with number `failAt` fails. */
  onFail: () => void = () => {};
  script: CallerScript = WILLING_CALLER;
  flow: Flow = PLAIN_FLOW;
  capabilities: GatewayAdapter['capabilities'] = {
    verbs: ['purchase', 'void', 'lookup'],
    unknownOutcome: 'lookup',
  };
  /** What the gateway calls every transaction. */
  gatewayReference = 'tx_1';
  onSend: (() => void) | null = null;
  dialed: { readonly request: DialRequest; readonly listener: () => LegListener | null }[] = [];
  /** How long a leg takes to open, and whether a target answers at all. */
  openLegMs = 0;
  targetAnswers = true;
  /** What the worker says of each leg that is closed. */
  legStats: LegStats = NO_STATS;
  referAnswer: 'accepted' | 'completed' | 'failed' = 'completed';
  readonly clock: VirtualClock;
  readonly #times = new Map<FieldName, number>();
  #listener: ((event: MediaEvent) => void) | null = null;
  #legListener: LegListener | null = null;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  get portCalls(): number {
    return this.calls.length;
  }

  emit(event: MediaEvent): void {
    this.#listener?.(event);
  }

  hangUp(end: LegEnd = { kind: 'bye', headers: {}, identified: null }): void {
    this.#legListener?.ended(end);
  }

  deps(): AppDeps {
    return {
      sip: { dial: (request) => this.#dial(request) },
      media: this.#media(),
      store: this.#store(),
      dataDip: {
        fetchAmount: async () => {
          this.#enter('fetchAmount');
          return { amountMinor: 4210, currency: 'USD' };
        },
      },
      gateways: new Map([['sandbox', this.#gateway()]]),
      flows: new Map([[this.flow.name, this.flow]]),
      defaultFlow: this.flow.name,
      clock: this.clock,
      log: silentLog,
      metrics: noMetrics,
      callsMax: 2,
    };
  }

  incoming(context: CallContext = { amountMinor: 4210, reference: 'INV-7' }, callId = 'ca_1'): IncomingCall {
    return {
      callId,
      legId: `${callId}_le`,
      profile: 'test',
      context,
      from: 'caller',
      to: 'pay',
      media: MEDIA,
      onCancelled: () => {},
      ring: async () => this.#enter('ring'),
      accept: async () => {
        this.#enter('accept');
        return this.#callerLeg(`${callId}_le`);
      },
      reject: async (code) => {
        this.calls.push(`reject ${code}`);
      },
    };
  }

  #enter(name: string): void {
    const isFailing = this.calls.length === this.failAt;
    this.calls.push(name);
    if (isFailing) this.onFail();
    if (isFailing) throw new ServiceError('WORKER_UNAVAILABLE', `${name} failed by the test`);
  }

  #callerLeg(legId: string): SipLeg {
    return {
      legId,
      listen: (listener) => {
        this.#legListener = listener;
      },
      hangUp: async (result) => {
        this.#enter('hangUp');
        this.results.push({ how: 'bye', result });
      },
      renewKeys: async () => {
        this.calls.push('renewKeys');
        return 'plain';
      },
      refer: async (target, result) => {
        this.#enter('refer');
        this.results.push({ how: target, result });
        return this.referAnswer;
      },
    };
  }

  async #dial(request: DialRequest): Promise<{ leg: SipLeg; media: NegotiatedMedia }> {
    this.#enter('dial');
    if (!this.targetAnswers) {
      await new Promise((resolve) => request.unwanted?.addEventListener('abort', resolve));
      throw new ServiceError('TRANSFER_FAILED', 'cancelled');
    }
    let listener: LegListener | null = null;
    this.dialed.push({ request, listener: () => listener });
    const leg: SipLeg = {
      legId: request.legId,
      listen: (given) => {
        listener = given;
      },
      hangUp: async () => this.#enter('hangUp other'),
      renewKeys: async () => {
        this.calls.push('renewKeys other');
        return 'plain';
      },
      refer: async () => 'failed',
    };
    return { leg, media: MEDIA };
  }

  #media(): MediaPort {
    const local = { address: '127.0.0.1', port: 18_100 };
    return {
      openLeg: async ({ legId }) => {
        this.#enter('openLeg');
        if (this.openLegMs > 0) await new Promise<void>((done) => this.clock.startTimer(this.openLegMs, done));
        this.openLegs.add(legId);
        return local;
      },
      updateLeg: async () => {
        this.#enter('updateLeg');
        return local;
      },
      closeLeg: async (legId) => {
        this.openLegs.delete(legId);
        this.#enter('closeLeg');
        return this.legStats;
      },
      legStats: async (legId) => {
        if (!this.openLegs.has(legId)) throw new ServiceError('CALL_NOT_FOUND', `no leg ${legId}`);
        return this.legStats;
      },
      setRoutes: async (_, routes) => {
        this.#enter('setRoutes');
        this.routes.push(routes);
      },
      armMask: async (legId) => {
        this.#enter('armMask');
        if (this.maskFault !== null) throw new ServiceError('MASK_NOT_ARMED', this.maskFault);
        this.armed.add(legId);
        return { delayMs: 60 };
      },
      disarmMask: async (legId) => {
        this.#enter('disarmMask');
        if (this.held.size > 0) throw new ServiceError('PAYMENT_IN_PROGRESS', 'a payment is on');
        this.armed.delete(legId);
      },
      play: async (legId, { playId, recordings, loop }) => {
        this.#enter('play');
        if (loop === true) {
          this.looped.set(legId, { playId, recordings });
          return;
        }
        this.said.push(...recordings);
        this.#soon(() => this.emit({ kind: 'playEnded', playId, reason: 'finished' }));
      },
      stopPlay: async (legId) => {
        this.#enter('stopPlay');
        this.looped.delete(legId);
      },
      beginPayment: async (_, paymentId) => {
        this.#enter('beginPayment');
        this.held.set(paymentId, new Set());
      },
      endPayment: async (paymentId) => {
        // A worker that cannot answer has wiped or is dead: either way nothing is held.
        this.held.delete(paymentId);
        this.#enter('endPayment');
      },
      openField: async (paymentId, order) => {
        this.#enter(`openField ${order.field}`);
        this.#keyed(paymentId, order);
      },
      closeField: async () => {
        this.#enter('closeField');
        return factsOf('cvc', { length: 0 });
      },
      wipeField: async (paymentId, field) => {
        this.#enter('wipeField');
        this.held.get(paymentId)?.delete(field);
      },
      openKeys: async (_, order) => {
        this.#enter('openKeys');
        const keys = this.script.keys(order);
        this.#soon(() => {
          for (const key of keys) this.emit({ kind: 'openKey', key });
        });
      },
      closeKeys: async () => this.#enter('closeKeys'),
      sendKeys: async () => this.#enter('sendKeys'),
      readBack: async (_, { playId, field }) => {
        this.#enter(`readBack ${field}`);
        this.#soon(() => this.emit({ kind: 'playEnded', playId, reason: 'finished' }));
      },
      send: async (_, request) => {
        this.#enter(`send ${request.url}`);
        return this.#answer(request.url, request.body?.template ?? '');
      },
      listen: (_, listener) => {
        this.#listener = listener;
      },
    };
  }

  /** The caller hears the prompt for a second and keys. */
  #soon(fire: () => void): void {
    this.clock.startTimer(1_000, fire);
  }

  #keyed(paymentId: string, { field }: FieldOrder): void {
    const time = (this.#times.get(field) ?? 0) + 1;
    this.#times.set(field, time);
    const keyed = this.script.facts(field, time);
    this.clock.startTimer(2_000, () => {
      if (keyed === 'hangUp') return this.hangUp();
      if (keyed === 'silent') return;
      this.held.get(paymentId)?.add(field);
      this.emit({ kind: 'fieldEnded', field, by: 'full', facts: factsOf(field, keyed) });
    });
  }

  /** The fake gateway's own truth: `lost` takes the money and does not answer. */
  async #answer(verb: string, key: string): Promise<EgressAnswer> {
    this.onSend?.();
    await new Promise<void>((resolve) => {
      this.clock.startTimer(this.answerMs(verb), resolve);
    });
    const answered = (body: string): EgressAnswer => ({ kind: 'answered', status: 200, headers: {}, body });
    if (verb === 'lookup') {
      if (this.authorized.has(key)) return answered('authorized');
      return answered(this.charged.has(key) ? 'approved' : 'notFound');
    }
    const queue = { capture: this.captureAnswers, void: this.voidAnswers }[verb] ?? this.answers;
    const next = queue.shift() ?? 'answered';
    if (next === 'notSent') return { kind: 'notSent', reason: 'refused' };
    if (next === 'declined') return answered('declined');
    if (next === 'noAnswer') return { kind: 'noAnswer', reason: 'timeout' };
    if (verb === 'capture' && !this.authorized.has(key) && !this.charged.has(key)) return answered('declined');
    if (verb === 'authorize') this.authorized.add(key);
    else this.authorized.delete(key);
    if (verb === 'void') this.charged.delete(key);
    else if (verb !== 'authorize') this.charged.add(key);
    return next === 'lost'
      ? { kind: 'noAnswer', reason: 'closed' }
      : answered(verb === 'authorize' ? 'authorized' : 'approved');
  }

  #gateway(): GatewayAdapter {
    return {
      name: 'sandbox',
      capabilities: this.capabilities,
      request: ({ verb, idempotencyKey }) => ({
        method: 'POST',
        url: verb,
        headers: {},
        body: { format: 'json', template: idempotencyKey },
        timeoutMs: 1_000,
      }),
      outcome: (_, answer): GatewayOutcome => {
        if (answer.kind === 'notSent') throw new ServiceError('GATEWAY_UNREACHABLE', 'not sent');
        if (answer.kind === 'noAnswer') return { outcome: 'unknown', reason: answer.reason };
        if (answer.body === 'notFound') return { outcome: 'notFound' };
        if (answer.body === 'approved' || answer.body === 'authorized')
          return { outcome: answer.body, gatewayReference: this.gatewayReference, authorizationCode: 'A1B2C3' };
        return { outcome: 'declined', reason: 'do-not-honor', gatewayReference: this.gatewayReference, text: 'no' };
      },
    };
  }

  #store(): StorePort {
    return {
      saveConversation: async (row) => {
        this.#enter('saveConversation');
        this.conversations.set(row.callId, row);
      },
      saveSegment: async (row) => {
        this.#enter('saveSegment');
        this.segments.set(row.segmentId, row);
      },
      savePayment: async (row) => {
        this.#enter('savePayment');
        this.payments.set(row.paymentId, row);
      },
      saveAttempt: async (row) => {
        this.#enter(`saveAttempt ${row.state}`);
        this.attempts.set(row.attemptId, row);
      },
      appendEvent: async (row) => {
        this.#enter('appendEvent');
        return this.events.push(row);
      },
      unsettledPayments: async (since, limit) => {
        return [...this.payments.values()]
          .filter((payment) => payment.startedAt >= since)
          .map((payment) => ({
            payment,
            attempts: [...this.attempts.values()].filter((row) => row.paymentId === payment.paymentId),
          }))
          .filter(({ payment, attempts }) => payment.endedAt === null || attempts.some(isOpen))
          .slice(0, limit);
      },
      endLeftOpen: async () => 0,
    };
  }
}
