import { describe, expect, it } from 'vitest';
import { VirtualClock } from './clock.ts';
import { type Conditions, Netem } from './netem.ts';

const PACKETS = 20_000;
const PACKET_MS = 20;

interface Arrival {
  readonly number: number;
  readonly at: number;
}

/** What arrives of so many packets, one each 20 ms, in the order of arrival. */
async function send(conditions: Conditions, seed: number, count = PACKETS) {
  const clock = new VirtualClock(0);
  const netem = new Netem(conditions, clock, seed);
  const arrived: Arrival[] = [];
  for (let number = 0; number < count; number++) {
    netem.link(Uint8Array.of(number >> 8, number & 0xff), ([high = 0, low = 0]) =>
      arrived.push({ number: (high << 8) | low, at: clock.now() }),
    );
    if (conditions.jitterMs !== undefined || conditions.reorder !== undefined) await clock.advance(PACKET_MS);
  }
  await clock.advance(1_000);
  return { arrived, fates: netem.fates };
}

const numbers = (arrived: readonly Arrival[]) => arrived.map(({ number }) => number);

describe('a bad network', () => {
  it('does the same again with the same seed, and something else with another', async () => {
    const conditions = { loss: 0.1, duplicate: 0.1 };
    const one = await send(conditions, 7, 1_000);
    const again = await send(conditions, 7, 1_000);
    const other = await send(conditions, 8, 1_000);
    expect(numbers(one.arrived)).toEqual(numbers(again.arrived));
    expect(numbers(one.arrived)).not.toEqual(numbers(other.arrived));
  });

  it('changes nothing where nothing is asked of it', async () => {
    const { arrived } = await send({}, 1, 100);
    expect(numbers(arrived)).toEqual(Array.from({ length: 100 }, (_, number) => number));
  });

  it('loses and doubles the shares that it is told', async () => {
    const { arrived, fates } = await send({ loss: 0.1, duplicate: 0.05 }, 2);
    expect(fates.lost / PACKETS).toBeCloseTo(0.1, 2);
    expect(fates.duplicated / PACKETS).toBeCloseTo(0.9 * 0.05, 2);
    expect(arrived).toHaveLength(PACKETS - fates.lost + fates.duplicated);
  });

  it('loses in bursts of the length that Gilbert and Elliott say', async () => {
    const { arrived, fates } = await send({ bursts: { begin: 0.02, end: 0.5, loss: 1 } }, 3);
    // Bad for begin / (begin + end) of the time, and for 1 / end packets at a time.
    expect(fates.lost / PACKETS).toBeCloseTo(0.02 / 0.52, 2);
    const gaps = numbers(arrived).map((number, at, all) => number - (all[at - 1] ?? -1) - 1);
    const bursts = gaps.filter((gap) => gap > 0);
    expect(fates.lost / bursts.length).toBeGreaterThan(1.8);
    expect(fates.lost / bursts.length).toBeLessThan(2.2);
  });

  it('holds packets back so that others overtake them', async () => {
    const { arrived, fates } = await send({ reorder: 0.1, reorderMs: 50 }, 4, 1_000);
    const overtaken = arrived.filter(({ number }, at) => (arrived[at - 1]?.number ?? -1) > number);
    expect(overtaken.length).toBeGreaterThan(fates.heldBack / 2);
    expect(arrived.every(({ number, at }) => at === number * PACKET_MS || at === number * PACKET_MS + 50)).toBe(true);
  });

  it('makes packets late by less than the jitter', async () => {
    const { arrived } = await send({ jitterMs: 15 }, 5, 1_000);
    const late = arrived.map(({ number, at }) => at - number * PACKET_MS);
    expect(Math.max(...late)).toBeLessThan(15);
    expect(Math.max(...late) - Math.min(...late)).toBeGreaterThan(10);
  });
});
