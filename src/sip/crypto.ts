import { timingSafeEqual } from 'node:crypto';
import type { MediaSecurity, SrtpSuite } from '../app/ports.ts';
import { Sensitive } from '../lib/sensitive.ts';
import { CRYPTO_CHARS_MAX } from './limits.ts';

/*
 * `a=crypto` of SDP (RFC 4568, SDES), pure: text in, a key or a named fault out.
 *
 *   a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20
 *            |            |                             |                               |
 *           tag         suite              base64 of master key and salt             lifetime
 */

/** In our order: all four authenticate, and a phone that knows only one knows the first. */
export const SRTP_SUITES: readonly SrtpSuite[] = [
  'AES_CM_128_HMAC_SHA1_80',
  'AEAD_AES_128_GCM',
  'AEAD_AES_256_GCM',
  'AES_CM_128_HMAC_SHA1_32',
];

/** Master key and salt: RFC 4568 §6.2 (16 + 14), RFC 7714 §12 (16 + 12, 32 + 12). */
const KEY_BYTES: Readonly<Record<SrtpSuite, number>> = {
  AES_CM_128_HMAC_SHA1_80: 30,
  AES_CM_128_HMAC_SHA1_32: 30,
  AEAD_AES_128_GCM: 28,
  AEAD_AES_256_GCM: 44,
};

export interface CryptoAttribute {
  readonly tag: number;
  readonly suite: SrtpSuite;
  readonly key: Sensitive<Uint8Array>;
}

export type CryptoFault =
  | 'malformed'
  | 'a suite that we do not know'
  | 'a key of another length'
  | 'several keys'
  | 'a master key identifier'
  | 'a lifetime that is out of range'
  | 'a session parameter that we do not take';

export type ParsedCrypto =
  | ({ readonly ok: true } & CryptoAttribute)
  /** The tag where there is one: no second attribute may have it. */
  | { readonly ok: false; readonly tag: number | null; readonly fault: CryptoFault };

/** `tag suite key-params *(session-param)`, RFC 4568 §9.1. */
const ATTRIBUTE = /^(\d{1,9})[ \t]+([A-Za-z0-9_]{1,64})[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*$/;
/** The key's base64, a lifetime in packets (plain or as a power of two), an identifier and its length in octets. */
const INLINE = /^inline:([A-Za-z0-9+/]+={0,2})(?:\|(2\^\d{1,2}|\d{1,15}))?(\|\d{1,15}:\d{1,3})?$/;
/** RFC 4568 §6.1: at most 2^48 SRTP packets. The peer sends by this key, so it is for the peer to change it in time. */
const LIFETIME_MAX = 2 ** 48;

/** The value behind `a=crypto:`. */
export function parseCrypto(value: string): ParsedCrypto {
  const parts = value.length <= CRYPTO_CHARS_MAX ? ATTRIBUTE.exec(value) : null;
  if (parts === null) return { ok: false, tag: null, fault: 'malformed' };
  const tag = Number(parts[1]);
  const refuse = (fault: CryptoFault): ParsedCrypto => ({ ok: false, tag, fault });
  const suite = SRTP_SUITES.find((known) => known === parts[2]);
  if (suite === undefined) return refuse('a suite that we do not know');
  const keys = (parts[3] ?? '').split(';');
  if (keys.length > 1) return refuse('several keys');
  const inline = INLINE.exec(keys[0] ?? '');
  if (inline === null) return refuse('malformed');
  // RFC 4568 §6.1: packets would carry the identifier behind their bytes.
  if (inline[3] !== undefined) return refuse('a master key identifier');
  if (!isLifetime(inline[2])) return refuse('a lifetime that is out of range');
  const sessionParameters = (parts[4] ?? '').split(/[ \t]+/).filter((parameter) => parameter !== '');
  if (!sessionParameters.every(isPassedOver)) return refuse('a session parameter that we do not take');
  const bytes = new Uint8Array(Buffer.from(inline[1] ?? '', 'base64'));
  if (bytes.length !== KEY_BYTES[suite]) return refuse('a key of another length');
  return { ok: true, tag, suite, key: new Sensitive('SRTP key', bytes) };
}

function isLifetime(text: string | undefined): boolean {
  if (text === undefined) return true;
  const packets = text.startsWith('2^') ? 2 ** Number(text.slice(2)) : Number(text);
  return packets >= 1 && packets <= LIFETIME_MAX;
}

/**
 * RFC 4568 §6.3.6: WSH is a hint, our window is 128 packets whatever it says. §6.3.7: what begins with a hyphen may be
 * passed over; anything else would change what is protected or how, and the attribute must not be used without it.
 */
function isPassedOver(parameter: string): boolean {
  return /^WSH=\d{2,}$/.test(parameter) || parameter.startsWith('-');
}

export function writeCrypto({ tag, suite, key }: CryptoAttribute): string {
  return `a=crypto:${tag} ${suite} inline:${Buffer.from(key.reveal()).toString('base64')}`;
}

/** Fresh key and salt; RFC 4568 §6.1: each attribute and each direction its own. */
export type RandomBytes = (count: number) => Uint8Array;

export function makeKey(suite: SrtpSuite, random: RandomBytes): Sensitive<Uint8Array> {
  return new Sensitive('SRTP key', Uint8Array.from(random(KEY_BYTES[suite])));
}

export function isSameKey(a: Sensitive<Uint8Array>, b: Sensitive<Uint8Array>): boolean {
  const [one, other] = [a.reveal(), b.reveal()];
  return one.length === other.length && timingSafeEqual(one, other);
}

export function isSameSecurity(a: MediaSecurity | undefined, b: MediaSecurity | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.suite === b.suite && isSameKey(a.sendKey, b.sendKey) && isSameKey(a.receiveKey, b.receiveKey);
}

/** What stands in an offer of ours, and what its answer is measured against. */
export interface SecureOffer {
  readonly protocol: 'RTP/SAVP' | 'RTP/AVP';
  readonly crypto: readonly CryptoAttribute[];
}

/** Every suite we know, each with a fresh key; or one only, so that a call that is secure stays at its suite. */
export function makeSecureOffer(
  protocol: SecureOffer['protocol'],
  random: RandomBytes,
  suites: readonly SrtpSuite[] = SRTP_SUITES,
): SecureOffer {
  const crypto = suites.map((suite, index) => ({ tag: index + 1, suite, key: makeKey(suite, random) }));
  return { protocol, crypto };
}

/**
 * Our key for what a peer offered. RFC 4568 §7.1.4: the same key again goes on where it was, so a session refresh changes
 * nothing. When the peer changes its key we change ours, because many begin both directions anew then.
 */
export function ownKeyFor(
  offered: CryptoAttribute,
  previous: MediaSecurity | undefined,
  random: RandomBytes,
): Sensitive<Uint8Array> {
  const isSame =
    previous !== undefined && previous.suite === offered.suite && isSameKey(previous.receiveKey, offered.key);
  return isSame ? previous.sendKey : makeKey(offered.suite, random);
}
