import type { DeclineReason, EgressAnswer, EgressRequest } from '../app/ports.ts';
import { ServiceError } from '../lib/errors.ts';
import type { Sensitive } from '../lib/sensitive.ts';

/* What every adapter of a JSON API over HTTP needs, whichever gateway it speaks to. */

export interface JsonApi {
  /** As the operator named the gateway. */
  readonly name: string;
  /** The whole header (authorization.ts); null where the gateway asks for none. */
  readonly authorization: Sensitive<string> | null;
  readonly timeoutMs: number;
}

/** A POST of this body, a GET where there is none. */
export function jsonRequest(
  { authorization, timeoutMs }: JsonApi,
  url: string,
  body: Readonly<Record<string, unknown>> | null,
  headers: Readonly<Record<string, string>> = {},
): EgressRequest {
  return {
    method: body === null ? 'GET' : 'POST',
    url,
    headers: {
      accept: 'application/json',
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      ...headers,
      ...(authorization === null ? {} : { authorization }),
    },
    body: body === null ? null : { format: 'json', template: JSON.stringify(body) },
    timeoutMs,
  };
}

/** What a caller or carrier sent must not read as a field of the template. */
export function plain(text: string): string {
  return text.replaceAll('{{', '{ {');
}

/** The answer, where there is one; `noAnswer` as it is. Throws GATEWAY_UNREACHABLE where nothing was sent. */
export function sent(name: string, answer: EgressAnswer): Exclude<EgressAnswer, { kind: 'notSent' }> {
  if (answer.kind !== 'notSent') return answer;
  throw new ServiceError('GATEWAY_UNREACHABLE', `${name} not reached: ${answer.reason}`);
}

export function requestRefused(name: string, status: number): ServiceError {
  return new ServiceError('GATEWAY_REQUEST_INVALID', `${name} refused the request: status ${status}`);
}

/** Null where it is not one JSON object. */
export function objectOf(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

const REASONS: readonly DeclineReason[] = [
  'do-not-honor',
  'insufficient-funds',
  'expired-card',
  'incorrect-cvc',
  'lost-or-stolen',
  'not-supported',
  'invalid-card',
];

/** `insufficient_funds`, `INSUFFICIENT-FUNDS`: gateways leave the codes open, so our own words are known and no more. */
export function reasonOf(code: unknown): DeclineReason {
  const plainCode = String(code).toLowerCase().replaceAll('_', '-');
  return REASONS.find((reason) => reason === plainCode) ?? 'other';
}

const TEXT_CHARS_MAX = 200;

export const textOf = (value: unknown): string => (typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : '');
export const codeOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
