import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deriveKeys, SrtpDirection } from './srtp-peer.ts';

/* The yardstick itself, against what others published. */

const SHARED = join(import.meta.dirname, '../../../shared/data/rtcp');
const VECTORS = join(SHARED, 'srtp-vectors-libsrtp.json');
const RFC_VECTORS = join(SHARED, 'srtp-rfc-vectors.json');

/** RFC 7714 §16 and §17, by the names of who copied them. */
interface RfcVector {
  readonly profile?: string;
  readonly srtpSessionKey: string;
  readonly srtpSessionSalt: string;
  readonly decryptedRTPPacket: string;
  readonly encryptedRTPPacket: string;
  readonly decryptedRTCPPacket: string;
  readonly encryptedRTCPPacket: string;
}

interface Vector {
  readonly name: string;
  readonly master_key_and_salt: string;
  readonly arrays: Readonly<Record<string, string>>;
}

describe('the SRTP of the tests', () => {
  it('derives the keys of RFC 3711 appendix B.3', () => {
    const master = Buffer.from('e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6', 'hex');
    const keys = deriveKeys('AES_CM_128_HMAC_SHA1_80', master, 0);
    expect(keys.cipherKey.toString('hex')).toBe('c61e7a93744f39ee10734afe3ff7a087');
    expect(keys.salt.toString('hex')).toBe('30cbbc08863d8c85d49db34a9ae1');
    expect(keys.authKey.toString('hex')).toBe('cebe321f6ff7716b6fd4ab49af256a156d38baa4');
  });

  it.skipIf(!existsSync(RFC_VECTORS))('makes the packets of RFC 7714 §16 and §17', () => {
    const vectors = JSON.parse(readFileSync(RFC_VECTORS, 'utf8')) as RfcVector[];
    const aead = vectors.filter(({ profile }) => profile?.includes('Aead'));
    expect(aead).toHaveLength(2);
    for (const vector of aead) {
      const hex = (name: Exclude<keyof RfcVector, 'profile'>) => Buffer.from(vector[name], 'hex');
      const keys = { cipherKey: hex('srtpSessionKey'), salt: hex('srtpSessionSalt'), authKey: Buffer.alloc(0) };
      const suite = keys.cipherKey.length === 16 ? 'AEAD_AES_128_GCM' : 'AEAD_AES_256_GCM';
      const direction = new SrtpDirection(suite, keys);
      expect(direction.protectRtp(hex('decryptedRTPPacket'), 0)).toEqual(hex('encryptedRTPPacket'));
      expect(direction.protectRtcp(hex('decryptedRTCPPacket'), 0x5d4)).toEqual(hex('encryptedRTCPPacket'));
      expect(direction.openRtcp(hex('encryptedRTCPPacket'))).toEqual(hex('decryptedRTCPPacket'));
    }
  });

  it.skipIf(!existsSync(VECTORS))('makes the packets that libsrtp publishes', () => {
    const vectors = JSON.parse(readFileSync(VECTORS, 'utf8')) as Vector[];
    const find = (name: string) => {
      const { master_key_and_salt, arrays } = vectors.find((vector) => vector.name === name) as Vector;
      const bytes = (...names: string[]) => Buffer.from(names.map((n) => arrays[n]).find((hex) => hex) ?? '', 'hex');
      return { key: Buffer.from(master_key_and_salt, 'hex'), bytes };
    };
    for (const [name, suite] of [
      ['srtp_validate', 'AES_CM_128_HMAC_SHA1_80'],
      ['srtp_validate_gcm', 'AEAD_AES_128_GCM'],
    ] as const) {
      const { key, bytes } = find(name);
      const direction = new SrtpDirection(suite, key);
      const rtp = bytes('srtp_plaintext_ref', 'rtp_plaintext_ref');
      const rtcp = bytes('rtcp_plaintext_ref');
      expect(direction.protectRtp(rtp, 0)).toEqual(bytes('srtp_ciphertext'));
      expect(direction.openRtp(bytes('srtp_ciphertext'), 0)).toEqual(rtp);
      expect(direction.protectRtcp(rtcp, 1)).toEqual(bytes('srtcp_ciphertext'));
      expect(direction.openRtcp(bytes('srtcp_ciphertext'))).toEqual(rtcp);
      const changed = bytes('srtp_ciphertext');
      changed[20] = (changed[20] ?? 0) ^ 1;
      expect(direction.openRtp(changed, 0)).toBeNull();
    }
  });
});
