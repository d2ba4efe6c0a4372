import { spawn } from 'node:child_process';
import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { portShare } from '../../src/cli/worker.ts';
import { WORKER_SECRET_VARIABLE } from '../../src/worker/address.ts';

const folder = mkdtempSync(join(tmpdir(), 'hushtone-cli-worker-'));
const SECRET = 'a secret between the two';

function start(args: readonly string[], environment: Record<string, string> = {}) {
  const script = "import('./src/cli/main.ts').then((m) => m.main(process.argv.slice(1))).then((c) => process.exit(c))";
  const child = spawn(process.execPath, ['-e', script, 'worker', ...args], {
    env: { PATH: process.env.PATH ?? '', ...environment },
  });
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output.text += String(bytes)));
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { child, output, ended };
}

describe('the worker command', () => {
  it('says it can be used, keeps its socket to its own user, and ends when told', async () => {
    const socket = join(folder, 'w.sock');
    const { child, output, ended } = start(['--socket', socket], { [WORKER_SECRET_VARIABLE]: SECRET });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(output.text).toBe(`worker 0 on ${socket}\n`);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  }, 20_000);

  it.each([
    ['no secret', ['--socket', '/tmp/x.sock'], {}, WORKER_SECRET_VARIABLE],
    [
      'an index that is none',
      ['--socket', '/tmp/x.sock', '--index', 'a'],
      { [WORKER_SECRET_VARIABLE]: SECRET },
      '--index',
    ],
  ])('refuses %s in words', async (_, args, environment, expected) => {
    const { output, ended } = start(args, environment);
    expect(await ended).toBe(2);
    expect(output.text).toContain(expected);
  });

  it('refuses a socket path that the system has no room for', async () => {
    const { output, ended } = start(['--socket', `/tmp/${'x'.repeat(200)}`], { [WORKER_SECRET_VARIABLE]: SECRET });
    expect(await ended).toBe(1);
    expect(output.text).toContain('107 bytes');
  });

  it('gives each worker ports of its own, beginning with an even one', () => {
    const media = { portFirst: 20_001, portLast: 20_100, workers: 3 };
    const shares = [0, 1, 2].map((index) => portShare(media, index));
    expect(shares).toEqual([
      { portFirst: 20_002, portLast: 20_033 },
      { portFirst: 20_034, portLast: 20_065 },
      { portFirst: 20_066, portLast: 20_097 },
    ]);
    expect(() => portShare(media, 3)).toThrow('has no ports');
    expect(() => portShare({ ...media, workers: 64 }, 0)).toThrow('has no ports');
  });
});
