import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Sensitive } from '../lib/sensitive.ts';
import { REPLAY_SIGNATURES_MAX } from './limits.ts';

/*
 * Signed context. The canonical string is one line a pair, `key=value`, sorted by key, each ended by a line feed, after
 * the line `hushtone-v1` and the line of the timestamp:
 *
 *     hushtone-v1
 *     t=1795420800
 *     amount=4210
 *     currency=USD
 *     customer=C-1001
 *
 * The signature is HMAC-SHA256 of it (UTF-8) under the named secret, in small hex: `t=1795420800,v1=<64 digits>`. It
 * stands in X-Hushtone-Signature, or as the pair `signature` in User-to-User or the URI. Every pair of the same source
 * is signed, those that the profile does not allow included, so that none can be added or taken away. Values are signed
 * as they read after unescaping. test/sip/context.test.ts has a vector made with openssl.
 */

export type SignatureFault =
  | 'missing'
  | 'malformed'
  | 'wrong'
  | 'outside the window'
  | 'used before'
  | 'too many in the window';

export function canonicalString(pairs: ReadonlyMap<string, string>, timestampSeconds: number): string {
  const lines = [...pairs].filter(([key]) => key !== 'signature').map(([key, value]) => `${key}=${value}\n`);
  return `hushtone-v1\nt=${timestampSeconds}\n${lines.sort().join('')}`;
}

export function sign(pairs: ReadonlyMap<string, string>, secret: Sensitive<string>, now: number): string {
  const timestampSeconds = Math.floor(now / 1000);
  return `t=${timestampSeconds},v1=${hmac(canonicalString(pairs, timestampSeconds), secret).toString('hex')}`;
}

function hmac(text: string, secret: Sensitive<string>): Buffer {
  return createHmac('sha256', secret.reveal()).update(text, 'utf8').digest();
}

/**
 * Takes each signature once: a call that carries one seen before is refused, unless it is the same call (`owner`, its
 * Call-ID) tried again. Remembers as long as the window is open, within REPLAY_SIGNATURES_MAX.
 */
export class SignatureVerifier {
  readonly #secret: Sensitive<string>;
  readonly #windowMs: number;
  /** Signature to its first owner and the moment it may be forgotten; in order of arrival. */
  readonly #seen = new Map<string, { readonly owner: string; readonly forgetAt: number }>();

  constructor(secret: Sensitive<string>, windowSeconds: number) {
    this.#secret = secret;
    this.#windowMs = windowSeconds * 1000;
  }

  /** Null where the pairs are signed by the secret's holder, now, and for the first time. */
  verify(pairs: ReadonlyMap<string, string>, owner: string, now: number): SignatureFault | null {
    const text = pairs.get('signature');
    if (text === undefined) return 'missing';
    const match = /^t=(\d{1,12}),\s*v1=([0-9a-f]{64})$/.exec(text);
    if (match === null) return 'malformed';
    const timestampSeconds = Number(match[1]);
    const given = Buffer.from(match[2] ?? '', 'hex');
    // The signature first: who cannot sign learns nothing of our clock.
    if (!timingSafeEqual(given, hmac(canonicalString(pairs, timestampSeconds), this.#secret))) return 'wrong';
    const signedAt = timestampSeconds * 1000;
    if (Math.abs(now - signedAt) > this.#windowMs) return 'outside the window';

    this.#forget(now);
    const key = match[2] ?? '';
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen.owner === owner ? null : 'used before';
    if (this.#seen.size >= REPLAY_SIGNATURES_MAX) return 'too many in the window';
    this.#seen.set(key, { owner, forgetAt: signedAt + this.#windowMs });
    return null;
  }

  /** The oldest first, until one is still in its window: a call pays for few, and none stays for two windows. */
  #forget(now: number): void {
    for (const [key, { forgetAt }] of this.#seen) {
      if (forgetAt >= now) return;
      this.#seen.delete(key);
    }
  }
}
