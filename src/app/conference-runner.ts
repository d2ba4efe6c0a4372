import type { Clock } from '../lib/clock.ts';
import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { type CallId, type LegId, newId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import {
  type ConferenceFact,
  type ConferencePlan,
  type ConferenceRequest,
  type ConferenceState,
  EMPTY_CONFERENCE,
  planOf,
  stepConference,
} from '../session/conference.ts';
import type { AppMetrics } from './metrics.ts';
import type { MaskOrder, MediaEvent, MediaPort, Route } from './ports.ts';

export interface ConferenceDeps {
  readonly media: MediaPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
}

/**
 * Requests that wait for the one being carried out; people make a few a minute, so more is a fault of ours. Facts are never
 * turned away: a leg ends once, and changes its media no faster than its answers come back.
 */
export const CHANGES_MAX = 64;

/** What is heard instead of a key, and that nothing tells of it. */
const MASK: MaskOrder = { replace: 'noise', neutralKey: null };

/** Six seconds of music; whoever is reserved is told each half minute why he waits. */
const PIECES: Readonly<Record<ConferencePlan['music'][number]['piece'], readonly string[]>> = {
  hold: ['hold-music'],
  reserved: ['caller-is-paying', ...Array.from({ length: 5 }, () => 'hold-music')],
};

/**
 * Carries out who hears whom on one call: the only place that sets routes, and the only caller of `stepConference`. One
 * change at a time, each in this order, so that at no moment anybody hears more than both the state before and the one after
 * let him:
 *
 *   1. routes that both have, masked where either has them masked
 *   2. masks armed, each of which settles once it has proved itself
 *   3. routes of the state after
 *   4. masks that nobody needs any more disarmed, once no capture runs
 *   5. music
 *
 * A request that fails on the way is taken back: the state before is carried out again, and where that fails too, what is left
 * is what step 1 left. A fact cannot be taken back: what failed is made good with the next change, or when the legs stand again.
 */
export class ConferenceRunner {
  readonly #deps: ConferenceDeps;
  readonly #callId: CallId;
  #state: ConferenceState = EMPTY_CONFERENCE;
  /** What the worker has; null where an order failed and nobody knows. */
  #routes: readonly Route[] | null = [];
  readonly #armed = new Set<LegId>();
  readonly #music = new Map<LegId, { readonly playId: string; readonly piece: string }>();
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  #isRestoring = false;

  constructor(deps: ConferenceDeps, callId: CallId) {
    this.#deps = deps;
    this.#callId = callId;
  }

  get state(): ConferenceState {
    return this.#state;
  }

  /** Throws REQUEST_INVALID with the words of the refusal, MASK_NOT_ARMED with what the proof found, or the worker's own code. */
  request(input: ConferenceRequest): Promise<void> {
    if (this.#waiting >= CHANGES_MAX)
      return Promise.reject(new ServiceError('REQUEST_LIMIT_REACHED', `${this.#waiting} changes wait`));
    return this.#inTurn(async () => {
      const step = stepConference(this.#state, input);
      if (step.refused !== null) throw new ServiceError('REQUEST_INVALID', step.refused);
      try {
        await this.#carryOut(step.state);
      } catch (error) {
        await this.#carryOut(this.#state).catch((again: unknown) => this.#note('not taken back', again));
        throw error;
      }
      this.#state = step.state;
    });
  }

  /** Never rejects: what could not be carried out is counted, and made good later. */
  async tell(input: ConferenceFact): Promise<void> {
    await this.#inTurn(async () => {
      this.#state = stepConference(this.#state, input).state;
      if (input.kind === 'left') this.#forget(input.id);
      await this.#carryOut(this.#state);
    }).catch((error: unknown) => this.#note(`${input.kind} not carried out`, error));
  }

  mediaEvent(event: MediaEvent): void {
    if (event.kind !== 'playEnded') return;
    for (const [legId, { playId }] of this.#music) {
      if (playId !== event.playId) continue;
      this.#music.delete(legId);
      // After an hour, as the engine limits it. Whoever is still reserved is not left in silence.
      if (event.reason === 'finished') void this.#inTurn(() => this.#playMusic(planOf(this.#state))).catch(() => {});
    }
  }

  /**
   * The worker died, and a leg stands again: its routes are back, its mask is being proven anew and its music is gone. Once
   * for all legs of the call. Throws where who hears whom could not be restored.
   */
  async legRecreated(): Promise<void> {
    if (this.#isRestoring) return;
    this.#isRestoring = true;
    await this.#inTurn(async () => {
      this.#isRestoring = false;
      this.#routes = null;
      this.#armed.clear();
      this.#music.clear();
      await this.#carryOut(this.#state);
    });
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    this.#waiting += 1;
    const done = this.#last.then(change).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = done.catch(() => {});
    return done;
  }

  // ---------------------------------------------------------------- the five steps

  async #carryOut(state: ConferenceState): Promise<void> {
    const plan = planOf(state);
    await this.#setRoutes(strictest(this.#routes, plan));
    for (const legId of plan.masks) await this.#arm(legId);
    await this.#setRoutes(plan.routes);
    if (state.capture === null) await this.#disarm(plan);
    await this.#playMusic(plan);
  }

  async #setRoutes(routes: readonly Route[]): Promise<void> {
    if (this.#routes !== null && isSame(this.#routes, routes)) return;
    this.#routes = null;
    await this.#deps.media.setRoutes(this.#callId, routes);
    this.#routes = routes;
  }

  async #arm(legId: LegId): Promise<void> {
    if (this.#armed.has(legId)) return;
    await this.#deps.media.armMask(legId, MASK);
    this.#armed.add(legId);
  }

  /** A mask that stays on too long hides nothing that may be heard but tones: no reason to give up anything for it. */
  async #disarm(plan: ConferencePlan): Promise<void> {
    for (const legId of [...this.#armed].filter((id) => !plan.masks.includes(id))) {
      await this.#try('mask not disarmed', async () => {
        await this.#deps.media.disarmMask(legId);
        this.#armed.delete(legId);
      });
    }
  }

  /** Without music the party waits in silence, which is no reason to give up anything either. */
  async #playMusic(plan: ConferencePlan): Promise<void> {
    const pieces = new Map(plan.music.map(({ id, piece }) => [id, piece]));
    for (const legId of [...this.#music.keys()].filter((id) => !pieces.has(id))) {
      await this.#try('hold music not stopped', async () => {
        await this.#deps.media.stopPlay(legId);
        this.#music.delete(legId);
      });
    }
    for (const [legId, piece] of pieces) {
      if (this.#music.get(legId)?.piece === piece) continue;
      await this.#try('hold music not played', async () => {
        const playId = newId('play', this.#deps.clock.now());
        await this.#deps.media.play(legId, { playId, recordings: PIECES[piece], bargeIn: false, loop: true });
        this.#music.set(legId, { playId, piece });
      });
    }
  }

  async #try(what: string, order: () => Promise<void>): Promise<void> {
    await order().catch((error: unknown) => this.#note(what, error));
  }

  #forget(legId: LegId): void {
    this.#armed.delete(legId);
    this.#music.delete(legId);
  }

  #note(what: string, error: unknown): void {
    const code: ErrorCode = error instanceof ServiceError ? error.code : 'INTERNAL';
    this.#deps.metrics.failure(code);
    this.#deps.log.warn(what, { code, error: error instanceof Error ? error.message : String(error) });
  }
}

const keyOf = ({ from, to }: Route): string => `${from} ${to}`;

function isSame(one: readonly Route[], other: readonly Route[]): boolean {
  const modes = new Map(one.map((route) => [keyOf(route), route.mode]));
  return one.length === other.length && other.every((route) => modes.get(keyOf(route)) === route.mode);
}

/** What both let be heard. Of what the worker has nothing may be known: then nobody whose mask is yet to be proven is heard. */
function strictest(now: readonly Route[] | null, plan: ConferencePlan): readonly Route[] {
  if (now === null) return plan.routes.filter(({ from }) => !plan.masks.includes(from));
  const modes = new Map(now.map((route) => [keyOf(route), route.mode]));
  return plan.routes.flatMap((route): Route[] => {
    const mode = modes.get(keyOf(route));
    if (mode === undefined) return [];
    return [mode === 'masked' ? { ...route, mode } : route];
  });
}
