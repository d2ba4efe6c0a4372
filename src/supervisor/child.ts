import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { CpuWaits } from './cpu-waits.ts';
import { BEAT_DESCRIPTOR, watch } from './watch.ts';

/** Restarts follow at once, then later and later; a child that ran for STABLE_MS starts afresh in this counting. */
export const RESTART_DELAY_MS_MIN = 100;
export const RESTART_DELAY_MS_MAX = 5_000;
export const STABLE_MS = 10_000;
/** From SIGTERM to SIGKILL. */
export const STOP_MS_MAX = 3_000;

/** A process that the supervisor starts and keeps running. */
export interface ChildPlan {
  readonly name: string;
  /** Arguments of `hushtone`, the command first; no secret, for anybody on the machine can read them. */
  readonly argv: readonly string[];
  /** Added to the environment; secrets go here, where only the same user can read them. */
  readonly environment: Readonly<Record<string, string>>;
  /** Without a sign of life for so long it hangs, and is killed and started again; null: it is not watched. */
  readonly hangMs: number | null;
}

export interface ChildParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly start: (plan: ChildPlan) => ChildProcess;
  readonly cpuWaits: (pid: number) => CpuWaits;
  /** Told of every exit that nobody asked for, before the restart; `status` is null where a signal ended it. */
  readonly died: (plan: ChildPlan, failures: number, status: number | null) => void;
}

/** How long to wait before the next start, given the failures in a row (1 or more): 0, then doubling. */
export function restartDelayMs(failures: number): number {
  if (failures <= 1) return 0;
  return Math.min(RESTART_DELAY_MS_MIN * 2 ** Math.min(failures - 2, 16), RESTART_DELAY_MS_MAX);
}

/** One child: started, restarted when it exits by itself, stopped when it is told to. */
export class Child {
  readonly plan: ChildPlan;
  readonly #parts: ChildParts;
  #process: ChildProcess | null = null;
  #restart: Timer | null = null;
  #startedAt = 0;
  #failures = 0;
  #stopping = false;

  constructor(plan: ChildPlan, parts: ChildParts) {
    this.plan = plan;
    this.#parts = parts;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  start(): void {
    const { clock, log, start, cpuWaits } = this.#parts;
    const { name, hangMs } = this.plan;
    this.#restart = null;
    this.#startedAt = clock.now();
    const child = start(this.plan);
    this.#process = child;
    let over = false;
    // Also while it is being stopped: one that hangs then is not waited for as long as calls may go on.
    const hung = (silentMs: number) => {
      log.error('process hangs', { process: name, pid: child.pid ?? 0, silentMs });
      child.kill('SIGKILL');
    };
    const stopWatching = hangMs === null ? () => {} : watch(child, hangMs, { clock, cpuWaits, hung });
    const ended = (code: number | null, signal: string | null) => {
      if (over) return;
      over = true;
      stopWatching();
      this.#process = null;
      if (this.#stopping) return;
      this.#failures = clock.now() - this.#startedAt >= STABLE_MS ? 1 : this.#failures + 1;
      const delayMs = restartDelayMs(this.#failures);
      log.warn('process ended', { process: name, code, signal, failures: this.#failures, delayMs });
      this.#parts.died(this.plan, this.#failures, code);
      if (!this.#stopping) this.#restart = clock.startTimer(delayMs, () => this.start());
    };
    child.on('error', () => ended(null, null));
    child.on('exit', ended);
    // What is left in the pipe of a process that died is nobody's: EPIPE must not end the supervisor.
    child.stdin?.on('error', () => {});
  }

  /** Settles when the process is gone: by SIGTERM within `graceMs`, by SIGKILL after it; 0 kills at once. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    const child = this.#process;
    if (child === null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (graceMs === 0) child.kill('SIGKILL');
    else child.kill('SIGTERM');
    const timer = this.#parts.clock.startTimer(graceMs, () => child.kill('SIGKILL'));
    await gone;
    timer.cancel();
  }
}

/**
 * Starts one `hushtone` command. No core dump can be written (RLIMIT_CORE 0, before the program runs); the process has
 * a session of its own, so that the terminal's Ctrl-C reaches the supervisor only; its standard input is a pipe that
 * closes when the supervisor dies, and on a descriptor of its own it says that it lives.
 */
export function spawnCommand(entry: string): (plan: ChildPlan) => ChildProcess {
  return (plan) =>
    spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$0" "$@"', process.execPath, entry, ...plan.argv], {
      stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
      detached: true,
      env: {
        ...process.env,
        ...plan.environment,
        HUSHTONE_SUPERVISED: '1',
        HUSHTONE_BEAT_FD: String(BEAT_DESCRIPTOR),
      },
    });
}
