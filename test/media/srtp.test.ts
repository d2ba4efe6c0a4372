import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MediaEvent, NegotiatedMedia, SrtpSuite } from '../../src/app/ports.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import type { MediaClient } from '../../src/media/client.ts';
import { SRTP_SUITES } from '../../src/worker/contract.ts';
import {
  clientOf,
  forkWorker,
  kill as killChild,
  PacketPhone,
  plainMedia,
  until,
  workerSocket,
} from '../harness/media.ts';
import { SrtpDirection } from '../harness/srtp-peer.ts';

/*
 * A telephone that speaks SRTP as the RFCs have it, by Node's crypto, against a worker that does it by libsrtp2; and a worker
 * that is killed in the middle of it.
 */

const PORT_FIRST = 17_900;
const TEST_MS_MAX = 60_000;

interface Keys {
  readonly suite: SrtpSuite;
  readonly servers: Buffer;
  readonly phones: Buffer;
}

let socketPath = '';
let worker: ChildProcess;
let client: MediaClient;

const start = () => forkWorker(socketPath, PORT_FIRST);
const kill = () => killChild(worker);

/** Counts its packets from `sequence`; a wrap is a new roll-over counter. */
class SecurePhone {
  readonly heard: Buffer[] = [];
  readonly #phone: PacketPhone;

  private constructor(phone: PacketPhone) {
    this.#phone = phone;
    phone.socket.on('message', (packet) => this.heard.push(packet));
  }

  static async open(sequence: number): Promise<SecurePhone> {
    return new SecurePhone(await PacketPhone.open(sequence));
  }

  get socket() {
    return this.#phone.socket;
  }

  get port(): number {
    return this.#phone.port;
  }

  press(port: number, key: string, direction: SrtpDirection): Buffer[] {
    return this.#phone.press(port, key, (packet, rollOver) => direction.protectRtp(packet, rollOver));
  }
}

function makeKeys(suite: SrtpSuite): Keys {
  const bytes = SRTP_SUITES.find(({ name }) => name === suite)?.keyBytes ?? 0;
  return { suite, servers: randomBytes(bytes), phones: randomBytes(bytes) };
}

function media(phone: SecurePhone, { suite, servers, phones }: Keys): NegotiatedMedia {
  const key = (bytes: Buffer) => new Sensitive('SRTP key', new Uint8Array(bytes));
  return plainMedia(phone.port, { security: { suite, sendKey: key(servers), receiveKey: key(phones) } });
}

beforeEach(async () => {
  socketPath = workerSocket();
  worker = start();
  client = await clientOf(socketPath);
}, TEST_MS_MAX);

afterEach(async () => {
  client.close();
  await kill();
});

const ssrcOf = (packet: Buffer) => packet.readUInt32BE(8);

describe('a leg with SRTP', () => {
  it.each(SRTP_SUITES.slice(1).map(({ name }) => name as SrtpSuite))(
    'hears and is heard by %s, and nothing passes in clear or twice',
    async (suite) => {
      const keys = makeKeys(suite);
      const [servers, phones] = [new SrtpDirection(suite, keys.servers), new SrtpDirection(suite, keys.phones)];
      const phone = await SecurePhone.open(65_530);
      const pressed: string[] = [];
      client.listen('ca_1', (event) => {
        if (event.kind === 'openKey') pressed.push(event.key);
      });
      const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media(phone, keys) });
      await client.openKeys('le_1', { allowed: '0123456789', lengthMax: 30 });

      // Across the wrap of the sequence number.
      let recorded: Buffer[] = [];
      for (const key of '12345678') recorded = phone.press(local.port, key, phones);
      await until(() => pressed.length === 8);
      expect(pressed.join('')).toBe('12345678');

      await until(() => phone.heard.length >= 10);
      const opened = phone.heard.map((packet) => servers.openRtp(packet, 0));
      expect(opened.every((packet) => packet?.length === 12 + 160)).toBe(true);
      expect(phone.heard.every((packet) => packet.subarray(12, 172).equals(Buffer.alloc(160, 0xff)))).toBe(false);

      // The same again, and a key in clear.
      for (const packet of recorded) phone.socket.send(packet, local.port, '127.0.0.1');
      const clear = Buffer.from('8065000500002710706f686e098a0320', 'hex');
      phone.socket.send(clear, local.port, '127.0.0.1');
      phone.press(local.port, '9', phones);
      await until(() => pressed.length === 9);
      expect(pressed.join('')).toBe('123456789');
      const stats = await client.closeLeg('le_1');
      expect(stats).toMatchObject({ packetsReplayed: 2, packetsUnauthentic: 1, packetsUnprotected: 0, keysByEvent: 9 });
      phone.socket.close();
    },
    TEST_MS_MAX,
  );

  it(
    'goes on when its worker dies: never by a key and SSRC that were used, and hears a peer whose sequence has wrapped',
    async () => {
      const suite = 'AES_CM_128_HMAC_SHA1_80';
      const keys = makeKeys(suite);
      const phones = new SrtpDirection(suite, keys.phones);
      const phone = await SecurePhone.open(65_532);
      const events: MediaEvent[] = [];
      const pressed = () => events.flatMap((event) => (event.kind === 'openKey' ? [event.key] : [])).join('');
      client.listen('ca_1', (event) => events.push(event));
      const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media(phone, keys) });
      await client.openKeys('le_1', { allowed: '0123456789', lengthMax: 30 });
      for (const key of '1234') phone.press(local.port, key, phones);
      await until(() => pressed() === '1234' && phone.heard.length >= 5);

      await kill();
      const before = phone.heard.splice(0);
      worker = start();
      await until(() => events.some((event) => event.kind === 'legRecreated'));
      await client.openKeys('le_1', { allowed: '0123456789', lengthMax: 30 });
      // The phone's roll-over counter is 1; the new worker was told nothing but how old the call is.
      phone.press(local.port, '5', phones);
      await until(() => pressed() === '12345' && phone.heard.length >= 5);
      const underOldKey = phone.heard.splice(0);
      const old = new SrtpDirection(suite, keys.servers);
      expect([...before, ...underOldKey].every((packet) => old.openRtp(packet, 0) !== null)).toBe(true);
      expect(new Set(before.map(ssrcOf)).size).toBe(1);
      expect(new Set(underOldKey.map(ssrcOf)).size).toBe(1);
      expect(ssrcOf(underOldKey[0] as Buffer)).not.toBe(ssrcOf(before[0] as Buffer));

      // What the re-INVITE brings: a new key of ours and one of the phone's.
      const next = makeKeys(suite);
      await client.updateLeg('le_1', media(phone, next));
      phone.heard.splice(0);
      phone.press(local.port, '6', new SrtpDirection(suite, next.phones));
      await until(() => pressed() === '123456' && phone.heard.length >= 5);
      // A packet that was on its way when the key changed may come first.
      const underNewKey = phone.heard.slice(1);
      const fresh = new SrtpDirection(suite, next.servers);
      expect(underNewKey.every((packet) => fresh.openRtp(packet, 0) !== null)).toBe(true);
      expect(new Set([...before, ...underOldKey, ...underNewKey].map(ssrcOf)).size).toBe(3);
      phone.socket.close();
    },
    TEST_MS_MAX,
  );

  it(
    'is refused, and never becomes plain, where its keys do not fit their suite',
    async () => {
      const phone = await SecurePhone.open(1);
      const keys = { ...makeKeys('AES_CM_128_HMAC_SHA1_80'), suite: 'AEAD_AES_256_GCM' } as const;
      const opening = client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media(phone, keys) });
      await expect(opening).rejects.toMatchObject({ code: 'INTERNAL' });
      phone.socket.close();
    },
    TEST_MS_MAX,
  );
});
