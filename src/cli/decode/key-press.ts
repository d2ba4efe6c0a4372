/** One key press as `decode` prints it; the contract stands in the help text of decode.ts. */
export interface KeyPress {
  readonly source: 'event' | 'inband' | 'info';
  /** RFC 4733 event code, 0 to 15. */
  readonly event: number;
  /** From the stream's first packet or sample. */
  readonly onsetMs: number;
  /** Null where an INFO does not say. */
  readonly durationMs: number | null;
  /** Null for an INFO, which has none. */
  readonly levelDbm0: number | null;
}

/** Presses as each way a key may come had them, before any were taken for the same. */
export interface Paths {
  readonly event: readonly KeyPress[];
  readonly inband: readonly KeyPress[];
  readonly info: readonly KeyPress[];
}

export interface StreamPresses {
  /** `src:port>dst:port/ssrc`, `src:port>dst:port/info`, or `wav`. */
  readonly stream: string;
  /** Each press once. */
  readonly presses: readonly KeyPress[];
  readonly paths: Paths;
  /** From the first packet or sample to the last; of keys by INFO alone, to the last key. */
  readonly durationMs: number;
  /** There is audio that we can decode. */
  readonly hasAudio: boolean;
  /** What of it could not be heard, and why: for a person, one line each. */
  readonly notes: readonly string[];
}

const KEYS = '0123456789*#ABCD';
const HIDDEN = '•';

export function digitText(event: number, reveal: boolean): string {
  return reveal ? (KEYS[event] ?? '?') : HIDDEN;
}

/** One object a line, the fields in the order of the contract. */
export function jsonLine(file: string, stream: string, press: KeyPress, reveal: boolean): string {
  const { source, event, onsetMs, durationMs, levelDbm0 } = press;
  return JSON.stringify({
    file,
    stream,
    source,
    digit: digitText(event, reveal),
    onsetMs: tenth(onsetMs),
    durationMs: durationMs === null ? null : tenth(durationMs),
    levelDbm0: levelDbm0 === null ? null : tenth(levelDbm0),
  });
}

export function textLine(file: string, stream: string, press: KeyPress, reveal: boolean): string {
  const duration = press.durationMs === null ? '-' : `${Math.round(press.durationMs)} ms`;
  const level = press.levelDbm0 === null ? '-' : `${press.levelDbm0.toFixed(1)} dBm0`;
  return [
    digitText(press.event, reveal),
    `${(press.onsetMs / 1000).toFixed(3)} s`.padStart(12),
    duration.padStart(8),
    level.padStart(11),
    press.source.padEnd(6),
    `${file} ${stream}`,
  ].join('  ');
}

const tenth = (value: number): number => Math.round(value * 10) / 10;
