import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/app/ports.ts';
import { RtpPhone } from '../../src/caller/rtp-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import { EVENT } from '../../src/worker/contract.ts';
import { loadAddon } from '../../src/worker/engine.ts';
import type { Worker } from '../../src/worker/process.ts';
import { clientOf, PacketPhone, plainMedia, until, workerHere, workerSocket } from '../harness/media.ts';
import { speech } from '../harness/speech.ts';

/*
 * Control's client, the protocol, a worker and the native engine together, over a real Unix socket and real RTP.
 */

const PORT_FIRST = 17_400;
const PORTS = 100;
/** 15 dB below each tone of a key, which the simulated caller sends at -10 dBm0; longer than the keying takes. */
const SPEECH_DBM0 = -25;
const SPEECH_MS = 10_000;
let worker: Worker;
let client: MediaClient;
let packetPhone: PacketPhone;
let phone: PacketPhone['socket'];

beforeAll(async () => {
  const socketPath = workerSocket();
  worker = await workerHere(socketPath, PORT_FIRST, PORTS);
  client = await clientOf(socketPath);
  packetPhone = await PacketPhone.open();
  phone = packetPhone.socket;
});

afterAll(async () => {
  client?.close();
  await worker?.close();
  packetPhone?.close();
});

const media = () => plainMedia(packetPhone.port);
const press = (port: number, key: string) => packetPhone.press(port, key);
const NOWHERE = { remoteAddress: '0.0.0.0', direction: 'inactive' } as const;

describe('a worker and its client', () => {
  it('agree with native code on the event record', () => {
    expect(loadAddon().eventLayout()).toEqual(Object.values(EVENT));
  });

  it('know whether the media thread moves, which sleeps while there is no leg', async () => {
    worker.isMoving();
    await until(() => worker.isMoving());
    await client.openLeg({ callId: 'ca_moves', legId: 'le_moves', media: media() });
    await until(() => worker.isMoving());
    await client.closeLeg('le_moves');
    await until(() => worker.isMoving());
  });

  it('collect a card number blindly: length, brand, Luhn and last four are told, the digits are not', async () => {
    const events: MediaEvent[] = [];
    const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media() });
    expect(local.port).toBeGreaterThanOrEqual(PORT_FIRST);
    client.listen('ca_1', (event) => events.push(event));
    await client.beginPayment('ca_1', 'pa_1', 'le_1');
    await client.openField('pa_1', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
    for (const key of '4242424242424242#') press(local.port, key);
    await until(() => events.some((event) => event.kind === 'fieldEnded'));
    const ended = events.find((event) => event.kind === 'fieldEnded');
    expect(ended).toMatchObject({
      field: 'pan',
      by: 'hash',
      facts: { length: 16, luhnOk: true, last4: '4242', brands: ['visa'], cvcLength: 3 },
    });
    expect(events.filter((event) => event.kind === 'fieldKey')).toHaveLength(17);
    // Before the end nothing but the count; then the last four, with the hash and with the end.
    expect(JSON.stringify(events.slice(0, -2))).not.toContain('4242');
    expect(JSON.stringify(events)).not.toContain('42424');

    await client.readBack('pa_1', { playId: 'pl_1', field: 'pan', style: 'lastFour', locale: 'en-US' });
    await until(() => events.some((event) => event.kind === 'playEnded' && event.playId === 'pl_1'));

    await client.endPayment('pa_1');
    await client.endPayment('pa_1');
    await client.openKeys('le_1', { allowed: '12', lengthMax: 1 });
    press(local.port, '2');
    await until(() => events.some((event) => event.kind === 'openKey'));
    expect(events.at(-1)).toEqual({ kind: 'openKey', key: '2' });

    const stats = await client.closeLeg('le_1');
    expect(stats).toMatchObject({ keysByEvent: 18, packetsFromElsewhere: 0 });
    expect(stats.packetsSent).toBeGreaterThan(50);
  });

  it('hear every key of a number in tones with speech behind all of them, each once', async () => {
    const keys = '371449635398431#';
    const tones = await RtpPhone.open(systemClock);
    const events: MediaEvent[] = [];
    client.listen('ca_7', (event) => events.push(event));
    const order = { callId: 'ca_7', legId: 'le_7', media: { ...media(), remotePort: tones.port } };
    const local = await client.openLeg(order);
    await client.beginPayment('ca_7', 'pa_7', 'le_7');
    await client.openField('pa_7', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['amex', 'visa'] });
    tones.talkTo({ ...local, eventPayloadType: 101 });
    tones.say(speech(SPEECH_MS, SPEECH_DBM0));
    await tones.key(keys, 'inband');
    // An American Express number of 15 digits ends by itself; the hash is one key more.
    await until(() => events.filter((event) => event.kind === 'fieldKey').length >= keys.length);
    expect(events.find((event) => event.kind === 'fieldEnded')).toMatchObject({
      facts: { length: 15, luhnOk: true, last4: '8431', brands: ['amex'] },
    });
    await client.endPayment('pa_7');
    expect(await client.closeLeg('le_7')).toMatchObject({ keysInband: keys.length, keysByEvent: 0 });
    tones.close();
  }, 30_000);

  it.each([
    ['of a call without an offer', () => ({ ...media(), ...NOWHERE, remotePort: media().remotePort })],
    ['of a target that is dialed', () => null],
  ])('play to a leg %s once its media are known, and nowhere before', async (_, before) => {
    let heard = 0;
    const count = () => {
      heard += 1;
    };
    await client.openLeg({ callId: 'ca_5', legId: 'le_5', media: before() });
    phone.on('message', count);
    try {
      await new Promise((resolve) => systemClock.startTimer(200, () => resolve(null)));
      expect(heard).toBe(0);
      await client.updateLeg('le_5', media());
      await until(() => heard > 5);
    } finally {
      phone.off('message', count);
    }
    await client.closeLeg('le_5');
  });

  it("send control's own keys as events and as tones, and say when they are out", async () => {
    const order = { keys: '1#D', levelDbm0: -10, twistDb: 2, durationMs: 60, gapMs: 60 } as const;
    const events: MediaEvent[] = [];
    const packets: Buffer[] = [];
    const hear = (packet: Buffer) => packets.push(packet);
    phone.on('message', hear);
    await client.openLeg({ callId: 'ca_keys', legId: 'le_keys', media: media() });
    client.listen('ca_keys', (event) => events.push(event));
    const sent = () => events.filter((event) => event.kind === 'keysSent').length;

    await client.sendKeys('le_keys', { ...order, mode: 'event' });
    await expect(client.sendKeys('le_keys', { ...order, mode: 'event' })).rejects.toMatchObject({
      code: 'CALL_LIMIT_REACHED',
    });
    await until(() => sent() === 1);
    const first = packets.filter((packet) => packet[1] === (0x80 | 101));
    expect(first.map((packet) => packet[12])).toEqual([1, 11, 15]);
    const last = packets.filter((packet) => packet[1] === 101 && ((packet[13] ?? 0) & 0x80) !== 0);
    expect(new Set(last.map((packet) => packet.readUInt16BE(14)))).toEqual(new Set([480]));

    packets.length = 0;
    await client.sendKeys('le_keys', { ...order, mode: 'inband' });
    await until(() => sent() === 2);
    phone.off('message', hear);
    const loud = packets.filter((packet) => packet.subarray(12).some((code) => code !== 0xff)).length;
    // 60 ms of tone each, which may lie across four packets.
    expect(loud).toBeGreaterThanOrEqual(9);
    expect(loud).toBeLessThanOrEqual(12);
    expect(packets.some((packet) => (packet[1] ?? 0) % 128 === 101)).toBe(false);

    for (const wrong of [{ keys: '' }, { keys: '1E' }, { levelDbm0: 0 }, { durationMs: 5 }, { gapMs: 70_000 }]) {
      const refused = client.sendKeys('le_keys', { ...order, mode: 'event', ...wrong });
      await expect(refused).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    }
    // Who pays would hear them as his own.
    await client.beginPayment('ca_keys', 'pa_keys', 'le_keys');
    await expect(client.sendKeys('le_keys', { ...order, mode: 'inband' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await client.closeLeg('le_keys');
  });

  it('change the codec of a leg, back and forth', async () => {
    const wide = {
      ...media(),
      codec: 'OPUS',
      sendPayloadType: 96,
      receivePayloadType: 96,
      eventClockRate: 48_000,
    } as const;
    await client.openLeg({ callId: 'ca_codec', legId: 'le_codec', media: wide });
    const heard = new Set<number>();
    const hear = (packet: Buffer) => heard.add((packet[1] ?? 0) & 0x7f);
    phone.on('message', hear);
    await until(() => heard.has(96));
    for (const [codec, payloadType] of [
      ['G722', 9],
      ['PCMA', 8],
      ['OPUS', 97],
      ['PCMU', 0],
    ] as const) {
      const changed = { ...media(), codec, sendPayloadType: payloadType, receivePayloadType: payloadType };
      await client.updateLeg('le_codec', changed);
      await until(() => heard.has(payloadType));
    }
    phone.off('message', hear);
    const fast = { ...wide, ptimeMs: 30 };
    await expect(client.updateLeg('le_codec', fast)).rejects.toMatchObject({ code: 'INTERNAL' });
    await client.closeLeg('le_codec');
  });

  it('refuse what is not there, with a code', async () => {
    await client.openLeg({ callId: 'ca_2', legId: 'le_2', media: media() });
    await expect(client.play('le_2', { playId: 'pl_2', recordings: ['no-such'], bargeIn: true })).rejects.toMatchObject(
      {
        code: 'PROMPT_MISSING',
      },
    );
    await client.beginPayment('ca_2', 'pa_2', 'le_2');
    await expect(client.beginPayment('ca_2', 'pa_3', 'le_2')).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(client.closeField('pa_9')).rejects.toMatchObject({ code: 'PAYMENT_NOT_FOUND' });
    expect(
      await client.send(null, { method: 'GET', url: 'http://127.0.0.1/', headers: {}, body: null, timeoutMs: 100 }),
    ).toEqual({
      kind: 'notSent',
      reason: 'no egress here',
    });
    await client.closeLeg('le_2');
    await expect(client.stopPlay('le_2')).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  });

  it('give every call ports of its own until there are none', async () => {
    const legs = Array.from({ length: 50 }, (_, i) => ({ callId: `ca_p${i}`, legId: `le_p${i}` }));
    const ports = await Promise.all(legs.map(async (ids) => (await client.openLeg({ ...ids, media: media() })).port));
    expect(new Set(ports).size).toBe(50);
    await expect(client.openLeg({ callId: 'ca_px', legId: 'le_px', media: media() })).rejects.toMatchObject({
      code: 'RTP_PORTS_EXHAUSTED',
    });
    for (const { legId } of legs) await client.closeLeg(legId);
    expect((await client.openLeg({ callId: 'ca_py', legId: 'le_py', media: media() })).port).toBeGreaterThan(0);
    await client.closeLeg('le_py');
  });
});
