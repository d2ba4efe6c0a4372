import { HEADER_VALUE_CHARS_MAX, UUI_OCTETS_MAX } from './limits.ts';
import { hasControl } from './uri.ts';

/*
 * User-to-User (RFC 7433): `<hex>;encoding=hex`. What we put in is `key=value` pairs joined by `&`, percent-encoded as in
 * a form, UTF-8, in hex: a peer that knows nothing of us passes it on untouched.
 */

/** Null where the pairs are more than UUI_OCTETS_MAX octets: half a result is no result. */
export function encodeUserToUser(pairs: ReadonlyMap<string, string>): string | null {
  const text = new URLSearchParams([...pairs]).toString();
  const octets = Buffer.from(text, 'utf8');
  return octets.length === 0 || octets.length > UUI_OCTETS_MAX ? null : `${octets.toString('hex')};encoding=hex`;
}

/**
 * The pairs of the first value that is ours, of one header line or several joined by commas. Null where none is: other
 * applications use this header too, and their data is none of our business.
 */
export function decodeUserToUser(headerValue: string): ReadonlyMap<string, string> | null {
  if (headerValue.length > HEADER_VALUE_CHARS_MAX * 2) return null;
  for (const value of headerValue.split(',')) {
    const [data = '', ...parameters] = value.split(';').map((part) => part.trim());
    const encoding = parameters.find((parameter) => /^encoding\s*=/i.test(parameter));
    // RFC 7433 §4.1: an encoding that is not named is hex only by a package's own rule; we take hex or nothing said.
    if (encoding !== undefined && !/^encoding\s*=\s*"?hex"?$/i.test(encoding)) continue;
    if (!/^(?:[0-9a-f]{2})+$/i.test(data) || data.length > UUI_OCTETS_MAX * 2) continue;
    const pairs = readPairs(Buffer.from(data, 'hex').toString('utf8'));
    if (pairs !== null) return pairs;
  }
  return null;
}

function readPairs(text: string): Map<string, string> | null {
  if (!/^[a-z0-9-]+=[^&\s]*(&[a-z0-9-]+=[^&\s]*)*$/.test(text)) return null;
  const pairs = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(text)) {
    // A line break would let two sets of pairs have one canonical string, and so one signature.
    if (pairs.has(key) || hasControl(value)) return null;
    pairs.set(key, value);
  }
  return pairs;
}
