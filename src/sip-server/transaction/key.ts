import type { SipRequest, SipResponse } from '../message/message.ts';
import { headerOf } from '../message/message.ts';

const COOKIE = 'z9hG4bK';

/**
 * RFC 3261 §17.2.3: branch, sent-by and method name a server transaction; ACK belongs to its INVITE. Without the
 * magic cookie (RFC 2543 peers) Request-URI, tags, Call-ID, CSeq and the Via do.
 */
export function serverKey(request: SipRequest, method = request.method === 'ACK' ? 'INVITE' : request.method): string {
  const { via } = request;
  if (via.branch?.startsWith(COOKIE) && via.branch.length > COOKIE.length) {
    return `${via.branch}|${via.host.toLowerCase()}:${via.port ?? 5060}|${method}`;
  }
  return `2543|${request.uri}|${request.from.tag}|${request.callId}|${request.cseq}|${via.text}|${method}`;
}

/** RFC 3261 §17.1.3: the branch of the top Via and the method of CSeq. */
export function clientKey(response: SipResponse): string | undefined {
  return response.via.branch === undefined ? undefined : `${response.via.branch}|${response.cseqMethod}`;
}

/** RSeq of a reliable provisional response (RFC 3262 §7.1). */
export function rseqOf(message: SipResponse): number | undefined {
  const value = headerOf(message, 'rseq');
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
