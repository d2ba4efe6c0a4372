import type { ReplayPacket } from './stream-source.ts';

/** What is done to a stream's timing on the way out. */
export interface Conditions {
  /** 2 plays in half the time. */
  readonly speed: number;
  /** Of a hundred packets, so many are not sent. */
  readonly lossPercent: number;
  /** Each packet waits up to so long more, so packets may overtake each other. */
  readonly jitterMs: number;
  /** The same seed loses and delays the same packets. */
  readonly seed: number;
}

export interface Sending {
  /** After the first packet's time. */
  readonly dueMs: number;
  readonly packet: ReplayPacket;
}

export interface Schedule {
  /** In the order in which they go out. */
  readonly sendings: readonly Sending[];
  readonly lost: number;
}

export const SEED_MAX = 0xffff_ffff;

export function scheduleOf(packets: readonly ReplayPacket[], conditions: Conditions): Schedule {
  const { speed, lossPercent, jitterMs, seed } = conditions;
  const chance = chanceOf(seed);
  const sendings: Sending[] = [];
  for (const packet of packets) {
    // Both are drawn for each packet, so that the same packets are lost whatever the jitter.
    const isLost = chance() * 100 < lossPercent;
    const delayMs = chance() * jitterMs;
    if (!isLost) sendings.push({ dueMs: packet.atMs / speed + delayMs, packet });
  }
  sendings.sort((a, b) => a.dueMs - b.dueMs);
  return { sendings, lost: packets.length - sendings.length };
}

/** Numbers from 0 to below 1: a Weyl sequence whose bits are mixed (Murmur3's finalizer). */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
