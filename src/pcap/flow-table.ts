import type { Transport } from './transport.ts';

interface Slot<T> {
  readonly hash: number;
  /** Both addresses, both ports, the SSRC. */
  readonly key: Uint8Array;
  readonly value: T;
  next: Slot<T> | null;
}

const PORTS_AND_SSRC_BYTES = 8;
/** Of the hash below: an odd number with well mixed bits (Murmur3's). */
const HASH_FACTOR = 0x5bd1e995;

/** A map from flows (addresses, ports, SSRC) as they stand in a packet, so that looking one up makes no string. */
export class FlowTable<T> {
  readonly #slots = new Map<number, Slot<T>>();
  readonly #slotOf = new Map<T, Slot<T>>();

  get size(): number {
    return this.#slotOf.size;
  }

  values(): Iterable<T> {
    return this.#slotOf.keys();
  }

  find(packet: Transport, ssrc: number): T | null {
    let slot = this.#slots.get(hashOf(packet, ssrc)) ?? null;
    while (slot !== null && !isKey(slot.key, packet, ssrc)) slot = slot.next;
    return slot === null ? null : slot.value;
  }

  /** A flow that `find` did not find. */
  add(packet: Transport, ssrc: number, value: T): void {
    const { bytes, addressesAt, addressBytes } = packet;
    const key = new Uint8Array(2 * addressBytes + PORTS_AND_SSRC_BYTES);
    key.set(bytes.subarray(addressesAt, addressesAt + 2 * addressBytes));
    const tail = new DataView(key.buffer, 2 * addressBytes);
    tail.setUint16(0, packet.sourcePort);
    tail.setUint16(2, packet.destinationPort);
    tail.setUint32(4, ssrc);
    const hash = hashOf(packet, ssrc);
    const slot: Slot<T> = { hash, key, value, next: this.#slots.get(hash) ?? null };
    this.#slots.set(hash, slot);
    this.#slotOf.set(value, slot);
  }

  delete(value: T): void {
    const slot = this.#slotOf.get(value);
    if (slot === undefined) return;
    this.#slotOf.delete(value);
    let before = this.#slots.get(slot.hash) ?? null;
    if (before === slot) {
      if (slot.next === null) this.#slots.delete(slot.hash);
      else this.#slots.set(slot.hash, slot.next);
      return;
    }
    while (before !== null && before.next !== slot) before = before.next;
    if (before !== null) before.next = slot.next;
  }
}

function hashOf({ bytes, addressesAt, addressBytes, sourcePort, destinationPort }: Transport, ssrc: number): number {
  let hash = Math.imul(ssrc ^ ((sourcePort << 16) | destinationPort), HASH_FACTOR);
  const end = addressesAt + 2 * addressBytes;
  for (let at = addressesAt; at < end; at += 1) hash = Math.imul(hash ^ (hash >>> 15) ^ (bytes[at] ?? 0), HASH_FACTOR);
  return hash;
}

function isKey(key: Uint8Array, packet: Transport, ssrc: number): boolean {
  const { bytes, addressesAt, addressBytes, sourcePort, destinationPort } = packet;
  const tail = 2 * addressBytes;
  if (key.length !== tail + PORTS_AND_SSRC_BYTES) return false;
  for (let at = 0; at < tail; at += 1) if (key[at] !== bytes[addressesAt + at]) return false;
  return wordAt(key, tail) === ((sourcePort << 16) | destinationPort) >>> 0 && wordAt(key, tail + 4) === ssrc;
}

function wordAt(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16);
  return (high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}
