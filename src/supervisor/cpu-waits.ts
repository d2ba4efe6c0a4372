import { readdirSync, readFileSync } from 'node:fs';

/** By thread: how long it was ready to run and had no CPU, since it began. */
export type CpuWaits = ReadonlyMap<string, number>;

const NS_PER_MS = 1e6;
/** A process has a few dozen threads; more are not read. */
const THREADS_MAX = 256;

/**
 * The second figure of /proc/PID/task/TID/schedstat (Linux, Documentation/scheduler/sched-stats.rst: time spent waiting on
 * a runqueue, in nanoseconds). Empty where the kernel does not tell, or the process is gone.
 */
export function cpuWaitsOf(pid: number): CpuWaits {
  const waits = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`).slice(0, THREADS_MAX)) {
      const [, waitedNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      waits.set(thread, Number(waitedNs) / NS_PER_MS);
    }
  } catch {
    // A thread that ends meanwhile; those that were read count.
  }
  return waits;
}

/** Of the threads that both know. */
export function longestWaitMs(before: CpuWaits, now: CpuWaits): number {
  let longest = 0;
  for (const [thread, waitedMs] of now) longest = Math.max(longest, waitedMs - (before.get(thread) ?? waitedMs));
  return longest;
}
