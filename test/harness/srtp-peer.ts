import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import type { SrtpSuite } from '../../src/app/ports.ts';

/*
 * SRTP and SRTCP a second time, from the RFCs and by Node's crypto: what libsrtp2 does in the server is measured against
 * this. Slow, and without replay protection: the server's is what is tested.
 */

interface SuiteFacts {
  readonly keyBytes: number;
  readonly saltBytes: number;
  /** 0: an AEAD, whose tag of 16 bytes is the cipher's. */
  readonly rtpTagBytes: number;
}

const FACTS: Readonly<Record<SrtpSuite, SuiteFacts>> = {
  AES_CM_128_HMAC_SHA1_80: { keyBytes: 16, saltBytes: 14, rtpTagBytes: 10 },
  AES_CM_128_HMAC_SHA1_32: { keyBytes: 16, saltBytes: 14, rtpTagBytes: 4 },
  AEAD_AES_128_GCM: { keyBytes: 16, saltBytes: 12, rtpTagBytes: 0 },
  AEAD_AES_256_GCM: { keyBytes: 32, saltBytes: 12, rtpTagBytes: 0 },
};
const SRTCP_TAG_BYTES = 10;
const GCM_TAG_BYTES = 16;

export interface SessionKeys {
  readonly cipherKey: Buffer;
  readonly authKey: Buffer;
  readonly salt: Buffer;
}

/** RFC 3711 §4.3.1, key_derivation_rate 0; RFC 7714 §11 widens a salt of 12 bytes by zeros. Labels: 0 to 2 RTP, 3 to 5 RTCP. */
export function deriveKeys(suite: SrtpSuite, keyAndSalt: Uint8Array, firstLabel: 0 | 3): SessionKeys {
  const { keyBytes, saltBytes } = FACTS[suite];
  const key = Buffer.from(keyAndSalt.subarray(0, keyBytes));
  const salt = Buffer.concat([Buffer.from(keyAndSalt.subarray(keyBytes, keyBytes + saltBytes)), Buffer.alloc(2)]);
  const derive = (label: number, length: number): Buffer => {
    const counter = Buffer.alloc(16);
    salt.copy(counter, 0, 0, 14);
    counter[7] = (counter[7] ?? 0) ^ label;
    return createCipheriv(`aes-${keyBytes * 8}-ctr`, key, counter).update(Buffer.alloc(length));
  };
  return {
    cipherKey: derive(firstLabel, keyBytes),
    authKey: derive(firstLabel + 1, 20),
    salt: derive(firstLabel + 2, saltBytes),
  };
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

/** RFC 3711 §4.1.1: (salt · 2^16) xor (SSRC · 2^64) xor (index · 2^16). */
function counterOf(salt: Buffer, ssrc: number, index: bigint): Buffer {
  const counter = Buffer.alloc(16);
  counter.writeUInt32BE(ssrc, 4);
  counter.writeUIntBE(Number(index), 8, 6);
  return xor(counter, Buffer.concat([salt, Buffer.alloc(2)]));
}

/** RFC 7714 §8.1 for RTP (SSRC, ROC, sequence number), §9.1 for RTCP (SSRC, index). */
function nonceOf(salt: Buffer, ssrc: number, index: bigint): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(ssrc, 2);
  nonce.writeUIntBE(Number(index), 6, 6);
  return xor(nonce, salt);
}

const E_BIT = 0x8000_0000;

/** One direction of one key. */
export class SrtpDirection {
  readonly #suite: SrtpSuite;
  readonly #rtp: SessionKeys;
  readonly #rtcp: SessionKeys;

  /** From a master key with its salt, or from the session keys that a vector gives. */
  constructor(suite: SrtpSuite, keys: Uint8Array | SessionKeys) {
    this.#suite = suite;
    this.#rtp = keys instanceof Uint8Array ? deriveKeys(suite, keys, 0) : keys;
    this.#rtcp = keys instanceof Uint8Array ? deriveKeys(suite, keys, 3) : keys;
  }

  /** A packet without CSRC and extension. */
  protectRtp(packet: Buffer, roc: number): Buffer {
    const [header, payload] = [packet.subarray(0, 12), packet.subarray(12)];
    const ssrc = header.readUInt32BE(8);
    const index = (BigInt(roc) << 16n) | BigInt(header.readUInt16BE(2));
    if (this.#isAead) return Buffer.concat([header, this.#seal(this.#rtp, ssrc, index, payload, header)]);
    const enciphered = this.#stream(this.#rtp, ssrc, index, payload);
    const body = Buffer.concat([header, enciphered]);
    return Buffer.concat([body, this.#tag(this.#rtp, [body, bigEndian(roc)], FACTS[this.#suite].rtpTagBytes)]);
  }

  /** Null where the tag is another's. */
  openRtp(packet: Buffer, roc: number): Buffer | null {
    const header = packet.subarray(0, 12);
    const ssrc = header.readUInt32BE(8);
    const index = (BigInt(roc) << 16n) | BigInt(header.readUInt16BE(2));
    if (this.#isAead) {
      const plain = this.#unseal(this.#rtp, ssrc, index, packet.subarray(12), header);
      return plain === null ? null : Buffer.concat([header, plain]);
    }
    const tagBytes = FACTS[this.#suite].rtpTagBytes;
    const body = packet.subarray(0, packet.length - tagBytes);
    const tag = this.#tag(this.#rtp, [body, bigEndian(roc)], tagBytes);
    if (!tag.equals(packet.subarray(packet.length - tagBytes))) return null;
    return Buffer.concat([header, this.#stream(this.#rtp, ssrc, index, body.subarray(12))]);
  }

  /** RFC 3711 §3.4; RFC 7714 §9: the index stands behind the tag there, before it here. */
  protectRtcp(packet: Buffer, index: number): Buffer {
    const [header, payload] = [packet.subarray(0, 8), packet.subarray(8)];
    const ssrc = header.readUInt32BE(4);
    const trailer = bigEndian((E_BIT | index) >>> 0);
    if (this.#isAead) {
      const aad = Buffer.concat([header, trailer]);
      return Buffer.concat([header, this.#seal(this.#rtcp, ssrc, BigInt(index), payload, aad), trailer]);
    }
    const body = Buffer.concat([header, this.#stream(this.#rtcp, ssrc, BigInt(index), payload), trailer]);
    return Buffer.concat([body, this.#tag(this.#rtcp, [body], SRTCP_TAG_BYTES)]);
  }

  openRtcp(packet: Buffer): Buffer | null {
    const header = packet.subarray(0, 8);
    const ssrc = header.readUInt32BE(4);
    const trailerAt = packet.length - 4 - (this.#isAead ? 0 : SRTCP_TAG_BYTES);
    const trailer = packet.subarray(trailerAt, trailerAt + 4);
    const index = BigInt(trailer.readUInt32BE(0) & 0x7fff_ffff);
    if (this.#isAead) {
      const aad = Buffer.concat([header, trailer]);
      const plain = this.#unseal(this.#rtcp, ssrc, index, packet.subarray(8, trailerAt), aad);
      return plain === null ? null : Buffer.concat([header, plain]);
    }
    const tag = this.#tag(this.#rtcp, [packet.subarray(0, trailerAt + 4)], SRTCP_TAG_BYTES);
    if (!tag.equals(packet.subarray(trailerAt + 4))) return null;
    return Buffer.concat([header, this.#stream(this.#rtcp, ssrc, index, packet.subarray(8, trailerAt))]);
  }

  get #isAead(): boolean {
    return FACTS[this.#suite].rtpTagBytes === 0;
  }

  #stream({ cipherKey, salt }: SessionKeys, ssrc: number, index: bigint, bytes: Buffer): Buffer {
    return createCipheriv('aes-128-ctr', cipherKey, counterOf(salt, ssrc, index)).update(bytes);
  }

  #tag({ authKey }: SessionKeys, parts: readonly Buffer[], length: number): Buffer {
    const hmac = createHmac('sha1', authKey);
    for (const part of parts) hmac.update(part);
    return hmac.digest().subarray(0, length);
  }

  #seal({ cipherKey, salt }: SessionKeys, ssrc: number, index: bigint, bytes: Buffer, aad: Buffer): Buffer {
    const name = cipherKey.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
    const cipher = createCipheriv(name, cipherKey, nonceOf(salt, ssrc, index)).setAAD(aad);
    const enciphered = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return Buffer.concat([enciphered, cipher.getAuthTag()]);
  }

  #unseal({ cipherKey, salt }: SessionKeys, ssrc: number, index: bigint, bytes: Buffer, aad: Buffer): Buffer | null {
    const name = cipherKey.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
    const decipher = createDecipheriv(name, cipherKey, nonceOf(salt, ssrc, index)).setAAD(aad);
    decipher.setAuthTag(bytes.subarray(bytes.length - GCM_TAG_BYTES));
    const plain = decipher.update(bytes.subarray(0, bytes.length - GCM_TAG_BYTES));
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch {
      return null;
    }
  }
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
