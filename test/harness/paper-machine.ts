import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { ChildPlan } from '../../src/supervisor/child.ts';
import type { CpuWaits } from '../../src/supervisor/cpu-waits.ts';
import { BEAT_DESCRIPTOR } from '../../src/supervisor/watch.ts';

type PaperProcess = EventEmitter & {
  kill: (signal: string) => boolean;
  pid: number;
  stdio: (EventEmitter | null)[];
};

/** Processes that exist on paper: `obeys` ones end on SIGTERM. */
export class PaperMachine {
  readonly starts: string[] = [];
  readonly signals: string[] = [];
  readonly running = new Map<string, PaperProcess>();
  readonly stubborn = new Set<string>();
  /** By name: what they end with as soon as they start: a signal, or null for an exit status. */
  readonly broken = new Map<string, string | null>();

  readonly start = (plan: ChildPlan): ChildProcess => {
    this.starts.push(plan.name);
    const child = new EventEmitter() as PaperProcess;
    child.pid = this.starts.length;
    child.stdio = [null, null, null, new EventEmitter()];
    child.kill = (signal) => {
      this.signals.push(`${signal} ${plan.name}`);
      if (signal === 'SIGKILL' || !this.stubborn.has(plan.name)) setImmediate(() => this.end(plan.name, signal));
      return true;
    };
    this.running.set(plan.name, child);
    const signal = this.broken.get(plan.name);
    if (signal !== undefined) setImmediate(() => this.end(plan.name, signal));
    return child as unknown as ChildProcess;
  };

  /** What a process waited for a CPU so far, by its name; the rest waited for none. */
  readonly waitedMs = new Map<string, number>();

  readonly cpuWaits = (pid: number): CpuWaits => {
    const name = [...this.running].find(([, child]) => child.pid === pid)?.[0] ?? '';
    return new Map([[String(pid), this.waitedMs.get(name) ?? 0]]);
  };

  /** A sign of life. */
  beat(name: string) {
    this.running.get(name)?.stdio[BEAT_DESCRIPTOR]?.emit('data', Buffer.from('.'));
  }

  end(name: string, signal: string | null) {
    const child = this.running.get(name);
    this.running.delete(name);
    child?.emit('exit', signal ? null : 1, signal);
  }
}
