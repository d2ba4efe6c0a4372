import type { TimerName } from './step.ts';

/** RFC 3261 §17.1.1.1: round trip estimate. */
export const T1_MS = 500;
/** Ceiling of the retransmission interval of everything but INVITE. */
export const T2_MS = 4_000;
/** How long a message stays in the network. */
export const T4_MS = 5_000;
export const TIMEOUT_MS = 64 * T1_MS;
/** RFC 3261 §17.1.1.2: at least 32 s over unreliable transports. */
const TIMER_D_MS = 32_000;

/**
 * How long a timer runs (RFC 3261 table 4, RFC 6026 §7). `previousMs` is the last interval of a timer that
 * doubles. Undefined: the timer is not used on this transport; 0: it fires at once.
 */
export function timerMs(name: TimerName, reliable: boolean, previousMs: number | undefined): number | undefined {
  switch (name) {
    case 'A':
      return reliable ? undefined : previousMs === undefined ? T1_MS : previousMs * 2;
    case 'E':
    case 'G':
      return reliable ? undefined : previousMs === undefined ? T1_MS : Math.min(previousMs * 2, T2_MS);
    case 'B':
    case 'F':
    case 'H':
    case 'L':
    case 'M':
      return TIMEOUT_MS;
    case 'D':
      return reliable ? 0 : TIMER_D_MS;
    case 'I':
    case 'K':
      return reliable ? 0 : T4_MS;
    case 'J':
      return reliable ? 0 : TIMEOUT_MS;
  }
}
