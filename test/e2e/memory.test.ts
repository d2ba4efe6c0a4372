import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestGateway } from '../harness/gateway.ts';
import type { Card } from '../harness/leak-watch.ts';
import { canScan, coreLimits, lockedMappings, scanMemory } from '../harness/memory-scan.ts';
import { answerPrompt, CARDS, call, paymentNow, paymentOf } from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';

/*
 * Searches the memory of the control process while a card is keyed, and of control and worker after the payment, for the
 * number in six encodings; against a plain gateway, one behind TLS, and one that echoes the request. Callers and gateways
 * are outsiders and not searched.
 */

/** Runs of so many digits of the number count too. */
const RUN_DIGITS = 12;

/** The ones of 4111111111111111 stand in any memory; this number's digits do not. */
const MASTERCARD_2: Card = { pan: '2223000010309703', expiry: '0231', cvc: '519' };

const folder = mkdtempSync(join(tmpdir(), 'hushtone-memory-'));
const gateways: TestGateway[] = [];
let server: TestServer;

const certificate = join(folder, 'gateway.pem');
const key = join(folder, 'gateway.key');

beforeAll(async () => {
  const openssl = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=sandbox'];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate];
  execFileSync('openssl', [...openssl, ...names], { stdio: 'ignore' });
  const [plain, tls, echo] = await Promise.all([
    TestGateway.start(),
    TestGateway.start({ argv: ['--tls-cert', certificate, '--tls-key', key] }),
    TestGateway.start({ argv: ['--echo'] }),
  ]);
  gateways.push(plain, tls, echo);
  server = await TestServer.start({
    config: {
      gateways: {
        plain: { kind: 'sandbox', url: plain.url },
        tls: { kind: 'sandbox', url: tls.url, caFile: certificate },
        echo: { kind: 'sandbox', url: echo.url },
      },
      flows: {
        default: { gateway: 'plain' },
        tls: { ...QUICK_FLOW, gateway: 'tls' },
        echo: { ...QUICK_FLOW, gateway: 'echo' },
      },
    },
  });
});

afterAll(async () => {
  for (const gateway of gateways) gateway.stop();
  rmSync(folder, { recursive: true, force: true });
  expect(await server?.stop()).toBe(0);
});

describe.skipIf(!canScan(process.pid))('the card number in memory', () => {
  it.each([
    ['plain', 'default', CARDS.amex],
    ['TLS', 'tls', MASTERCARD_2],
    ['echoing', 'echo', CARDS.mastercard],
  ] as [string, string, Card][])(
    'is nowhere in control at any time, and in the worker only in locked memory until it is wiped: %s gateway',
    async (_, flow, card) => {
      const [control, worker] = [server.pidOf('control'), server.pidOf('worker')];
      expect(canScan(worker), 'the worker forbids dumps: only root can look into it').toBe(true);
      const reference = `MEMORY-${flow}`;
      server.expectNoLeakOf(card);
      const phone = await call(server, { amountMinor: 2500, reference, flow });

      await answerPrompt(phone, card.pan);
      await answerPrompt(phone, card.expiry);
      expect(scanMemory(control, card.pan, RUN_DIGITS)).toEqual([]);
      const held = scanMemory(worker, card.pan);
      // The scanner sees what is there: the vault.
      expect(held.length).toBeGreaterThan(0);
      expect(held.filter(({ region }) => !region.endsWith('(locked)'))).toEqual([]);

      await answerPrompt(phone, card.cvc);
      await server.until(
        'the result is announced',
        async () => (await paymentNow(server, reference))?.state === 'announcing',
      );
      await phone.hangUp();
      expect(await paymentOf(server, reference)).toMatchObject({ result: 'approved', last4: card.pan.slice(-4) });
      expect(scanMemory(control, card.pan, RUN_DIGITS)).toEqual([]);
      expect(scanMemory(worker, card.pan, RUN_DIGITS)).toEqual([]);
    },
  );
});

describe.skipIf(!canScan(process.pid))('the processes of a server', () => {
  it('write no core file, and the worker keeps its vault locked, out of core dumps and away from children', () => {
    for (const command of ['control', 'worker', 'sip-server']) {
      expect([command, ...coreLimits(server.pidOf(command))]).toEqual([command, '0', '0']);
    }
    const vault = lockedMappings(server.pidOf('worker'));
    expect(vault.length).toBeGreaterThan(0);
    for (const flags of vault) {
      expect(flags.has('dd'), 'left out of core dumps').toBe(true);
      expect(flags.has('wf') || flags.has('dc'), 'wiped in children, or not copied to them').toBe(true);
    }
    expect(lockedMappings(server.pidOf('control'))).toEqual([]);
  });
});
