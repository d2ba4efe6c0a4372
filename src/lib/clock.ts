/** Time as an argument: everything above the adapters asks this clock, so that a test owns it. */
export interface Clock {
  /** Milliseconds since the Unix epoch; for records and time-outs, never for RTP. */
  now(): number;
  /** Calls `fire` once after `delayMs`, unless the returned timer is cancelled first. */
  startTimer(delayMs: number, fire: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  startTimer(delayMs, fire) {
    const handle = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};
