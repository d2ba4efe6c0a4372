import type { Clock, Timer } from '../../lib/clock.ts';
import type { Screen } from './screen.ts';

/** Who did it. `gateway` is the sandbox gateway's answer. */
export type Who = 'caller' | 'server' | 'gateway';

export interface Entry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly call: string;
  readonly who: Who;
  readonly text: string;
  readonly tone?: 'good' | 'bad';
  /** A field that is being keyed: each such entry of a call takes the place of the one before. */
  readonly growth?: 'growing' | 'grown';
}

export interface Look {
  readonly startedAt: number;
  /** Names of the calls, in the order of their colours. */
  readonly calls: readonly string[];
  readonly colours: boolean;
  /** Whether lines can change in place. */
  readonly isTerminal: boolean;
}

const CALL_COLOURS = [36, 33, 35];
const TONES = { good: 32, bad: 31 } as const;
/** What the server tells comes a moment after what the caller does: entries wait this long for an earlier one. */
const HOLD_MS = 300;
const FLUSH_MS = 50;

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

/**
 * Entries in the order of their times, each printed once nothing earlier can come. On a terminal what grows stands below
 * the rest, a line a call, until it is grown; elsewhere each entry is a line.
 */
export class TimeLine {
  readonly #look: Look;
  readonly #clock: Clock;
  readonly #screen: Screen;
  readonly #growing = new Map<string, Entry>();
  #waiting: Entry[] = [];
  #timer: Timer | null = null;

  constructor(look: Look, clock: Clock, screen: Screen) {
    this.#look = look;
    this.#clock = clock;
    this.#screen = screen;
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
    this.#screen.show(
      [...this.#growing.values()].map((entry) => formatEntry(entry, this.#look)),
      [],
    );
    this.#growing.clear();
  }

  #tick(): void {
    this.#timer = null;
    this.#flush(this.#clock.now() - HOLD_MS);
    if (this.#waiting.length > 0) this.#timer = this.#clock.startTimer(FLUSH_MS, () => this.#tick());
  }

  #flush(until: number): void {
    const due = this.#waiting.filter((entry) => entry.at <= until).sort((a, b) => a.at - b.at);
    this.#waiting = this.#waiting.filter((entry) => entry.at > until);
    const format = (entry: Entry) => formatEntry(entry, this.#look);
    const lines = due.flatMap((entry) => this.#take(entry)).map(format);
    this.#screen.show(lines, [...this.#growing.values()].map(format));
  }

  /** The entries that stay because of this one. */
  #take(entry: Entry): readonly Entry[] {
    if (!this.#look.isTerminal) return [entry];
    const before = this.#growing.get(entry.call);
    if (entry.growth === 'growing') {
      this.#growing.set(entry.call, entry);
      return [];
    }
    this.#growing.delete(entry.call);
    return before === undefined || entry.growth === 'grown' ? [entry] : [before, entry];
  }
}
