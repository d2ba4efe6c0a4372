import type { ChildProcess } from 'node:child_process';
import type { Clock, Timer } from '../lib/clock.ts';
import { type CpuWaits, longestWaitMs } from './cpu-waits.ts';
import { BORN, isHung, LOOK_EVERY_MS, stepSilence } from './silence.ts';

/** Where a child's signs of life come from; what it writes there says nothing but that it lives. */
export const BEAT_DESCRIPTOR = 3;

export interface WatchParts {
  readonly clock: Clock;
  readonly cpuWaits: (pid: number) => CpuWaits;
  /** Told once. */
  readonly hung: (silentMs: number) => void;
}

/** Watches one process for signs of life, from its start to `stop`. Returns the way to stop. */
export function watch(child: ChildProcess, hangMs: number, parts: WatchParts): () => void {
  let silence = BORN;
  let beaten = false;
  let waits: CpuWaits | null = null;
  let timer: Timer;
  const beats = child.stdio[BEAT_DESCRIPTOR];
  const onBeat = () => {
    beaten = true;
  };
  beats?.on('data', onBeat);
  // It died: its exit is told elsewhere.
  beats?.on('error', () => {});
  const look = () => {
    // The threads of a process that speaks are nobody's business: read from the first silent look on.
    const now = beaten ? null : parts.cpuWaits(child.pid ?? 0);
    const waitedMs = now === null || waits === null ? 0 : longestWaitMs(waits, now);
    silence = stepSilence(silence, { beaten, waitedMs });
    waits = now;
    beaten = false;
    if (isHung(silence, hangMs)) parts.hung(silence.allMs);
    else timer = parts.clock.startTimer(LOOK_EVERY_MS, look);
  };
  timer = parts.clock.startTimer(LOOK_EVERY_MS, look);
  return () => timer.cancel();
}
