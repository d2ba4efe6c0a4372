import { CONTEXT_VALUE_CHARS_MAX, URI_CHARS_MAX } from './limits.ts';

/** A `sip:` or `sips:` URI (RFC 3261 §19.1), its parameters and headers unescaped. */
export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  /** Still escaped: it is only ever written again. */
  readonly user: string;
  /** In small letters; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number | null;
  /** Names in small letters; a parameter without value has ''. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly headers: ReadonlyMap<string, string>;
}

const URI =
  /^(sips?):(?:([\w\-.!~*'()&=+$,;?/%:]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(\d{1,5}))?((?:;[^;?\s<>"]+)*)(?:\?([^\s<>"]*))?$/i;

/** Null for anything but a SIP URI within our limits; `tel:` included, because nothing here could route it. */
export function parseSipUri(text: string): SipUri | null {
  if (text.length > URI_CHARS_MAX) return null;
  const match = URI.exec(text);
  if (match === null) return null;
  const port = match[4] === undefined ? null : Number(match[4]);
  if (port !== null && (port === 0 || port > 65_535)) return null;
  const parameters = pairs((match[5] ?? '').split(';'), true);
  const headers = pairs((match[6] ?? '').split('&'), false);
  if (parameters === null || headers === null) return null;
  return {
    scheme: (match[1] ?? '').toLowerCase() as 'sip' | 'sips',
    user: match[2] ?? '',
    host: (match[3] ?? '').toLowerCase().replace(/^\[|\]$/g, ''),
    port,
    parameters,
    headers,
  };
}

function pairs(parts: readonly string[], smallNames: boolean): Map<string, string> | null {
  const found = new Map<string, string>();
  for (const part of parts.filter((text) => text !== '')) {
    const equals = part.indexOf('=');
    const name = unescaped(equals < 0 ? part : part.slice(0, equals));
    const value = unescaped(equals < 0 ? '' : part.slice(equals + 1));
    if (name === null || value === null) return null;
    const key = smallNames ? name.toLowerCase() : name;
    // A parameter may stand once (RFC 3261 §19.1.1); with two values is how two readers come to different amounts. With the
    // same one twice it is what baresip writes over TLS.
    if (found.has(key) && found.get(key) !== value) return null;
    found.set(key, value);
  }
  return found;
}

/** Percent-decoding to UTF-8; null for a broken escape or a control character. */
function unescaped(text: string): string | null {
  try {
    const decoded = decodeURIComponent(text);
    return hasControl(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

/** CR, LF, NUL and their kin: what would end a header line or hide in a log. */
export function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}

/** The URI of a From, To, Contact, Refer-To or P-Asserted-Identity value; the first where there are several. */
export function uriOf(headerValue: string): string {
  const bracketed = /^[^<]*<([^<>]*)>/.exec(headerValue.replace(/^\s*"(?:[^"\\]|\\.)*"/, ''));
  return (bracketed?.[1] ?? headerValue.split(/[;,]/)[0] ?? '').trim();
}

/** A caller's number or name as we keep it: the user part, else the host; never more than the limit. */
export function callerOf(headerValue: string): string {
  const uri = uriOf(headerValue);
  const tel = /^tel:(\+?[0-9().-]+)/i.exec(uri);
  const parsed = tel === null ? parseSipUri(uri) : null;
  const caller = tel?.[1]?.replace(/[().-]/g, '') ?? (parsed?.user.split(/[;:]/)[0] || parsed?.host) ?? '';
  return (unescaped(caller) ?? '').slice(0, CONTEXT_VALUE_CHARS_MAX);
}
