import { randomInt } from 'node:crypto';
import type { Link } from '../../src/caller/rtp-phone.ts';
import type { Clock } from '../../src/lib/clock.ts';

/*
 * A bad network between a simulated caller and the server, after str0m's netem: every fate is drawn from a seed, so what
 * a test met can be met again. A run takes a seed of its own unless HUSHTONE_SEED gives one; a failure prints it.
 */

export interface Conditions {
  /** 0 to 1: packets lost, each by itself. */
  readonly loss?: number;
  /** Losses that come together: the two states of Gilbert and Elliott, in the second of which packets are lost. */
  readonly bursts?: {
    /** Chance of each packet to be the first of a bad stretch, and of a bad stretch to end with each packet. */
    readonly begin: number;
    readonly end: number;
    /** Share of packets lost in it. */
    readonly loss: number;
  };
  /** 0 to 1: packets that arrive twice. */
  readonly duplicate?: number;
  /** 0 to 1: packets held back for `reorderMs`, so that later ones overtake them. */
  readonly reorder?: number;
  readonly reorderMs?: number;
  /** Each packet is late by 0 to so many milliseconds, evenly; beyond 20 they overtake each other. */
  readonly jitterMs?: number;
}

export interface Fates {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly heldBack: number;
}

/** Three frames of 20 ms: two packets overtake. */
const REORDER_MS = 50;
const SEED_MAX = 2 ** 32;

export class Netem {
  readonly seed: number;
  readonly #conditions: Conditions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #isBad = false;
  #fates = { sent: 0, lost: 0, duplicated: 0, heldBack: 0 };

  constructor(conditions: Conditions, clock: Clock, seed: number) {
    this.seed = seed;
    this.#conditions = conditions;
    this.#clock = clock;
    this.#random = mulberry32(seed);
  }

  get fates(): Fates {
    return { ...this.#fates };
  }

  readonly link: Link = (packet, send) => {
    const { duplicate = 0, reorder = 0, reorderMs = REORDER_MS, jitterMs = 0 } = this.#conditions;
    this.#fates.sent += 1;
    // Every packet draws as often, whatever befalls it: one that is lost does not change what befalls the next.
    const [isLost, isTwice, isHeld] = [this.#isLost(), this.#random() < duplicate, this.#random() < reorder];
    const lateMs = (isHeld ? reorderMs : 0) + this.#random() * jitterMs;
    if (isLost) {
      this.#fates.lost += 1;
      return;
    }
    if (isTwice) this.#fates.duplicated += 1;
    if (isHeld) this.#fates.heldBack += 1;
    for (let copy = 0; copy <= (isTwice ? 1 : 0); copy++) {
      if (lateMs === 0) send(packet);
      else this.#clock.startTimer(lateMs, () => send(packet));
    }
  };

  #isLost(): boolean {
    const { loss = 0, bursts } = this.#conditions;
    const [turn, inBurst, alone] = [this.#random(), this.#random(), this.#random()];
    if (bursts === undefined) return alone < loss;
    this.#isBad = this.#isBad ? turn >= bursts.end : turn < bursts.begin;
    return this.#isBad ? inBurst < bursts.loss : alone < loss;
  }
}

/** The network of one test: the seed is printed where the test fails. */
export function netemOf(
  { onTestFailed }: { onTestFailed: (run: () => void) => void },
  conditions: Conditions,
  clock: Clock,
): Netem {
  const given = process.env.HUSHTONE_SEED;
  const netem = new Netem(conditions, clock, given === undefined ? randomInt(SEED_MAX - 1) : Number(given));
  onTestFailed(() => {
    const { sent, lost, duplicated, heldBack } = netem.fates;
    const what = `${sent} packets, ${lost} lost, ${duplicated} twice, ${heldBack} held back`;
    process.stderr.write(`the network of this test: ${what}; again with HUSHTONE_SEED=${netem.seed}\n`);
  });
  return netem;
}

/** 32 bits of state, even and fast: enough for fates of packets, not for secrets. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / SEED_MAX;
  };
}
