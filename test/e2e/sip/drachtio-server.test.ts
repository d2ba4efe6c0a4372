import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CARDS, call, charges, goodbye, keyCard, paymentOf } from '../../harness/payer.ts';
import { TestServer } from '../../harness/server.ts';

/*
 * `sip.server: { drachtio: … }`: the SIP server stands by itself, where a drachtio-server would, and `hushtone serve`
 * connects to it. Ours takes that place here, with its secret and its own ports.
 */

const ENTRY = fileURLToPath(new URL('../../../src/cli/hushtone.js', import.meta.url));
const SECRET = 'a secret of two machines';

let sipServer: ChildProcess;
let sipLog = '';
let wsPort = 0;
let server: TestServer;

beforeAll(async () => {
  const sip = 'udp:127.0.0.1:0,tcp:127.0.0.1:0,ws:127.0.0.1:0';
  const argv = ['sip-server', '--admin', '127.0.0.1:0', '--secret', SECRET, '--sip', sip];
  sipServer = spawn(process.execPath, [ENTRY, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  sipServer.stderr?.on('data', (bytes: Buffer) => {
    sipLog += bytes.toString();
  });
  const [line] = (await once(sipServer.stdout ?? sipServer, 'data')) as [Buffer];
  wsPort = Number(/ws:127\.0\.0\.1:(\d+)/.exec(line.toString())?.[1]);
  const port = Number(/applications on 127\.0\.0\.1:(\d+)/.exec(line.toString())?.[1]);
  server = await TestServer.start({
    config: { sip: { server: { drachtio: { host: '127.0.0.1', port, secret: SECRET } } } },
  });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  const exited = once(sipServer, 'exit');
  sipServer.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  // The last line counts what the server saw; nothing was malformed and nothing failed.
  expect(JSON.parse(sipLog.trim().split('\n').at(-1) ?? '')).toMatchObject({
    msg: 'sip counters',
    malformed_dropped: 0,
    malformed_answered: 0,
    faults: 0,
  });
});

describe('hushtone serve behind a SIP server that stands by itself', () => {
  it('says so, starts no SIP server of its own, and is ready', async () => {
    expect(server.output).toContain('through the drachtio-server on 127.0.0.1:');
    expect(() => server.pidOf('sip-server')).toThrow('no process');
    expect((await server.get('/readyz')).status).toBe(200);
  });

  it('takes a call that pays', async () => {
    const phone = await call(server, { amountMinor: 4210, reference: 'APART-1' }, wsPort);
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(phone.byeHeaders()).toMatchObject({
      'x-hushtone-result': 'approved',
      'x-hushtone-last4': CARDS.visa.pan.slice(-4),
    });
    expect(await paymentOf(server, 'APART-1')).toMatchObject({ result: 'approved', amountMinor: 4210 });
    expect(await charges(server, 'APART-1')).toMatchObject([{ amount_minor: 4210, last4: CARDS.visa.pan.slice(-4) }]);
  });
});
