import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/app/ports.ts';
import { RtpPhone } from '../../src/caller/rtp-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import { clientOf, forkWorker, PacketPhone, plainMedia, until } from '../harness/media.ts';
import { canScan, scanMemory } from '../harness/memory-scan.ts';
import { watchCard } from '../harness/process-watch.ts';

/*
 * A worker process, driven as control drives it, and read as an intruder would read it: while the card is keyed its
 * number lies in locked memory only, and after the payment nowhere. Gateways are processes of their own, for they are
 * outsiders who may keep what they are sent.
 */

const PAN = '4000056655665556';
const TEMPLATE = '{"number":"{{pan}}","month":"{{expiry|month2}}","year":"{{expiry|year4}}","cvv":"{{cvc}}"}';
const FILLED = `{"number":"${PAN}","month":"12","year":"2031","cvv":"737"}`;
const SIGNS = {
  plain: { kind: 'hmac-sha256', encoding: 'hex', secret: 'between gateway and worker' },
  tls: { kind: 'sha256', encoding: 'base64', secret: null },
} as const;
const SIGNATURES = {
  plain: createHmac('sha256', SIGNS.plain.secret).update(FILLED).digest('hex'),
  tls: createHash('sha256').update(FILLED).digest('base64'),
} as const;
const PORT_FIRST = 17_500;
/** Runs of so many digits count as a leak. */
const FIELD_RUN_MIN = 8;
/** A scan reads 150 MB; six of them on a machine that is busy otherwise. */
const TEST_MS_MAX = 90_000;

interface Gateway {
  readonly process: ChildProcess;
  readonly url: string;
  received: string;
  signature: string;
}

const folder = mkdtempSync(join(tmpdir(), 'hushtone-memory-'));
const gateways = new Map<'plain' | 'tls', Gateway>();
let worker: ChildProcess;
let client: MediaClient;
let phone: PacketPhone;

const GATEWAY = new URL('./gateway-process.ts', import.meta.url);

async function startGateway(kind: 'plain' | 'tls'): Promise<Gateway> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  const child = fork(GATEWAY, kind === 'tls' ? [cert, key] : [], { stdio: [...stdio], execArgv: [] });
  const gateway = { process: child, url: '', received: '', signature: '' };
  child.on('message', (message: { port?: number; received?: string; signature?: string }) => {
    if (message.port !== undefined)
      gateway.url = `${kind === 'tls' ? 'https' : 'http'}://127.0.0.1:${message.port}/pay`;
    if (message.signature !== undefined) gateway.signature = message.signature;
    if (message.received !== undefined) gateway.received = message.received;
  });
  await until(() => gateway.url !== '');
  return gateway;
}

beforeAll(async () => {
  watchCard({ pan: PAN, expiry: '1231', cvc: '737' });
  const subject = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files], {
    stdio: 'ignore',
  });
  gateways.set('plain', await startGateway('plain'));
  gateways.set('tls', await startGateway('tls'));
  const destinations = [...gateways].map(([kind, { url }]) => ({
    host: '127.0.0.1',
    port: Number(new URL(url).port),
    tls: kind === 'tls',
    caFile: kind === 'tls' ? join(folder, 'cert.pem') : null,
    sign: { header: 'X-Signature', prefix: '', suffix: '', ...SIGNS[kind] },
  }));
  const socketPath = join(folder, 'worker.sock');
  worker = forkWorker(socketPath, PORT_FIRST, destinations);
  client = await clientOf(socketPath);
  phone = await PacketPhone.open();
}, 60_000);

afterAll(() => {
  client?.close();
  phone?.close();
  worker?.kill();
  for (const gateway of gateways.values()) gateway.process.kill();
});

const media = () => plainMedia(phone.port);

/** Keys a card into a new call of this name; the payment is left open. */
async function keyCard(name: string): Promise<void> {
  const ids = { callId: `ca_${name}`, legId: `le_${name}`, paymentId: `pa_${name}` };
  const events: MediaEvent[] = [];
  const local = await client.openLeg({ ...ids, media: media() });
  client.listen(ids.callId, (event) => events.push(event));
  await client.beginPayment(ids.callId, ids.paymentId, ids.legId);
  const fields = [
    ['pan', 12, 19, `${PAN}#`],
    ['expiry', 4, 4, '1231'],
    ['cvc', 3, 3, '737'],
  ] as const;
  for (const [field, lengthMin, lengthMax, keys] of fields) {
    await client.openField(ids.paymentId, { field, lengthMin, lengthMax, brands: ['visa'] });
    for (const key of keys) phone.press(local.port, key);
    await until(() => events.some((event) => event.kind === 'fieldEnded' && event.field === field));
  }
}

const pid = () => worker.pid ?? 0;

describe('the memory of a worker', () => {
  it(
    'holds a number that is being keyed in locked memory only',
    async (test) => {
      if (!canScan(pid())) return test.skip('the memory of other processes cannot be read: root is needed');
      await keyCard('entry');
      const hits = scanMemory(pid(), PAN, FIELD_RUN_MIN);
      expect(hits.length).toBeGreaterThan(0);
      expect(hits.filter(({ region }) => !region.endsWith('(locked)'))).toEqual([]);
      await client.endPayment('pa_entry');
      expect(scanMemory(pid(), PAN, FIELD_RUN_MIN)).toEqual([]);
      await client.closeLeg('le_entry');
    },
    TEST_MS_MAX,
  );

  for (const kind of ['plain', 'tls'] as const) {
    it(
      `holds nothing after a payment through a ${kind} gateway that says everything back`,
      async (test) => {
        if (!canScan(pid())) return test.skip('the memory of other processes cannot be read: root is needed');
        const gateway = gateways.get(kind) as Gateway;
        await keyCard(kind);
        const answer = await client.send(`pa_${kind}`, {
          method: 'POST',
          url: gateway.url,
          headers: {},
          body: { format: 'json', template: TEMPLATE },
          timeoutMs: 5000,
        });
        expect(answer).toMatchObject({ kind: 'answered', status: 200 });
        await until(() => gateway.received !== '');
        expect(gateway.received).toBe(FILLED);
        expect(gateway.signature).toBe(SIGNATURES[kind]);
        const text = JSON.stringify(answer);
        expect(text).not.toContain(SIGNATURES[kind]);
        expect(text).toContain('ch_17');
        for (const part of [
          PAN,
          PAN.slice(0, 8),
          PAN.slice(-8),
          '"737"',
          '737',
          Buffer.from(PAN.slice(2, 11)).toString('base64'),
        ]) {
          expect(text).not.toContain(part);
        }
        // While the payment is open the vault still holds it, nobody else does.
        expect(scanMemory(pid(), PAN, FIELD_RUN_MIN).filter(({ region }) => !region.endsWith('(locked)'))).toEqual([]);
        await client.endPayment(`pa_${kind}`);
        expect(scanMemory(pid(), PAN, FIELD_RUN_MIN)).toEqual([]);
        await client.closeLeg(`le_${kind}`);
      },
      TEST_MS_MAX,
    );
  }

  it(
    'holds nothing after a caller hung up in the middle',
    async (test) => {
      if (!canScan(pid())) return test.skip('the memory of other processes cannot be read: root is needed');
      await keyCard('gone');
      await client.closeLeg('le_gone');
      expect(scanMemory(pid(), PAN, FIELD_RUN_MIN)).toEqual([]);
    },
    TEST_MS_MAX,
  );

  it(
    'holds nothing after a number was keyed as tones',
    async (test) => {
      if (!canScan(pid())) return test.skip('the memory of other processes cannot be read: root is needed');
      const tones = await RtpPhone.open(systemClock);
      const events: MediaEvent[] = [];
      client.listen('ca_tones', (event) => events.push(event));
      const heard = { ...media(), remotePort: tones.port, dtmf: 'inband' as const };
      const local = await client.openLeg({ callId: 'ca_tones', legId: 'le_tones', media: heard });
      await client.beginPayment('ca_tones', 'pa_tones', 'le_tones');
      await client.openField('pa_tones', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
      tones.talkTo({ ...local, eventPayloadType: 101 });
      await tones.key(`${PAN}#`, 'inband');
      await until(() => events.some((event) => event.kind === 'fieldEnded'));
      expect(events.at(-1)).toMatchObject({ facts: { length: 16, luhnOk: true, last4: PAN.slice(-4) } });
      expect(scanMemory(pid(), PAN, FIELD_RUN_MIN).filter(({ region }) => !region.endsWith('(locked)'))).toEqual([]);
      await client.endPayment('pa_tones');
      expect(scanMemory(pid(), PAN, FIELD_RUN_MIN)).toEqual([]);
      await client.closeLeg('le_tones');
      tones.close();
    },
    TEST_MS_MAX,
  );

  it(
    'holds nothing after control went away in the middle',
    async (test) => {
      if (!canScan(pid())) return test.skip('the memory of other processes cannot be read: root is needed');
      await keyCard('orphan');
      client.close();
      await until(() => scanMemory(pid(), PAN, FIELD_RUN_MIN).length === 0);
    },
    TEST_MS_MAX,
  );
});
