import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { netemOf } from '../harness/netem.ts';
import { call } from '../harness/payer.ts';
import { TestServer } from '../harness/server.ts';

/*
 * A caller behind a bad network, seen through the API while the call is on: what the network did is known by its seed.
 */

const LOSS = 0.05;
/** Each packet late by 0 to so many milliseconds, evenly: below the time to the next, so none overtakes another. */
const JITTER_MS = 18;
/** Between two looks: some 300 packets. */
const LISTEN_MS = 6_000;
/** Packets on their way, or lost behind the last that came, when the API was asked. */
const ON_THEIR_WAY = 4;

interface LegSeen {
  readonly legId: string;
  readonly role: string;
  readonly agreed: Readonly<Record<string, unknown>>;
  readonly remote: { readonly address: string; readonly port: number };
  readonly received: {
    readonly packets: number;
    readonly lost: number;
    readonly duplicate: number;
    readonly jitterMs: number;
    readonly framesConcealed: number;
    readonly quality: { readonly lossRatio: number; readonly rFactor: number; readonly mosConversation: number } | null;
  };
  readonly sent: { readonly packets: number };
  readonly keys: { readonly event: number; readonly inband: number };
}

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start({ briefPrompts: true });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

describe('a call that loses packets', () => {
  it('shows its loss and jitter while it is on, and has its totals in the conversation afterwards', async (test) => {
    const netem = netemOf(test, { loss: LOSS, jitterMs: JITTER_MS }, systemClock);
    const reference = 'QUALITY-1';
    const phone = await call(server, { reference, amountMinor: 999, rtcpXr: true });
    phone.media.link = netem.link;
    const { conversations } = await server.json<{ conversations: { callId: string }[] }>(
      `/v1/conversations?reference=${reference}`,
    );
    const path = `/v1/calls/${conversations[0]?.callId}/media`;
    // What the network had done before it was asked and after it was answered: the leg's figures are of a moment between.
    const look = async () => {
      const before = netem.fates;
      const { legs } = await server.json<{ legs: readonly LegSeen[] }>(path);
      return { leg: legs[0] as LegSeen, legs: legs.length, before, after: netem.fates };
    };
    const first = await look();
    await phone.media.key('1', 'event');
    await phone.media.wait(LISTEN_MS);
    const { leg, legs, before, after } = await look();

    expect([legs, leg.role]).toEqual([1, 'caller']);
    expect(leg.agreed).toMatchObject({ codec: 'PCMU', direction: 'sendrecv', ptimeMs: 20, dtmf: 'auto', srtp: null });
    expect(leg.agreed).toMatchObject({ sendsVoipMetrics: true, payloadTypes: { receive: 0, receiveEvent: 101 } });
    expect(leg.remote).toEqual({ address: '127.0.0.1', port: phone.media.port });

    const isBetween = (value: number, which: 'sent' | 'lost') => {
      expect(value).toBeGreaterThanOrEqual(before[which] - first.after[which] - ON_THEIR_WAY);
      expect(value).toBeLessThanOrEqual(after[which] - first.before[which] + ON_THEIR_WAY);
    };
    const lost = leg.received.lost - first.leg.received.lost;
    expect(lost).toBeGreaterThan(0);
    isBetween(lost, 'lost');
    isBetween(leg.received.packets - first.leg.received.packets + lost, 'sent');
    // RFC 3550 A.8 nears the mean of |D|, which for delays spread evenly over J is J / 3, 6 ms here; a busy machine adds to it.
    expect(leg.received.jitterMs).toBeGreaterThan(JITTER_MS / 6);
    expect(leg.received.jitterMs).toBeLessThan(JITTER_MS);
    expect(leg.received.framesConcealed).toBeGreaterThan(0);
    expect(leg.received.duplicate).toBe(0);
    expect(leg.sent.packets).toBeGreaterThan(LISTEN_MS / 20 / 2);
    expect(leg.keys).toEqual({ event: 1, inband: 0 });
    // As of the last report, at most 7.5 s old.
    expect(leg.received.quality?.lossRatio).toBeGreaterThan(LOSS / 10);
    expect(leg.received.quality?.lossRatio).toBeLessThan(3 * LOSS);
    expect(leg.received.quality?.rFactor).toBeLessThan(93);
    expect(leg.received.quality?.mosConversation).toBeGreaterThan(1);

    await phone.hangUp();
    await server.until('the call is over', async () => (await server.get(path)).status === 404);
    expect((await server.get(path)).text).toContain('this call is over; what its legs came to is in');
    const conversation = await server.json<{ legs: readonly { figures: Readonly<Record<string, number>> }[] }>(
      `/v1/conversations/${conversations[0]?.callId}`,
    );
    expect(conversation.legs).toHaveLength(1);
    expect(conversation.legs[0]?.figures.packetsLost).toBeGreaterThanOrEqual(leg.received.lost);
    expect(conversation.legs[0]?.figures).toMatchObject({ role: 'caller' });
    const { text } = await server.get('/metrics');
    expect(text).toMatch(/^hushtone_leg_loss_ratio_count\{direction="received"\} 1$/m);
    expect(text).toMatch(/^hushtone_leg_mos_count\{direction="received"\} 1$/m);
    expect(text).toMatch(/^hushtone_keys_total\{path="event"\} 1$/m);
  }, 40_000);
});
