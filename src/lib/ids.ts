import { randomBytes } from 'node:crypto';

export type CallId = string;
export type LegId = string;
export type PaymentId = string;

const PREFIXES = {
  call: 'ca',
  leg: 'le',
  payment: 'pa',
  attempt: 'at',
  play: 'pl',
  segment: 'se',
  request: 'rq',
} as const;

/**
 * A sortable id such as `pa_0mb2k9w3f7x1q8d4`: 9 characters of milliseconds in base 36, 10 random ones.
 * It holds no digits of anybody's: safe in logs, URLs and file names.
 */
export function newId(kind: keyof typeof PREFIXES, now: number): string {
  const time = now.toString(36).padStart(9, '0');
  const random = BigInt(`0x${randomBytes(7).toString('hex')}`)
    .toString(36)
    .padStart(11, '0')
    .slice(-10);
  return `${PREFIXES[kind]}_${time}${random}`;
}
