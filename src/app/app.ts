import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { requiredRecordings } from '../prompt/required.ts';
import type { Flow } from '../session/flow.ts';
import { Call } from './call.ts';
import type { CallMedia } from './call-media.ts';
import type { AppDeps } from './deps.ts';
import { LiveEvents, type LiveListener } from './journal.ts';
import type { CallHandler, IncomingCall, RecordingsPort } from './ports.ts';
import { lookAgain, type Recovered, recoverPayments } from './recovery.ts';

export type { AppDeps } from './deps.ts';

export interface App extends CallHandler {
  /**
   * Settles what an earlier run left open, and from then on looks unknown outcomes up again now and then. Call once the
   * worker stands, before calls are let in.
   */
  recover(): Promise<Recovered>;
  /** No new calls; those that are on finish within `timeoutMs`, then they are ended. Settles when none is left. */
  stop(timeoutMs: number): Promise<void>;
  /** Null where too many listen already. */
  subscribe(listener: LiveListener): (() => void) | null;
  callsActive(): number;
  /** The legs of a live call; null where there is no such call now. Throws ServiceError where its worker does not say. */
  callMedia(callId: string): Promise<CallMedia | null>;
}

/** After draining: how long ended calls may take to wipe, save and hang up. */
const CLEAN_UP_MS_MAX = 5_000;

export function createApp(deps: AppDeps): App {
  const live = new LiveEvents();
  const calls = new Map<string, { readonly call: Call; readonly over: Promise<void> }>();
  let isDraining = false;
  let stopLooking = (): void => {};

  async function refuse(incoming: IncomingCall, code: ErrorCode): Promise<void> {
    deps.metrics.callRefused(code);
    deps.log.info('call refused', { callId: incoming.callId, code });
    await incoming.reject(code);
  }

  return {
    async callArrived(incoming) {
      if (isDraining || calls.size >= deps.callsMax) return refuse(incoming, 'CALL_LIMIT_REACHED');
      const flow = deps.flows.get(incoming.context.flow ?? deps.defaultFlow);
      if (flow === undefined) return refuse(incoming, 'FLOW_UNKNOWN');
      const { currency } = incoming.context;
      // An amount in another currency must not be charged as if it were the flow's.
      if (currency !== undefined && currency !== flow.currency) return refuse(incoming, 'CALL_CONTEXT_INVALID');
      const call = new Call(deps, live, incoming, flow);
      const over = call.run();
      calls.set(incoming.callId, { call, over });
      try {
        await over;
      } catch (error) {
        await refuse(incoming, error instanceof ServiceError ? error.code : 'INTERNAL').catch(() => {});
      } finally {
        calls.delete(incoming.callId);
      }
    },
    async recover() {
      const recovered = await recoverPayments(deps);
      if (!isDraining) stopLooking = lookAgain(deps);
      return recovered;
    },
    async stop(timeoutMs) {
      isDraining = true;
      stopLooking();
      if (await allOver(timeoutMs)) return;
      for (const { call } of calls.values()) call.end();
      await allOver(CLEAN_UP_MS_MAX);
    },
    subscribe: (listener) => live.subscribe(listener),
    callsActive: () => calls.size,
    async callMedia(callId) {
      const live = calls.get(callId);
      return live === undefined ? null : { callId, legs: await live.call.legs() };
    },
  };

  async function allOver(limitMs: number): Promise<boolean> {
    let stopWaiting = (): void => {};
    const limit = new Promise<boolean>((resolve) => {
      const timer = deps.clock.startTimer(limitMs, () => resolve(false));
      stopWaiting = () => timer.cancel();
    });
    const all = Promise.allSettled([...calls.values()].map(({ over }) => over)).then(() => true);
    const isOver = await Promise.race([all, limit]);
    stopWaiting();
    return isOver;
  }
}

/** Recordings that flows need and the locale lacks: `en-US/enter-card-number`; a locale nobody wrote is named alone. */
export function missingRecordings(flows: Iterable<Flow>, recordings: RecordingsPort): readonly string[] {
  const missing = new Set<string>();
  for (const flow of flows) {
    const names = requiredRecordings(flow.locale, flow);
    if (names === null) missing.add(flow.locale);
    for (const name of names ?? []) if (!recordings.has(flow.locale, name)) missing.add(`${flow.locale}/${name}`);
  }
  return [...missing];
}
