import type { Clock, Timer } from '../../lib/clock.ts';

/** Who did it. `gateway` is the sandbox gateway's answer. */
export type Who = 'caller' | 'server' | 'gateway';

export interface Entry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly call: string;
  readonly who: Who;
  readonly text: string;
  readonly tone?: 'good' | 'bad';
}

export interface Look {
  readonly startedAt: number;
  /** Names of the calls, in the order of their colours. */
  readonly calls: readonly string[];
  readonly colours: boolean;
}

const GROUP = 4;
const DOT = '•';
const CALL_COLOURS = [36, 33, 35];
const TONES = { good: 32, bad: 31 } as const;
/** The server's events are asked for, so they come late: entries wait this long for an earlier one. */
const HOLD_MS = 700;
const FLUSH_MS = 100;

/** `•••• •••• •••• 4242`: a number of this length, of which at most the last four digits are known. */
export function maskNumber(length: number, last4: string | null): string {
  const shown = last4 === null ? '' : last4.slice(-GROUP);
  const characters = [...DOT.repeat(Math.max(0, length - shown.length)), ...shown];
  // American Express prints 4-6-5.
  const ends = length === 15 ? [4, 10, 15] : characters.map((_, i) => i + 1).filter((end) => end % GROUP === 0);
  return characters.map((character, i) => (ends.includes(i) ? ` ${character}` : character)).join('');
}

export function paint(text: string, colour: number | null, colours: boolean): string {
  return colour === null || !colours ? text : `\u001b[${colour}m${text}\u001b[0m`;
}

/** `  12.3 s  declined   caller   keys the card number …` */
export function formatEntry({ at, call, who, text, tone }: Entry, { startedAt, calls, colours }: Look): string {
  const seconds = (Math.max(0, at - startedAt) / 1000).toFixed(1);
  const width = Math.max(...calls.map((name) => name.length), call.length);
  const name = paint(call.padEnd(width), CALL_COLOURS[calls.indexOf(call) % CALL_COLOURS.length] ?? null, colours);
  const said = paint(text, tone === undefined ? null : TONES[tone], colours);
  return `${seconds.padStart(6)} s  ${name}  ${who.padEnd('gateway'.length)}  ${said}`;
}

/** Entries in the order of their times, each printed once nothing earlier can come. */
export class TimeLine {
  readonly #look: Look;
  readonly #clock: Clock;
  readonly #print: (line: string) => void;
  #waiting: Entry[] = [];
  #timer: Timer | null = null;

  constructor(look: Look, clock: Clock, print: (line: string) => void) {
    this.#look = look;
    this.#clock = clock;
    this.#print = print;
  }

  add(entry: Entry): void {
    this.#waiting.push(entry);
    this.#timer ??= this.#clock.startTimer(FLUSH_MS, () => this.#tick());
  }

  /** Prints what is left. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#flush(Number.POSITIVE_INFINITY);
  }

  #tick(): void {
    this.#timer = null;
    this.#flush(this.#clock.now() - HOLD_MS);
    if (this.#waiting.length > 0) this.#timer = this.#clock.startTimer(FLUSH_MS, () => this.#tick());
  }

  #flush(until: number): void {
    const due = this.#waiting.filter((entry) => entry.at <= until).sort((a, b) => a.at - b.at);
    this.#waiting = this.#waiting.filter((entry) => entry.at > until);
    for (const entry of due) this.#print(formatEntry(entry, this.#look));
  }
}
