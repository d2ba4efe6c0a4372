import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const ENTRY = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));
const END_MS_MAX = 10_000;

let child: ChildProcess | null = null;

/** As the supervisor starts it: its standard input is a pipe that stays open while the supervisor lives. */
function start(argv: readonly string[]): ChildProcess {
  const environment = { ...process.env, HUSHTONE_SUPERVISED: '1' };
  child = spawn(process.execPath, [ENTRY, ...argv], { stdio: ['pipe', 'pipe', 'ignore'], env: environment });
  child.stdout?.resume();
  return child;
}

afterEach(() => {
  child?.kill('SIGKILL');
});

describe('a process that the supervisor started', () => {
  it('ends when its work is done, though the supervisor lives', { timeout: END_MS_MAX }, async () => {
    const started = start(['profiles', 'check', 'sip-profiles']);
    expect(await new Promise((resolve) => started.once('exit', resolve))).toBe(0);
  });

  it('ends when the supervisor is gone, though its work is not done', { timeout: END_MS_MAX }, async () => {
    const started = start(['sandbox-gateway', '--listen', '127.0.0.1:0']);
    const exited = new Promise((resolve) => started.once('exit', (_status, signal) => resolve(signal)));
    await new Promise((resolve) => started.stdout?.once('data', resolve));
    started.stdin?.destroy();
    expect(await exited).not.toBe('SIGKILL');
  });
});
