import type { Clock } from '../../lib/clock.ts';

/** Work that is done sooner shows no bar. */
export const BAR_AFTER_MS = 2_000;
const BAR_EVERY_MS = 100;
const BAR_CELLS = 30;

export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A bar on one line of a terminal; nothing anywhere else. */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #label: string;
  readonly #beganAt: number;
  #shownAt: number | null = null;

  constructor(label: string, terminal: Terminal, clock: Clock) {
    this.#label = label;
    this.#terminal = terminal;
    this.#clock = clock;
    this.#beganAt = clock.now();
  }

  /** `done` from 0 to 1. */
  show(done: number): void {
    const now = this.#clock.now();
    if (this.#terminal.isTTY !== true || now - this.#beganAt < BAR_AFTER_MS) return;
    if (this.#shownAt !== null && now - this.#shownAt < BAR_EVERY_MS) return;
    this.#shownAt = now;
    const cells = Math.round(Math.max(0, Math.min(1, done)) * BAR_CELLS);
    const bar = '█'.repeat(cells).padEnd(BAR_CELLS, '░');
    this.#terminal.write(`\r\u001b[2K${bar} ${String(Math.floor(done * 100)).padStart(3)} % ${this.#label}`);
  }

  clear(): void {
    if (this.#shownAt !== null) this.#terminal.write('\r\u001b[2K');
  }
}
