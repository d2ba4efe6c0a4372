import { formatHost } from './uri.ts';

/** A message of the application: drachtio-srf leaves out what the server fills in. */
export interface Draft {
  /** Method and URI, or status and reason. */
  readonly start: { method: string; uri: string } | { status: number; reason: string };
  /** In order; names as written. */
  readonly headers: readonly { name: string; value: string }[];
  /** To the end of the frame: the Content-Length in it counts UTF-16 units and is not trusted. */
  readonly body: string;
}

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

/** Undefined where the start line is none. A header line whose name is no token is left out. */
export function parseDraft(text: string): Draft | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  const lines = (headEnd < 0 ? text : text.slice(0, headEnd)).split(/\r\n(?![ \t])/);
  const start = parseStart(lines[0] ?? '');
  if (start === undefined) return undefined;
  const headers: { name: string; value: string }[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim();
    // A bare CR or LF would end the header on the wire: it becomes a space.
    if (TOKEN.test(name))
      headers.push({
        name,
        value: line
          .slice(colon + 1)
          .replace(/[\r\n]+[ \t]*/g, ' ')
          .trim(),
      });
  }
  return { start, headers, body: headEnd < 0 ? '' : text.slice(headEnd + 4) };
}

function parseStart(line: string): Draft['start'] | undefined {
  const response = /^SIP\/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?$/.exec(line);
  if (response !== null) return { status: Number(response[1]), reason: response[2] ?? '' };
  const request = /^([A-Za-z0-9\-.!%*_+`'~]+) ([^\s]+(?: [^\s]+)*) SIP\/2\.0$/.exec(line);
  return request === null ? undefined : { method: request[1] ?? '', uri: request[2] ?? '' };
}

export function draftHeader(draft: Draft, name: string): string | undefined {
  for (const header of draft.headers) if (header.name.toLowerCase() === name) return header.value;
  return undefined;
}

const SPELLING: Readonly<Record<string, string>> = {
  'call-id': 'Call-ID',
  cseq: 'CSeq',
  'www-authenticate': 'WWW-Authenticate',
  rack: 'RAck',
  rseq: 'RSeq',
  'mime-version': 'MIME-Version',
  'sip-etag': 'SIP-ETag',
  'sip-if-match': 'SIP-If-Match',
  'min-se': 'Min-SE',
};

/** Known names as the RFCs spell them, others with capitals after hyphens, `X-` names as they are. */
export function spellHeader(name: string): string {
  const lower = name.toLowerCase();
  const known = SPELLING[lower];
  if (known !== undefined) return known;
  if (lower.startsWith('x-')) return name;
  return lower.replace(/(^|-)([a-z])/g, (_, hyphen: string, letter: string) => hyphen + letter.toUpperCase());
}

/** Set by the server alone. */
const OURS = new Set(['via', 'route', 'rseq', 'record-route', 'content-length']);

/**
 * The application's other headers as lines, `taken` (lower case) left out, then Content-Type and Content-Length
 * and the body.
 */
export function restOf(draft: Draft, taken: ReadonlySet<string>, contentType: string | undefined): string {
  let text = '';
  for (const { name, value } of draft.headers) {
    const lower = name.toLowerCase();
    if (OURS.has(lower) || taken.has(lower) || lower === 'content-type') continue;
    text += `${spellHeader(name)}: ${value}\r\n`;
  }
  if (draft.body !== '' && contentType !== undefined) text += `Content-Type: ${contentType}\r\n`;
  return `${text}Content-Length: ${draft.body.length}\r\n\r\n${draft.body}`;
}

/** Written, or guessed from a body that begins as SDP does. */
export function contentTypeOf(draft: Draft): string | undefined {
  return draftHeader(draft, 'content-type') ?? (draft.body.startsWith('v=0') ? 'application/sdp' : undefined);
}

/** `@localhost` in an address stands for this server (drachtio-srf's `callingNumber` relies on it). */
export function replaceLocalhost(value: string, host: string, port: number): string {
  return value.replace(/@localhost(?=[;>,\s]|$)/g, `@${formatHost(host)}:${port}`);
}

/** An address with its URI in angle brackets, so that parameters behind it are the header's. */
export function bracketed(value: string): string {
  if (value.includes('<')) return value;
  const semicolon = value.indexOf(';');
  return semicolon < 0 ? `<${value}>` : `<${value.slice(0, semicolon)}>${value.slice(semicolon)}`;
}
