import { type Hop, hopOf } from '../../caller/udp-transport.ts';
import { SEED_MAX } from './schedule.ts';

const SPEED_MIN = 0.1;
const SPEED_MAX = 100;
const JITTER_MS_MAX = 10_000;
const TAIL_MS_DEFAULT = 2_000;
const TAIL_MS_MAX = 600_000;

export interface ReplayOptions {
  readonly file: string;
  readonly to: string;
  readonly hop: Hop;
  readonly isWebSocket: boolean;
  readonly stream: string | null;
  readonly speed: number;
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** Null where one is to be drawn. */
  readonly seed: number | null;
  readonly tailMs: number;
  readonly record: string | null;
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** From the command line; a sentence where it is not understood. */
export function readOptions(files: readonly string[], values: Values): ReplayOptions | string {
  const [file, ...others] = files;
  if (file === undefined) return 'which capture? hushtone replay FILE --to sip:…';
  if (others.length > 0) return `one capture at a time: ${file} or ${others[0]}`;
  const to = text(values.to);
  if (to === null) return 'whom to call? --to sip:USER@HOST[:PORT]';
  const hop = hopOf(to);
  if (!/^sip:/i.test(to) || hop === null) return `--to ${to} is not understood; it is sip:USER@HOST[:PORT]`;
  const transport = /;transport=([a-z]+)/i.exec(to)?.[1]?.toLowerCase() ?? 'udp';
  if (transport !== 'udp' && transport !== 'ws') return `--to over ${transport} is not there; udp and ws are`;
  const numbers = {
    speed: number(values, 'speed', { fallback: 1, least: SPEED_MIN, most: SPEED_MAX }),
    lossPercent: number(values, 'loss', { fallback: 0, least: 0, most: 100 }),
    jitterMs: number(values, 'jitter', { fallback: 0, least: 0, most: JITTER_MS_MAX }),
    tailMs: number(values, 'tail', { fallback: TAIL_MS_DEFAULT, least: 0, most: TAIL_MS_MAX }),
    seed: number(values, 'seed', { fallback: 0, least: 0, most: SEED_MAX }),
  };
  for (const one of Object.values(numbers)) if (typeof one === 'string') return one;
  const { speed, lossPercent, jitterMs, tailMs, seed } = numbers as Record<keyof typeof numbers, number>;
  if (!Number.isInteger(seed)) return `--seed is a whole number from 0 to ${SEED_MAX}`;
  return {
    file,
    to,
    hop,
    isWebSocket: transport === 'ws',
    stream: text(values.stream),
    speed,
    lossPercent,
    jitterMs,
    seed: values.seed === undefined ? null : seed,
    tailMs,
    record: text(values.record),
  };
}

const text = (value: string | boolean | undefined): string | null => (typeof value === 'string' ? value : null);

interface Range {
  readonly fallback: number;
  readonly least: number;
  readonly most: number;
}

function number(values: Values, name: string, { fallback, least, most }: Range): number | string {
  const given = text(values[name]);
  if (given === null) return fallback;
  const value = given.trim() === '' ? Number.NaN : Number(given.replace(/%$/, ''));
  return value >= least && value <= most ? value : `--${name} is a number from ${least} to ${most}, not ${given}`;
}
