import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const HUSHTONE = fileURLToPath(new URL('../src/cli/hushtone.js', import.meta.url));
const END_MS_MAX = 5_000;
/** USER_HZ: the unit of utime and stime in /proc (proc_pid_stat(5)); 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Starts a command of `hushtone`. Its output goes nowhere: it would be a load of its own. */
export function startHushtone(argv: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [HUSHTONE, ...argv], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, ...environment },
  });
}

/** SIGTERM; SIGKILL where it takes too long. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(timer);
}

/** The children of a process by the command of `hushtone` that each runs: `control`, `worker`, `sip-server`, … */
export function childrenByCommand(parent: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (statFields(Number(entry))[1] !== String(parent)) continue;
      const argv = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      const command = argv[argv.findIndex((part) => part.endsWith('hushtone.js')) + 1];
      if (command !== undefined) found.set(command, Number(entry));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Processor time of a process since its start, user and system, all threads. */
export function cpuMs(pid: number): number {
  const fields = statFields(pid);
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** Fields of /proc/PID/stat from `state` (field 3) on: the name before them may hold spaces. */
function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until it holds; throws after `limitMs`. */
export async function until(what: string, limitMs: number, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    if (await holds()) return;
    await wait(100);
  }
  throw new Error(`${what}: not within ${limitMs} ms`);
}

/** The value below which `share` (0 to 1) of the values lie; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
