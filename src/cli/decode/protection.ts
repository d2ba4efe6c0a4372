import type { StreamFacts } from '../../pcap/capture.ts';
import { emptyView, type RtpView } from '../../pcap/reorder.ts';
import { readRtp } from '../../pcap/rtp.ts';
import { type CryptoAttribute, parseCrypto } from '../../sip/crypto.ts';
import { OfflineSrtp } from '../../worker/offline.ts';

/** Packets on which the keys that are not in use are tried in vain, for each description: the first tells already. */
const TRIES_MAX = 5;

/**
 *   the description says      a key opens the packet   no key does
 *   ------------------------  -----------------------  --------------------------------------------
 *   nothing, and no key is    -                        it goes on as it is
 *   RTP/AVP                   it goes on opened        it goes on as it is, unless one was opened before
 *   RTP/SAVP                  it goes on opened        it is left out and counted
 *
 * Takes SRTP (RFC 3711) off one stream, by the keys that SIP in the capture bears and those that a person gave. Which of
 * several is the stream's is found by trying: a wrong one opens nothing.
 */
export class Protection {
  readonly #facts: StreamFacts;
  readonly #given: readonly CryptoAttribute[];
  readonly #view = emptyView();
  #version = -1;
  #isRequired = false;
  #isDtls = false;
  #keys: readonly CryptoAttribute[] = [];
  /** Why a line of the description is no key for us. */
  #refused: string | null = null;
  #opener: OfflineSrtp | null = null;
  #tries = 0;
  #opened = 0;
  #closed = 0;

  constructor(facts: StreamFacts, given: readonly CryptoAttribute[]) {
    this.#facts = facts;
    this.#given = given;
  }

  /** Good until the next packet; null where it stays closed. */
  open(packet: RtpView): RtpView | null {
    if (this.#version !== this.#facts.version) this.#look();
    if (this.#keys.length === 0 && !this.#isRequired) return packet;
    const opened = this.#openBy(this.#opener, packet) ?? this.#search(packet);
    if (opened !== null) {
      this.#opened += 1;
      return opened;
    }
    if (!this.#isRequired && this.#opened === 0) return packet;
    this.#closed += 1;
    return null;
  }

  /** What a person should know; null where nothing was left out. */
  get note(): string | null {
    if (this.#closed === 0) return null;
    const count = `${this.#closed} of ${this.#closed + this.#opened} packets are protected by SRTP and were not opened: `;
    if (this.#opened > 0) return `${count}damaged, or under another key`;
    if (this.#keys.length > 0) {
      return `${count}${this.#keys.length === 1 ? 'the only key does not fit' : 'none of the keys fits'}`;
    }
    if (this.#refused !== null) return `${count}its a=crypto has ${this.#refused}`;
    if (this.#isDtls) return `${count}their keys were agreed by DTLS, which no capture shows`;
    return `${count}the capture has no key for them (see --srtp-keys)`;
  }

  #look(): void {
    this.#version = this.#facts.version;
    const { isRequired, isDtls, crypto } = this.#facts.security();
    this.#isRequired = isRequired;
    this.#isDtls = isDtls;
    this.#refused = null;
    const keys: CryptoAttribute[] = [];
    for (const line of crypto) {
      const parsed = parseCrypto(line.reveal());
      if (parsed.ok) keys.push(parsed);
      else this.#refused = parsed.fault;
    }
    this.#keys = [...keys.reverse(), ...this.#given];
    this.#tries = 0;
  }

  #search(packet: RtpView): RtpView | null {
    if (this.#tries >= TRIES_MAX) return null;
    for (const { suite, key } of this.#keys) {
      const opener = new OfflineSrtp(suite, key);
      const opened = this.#openBy(opener, packet);
      if (opened === null) continue;
      this.#opener = opener;
      this.#tries = 0;
      return opened;
    }
    this.#tries += 1;
    return null;
  }

  #openBy(opener: OfflineSrtp | null, packet: RtpView): RtpView | null {
    const plain = opener?.open(packet.bytes, packet.packetFrom, packet.packetTo, packet.atMs) ?? null;
    if (plain === null || !readRtp(plain, 0, plain.length, this.#view)) return null;
    this.#view.atMs = packet.atMs;
    return this.#view;
  }
}
