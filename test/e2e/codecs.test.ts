import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SAMPLE_RATE, toneOf } from '../../src/caller/tones.ts';
import { freeMediaPort } from '../harness/free-ports.ts';
import { CARDS, call, goodbye, paymentOf } from '../harness/payer.ts';
import { TestServer } from '../harness/server.ts';

/*
 * Callers whose phones speak G.722 and Opus. Tones come from baresip, whose codecs are not ours: it plays a file with the
 * whole card in it and hears no prompt. What is keyed too soon waits in the vault for its field; so the cards are of brands
 * whose numbers have one length.
 */

const BARESIP = '/usr/bin/baresip';
const MODULES = '/usr/lib/baresip/modules';
const KEY_MS = 80;
const GAP_MS = 80;
/** Before the first key, and between the fields. */
const LEAD_MS = 2_500;
const PAUSE_MS = 400;

const PROFILE = `
admit: { addresses: [127.0.0.0/8], callsMax: 20 }
media: { codecs: [OPUS, G722, PCMU], ptimeMs: 20, dtmf: auto }
callerId: from
context: { allow: [customer, amount, currency, reference, flow, identified], sources: [uri] }
result: { headers: true, userToUser: false }
transfer: { refer: false, waitMs: 1000, hosts: [] }
`;

/** The longest that there is. */
const JITTER_MS_MAX = 500;

let server: TestServer;
const phones: ChildProcess[] = [];
let calls = 0;

beforeAll(async () => {
  server = await TestServer.start({
    briefPrompts: true,
    // A phone that gets no CPU for a while sends late; within this limit late is not lost.
    config: { sip: { profiles: 'profiles' }, media: { jitterMsMax: JITTER_MS_MAX } },
    files: { 'profiles/wide.yaml': PROFILE },
  });
});

afterAll(async () => {
  for (const phone of phones) phone.kill();
  expect(await server.stop()).toBe(0);
});

/** All keys of a card as tones, at a rate of 8,000 times `scale`, in a RIFF file. */
function cardAsWav(fields: readonly string[], scale: number, channels: number): Buffer {
  const silence = (ms: number) => new Int16Array((ms * SAMPLE_RATE) / 1000);
  const parts: Int16Array[] = [silence(LEAD_MS)];
  for (const field of fields) {
    for (const key of field) parts.push(toneOf(key, KEY_MS), silence(GAP_MS));
    parts.push(silence(PAUSE_MS));
  }
  parts.push(silence(10_000));
  const narrow = parts.flatMap((part) => [...part]);
  const data = Buffer.alloc(narrow.length * scale * channels * 2);
  let at = 0;
  for (const [i, sample] of narrow.entries()) {
    // Straight lines between samples: their images are far above the keys, and the codec has the last word.
    const step = ((narrow[i + 1] ?? 0) - sample) / scale;
    for (let n = 0; n < scale; n += 1) {
      for (let c = 0; c < channels; c += 1) at = data.writeInt16LE(Math.round(sample + step * n), at);
    }
  }
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(SAMPLE_RATE * scale, 24);
  head.writeUInt32LE(SAMPLE_RATE * scale * channels * 2, 28);
  head.writeUInt16LE(channels * 2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/** Calls and plays the file; returns what it said, once the call is over. */
async function baresip(codec: 'opus' | 'G722', wav: Buffer, parameters: string): Promise<string> {
  const folder = join(server.folder, `baresip-${calls}`);
  mkdirSync(folder);
  const file = join(folder, 'card.wav');
  writeFileSync(file, wav);
  const port = await freeMediaPort();
  writeFileSync(
    join(folder, 'config'),
    [
      `sip_listen 127.0.0.1:${port}`,
      'net_interface 127.0.0.1',
      `module_path ${MODULES}`,
      ...['g722', 'opus', 'aufile', 'aubridge', 'uuid', 'account', 'menu'].map((name) => `module ${name}.so`),
      'audio_player aubridge,nobody',
      `audio_source aufile,${file}`,
      'audio_alert aubridge,nobody',
      `rtp_ports ${port + 2}-${port + 40}`,
    ].join('\n'),
  );
  writeFileSync(
    join(folder, 'accounts'),
    `<sip:caller@127.0.0.1>;regint=0;audio_codecs=${codec === 'opus' ? 'opus/48000/2' : 'G722/16000/1'}\n`,
  );
  writeFileSync(join(folder, 'contacts'), '');
  const dial = `/dial sip:pay@127.0.0.1:${server.ports.udp}${parameters}`;
  const phone = spawn(BARESIP, ['-f', folder, '-t', '25', '-e', dial], { stdio: ['ignore', 'pipe', 'pipe'] });
  phones.push(phone);
  let said = '';
  for (const stream of [phone.stdout, phone.stderr]) stream?.on('data', (bytes: Buffer) => (said += bytes.toString()));
  await server.until(
    'baresip says that the call has ended',
    async () => /session closed|terminated/i.test(said),
    25_000,
  );
  phone.kill();
  return said;
}

describe.concurrent('a phone with another codec', () => {
  it('pays by events of a clock of 48 kHz beside Opus', async () => {
    const card = CARDS.mastercard;
    const phone = await call(server, { reference: 'EVENTS-48', amountMinor: 999, opus: true });
    server.expectNoLeakOf(card);
    await phone.media.wait(LEAD_MS);
    await phone.media.key(card.pan + card.expiry + card.cvc, 'event');
    await goodbye(phone);
    expect(await paymentOf(server, 'EVENTS-48')).toMatchObject({ result: 'approved', last4: '5100' });
    expect(phone.media.packetsReceived).toBeGreaterThan(50);
  });

  it.skipIf(!existsSync(BARESIP)).for([
    { codec: 'G722', scale: 2, channels: 1, card: CARDS.mastercard },
    { codec: 'opus', scale: 6, channels: 2, card: CARDS.amex },
  ] as const)('pays by tones through $codec', async ({ codec, scale, channels, card }) => {
    server.expectNoLeakOf(card);
    calls += 1;
    const reference = `TONES-${codec}-${calls}`;
    const wav = cardAsWav([card.pan, card.expiry, card.cvc], scale, channels);
    const said = await baresip(codec, wav, `;reference=${reference};amount=4210`);
    expect(said).toMatch(new RegExp(`audio: Set audio encoder: ${codec}`, 'i'));
    const payment = await paymentOf(server, reference);
    expect(payment).toMatchObject({ result: 'approved', last4: card.pan.slice(-4) });
  });
});
