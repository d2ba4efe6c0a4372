import type { Clock } from '../../lib/clock.ts';

/** Work that is done sooner shows no bar. */
export const BAR_AFTER_MS = 2_000;
const BAR_EVERY_MS = 100;
const BAR_CELLS = 30;
/** Where a terminal does not say how wide it is. */
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = '\r\u001b[2K';

export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A bar on one line of a terminal, for a whole command; nothing anywhere else. */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #beganAt: number;
  #shownAt: number | null = null;

  constructor(terminal: Terminal, clock: Clock) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#beganAt = clock.now();
  }

  /** `done` from 0 to 1; `label` says what is being done, and is cut to the line. */
  show(done: number, label: string): void {
    const now = this.#clock.now();
    if (this.#terminal.isTTY !== true || now - this.#beganAt < BAR_AFTER_MS) return;
    if (this.#shownAt !== null && now - this.#shownAt < BAR_EVERY_MS) return;
    this.#shownAt = now;
    const share = Math.max(0, Math.min(1, done));
    const cells = Math.round(share * BAR_CELLS);
    const bar = '█'.repeat(cells).padEnd(BAR_CELLS, '░');
    const line = `${bar} ${String(Math.floor(share * 100)).padStart(3)} % ${label}`;
    // A line that wraps could not be taken back.
    const fits = [...line].slice(0, (this.#terminal.columns ?? COLUMNS_DEFAULT) - 1).join('');
    this.#terminal.write(`${CLEAR_LINE}${fits}`);
  }

  /** Takes the bar away, before something else is printed or at the end; `show` brings it back. */
  clear(): void {
    if (this.#shownAt !== null) this.#terminal.write(CLEAR_LINE);
    this.#shownAt = null;
  }
}
