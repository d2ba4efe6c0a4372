import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import {
  type ConversationInput,
  type ConversationOutput,
  type ConversationState,
  stepConversation,
} from '../session/conversation.ts';
import type { Destination, Flow } from '../session/flow.ts';
import { LegBook, type LegRole, type LegShown, legTotals } from './call-media.ts';
import { ConferenceRunner } from './conference-runner.ts';
import type { AppDeps } from './deps.ts';
import { CallJournal, type LiveEvents } from './journal.ts';
import type {
  CallContext,
  CallResult,
  GatewayAdapter,
  IncomingCall,
  LegEnd,
  LegListener,
  LocalMedia,
  MediaEvent,
  NegotiatedMedia,
  SegmentRow,
  SipLeg,
} from './ports.ts';
import { SessionRunner } from './session-runner.ts';

/** A sentence of the conversation itself ends after this even when its end is never reported. */
const SAY_MS_MAX = 15_000;
/** How long a target rings before it counts as not answering. */
const DIAL_MS_MAX = 30_000;
/** A caller who is not answered by then hears that it rings. */
const RING_AFTER_MS = 300;
/** Whoever talks with the caller is out of the audio while he pays. */
const CAPTURE_MODE = 'removed';
/** A leg without media this long is taken for lost: hang-ups that nobody signalled. */
export const SILENT_MS_MAX = 30_000;

/** One call: its legs, its segments, and the payment on it. `run` settles when nothing of it is left. */
export class Call {
  readonly callId: string;
  readonly #deps: AppDeps;
  readonly #incoming: IncomingCall;
  readonly #flow: Flow;
  readonly #log: Log;
  readonly #journal: CallJournal;
  readonly #startedAt: number;
  readonly #inputs: ConversationInput[] = [];
  readonly #legs = new LegBook();
  #isDraining = false;
  #state: ConversationState = { kind: 'arriving' };
  #leg: SipLeg | null = null;
  #callerEnd: LegEnd | null = null;
  /** The caller's end, for a dial that is under way. */
  readonly #callerLeft = new AbortController();
  readonly #conference: ConferenceRunner;
  #runner: SessionRunner | null = null;
  #result: CallResult | null = null;
  #segment: SegmentRow | null = null;
  #playWaiters = new Map<string, () => void>();
  /** The other leg while one is bridged: ends the bridge. */
  #bridge: { readonly legId: string; readonly leg: SipLeg; readonly over: (end: LegEnd | null) => void } | null = null;
  #endedBy = 'us';
  /** What was started and comes back as an input; the call is not over before it is. */
  #pending: Promise<void> = Promise.resolve();
  #settle: (() => void) | null = null;

  constructor(deps: AppDeps, live: LiveEvents, incoming: IncomingCall, flow: Flow) {
    this.#deps = deps;
    this.#incoming = incoming;
    this.#flow = flow;
    this.callId = incoming.callId;
    this.#log = deps.log.child({ callId: incoming.callId });
    this.#startedAt = deps.clock.now();
    this.#conference = new ConferenceRunner({ ...deps, log: this.#log }, incoming.callId);
    this.#journal = new CallJournal({ store: deps.store, clock: deps.clock, log: this.#log, live }, incoming.callId);
  }

  /** Answers and runs the call to its end. Throws ServiceError where it could not be answered. */
  async run(): Promise<void> {
    const { media } = this.#deps;
    const { callId, legId } = this.#incoming;
    this.#incoming.onCancelled(() => this.#callerEnded({ kind: 'cancelled' }));
    const ringTimer = this.#deps.clock.startTimer(RING_AFTER_MS, () => {
      this.#incoming.ring().catch((error: unknown) => this.#note('not rung', error));
    });
    let isOpen = false;
    try {
      await this.#saveConversation(null);
      media.listen(callId, (event) => this.#mediaEvent(event));
      const local = await media.openLeg({ callId, legId, media: this.#incoming.media });
      isOpen = true;
      this.#legs.add(legId, 'caller', this.#incoming.media);
      await this.#conference.request({ kind: 'joined', id: legId, role: 'caller' });
      ringTimer.cancel();
      this.#leg = await this.#incoming.accept(local);
    } catch (error) {
      ringTimer.cancel();
      if (isOpen) await this.#closeLeg(legId);
      if (error instanceof ServiceError && error.code === 'CALL_NOT_FOUND') this.#endedBy = 'caller';
      await this.#saveConversation(this.#deps.clock.now());
      throw error;
    }
    this.#leg.listen(this.#listener());
    this.#deps.metrics.callStarted();
    await this.#journal.append('callAnswered', { profile: this.#incoming.profile, flow: this.#flow.name });
    const over = new Promise<void>((resolve) => {
      this.#settle = resolve;
    });
    this.#feed({ kind: 'arrived', identified: this.#incoming.context.identified ?? null });
    if (this.#callerEnd !== null) this.#callerEnded(this.#callerEnd);
    await over;
    await this.#cleanUp();
  }

  /** Ends the call from outside: draining is over, or an operator wants it. */
  end(): void {
    this.#endedBy = 'us';
    this.#callerEnded({ kind: 'timeout' });
    void this.#leg?.hangUp(this.#result ?? undefined).catch(() => {});
  }

  // ---------------------------------------------------------------- what comes in

  #listener(): LegListener {
    return {
      ended: (end) => this.#callerEnded(end),
      mediaChanged: (media) => this.#changeMedia(this.#incoming.legId, media),
      transferRequested: async () => 'refuse',
    };
  }

  async #changeMedia(legId: string, changed: NegotiatedMedia): Promise<LocalMedia> {
    const local = await this.#deps.media.updateLeg(legId, changed);
    this.#legs.changed(legId, changed);
    const isOnHold = changed.direction === 'recvonly' || changed.direction === 'inactive';
    // Not awaited: its answer must not wait for a mask that is being proven.
    void this.#conference.tell({ kind: isOnHold ? 'held' : 'resumed', id: legId });
    return local;
  }

  /** Its legs and how they sound now. */
  legs(): Promise<readonly LegShown[]> {
    return this.#legs.show(this.#deps.media);
  }

  #callerEnded(end: LegEnd): void {
    if (this.#callerEnd === null) this.#endedBy = end.kind === 'timeout' ? this.#endedBy : 'caller';
    this.#callerEnd = end;
    this.#callerLeft.abort();
    for (const waiter of this.#playWaiters.values()) waiter();
    this.#bridge?.over(null);
    this.#runner?.callEnded();
    this.#feed({ kind: 'callEnded' });
  }

  #mediaEvent(event: MediaEvent): void {
    if (event.kind === 'playEnded') this.#playWaiters.get(event.playId)?.();
    if (
      event.kind === 'legSilent' &&
      this.#bridge === null &&
      event.legId === this.#incoming.legId &&
      event.silentMs >= SILENT_MS_MAX
    ) {
      this.#log.warn('leg is silent', { silentMs: event.silentMs });
      this.end();
      return;
    }
    if (event.kind === 'legRecreated') this.#renewKeys(event.legId);
    if (event.kind === 'legRecreated') {
      this.#conference.legRecreated().catch((error: unknown) => {
        this.#note('routes not restored', error);
        this.#bridge?.over(null);
      });
    }
    this.#conference.mediaEvent(event);
    if (event.kind === 'legLost' && event.legId === this.#bridge?.legId) this.#bridge.over({ kind: 'lost' });
    if (event.kind === 'legLost' && event.legId === this.#incoming.legId) this.end();
    this.#runner?.mediaEvent(event);
  }

  /** RFC 3711 §9.1: what the dead worker sent under a key, nobody knows any more. The leg has a new SSRC until then. */
  #renewKeys(legId: string): void {
    const leg = legId === this.#incoming.legId ? this.#leg : legId === this.#bridge?.legId ? this.#bridge.leg : null;
    leg?.renewKeys().then(
      (outcome) => {
        if (outcome === 'renewed') this.#log.info('SRTP key renewed', { legId });
        if (outcome === 'refused') this.#log.warn('the peer did not take a new SRTP key', { legId });
      },
      (error: unknown) => this.#note('SRTP key not renewed', error),
    );
  }

  // ---------------------------------------------------------------- one input at a time

  #feed(input: ConversationInput): void {
    // At most one of each kind is ever on its way: the queue needs no other limit than the machine's inputs.
    this.#inputs.push(input);
    if (!this.#isDraining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
        const step = stepConversation(this.#flow, this.#state, input);
        if (step.ignored) this.#deps.metrics.inputIgnored(this.#state.kind, input.kind);
        this.#state = step.state;
        for (const output of step.outputs) await this.#carryOut(output);
      }
    } catch (error) {
      const code = codeOf(error);
      this.#log.error('call failed', { code, error: String(error) });
      this.#deps.metrics.failure(code);
      this.#state = { kind: 'ended' };
      this.#runner?.callEnded();
      await this.#hangUp();
    } finally {
      this.#isDraining = false;
    }
    if (this.#state.kind === 'ended') this.#settle?.();
  }

  /** What takes long is started here and comes back as an input; what is quick is awaited. */
  async #carryOut(output: ConversationOutput): Promise<void> {
    switch (output.kind) {
      case 'beginSegment':
        return this.#beginSegment(output.segment);
      case 'endSegment':
        return this.#endSegment(output.outcome);
      case 'say':
        return this.#say(output.name);
      case 'identify':
        this.#pending = this.#identify(output.target, output.timeoutMs).then((identified) =>
          this.#feed({ kind: identified ? 'identified' : 'notIdentified' }),
        );
        return;
      case 'startPayment':
        return this.#startPayment();
      case 'go':
        this.#pending = this.#go(output.destination).then((isThere) =>
          this.#feed({ kind: isThere ? 'left' : 'leavingFailed' }),
        );
        return;
      case 'hangUp':
        return this.#hangUp();
    }
  }

  // ---------------------------------------------------------------- records

  async #saveConversation(endedAt: number | null): Promise<void> {
    const { callId, profile, from, to, context } = this.#incoming;
    await this.#deps.store.saveConversation({
      callId,
      startedAt: this.#startedAt,
      endedAt,
      profile,
      from,
      to,
      customer: context.customer ?? null,
      reference: context.reference ?? null,
      endedBy: endedAt === null ? null : this.#endedBy,
    });
  }

  async #beginSegment(kind: SegmentRow['kind']): Promise<void> {
    const now = this.#deps.clock.now();
    const { callId } = this;
    this.#segment = { segmentId: newId('segment', now), callId, kind, startedAt: now, endedAt: null, outcome: null };
    await this.#saveSegment(this.#segment);
    await this.#journal.append('segmentBegun', { segment: kind });
  }

  async #endSegment(outcome: string): Promise<void> {
    if (this.#segment === null) return;
    const ended = { ...this.#segment, endedAt: this.#deps.clock.now(), outcome };
    this.#segment = null;
    await this.#saveSegment(ended);
    await this.#journal.append('segmentEnded', { segment: ended.kind, outcome });
  }

  async #saveSegment(row: SegmentRow): Promise<void> {
    await this.#deps.store.saveSegment(row).catch((error: unknown) => {
      this.#log.error('segment not recorded', { segment: row.kind, error: String(error) });
    });
  }

  // ---------------------------------------------------------------- saying and paying

  /** Plays one sentence to its end; gone callers and lost ends do not hold it up. */
  async #say(name: string): Promise<void> {
    if (this.#callerEnd !== null) return;
    const playId = newId('play', this.#deps.clock.now());
    const ended = new Promise<void>((resolve) => {
      const timer = this.#deps.clock.startTimer(SAY_MS_MAX, resolve);
      this.#playWaiters.set(playId, () => {
        timer.cancel();
        resolve();
      });
    });
    try {
      await this.#deps.media.play(this.#incoming.legId, { playId, recordings: [name], bargeIn: false });
      await ended;
    } catch (error) {
      this.#log.warn('prompt not played', { name, error: String(error) });
      this.#playWaiters.get(playId)?.();
    }
    this.#playWaiters.delete(playId);
  }

  #startPayment(): void {
    const gateway = this.#deps.gateways.get(this.#flow.gateway);
    if (gateway === undefined) throw new ServiceError('INTERNAL', `no gateway ${this.#flow.gateway}`);
    this.#pending = this.#pay(gateway).then((result) => {
      this.#result = result;
      const caller = this.#callerEnd === null ? 'present' : 'gone';
      const { result: name } = result;
      this.#feed({ kind: 'paymentEnded', result: name === 'not-identified' ? 'failed' : name, caller });
    });
  }

  /** Who may not hear the caller is out of the audio before the payment begins, and comes back after its end. */
  async #pay(gateway: GatewayAdapter): Promise<CallResult> {
    const { callId, legId, context } = this.#incoming;
    try {
      await this.#conference.request({ kind: 'captureStarted', payer: legId, mode: CAPTURE_MODE });
    } catch (error) {
      this.#note('payment not begun', error);
      return { result: 'failed', ...this.#brought(), errorCode: codeOf(error) };
    }
    const deps = { ...this.#deps, gateway, log: this.#log, journal: this.#journal };
    const runner = new SessionRunner(deps, { callId, legId, flow: this.#flow, context });
    this.#runner = runner;
    const over = runner.run();
    if (this.#callerEnd !== null) runner.callEnded();
    const result = await over;
    this.#runner = null;
    await this.#conference.tell({ kind: 'captureEnded' });
    return result;
  }

  // ---------------------------------------------------------------- other legs

  /** Dials, lets both talk, and tells how it ended; null where the other side did not answer or the caller left. */
  async #bridgeTo(
    target: string,
    limitMs: number | null,
    transfer: LegListener['transferRequested'],
  ): Promise<LegEnd | null> {
    const { media, sip, clock } = this.#deps;
    const { callId } = this;
    const legId = newId('leg', clock.now());
    let leg: SipLeg | null = null;
    let isOver = false;
    const local = await media.openLeg({ callId, legId, media: null });
    this.#legs.add(legId, 'target', null);
    try {
      if (this.#callerEnd !== null) return null;
      const { from, context } = this.#incoming;
      const result = this.#result;
      const dialed = await sip.dial({
        callId,
        legId,
        target,
        from,
        local,
        context,
        timeoutMs: DIAL_MS_MAX,
        unwanted: this.#callerLeft.signal,
        ...(result === null ? {} : { result }),
      });
      leg = dialed.leg;
      await this.#changeMedia(legId, dialed.media);
      const ended = new Promise<LegEnd | null>((resolve) => {
        this.#bridge = { legId, leg: dialed.leg, over: resolve };
      });
      const timer = limitMs === null ? null : clock.startTimer(limitMs, () => this.#bridge?.over({ kind: 'timeout' }));
      leg.listen({
        ended: (end) => {
          isOver = true;
          this.#bridge?.over(end);
        },
        mediaChanged: (changed) => this.#changeMedia(legId, changed),
        transferRequested: transfer,
      });
      if (this.#callerEnd !== null) return null;
      await this.#conference.request({ kind: 'joined', id: legId, role: 'application' });
      const end = await ended;
      timer?.cancel();
      return end;
    } finally {
      this.#bridge = null;
      await this.#conference.tell({ kind: 'left', id: legId });
      if (leg !== null && !isOver) await leg.hangUp().catch(() => {});
      await this.#closeLeg(legId);
    }
  }

  /** The target's BYE or REFER says yes or no; silence about it is no. */
  async #identify(target: string, timeoutMs: number): Promise<boolean> {
    let identified: boolean | null = null;
    try {
      const end = await this.#bridgeTo(target, timeoutMs, async (request) => {
        identified = request.identified;
        this.#bridge?.over({ kind: 'bye', headers: {}, identified: request.identified });
        return 'accept';
      });
      if (end?.kind === 'bye' && end.identified !== null) identified = end.identified;
    } catch (error) {
      this.#note('identification failed', error);
    }
    if (identified !== true) this.#result = { result: 'not-identified', ...this.#brought() };
    if (identified === true || this.#flow.identification?.whenNot === 'go-on') this.#result = null;
    return identified === true;
  }

  /** What the call brought, for whoever gets it without a payment. */
  #brought(): Omit<CallContext, 'flow' | 'identified'> {
    const { flow: _flow, identified: _identified, ...brought } = this.#incoming.context;
    return brought;
  }

  /** True once the caller is somewhere else, or done with. */
  async #go(destination: Destination): Promise<boolean> {
    try {
      switch (destination.kind) {
        case 'bye':
          return true;
        case 'refer': {
          if (this.#leg === null) return false;
          const result: CallResult = this.#result ?? { result: 'failed', ...this.#brought() };
          return (await this.#leg.refer(destination.target, result)) !== 'failed';
        }
        case 'bridge':
          await this.#bridgeTo(destination.target, null, async () => 'refuse');
          return true;
      }
    } catch (error) {
      this.#note('transfer failed', error);
      return false;
    }
  }

  #note(what: string, error: unknown): void {
    const code = codeOf(error);
    this.#deps.metrics.failure(code);
    this.#log.warn(what, { code, error: error instanceof Error ? error.message : String(error) });
  }

  // ---------------------------------------------------------------- the end

  async #hangUp(): Promise<void> {
    if (this.#callerEnd !== null || this.#leg === null) return;
    this.#callerEnd = { kind: 'bye', headers: {}, identified: null };
    await this.#leg.hangUp(this.#result ?? undefined).catch((error: unknown) => this.#note('hang-up failed', error));
  }

  async #cleanUp(): Promise<void> {
    await this.#pending;
    await this.#closeLeg(this.#incoming.legId);
    const now = this.#deps.clock.now();
    await this.#journal.append('callEnded', { by: this.#endedBy, result: this.#result?.result ?? null });
    await this.#saveConversation(now).catch((error: unknown) => this.#note('conversation not recorded', error));
    this.#deps.metrics.callEnded(now - this.#startedAt);
  }

  async #closeLeg(legId: string): Promise<void> {
    const { media, metrics } = this.#deps;
    const role: LegRole = this.#legs.remove(legId);
    await media.closeLeg(legId).then(
      (stats) => {
        metrics.legClosed(stats);
        return this.#journal.append('legClosed', legTotals(role, stats));
      },
      (error: unknown) => this.#note('leg not closed', error),
    );
  }
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof ServiceError ? error.code : 'INTERNAL';
}
