import { paramOf, paramsAreSound } from './name-addr.ts';
import { parseHostport } from './uri.ts';

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** Upper case: UDP, TCP, TLS, WS, WSS. */
  readonly protocol: string;
  readonly host: string;
  readonly port: number | undefined;
  /** With leading semicolons. */
  readonly params: string;
  readonly branch: string | undefined;
  /** The value as it was written. */
  readonly text: string;
}

const SENT_PROTOCOL = /^SIP[ \t]*\/[ \t]*(\d+\.\d+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+/i;

/** Blanks around the colon are allowed in sent-by; taken out without a regular expression that could crawl. */
function unspaced(sentBy: string): string {
  return sentBy
    .split(':')
    .map((part) => part.trim())
    .join(':');
}

/** `anyVersion` is for answering 505 to a message of another version. */
export function parseVia(text: string, anyVersion = false): Via | undefined {
  const head = SENT_PROTOCOL.exec(text);
  if (head === null || (head[1] !== '2.0' && !anyVersion)) return undefined;
  const rest = text.slice(head[0].length);
  const semicolon = rest.indexOf(';');
  const sentBy = unspaced(semicolon < 0 ? rest : rest.slice(0, semicolon));
  const params = semicolon < 0 ? '' : rest.slice(semicolon).trim();
  const hostport = parseHostport(sentBy);
  if (hostport === undefined || !paramsAreSound(params)) return undefined;
  const protocol = (head[2] ?? '').toUpperCase();
  return { protocol, host: hostport.host, port: hostport.port, params, branch: paramOf(params, 'branch'), text };
}

/**
 * RFC 3261 §18.2.1 and RFC 3581 §4: the value with `received` and `rport` as the transport saw them. Like
 * drachtio-server, rport is always written, so that answers go back the way the request came.
 */
export function markVia(via: Via, remoteAddress: string, remotePort: number): string {
  let text = via.text;
  const written = paramOf(via.params, 'rport');
  if (written === undefined) text += `;rport=${remotePort}`;
  else if (written === '') text = text.replace(/;[ \t]*rport[ \t]*(=[ \t]*)?(?=;|$)/i, `;rport=${remotePort}`);
  if (via.host !== remoteAddress) {
    const received = paramOf(via.params, 'received');
    if (received === undefined) text += `;received=${remoteAddress}`;
    else text = text.replace(/;[ \t]*received[ \t]*=[^;]*/i, `;received=${remoteAddress}`);
  }
  return text;
}
