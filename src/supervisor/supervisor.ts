import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Child, type ChildParts, type ChildPlan, STOP_MS_MAX } from './child.ts';
import type { CpuWaits } from './cpu-waits.ts';

/** From the first start to the ready line; after it the start is given up. */
export const READY_MS_MAX = 30_000;
export const READY_POLL_MS = 100;
/** A child that crashed so often in a row before everything was ready will not get better. */
export const START_FAILURES_MAX = 4;
/** What control may take past the drain limit to say BYE to the calls that are left. */
export const GOODBYE_MS_MAX = 5_000;

export interface SupervisorPlan {
  /** In this order started, in the opposite order stopped. */
  readonly children: readonly ChildPlan[];
  /** The child that owns the calls: told to end first, and waited for as long as calls may go on. */
  readonly drains: string;
  readonly drainMs: number;
}

export interface SupervisorParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly start: (plan: ChildPlan) => ChildProcess;
  readonly cpuWaits: (pid: number) => CpuWaits;
  /** Asks once whether everything is ready; false, or a failure, means not yet. */
  readonly isReady: () => Promise<boolean>;
}

/** Starts processes, restarts those that end or hang, and stops them in order. It knows nothing of what they do. */
export class Supervisor {
  readonly #plan: SupervisorPlan;
  readonly #parts: SupervisorParts;
  readonly #children: readonly Child[];
  #ready = false;
  #stopping = false;
  #failed: ((error: ServiceError) => void) | null = null;

  constructor(plan: SupervisorPlan, parts: SupervisorParts) {
    this.#plan = plan;
    this.#parts = parts;
    const died: ChildParts['died'] = (child, failures, status) => this.#onDeath(child, failures, status);
    this.#children = plan.children.map((child) => new Child(child, { ...parts, died }));
  }

  /** Names and process ids of what runs. */
  pids(): ReadonlyMap<string, number> {
    return new Map(this.#children.flatMap((child) => (child.pid === null ? [] : [[child.plan.name, child.pid]])));
  }

  /**
   * Settles when everything is ready; false where it was told to stop before.
   * Throws INTERNAL where nothing becomes ready; then everything is stopped.
   */
  async start(): Promise<boolean> {
    const failed = new Promise<never>((_, reject) => {
      this.#failed = reject;
    });
    for (const child of this.#children) child.start();
    try {
      await Promise.race([this.#untilReady(), failed]);
      this.#ready = !this.#stopping;
      return this.#ready;
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Lets calls finish for `drainMs`, then ends everything, last started first. */
  async drain(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    const last = this.#children.find((child) => child.plan.name === this.#plan.drains);
    // The others must outlive the calls: one that dies meanwhile is still restarted.
    await last?.stop(this.#plan.drainMs + GOODBYE_MS_MAX);
    for (const child of this.#children.toReversed()) if (child !== last) await child.stop(STOP_MS_MAX);
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#children.map((child) => child.stop(0)));
  }

  #onDeath(child: ChildPlan, failures: number, status: number | null): void {
    if (this.#ready) return;
    // One that ends by itself said why; asking again gets the same answer.
    if (status === null && failures < START_FAILURES_MAX) return;
    const how = status === null ? `crashed ${failures} times` : `ended with status ${status}`;
    const message = `${child.name} ${how} before everything was ready`;
    this.#failed?.(new ServiceError('INTERNAL', message, { detail: { process: child.name, failures } }));
  }

  async #untilReady(): Promise<void> {
    const { clock, isReady } = this.#parts;
    const giveUpAt = clock.now() + READY_MS_MAX;
    while (!this.#stopping) {
      if (await isReady().catch(() => false)) return;
      if (clock.now() >= giveUpAt) {
        throw new ServiceError('INTERNAL', `not ready after ${READY_MS_MAX} ms`, { detail: { limitMs: READY_MS_MAX } });
      }
      await new Promise<void>((resolve) => clock.startTimer(READY_POLL_MS, resolve));
    }
  }
}
