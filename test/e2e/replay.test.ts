import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWav } from '../../src/lib/wav.ts';
import { keyedCall } from '../data/calls.ts';
import { pcapFile } from '../data/packets.ts';
import { CARDS, paymentOf } from '../harness/payer.ts';
import { TestServer } from '../harness/server.ts';

/* `hushtone replay` as a person runs it, against a whole server: SIP over UDP and WebSocket, RTP, the sandbox gateway. */

const HUSHTONE = join(import.meta.dirname, '../../src/cli/hushtone.js');
const REPLAY_MS_MAX = 80_000;
/** Between two prompts of the quick flow, on a busy machine. */
const CALL = { panAtMs: 2_000, expiryAtMs: 9_000, cvcAtMs: 14_000, lengthMs: 22_000 };

let server: TestServer;
/** Not below the server's, which the leak watch looks through: the capture has the card in it. */
const folder = mkdtempSync(join(tmpdir(), 'hushtone-replay-'));
const capture = join(folder, 'call.pcap');

beforeAll(async () => {
  server = await TestServer.start();
  const { pan, expiry, cvc } = CARDS.visa;
  const keys = [
    { atMs: CALL.panAtMs, digits: `${pan}#` },
    { atMs: CALL.expiryAtMs, digits: expiry },
    { atMs: CALL.cvcAtMs, digits: cvc },
  ];
  writeFileSync(capture, pcapFile(keyedCall(keys, CALL.lengthMs)));
  server.expectNoLeakOf(CARDS.visa);
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  expect(await server.stop()).toBe(0);
});

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function replay(...argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [HUSHTONE, 'replay', ...argv],
      { timeout: REPLAY_MS_MAX },
      (_, stdout, stderr) => resolve({ status: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe.concurrent('a capture that is played into a call', () => {
  it('pays over UDP, and what came back is heard and recorded', async () => {
    const record = join(folder, 'heard.wav');
    const to = `sip:pay@127.0.0.1:${server.ports.udp};amount=4210;currency=USD;reference=REPLAY-UDP`;
    const { status, stdout, stderr } = await replay(capture, '--to', to, '--record', record);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^seed \d+$/m);
    expect(stdout).toMatch(/^answered: PCMU as 0, telephone-event as 101; media at 127\.0\.0\.1:\d+$/m);
    expect(stdout).toMatch(
      /^heard \d{3,} packets \(\d{3,} PCMU\), \d+ lost, the first after \d+ ms, jitter [\d.]+ ms$/m,
    );
    const payment = await paymentOf(server, 'REPLAY-UDP');
    expect(payment).toMatchObject({ result: 'approved', brand: 'visa', last4: '1111', amountMinor: 4210 });

    const heard = readWav(readFileSync(record));
    if (!heard.ok) throw new Error(heard.reason);
    const samples = heard.wav.channels[0] ?? new Int16Array();
    // Prompts were spoken: some seconds of it are loud.
    expect(samples.filter((sample) => Math.abs(sample) > 1000).length).toBeGreaterThan(2_000);
  });

  it('pays over WebSocket with packets lost and held back', async () => {
    const to = `sip:pay@127.0.0.1:${server.ports.ws};transport=ws;amount=999;currency=USD;reference=REPLAY-WS`;
    const { status, stdout } = await replay(capture, '--to', to, '--loss', '5', '--jitter', '30', '--seed', '7');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^seed 7$/m);
    expect(stdout).toMatch(/^sent \d+ of 1100 packets, \d+ lost on purpose/m);
    expect(await paymentOf(server, 'REPLAY-WS')).toMatchObject({ result: 'approved', last4: '1111', amountMinor: 999 });
  });

  it('is refused in one line where the server refuses', async () => {
    const to = `sip:pay@127.0.0.1:${server.ports.udp};amount=nothing;currency=USD`;
    const { status, stderr } = await replay(capture, '--to', to);
    expect(stderr).toMatch(/^hushtone replay: sip:pay@\S+ refused the call: [45]\d\d [^\n]+\n$/);
    expect(status).toBe(1);
  });

  it('says which codecs nobody had', async () => {
    const only = join(folder, 'g729.pcap');
    const bytes = pcapFile(
      keyedCall([], 1_000).map(({ atMs, bytes: frame }) => {
        const changed = Buffer.from(frame);
        // The RTP payload type, behind Ethernet, IPv4 and UDP: G.729.
        changed[14 + 20 + 8 + 1] = 18;
        return { atMs, bytes: changed };
      }),
    );
    writeFileSync(only, bytes);
    const { status, stderr } = await replay(only, '--to', `sip:pay@127.0.0.1:${server.ports.udp};amount=100`);
    expect(stderr).toMatch(/^hushtone replay: sip:\S+ refused the call: 488 [^;]+; offered G729, telephone-event\n$/);
    expect(status).toBe(1);
  });
});
