import pino from 'pino';
import { withoutPan } from '../card/pan-guard.ts';
import type { Log, LogFields } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  readonly level: LogLevel;
  /** The part that writes: `control`, `worker 0`. */
  readonly process: string;
  readonly stream: { write(text: string): unknown; readonly isTTY?: boolean };
}

/** The key of an `a=crypto` line (RFC 4568): no description is logged, and an error of a library that holds one is cut here. */
const KEY_IN_SDP = /inline:[A-Za-z0-9+/=]+/g;

/** JSON lines, or words in colours on a terminal; what looks like a card number becomes `[digits]` in either. */
export function createLog(options: LogOptions): Log {
  const isTerminal = options.stream.isTTY === true;
  const write = (line: string) => {
    const text = (isTerminal ? pretty(line) : line).replace(KEY_IN_SDP, 'inline:[key]');
    options.stream.write(withoutPan(text, '[digits]'));
  };
  const logger = pino(
    { level: options.level, base: { process: options.process }, timestamp: pino.stdTimeFunctions.isoTime },
    { write },
  );
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => wrap(logger.child(fields as Record<string, unknown>)),
  };
}

const COLOURS: Readonly<Record<number, string>> = { 20: '\x1b[90m', 30: '\x1b[36m', 40: '\x1b[33m', 50: '\x1b[31m' };
const NAMES: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

function pretty(line: string): string {
  const {
    level,
    time,
    process: name,
    msg,
    ...fields
  } = JSON.parse(line) as LogFields & { level: number; time: string };
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${String(value)}`);
  const head = `${String(time).slice(11, 23)} ${COLOURS[level] ?? ''}${(NAMES[level] ?? '').padEnd(5)}\x1b[0m`;
  return `${head} ${String(name).padEnd(10)} ${String(msg)} \x1b[90m${rest.join(' ')}\x1b[0m\n`;
}
