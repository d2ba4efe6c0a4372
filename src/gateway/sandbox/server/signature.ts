import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** As a gateway's `sign` in hushtone.yaml says it, seen from the other side. */
export interface SignatureRule {
  readonly header: string;
  readonly kind: 'hmac-sha256' | 'sha256';
  readonly encoding: 'hex' | 'base64';
  /** Empty for a digest. */
  readonly secret: string;
  readonly prefix: string;
  readonly suffix: string;
}

const TIMESTAMP = '{timestamp}';
/** How old or how far ahead a signed time may be. */
const TOLERANCE_SECONDS = 300;

/** Whether the header holds what we make of the body ourselves, and its time, where it has one, is of now. */
export function isSigned(rule: SignatureRule, headers: IncomingHttpHeaders, body: string, nowMs: number): boolean {
  const given = headers[rule.header.toLowerCase()];
  if (typeof given !== 'string') return false;
  const [before = '', after] = rule.prefix.split(TIMESTAMP);
  if (after === undefined) return isSame(given, before + digest(rule, body) + rule.suffix);
  const time = /^[0-9]{1,12}/.exec(given.slice(before.length))?.[0] ?? '';
  const isNow = Math.abs(Number(time) - nowMs / 1000) <= TOLERANCE_SECONDS;
  return isNow && isSame(given, before + time + after + digest(rule, `${time}.${body}`) + rule.suffix);
}

function digest({ kind, encoding, secret }: SignatureRule, text: string): string {
  return (kind === 'sha256' ? createHash('sha256') : createHmac('sha256', secret)).update(text).digest(encoding);
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
