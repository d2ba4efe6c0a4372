import { readFileSync, statSync } from 'node:fs';
import { type CryptoAttribute, parseCrypto } from '../../sip/crypto.ts';
import { systemReason } from './read-file.ts';

/** Keys that a person hands in: each is tried on each stream. */
export const KEYS_MAX = 16;
const KEYS_BYTES_MAX = 65_536;
const STANDARD_INPUT = '-';
const STANDARD_INPUT_DESCRIPTOR = 0;

export type GivenKeys =
  | { readonly ok: true; readonly keys: readonly CryptoAttribute[] }
  | { readonly ok: false; readonly reason: string };

/** Reads keys from a file, or from standard input where it is `-`: what stands on a command line all users can see. */
export function loadKeys(file: string): GivenKeys {
  const name = file === STANDARD_INPUT ? 'standard input' : file;
  try {
    const isFile = file !== STANDARD_INPUT;
    if (isFile && statSync(file).size > KEYS_BYTES_MAX) {
      return { ok: false, reason: `${name}: is larger than ${KEYS_BYTES_MAX} bytes` };
    }
    const read = readKeys(readFileSync(isFile ? file : STANDARD_INPUT_DESCRIPTOR, 'latin1').slice(0, KEYS_BYTES_MAX));
    return read.ok ? read : { ok: false, reason: `${name}: ${read.reason}` };
  } catch (error) {
    return { ok: false, reason: `${name}: ${systemReason(error)}` };
  }
}

/**
 * One key a line, as SDP has it (RFC 4568 §9.1): `a=crypto:1 SUITE inline:KEY`, or from the suite on. Empty lines and what
 * follows a # are passed over. Reasons never have a key in them.
 */
export function readKeys(text: string): GivenKeys {
  const keys: CryptoAttribute[] = [];
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const line = written.replace(/#.*/, '').trim();
    if (line === '') continue;
    const value = line.replace(/^a=crypto:/, '');
    const parsed = parseCrypto(/^\d/.test(value) ? value : `1 ${value}`);
    if (!parsed.ok) return { ok: false, reason: `line ${index + 1} is no SRTP key: ${parsed.fault}` };
    if (keys.length === KEYS_MAX) return { ok: false, reason: `has more than ${KEYS_MAX} keys` };
    keys.push(parsed);
  }
  return keys.length > 0 ? { ok: true, keys } : { ok: false, reason: 'has no SRTP key' };
}
