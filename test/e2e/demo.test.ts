import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readWav } from '../../src/lib/wav.ts';
import { LeakWatch } from '../harness/leak-watch.ts';
import { childrenOf, TestServer } from '../harness/server.ts';
import { until } from '../harness/until.ts';

/*
 * `hushtone demo` as a person runs it, without a terminal: against a server that runs, and with one of its own.
 */

const ENTRY = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));
const NAMES = ['approved', 'declined', 'abandoned'] as const;
/** What the demo's callers key; the number of the third is a part of the first's. */
const CARDS = ['4242424242424242', '4000000000009995', '5555555555554444'].map((pan) => {
  return { pan, expiry: '1230', cvc: '123' };
});
/** Louder than a line on which nobody speaks. */
const SPEECH_PEAK = 1_000;

class Demo {
  output = '';
  readonly process: ChildProcess;
  readonly status: Promise<number | null>;

  constructor(folder: string, ...argv: string[]) {
    this.process = spawn(process.execPath, [ENTRY, 'demo', ...argv], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    this.status = new Promise((resolve) => this.process.once('exit', (code) => resolve(code)));
  }

  async until(text: RegExp, limitMs: number): Promise<void> {
    const giveUp = () => (this.process.exitCode === null ? null : `it ended, with\n${this.output}`);
    await until(`the demo says ${text}`, () => text.test(this.output), { limitMs, giveUp });
  }
}

/** What the time line says of one call, without its times. */
function toldOf(output: string, name: string): readonly string[] {
  const line = new RegExp(`^ *[\\d.]+ s {2}${name} +(\\w+) +(.*)$`, 'gm');
  return [...output.matchAll(line)].map(([, who, text]) => `${who} ${text}`);
}

function peakOf(samples: Int16Array | undefined): number {
  let peak = 0;
  for (const sample of samples ?? []) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

describe.concurrent('hushtone demo', () => {
  it('calls the server that runs, tells what happens as it happens, and keeps what was heard and keyed', async ({
    onTestFinished,
  }) => {
    const server = await TestServer.start({ briefPrompts: true });
    onTestFinished(async () => {
      expect(await server.stop()).toBe(0);
    });
    for (const card of CARDS) server.expectNoLeakOf(card);
    const demo = new Demo(server.folder, '--config', server.configFile);
    const status = await demo.status;
    expect(status, demo.output).toBe(0);
    server.watch.look('demo', demo.output);

    expect(demo.output).toContain('the server, which runs already, to pay 42.10 USD each');
    expect(demo.output).toMatch(/^3 of 3 calls ended as they should, in \d+ s\.$/m);
    const approved = toldOf(demo.output, 'approved');
    const inOrder = [
      'server asks for the card number',
      'caller keys the card number',
      'server hears the card number  ••••  Visa',
      'server hears the card number  •••• ••••  Visa',
      'server hears the card number  •••• •••• ••••  Visa',
      'server hears the card number  •••• •••• •••• 4242  Visa',
      'server asks for the expiry date',
      'server hears the expiry date  ••••',
      'server asks for the security code',
      'server hears the security code  •••',
      'server asks the gateway for 42.10 USD',
      expect.stringMatching(/^gateway approved, authorization \w+$/),
      'server records the payment as approved',
      'server hangs up; its BYE says X-Hushtone-Result: approved',
    ];
    const isAside = (text: string) => /^caller (?:dials|is|hears|keys the (?:exp|sec))|says how/.test(text);
    expect(approved.filter((text) => !isAside(text))).toEqual(inOrder);
    expect(toldOf(demo.output, 'declined')).toEqual(
      expect.arrayContaining([
        'gateway declined: insufficient-funds',
        'server says that the card was declined',
        'server hears the card number  •••• •••• •••• 4444  Mastercard',
        'server records the payment as approved',
      ]),
    );
    expect(toldOf(demo.output, 'abandoned')).toEqual(
      expect.arrayContaining([
        'server hears the card number  •••• ••••  Visa',
        'caller hangs up',
        'server records the payment as abandoned',
      ]),
    );

    for (const name of NAMES) {
      const file = join(server.folder, 'var/demo', `${name}.wav`);
      expect(demo.output).toContain(`${name}.wav  (left: heard, right: keyed)`);
      const read = readWav(readFileSync(file));
      if (!read.ok) throw new Error(`${file}: ${read.reason}`);
      expect(read.wav.channels).toHaveLength(2);
      for (const channel of read.wav.channels) expect(peakOf(channel), name).toBeGreaterThan(SPEECH_PEAK);
      // The caller is an outsider: its recordings hold keys, and are nothing of the server's.
      rmSync(file);
    }
  });

  it('starts a server of its own where none runs, and leaves nothing running when Ctrl-C ends it', async ({
    onTestFinished,
  }) => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-demo-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    // A port on which nobody listens.
    writeFileSync(join(folder, 'hushtone.yaml'), 'http: { port: 1 }\n');
    const demo = new Demo(folder);
    await demo.until(/approved {3}server {3}hears the card number {2}••••/, 60_000);
    expect(demo.output).toContain('Starting a server for the demo');
    expect(demo.output).toContain('the server, which was started for the demo,');
    const children = childrenOf(demo.process.pid ?? 0).flatMap((pid) => [pid, ...childrenOf(pid)]);
    expect(children.length).toBeGreaterThan(4);
    demo.process.kill('SIGINT');
    expect(await demo.status, demo.output).toBe(130);
    expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    const watch = new LeakWatch();
    for (const card of CARDS) watch.add(card);
    watch.look('demo', demo.output);
    watch.assertNone();
  });
});
