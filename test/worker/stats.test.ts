import { describe, expect, it } from 'vitest';
import { STATS_LENGTH } from '../../src/worker/contract.ts';
import { readStats } from '../../src/worker/stats.ts';

/** Each number is its own place, so that one read at another place shows. */
const counted = () => Float64Array.from({ length: STATS_LENGTH }, (_, index) => index);

function withNumbers(places: Readonly<Record<number, number>>): Float64Array {
  const numbers = counted();
  for (const [place, number] of Object.entries(places)) numbers[Number(place)] = number;
  return numbers;
}

describe("a leg's figures from the engine", () => {
  it('are read in the order in which the addon writes them', () => {
    const stats = readStats(withNumbers({ 19: 1, 23: 1, 30: 1, 41: 4, 43: 0xc6336407 }), 3);
    expect(stats).toEqual({
      packetsReceived: 0,
      packetsSent: 1,
      packetsLost: 2,
      packetsLate: 3,
      packetsDuplicate: 4,
      packetsFromElsewhere: 5,
      packetsMalformed: 6,
      framesConcealed: 7,
      keysByEvent: 8,
      keysInband: 9,
      jitterMs: 0.011,
      roundTripMs: 0.012,
      eventsLost: 3,
      ticksLate: 13,
      ticksSkipped: 14,
      packetsUnauthentic: 15,
      packetsReplayed: 16,
      packetsUnprotected: 17,
      playoutDelayMs: 18,
      peer: { lossRatio: 20 / 256, packetsLost: 21, jitterMs: 0.022 },
      quality: {
        lossRatio: 24 / 256,
        discardRatio: 25 / 256,
        rFactor: 26,
        mosListening: 2.7,
        mosConversation: 2.8,
        endSystemDelayMs: 29,
      },
      peerQuality: {
        lossRatio: 31 / 256,
        discardRatio: 32 / 256,
        rFactor: 33,
        mosListening: 3.4,
        mosConversation: 3.5,
        endSystemDelayMs: 36,
      },
      bursts: { burstDensity: 37 / 256, gapDensity: 38 / 256, burstMs: 39, gapMs: 40 },
      remote: { address: '198.51.100.7', port: 42 },
    });
  });

  it('leave out what nobody has said or measured', () => {
    const unsaid = readStats(withNumbers({ 19: 0, 23: 0, 30: 0, 41: 0 }), 0);
    for (const name of ['peer', 'quality', 'bursts', 'peerQuality', 'remote']) expect(unsaid).not.toHaveProperty(name);
    const unrated = readStats(withNumbers({ 23: 1, 26: 127, 27: 127, 28: 127 }), 0);
    expect(unrated.quality).toEqual({ lossRatio: 24 / 256, discardRatio: 25 / 256, endSystemDelayMs: 29 });
  });

  it('write an IPv6 address the shortest way', () => {
    const { remote } = readStats(withNumbers({ 41: 6, 42: 4000, 43: 0x20010db8, 44: 0, 45: 0, 46: 1 }), 0);
    expect(remote).toEqual({ address: '2001:db8::1', port: 4000 });
  });
});
