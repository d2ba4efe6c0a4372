import type { SendOptions, SrfRequest, SrfResponse } from 'drachtio-srf';
import { type ErrorCode, VERDICTS } from '../lib/errors.ts';
import type { SipWorld } from './world.ts';
import { reasonOf } from './world.ts';

/** Seconds that a peer should wait after 503. */
const RETRY_AFTER_SECONDS = 10;

/** Sends a response. A response that cannot go out (the transaction is over) is logged and no fault of the call's. */
export function respond(
  world: SipWorld,
  res: SrfResponse,
  status: number,
  options: SendOptions & { reason?: string } = {},
) {
  const { reason, ...send } = options;
  const sent = (error: unknown) => {
    if (error) world.log.debug('a SIP response did not go out', { status, reason: reasonOf(error) });
  };
  try {
    if (reason === undefined) res.send(status, send, sent);
    else res.send(status, reason, send, sent);
  } catch (error) {
    world.log.warn('a SIP response could not be made', { status, reason: reasonOf(error) });
  }
}

/** The status of the code's verdict, with the message as a Warning (RFC 3261 §20.43, code 399 or 305 for media). */
export function refuse(world: SipWorld, res: SrfResponse, code: ErrorCode, message: string): void {
  const status = VERDICTS[code].sipStatus;
  const warning = status === 488 ? 305 : 399;
  const headers: Record<string, string> = { Warning: `${warning} hushtone "${message.replace(/[^ -~]|["\\]/g, ' ')}"` };
  if (status === 503) headers['Retry-After'] = String(RETRY_AFTER_SECONDS);
  respond(world, res, status, { headers });
}

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'sdp'; readonly text: string }
  | { readonly kind: 'other' };

/** The session description of a message, also where it is one part of several. */
export function bodyOf(message: Pick<SrfRequest, 'get' | 'body' | 'payload'>): Body {
  const text = message.body ?? '';
  if (text.trim() === '') return { kind: 'none' };
  const type = (message.get('Content-Type') ?? 'application/sdp').toLowerCase();
  if (type.startsWith('application/sdp')) return { kind: 'sdp', text };
  if (!type.startsWith('multipart/')) return { kind: 'other' };
  const part = (message.payload ?? []).find((one) => /^\s*application\/sdp/i.test(one.type ?? ''));
  return part?.content === undefined ? { kind: 'other' } : { kind: 'sdp', text: part.content };
}
