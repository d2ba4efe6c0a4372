import type { CallContext, CallResult } from '../app/ports.ts';
import type { CallId } from '../lib/ids.ts';
import { HEADER_VALUE_CHARS_MAX } from './limits.ts';
import { hasControl } from './uri.ts';
import { encodeUserToUser } from './user-to-user.ts';

/*
 * The one table of header names. The key on the left is also the name inside User-to-User and in URI parameters.
 */
export const HEADER_NAMES = {
  // In and out: what a call brings, and what we hand on.
  customer: 'X-Hushtone-Customer',
  amount: 'X-Hushtone-Amount',
  currency: 'X-Hushtone-Currency',
  reference: 'X-Hushtone-Reference',
  flow: 'X-Hushtone-Flow',
  identified: 'X-Hushtone-Identified',
  // Out: how a payment ended.
  result: 'X-Hushtone-Result',
  payment: 'X-Hushtone-Payment',
  brand: 'X-Hushtone-Brand',
  last4: 'X-Hushtone-Last4',
  'gateway-reference': 'X-Hushtone-Gateway-Reference',
  declines: 'X-Hushtone-Declines',
  error: 'X-Hushtone-Error',
  // Ours, by which a signed answer of the other side is bound to this call.
  call: 'X-Hushtone-Call',
  signature: 'X-Hushtone-Signature',
} as const;

export type HeaderKey = keyof typeof HEADER_NAMES;

export const USER_TO_USER = 'User-to-User';

/** What a call context says, as text, in the table's words. Amounts are minor units. */
export function contextPairs(context: CallContext): Map<HeaderKey, string> {
  return defined([
    ['customer', context.customer],
    ['amount', context.amountMinor],
    ['currency', context.currency],
    ['reference', context.reference],
    ['flow', context.flow],
    ['identified', context.identified === undefined ? undefined : context.identified ? 'yes' : 'no'],
  ]);
}

/** What a result says. No card field but the last four digits is in it, because CallResult has no other. */
export function resultPairs(result: CallResult): Map<HeaderKey, string> {
  return defined([
    ['result', result.result],
    ['payment', result.paymentId],
    ['amount', result.amountMinor],
    ['currency', result.currency],
    ['brand', result.brand],
    ['last4', result.last4],
    ['gateway-reference', result.gatewayReference],
    ['reference', result.reference],
    ['customer', result.customer],
    ['declines', result.declines],
    ['error', result.errorCode],
  ]);
}

function defined(rows: readonly (readonly [HeaderKey, string | number | undefined])[]): Map<HeaderKey, string> {
  const pairs = new Map<HeaderKey, string>();
  for (const [key, value] of rows) if (value !== undefined) pairs.set(key, String(value));
  return pairs;
}

export interface HeaderStyle {
  readonly headers: boolean;
  readonly userToUser: boolean;
}

/**
 * Pairs as SIP headers. A value that could not stand in a header line (a line break, too long) is left out whole and
 * named in `dropped`: a gateway's or customer's text must not be able to add a header.
 */
export function writeHeaders(
  pairs: ReadonlyMap<HeaderKey, string>,
  style: HeaderStyle,
): { readonly headers: Record<string, string>; readonly dropped: readonly HeaderKey[] } {
  const safe = new Map([...pairs].filter(([, value]) => isHeaderValue(value)));
  const headers: Record<string, string> = {};
  if (style.headers) for (const [key, value] of safe) headers[HEADER_NAMES[key]] = value;
  if (style.userToUser) {
    const encoded = encodeUserToUser(safe);
    if (encoded !== null) headers[USER_TO_USER] = encoded;
  }
  return { headers, dropped: [...pairs.keys()].filter((key) => !safe.has(key)) };
}

export function isHeaderValue(value: string): boolean {
  return value.length > 0 && value.length <= HEADER_VALUE_CHARS_MAX && value.trim() === value && !hasControl(value);
}

/** Our own call's id, which goes with every INVITE we send. */
export function callPair(callId: CallId): readonly [HeaderKey, string] {
  return ['call', callId];
}

/**
 * The X-Hushtone-* headers of a message, by key: all of the table, because a signature binds them all. `read` answers
 * undefined for a header that is not there.
 */
export function readHeaderPairs(read: (name: string) => string | undefined): Map<HeaderKey, string> {
  const pairs = new Map<HeaderKey, string>();
  for (const key of Object.keys(HEADER_NAMES) as HeaderKey[]) {
    const value = read(HEADER_NAMES[key]);
    if (value !== undefined) pairs.set(key, value.trim());
  }
  return pairs;
}
