/**
 * How long a process has said nothing, as the supervisor counts it.
 *
 * Time is counted in looks that took place, each LOOK_EVERY_MS, and never by a clock: a supervisor that did not run (a
 * suspended machine, a stopped container, Ctrl-Z) did not look, and cannot blame anybody for what it did not see. What a
 * thread of the process waited for a CPU is taken off, so a busy machine is told from a process that hangs; but not for
 * ever, since nobody is served by a process that gets no CPU at all: past BUSY_FACTOR times the limit it hangs too.
 */
export const LOOK_EVERY_MS = 500;
/** From the start to the first sign of life: Node, the configuration, and a worker's recordings, on a machine that starts all. */
export const START_MS_MAX = 60_000;
export const BUSY_FACTOR = 6;

export interface Look {
  /** A sign of life came since the look before. */
  readonly beaten: boolean;
  /** The longest that one of its threads was ready to run since then, and had no CPU. */
  readonly waitedMs: number;
}

export interface Silence {
  /** False from the start to the first sign of life. */
  readonly hasBeaten: boolean;
  /** Without what it waited for a CPU. */
  readonly countedMs: number;
  readonly allMs: number;
}

export const BORN: Silence = { hasBeaten: false, countedMs: 0, allMs: 0 };

export function stepSilence(silence: Silence, { beaten, waitedMs }: Look): Silence {
  if (beaten) return { hasBeaten: true, countedMs: 0, allMs: 0 };
  return {
    ...silence,
    // A wait is told by the kernel once it is over, so it may be longer than one look.
    countedMs: Math.max(0, silence.countedMs + LOOK_EVERY_MS - waitedMs),
    allMs: silence.allMs + LOOK_EVERY_MS,
  };
}

export function isHung(silence: Silence, hangMs: number): boolean {
  const limitMs = silence.hasBeaten ? hangMs : Math.max(hangMs, START_MS_MAX);
  return silence.countedMs >= limitMs || silence.allMs >= limitMs * BUSY_FACTOR;
}
