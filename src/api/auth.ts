import { createHash, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../lib/errors.ts';
import type { Sensitive } from '../lib/sensitive.ts';

/** Decides over one request by its `Authorization` and `Host` headers; throws ServiceError UNAUTHORIZED. */
export type Authorize = (authorization: string | undefined, host: string | undefined) => void;

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Keys are kept as digests, and every one is compared in the same time whatever was sent. Without keys the door is open
 * to this machine only; then the name by which we were called must be one of loopback too, or any web page could reach
 * us through a name that points here (DNS rebinding).
 */
export function authorizer(keys: readonly Sensitive<string>[]): Authorize {
  const digests = keys.map((key) => digestOf(key.reveal()));
  if (digests.length === 0) {
    return (_authorization, host) => {
      if (host === undefined || !LOOPBACK_HOST.test(host)) {
        throw new ServiceError('UNAUTHORIZED', 'without API keys only localhost is served');
      }
    };
  }
  return (authorization) => {
    const sent = digestOf(/^Bearer ([!-~]{1,4096})$/i.exec(authorization ?? '')?.[1] ?? '');
    let known = false;
    for (const digest of digests) known = timingSafeEqual(digest, sent) || known;
    if (!known) throw new ServiceError('UNAUTHORIZED', 'an API key is needed: Authorization: Bearer KEY');
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
