import { Sensitive } from '../lib/sensitive.ts';

/** `Basic …` of RFC 7617; null where there is neither name nor password. */
export function basicAuthorization(username: string, password: Sensitive<string>): Sensitive<string> | null {
  const pair = `${username}:${password.reveal()}`;
  return pair === ':' ? null : new Sensitive('authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
}

/** `Bearer …` of RFC 6750 §2.1. */
export function bearerAuthorization(key: Sensitive<string> | null): Sensitive<string> | null {
  return key === null ? null : new Sensitive('authorization', `Bearer ${key.reveal()}`);
}
