import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const HEARTBEAT = new URL('../../src/cli/heartbeat.ts', import.meta.url).href;
const ENTRY = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));
const TEST_MS_MAX = 20_000;

let child: ChildProcess | null = null;

/** As the supervisor starts it. */
function start(argv: readonly string[]): AsyncIterator<Buffer> {
  const environment = { ...process.env, HUSHTONE_BEAT_FD: '3' };
  child = spawn(process.execPath, [...argv], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'], env: environment });
  child.stdout?.resume();
  const beats = child.stdio[3];
  if (beats === null || beats === undefined || !('read' in beats)) throw new Error('no descriptor 3');
  return beats[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
}

afterEach(() => {
  child?.kill('SIGKILL');
});

describe('a process that is watched', () => {
  it.each([
    ['the sandbox gateway', ['sandbox-gateway', '--listen', '127.0.0.1:0']],
    ['the SIP server', ['sip-server', '--admin', '127.0.0.1:0', '--secret', 's', '--sip', 'udp:127.0.0.1:0']],
  ])('says again and again that it lives: %s', { timeout: TEST_MS_MAX }, async (_name, argv) => {
    const beats = start([ENTRY, ...argv]);
    for (let count = 0; count < 3; count += 1) expect((await beats.next()).value?.toString()).toMatch(/^\.+$/);
  });

  it('says nothing while a part of it stands, and ends when its work is done', { timeout: TEST_MS_MAX }, async () => {
    const script = `
      const { startBeating } = await import(${JSON.stringify(HEARTBEAT)});
      const work = setInterval(() => {}, 1_000);
      let asked = 0;
      // Alive, twice not, alive, and its work is done: two signs, and an end, though it would go on to say so.
      startBeating(() => {
        asked += 1;
        if (asked === 4) clearInterval(work);
        return asked === 1 || asked === 4;
      });
    `;
    const beats = start(['--input-type=module', '-e', script]);
    let heard = '';
    for (let next = await beats.next(); !next.done; next = await beats.next()) heard += next.value.toString();
    expect(heard).toBe('..');
  });
});
