import drachtioParser from 'drachtio-srf/lib/sip-parser/parser.js';
import type { Limits } from '../limits.ts';
import type { Fault, Header, SipMessage } from './message.ts';
import { parseNameAddr, splitList } from './name-addr.ts';
import { parseVia, type Via } from './via.ts';

const COMPACT: Readonly<Record<string, string>> = {
  i: 'call-id',
  m: 'contact',
  e: 'content-encoding',
  l: 'content-length',
  c: 'content-type',
  f: 'from',
  s: 'subject',
  k: 'supported',
  t: 'to',
  v: 'via',
  o: 'event',
  r: 'refer-to',
  b: 'referred-by',
  u: 'allow-events',
  x: 'session-expires',
};

/** Headers that may stand only once (RFC 3261 §7.3.1 and their own sections). */
const SINGLE = new Set(['from', 'to', 'call-id', 'cseq', 'max-forwards', 'content-length', 'content-type', 'rack']);
/** Headers whose value is one address or a list of them; drachtio-srf throws on some that are not. */
const ADDRESS = new Set(['from', 'to', 'refer-to', 'referred-by']);
const ADDRESS_LIST = new Set(['contact', 'route', 'record-route', 'path', 'p-asserted-identity', 'remote-party-id']);
const CREDENTIALS = new Set([
  'www-authenticate',
  'proxy-authenticate',
  'authorization',
  'proxy-authorization',
  'authentication-info',
]);

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
const HEADER = /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*(.*)$/;
/*
 * DEVIATION RFC 3261 §25.1: a control character escaped in a quoted string is refused too, because NUL and BEL in a
 * display name serve nobody and end up in logs and pages; test `intmeth.dat`.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not be there.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const REQUEST_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"]+$/;
const CSEQ = /^(\d{1,10})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)$/;
const CSEQ_MAX = 2 ** 31;
const VERSION = 'SIP/2.0';

class Refusal {
  readonly refused = true;
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

/**
 * The strict check in front of everything, drachtio-srf's parser included: start line, framing, Content-Length,
 * mandatory headers. `text` is one message, bytes as Latin-1. Never throws; takes linear time.
 */
export function parseMessage(text: string, limits: Limits): SipMessage | Fault {
  const bytes = text.length;
  if (bytes > limits.messageBytesMax) return drop('message too large');
  let headEnd = text.indexOf('\r\n\r\n');
  let bodyStart = headEnd + 4;
  if (headEnd < 0) {
    // RFC 3261 §7: the empty line is mandatory; without it a datagram was cut off.
    headEnd = text.endsWith('\r\n') ? bytes - 2 : bytes;
    bodyStart = bytes;
  }
  if (headEnd > limits.headerBytesMax) return drop('headers too large');
  let head = text.slice(0, headEnd);
  if (head.includes('\r\n ') || head.includes('\r\n\t')) head = head.replace(/\r\n[ \t]+/g, ' ');
  const lines = head.split('\r\n');
  const start = lines[0] ?? '';
  const isResponse = start.startsWith('SIP/');
  if (!isResponse && !/^\S/.test(start)) return drop('no start line');
  // RFC 3261 §7.1: any case is read, capitals are sent. drachtio-srf, to which this goes on, throws on others.
  const versionAt = start.length - VERSION.length;
  if (!isResponse && start.slice(versionAt).toUpperCase() === VERSION) {
    head = head.slice(0, versionAt) + VERSION + head.slice(start.length);
  }
  if (lines.length > limits.headerLinesMax) return drop('too many headers');

  const headers: Header[] = [];
  let viaStart = -1;
  let position = start.length + 2;
  let refusal: Refusal | undefined;
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const match = HEADER.exec(line);
    if (match === null || CONTROL.test(line)) refusal ??= new Refusal(400, 'malformed header line');
    else {
      const written = (match[1] ?? '').toLowerCase();
      const name = COMPACT[written] ?? written;
      const value = (match[2] ?? '').trimEnd();
      if (name === 'via' && viaStart < 0) viaStart = position + line.length - (match[2] ?? '').length;
      headers.push({ name, value });
    }
    position += line.length + 2;
  }
  if (bodyStart >= bytes && !text.includes('\r\n\r\n')) refusal ??= new Refusal(400, 'no empty line after the headers');

  const built = build({ start, head, headers, viaStart, bytes, limits, text, bodyStart, isResponse });
  if (!(built instanceof Refusal) && refusal === undefined) return built;
  const why = refusal ?? (built as Refusal);
  return isResponse ? drop(why.reason) : refuse(why, start, headers);
}

interface Parts {
  readonly start: string;
  readonly head: string;
  readonly headers: Header[];
  readonly viaStart: number;
  readonly bytes: number;
  readonly limits: Limits;
  readonly text: string;
  readonly bodyStart: number;
  readonly isResponse: boolean;
}

function build(parts: Parts): SipMessage | Refusal {
  const { start, limits } = parts;
  const line = parts.isResponse ? parseStatusLine(start) : parseRequestLine(start, limits);
  if (line instanceof Refusal) return line;

  const seen = new Map<string, string>();
  const joined = new Map<string, string>();
  for (const { name, value } of parts.headers) {
    if (SINGLE.has(name) && seen.has(name)) return new Refusal(400, `more than one ${name}`);
    if (!seen.has(name)) seen.set(name, value);
    const wrong = checkHeader(name, value, limits);
    if (wrong !== undefined) return wrong;
    if (isForDrachtio(name)) joined.set(name, joined.has(name) ? `${joined.get(name)},${value}` : value);
  }
  for (const [name, value] of joined) {
    if (!drachtioAccepts(name, value)) return new Refusal(400, `malformed ${name}`);
  }
  const viaText = seen.get('via');
  const via = viaText === undefined ? undefined : parseVia(splitList(viaText)?.[0] ?? '');
  if (via === undefined) return new Refusal(400, 'missing or malformed Via');
  const from = parseNameAddr(seen.get('from') ?? '');
  if (from === undefined) return new Refusal(400, 'missing or malformed From');
  const to = parseNameAddr(seen.get('to') ?? '');
  if (to === undefined) return new Refusal(400, 'missing or malformed To');
  const callId = seen.get('call-id');
  if (callId === undefined || callId === '' || /[\s|]/.test(callId))
    return new Refusal(400, 'missing or malformed Call-ID');
  const cseq = CSEQ.exec(seen.get('cseq') ?? '');
  if (cseq === null || Number(cseq[1]) >= CSEQ_MAX) return new Refusal(400, 'missing or malformed CSeq');
  const cseqMethod = cseq[2] ?? '';
  const maxForwards = seen.get('max-forwards');
  if (maxForwards !== undefined && (!/^\d{1,10}$/.test(maxForwards) || Number(maxForwards) > 255)) {
    return new Refusal(400, 'malformed Max-Forwards');
  }
  const body = takeBody(parts, seen.get('content-length'));
  if (body instanceof Refusal) return body;

  const common = {
    headers: parts.headers,
    head: parts.head,
    body,
    via,
    from,
    to,
    callId,
    cseq: Number(cseq[1]),
    cseqMethod,
    viaStart: parts.viaStart,
    bytes: parts.bytes,
  };
  if (line.kind === 'response') return { ...line, ...common };
  if (line.method !== cseqMethod) return new Refusal(400, 'CSeq method does not match');
  return { ...line, ...common };
}

function takeBody(parts: Parts, contentLength: string | undefined): string | Refusal {
  if (contentLength === undefined) return parts.text.slice(parts.bodyStart);
  if (!/^\d{1,6}$/.test(contentLength)) return new Refusal(400, 'malformed Content-Length');
  const length = Number(contentLength);
  const end = parts.bodyStart + length;
  if (end > parts.bytes) return new Refusal(400, 'Content-Length exceeds the message');
  // RFC 3261 §18.3: bytes after Content-Length in a datagram are ignored.
  return parts.text.slice(parts.bodyStart, end);
}

function parseRequestLine(line: string, limits: Limits): { kind: 'request'; method: string; uri: string } | Refusal {
  const words = line.split(' ');
  const version = words[words.length - 1] ?? '';
  if (words.length >= 3 && /^SIP\/\d+\.\d+$/i.test(version) && version.toUpperCase() !== 'SIP/2.0') {
    return new Refusal(505, 'Version Not Supported');
  }
  if (words.length !== 3 || version.toUpperCase() !== 'SIP/2.0') return new Refusal(400, 'malformed request line');
  const method = words[0] ?? '';
  const uri = words[1] ?? '';
  if (!TOKEN.test(method)) return new Refusal(400, 'malformed method');
  if (uri.length > limits.uriBytesMax) return new Refusal(414, 'Request-URI Too Long');
  if (!REQUEST_URI.test(uri) || CONTROL.test(uri)) return new Refusal(400, 'malformed request-URI');
  const scheme = uri.slice(0, uri.indexOf(':')).toLowerCase();
  if (scheme !== 'sip' && scheme !== 'sips' && scheme !== 'tel') return new Refusal(416, 'Unsupported URI Scheme');
  // RFC 3261 §19.1.1: headers are not allowed in a Request-URI.
  if (scheme !== 'tel' && uri.includes('?') && uri.indexOf('?') > uri.indexOf('@')) {
    return new Refusal(400, 'headers in request-URI');
  }
  return { kind: 'request', method, uri };
}

function parseStatusLine(line: string): { kind: 'response'; status: number; reason: string } | Refusal {
  const match = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i.exec(line);
  if (match === null) return new Refusal(0, 'malformed status line');
  return { kind: 'response', status: Number(match[1]), reason: match[2] ?? '' };
}

function checkHeader(name: string, value: string, limits: Limits): Refusal | undefined {
  const isAddress = ADDRESS.has(name);
  const isList = ADDRESS_LIST.has(name);
  const isCredentials = CREDENTIALS.has(name);
  if (!isAddress && !isList && !isCredentials && name !== 'via') return undefined;
  if (value.length > limits.addressHeaderBytesMax) return new Refusal(400, `${name} too long`);
  if (isCredentials) return credentialsAreSound(value) ? undefined : new Refusal(400, `malformed ${name}`);
  if (name === 'contact' && value === '*') return undefined;
  const items = isAddress ? [value] : splitList(value);
  if (items === undefined) return new Refusal(400, `malformed ${name}`);
  for (const item of items) {
    const sound = name === 'via' ? parseVia(item) : parseNameAddr(item, name.startsWith('refer'));
    if (sound === undefined) return new Refusal(400, `malformed ${name}`);
  }
  return undefined;
}

const CREDENTIALS_ITEM = /^(?:[A-Za-z0-9\-.!%*_+`'~]+[ \t]+)?[^\s",=]+[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*"|[^\s",]+)$/;

/** A scheme and a list of name=value; several challenges may stand in one header. */
function credentialsAreSound(value: string): boolean {
  return splitList(value)?.every((item) => CREDENTIALS_ITEM.test(item)) ?? false;
}

function isForDrachtio(name: string): boolean {
  return ADDRESS.has(name) || ADDRESS_LIST.has(name) || CREDENTIALS.has(name) || name === 'via';
}

/** The net under our own check: drachtio-srf's parser reads the header, its repetitions joined, without throwing. */
function drachtioAccepts(name: string, value: string): boolean {
  try {
    drachtioParser.getParser(name)({ s: value, i: 0 });
    return true;
  } catch {
    return false;
  }
}

function drop(reason: string): Fault {
  return { kind: 'fault', status: 0, reason };
}

/** RFC 3261 §8.2.6: an answer copies Via, From, To, Call-ID and CSeq; without them there is none. */
function refuse(refusal: Refusal, start: string, headers: readonly Header[]): Fault {
  const method = start.split(' ', 1)[0];
  const first = (name: string) => headers.find((header) => header.name === name)?.value;
  const vias = headers.filter((header) => header.name === 'via');
  const via: Via | undefined = parseVia(splitList(vias[0]?.value ?? '')?.[0] ?? '', true);
  const [from, to, callId, cseq] = [first('from'), first('to'), first('call-id'), first('cseq')];
  if (method === 'ACK' || via === undefined || cseq === undefined) return drop(refusal.reason);
  const lines = [
    ...vias.slice(1).map((header) => `Via: ${header.value}\r\n`),
    from === undefined ? '' : `From: ${from}\r\n`,
    to === undefined ? '' : `To: ${to}\r\n`,
    callId === undefined ? '' : `Call-ID: ${callId}\r\n`,
    `CSeq: ${cseq}\r\n`,
  ].join('');
  return { kind: 'fault', status: refusal.status, reason: refusal.reason, answer: { via, lines } };
}
