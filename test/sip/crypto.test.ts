import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameKey, makeSecureOffer, parseCrypto, SRTP_SUITES, writeCrypto } from '../../src/sip/crypto.ts';

const KEY_30 = Buffer.alloc(30, 0xa5).toString('base64');
const KEY_28 = Buffer.alloc(28, 0xa5).toString('base64');
const KEY_44 = Buffer.alloc(44, 0xa5).toString('base64');

/** The verdict on one attribute: its suite, or what is wrong with it. */
function verdict(value: string): string {
  const parsed = parseCrypto(value);
  return parsed.ok ? `${parsed.tag} ${parsed.suite} ${parsed.key.reveal().length}` : parsed.fault;
}

describe('a=crypto', () => {
  it.each([
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}`, '1 AES_CM_128_HMAC_SHA1_80 30'],
    [`22 AES_CM_128_HMAC_SHA1_32 inline:${KEY_30}|2^31`, '22 AES_CM_128_HMAC_SHA1_32 30'],
    [`3 AEAD_AES_128_GCM inline:${KEY_28}`, '3 AEAD_AES_128_GCM 28'],
    [`4 AEAD_AES_256_GCM inline:${KEY_44}|2^48`, '4 AEAD_AES_256_GCM 44'],
    [`1 AES_CM_128_HMAC_SHA1_80  inline:${KEY_30}|1048576  WSH=128 `, '1 AES_CM_128_HMAC_SHA1_80 30'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} -vendor=7`, '1 AES_CM_128_HMAC_SHA1_80 30'],
  ])('%s is taken', (value, expected) => {
    expect(verdict(value)).toBe(expected);
  });

  it.each([
    [`1 AES_256_CM_HMAC_SHA1_80 inline:${KEY_44}`, 'a suite that we do not know'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_28}`, 'a key of another length'],
    [`1 AEAD_AES_128_GCM inline:${KEY_30}`, 'a key of another length'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|2^20|1:4`, 'a master key identifier'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|1:4`, 'a master key identifier'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|2^20|1:4;inline:${KEY_30}|2^20|2:4`, 'several keys'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|2^49`, 'a lifetime that is out of range'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|0`, 'a lifetime that is out of range'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} UNENCRYPTED_SRTP`, 'a session parameter that we do not take'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} WSH=64 UNENCRYPTED_SRTCP`, 'a session parameter that we do not take'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} UNAUTHENTICATED_SRTP`, 'a session parameter that we do not take'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} KDR=1`, 'a session parameter that we do not take'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30} FEC_ORDER=FEC_SRTP`, 'a session parameter that we do not take'],
    [`AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}`, 'malformed'],
    [`1 AES_CM_128_HMAC_SHA1_80 uri:https://keys.invalid/1`, 'malformed'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${KEY_30}|`, 'malformed'],
    [`1 AES_CM_128_HMAC_SHA1_80 inline:${'A'.repeat(600)}`, 'malformed'],
    ['', 'malformed'],
  ])('%s is refused by name', (value, expected) => {
    expect(verdict(value)).toBe(expected);
  });

  it('is read as it was written, and its key prints as a label only', () => {
    let next = 1;
    const random = (count: number) => new Uint8Array(count).fill(next++);
    const { crypto } = makeSecureOffer('RTP/SAVP', random);
    expect(crypto.map(({ suite }) => suite)).toEqual(SRTP_SUITES);
    for (const one of crypto) {
      const read = parseCrypto(writeCrypto(one).slice('a=crypto:'.length));
      expect(read).toMatchObject({ ok: true, tag: one.tag, suite: one.suite });
      expect(read.ok && isSameKey(read.key, one.key)).toBe(true);
      expect(JSON.stringify(read)).toContain('"[SRTP key]"');
      expect(`${one.key}`).toBe('[SRTP key]');
    }
    // Each suite a key of its own.
    expect(new Set(crypto.map(({ key }) => key.reveal()[0])).size).toBe(4);
  });

  it('never throws, whatever stands behind it', () => {
    const pieces = fc.constantFrom(
      '1',
      ' ',
      'AES_CM_128_HMAC_SHA1_80',
      'inline:',
      KEY_30,
      '|',
      '2^',
      '31',
      ':',
      ';',
      'WSH=',
      '-',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((parts) => parts.join('')),
        ),
        (value) => {
          const parsed = parseCrypto(value);
          return parsed.ok ? parsed.key.reveal().length >= 28 : parsed.fault.length > 0;
        },
      ),
    );
  });
});
