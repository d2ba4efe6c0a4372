import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/* Exit is a feature: threads, sockets and wake functions are in use while the process ends. */

const SCRIPT = fileURLToPath(new URL('./exit-process.ts', import.meta.url));
const ROUNDS = 50;
const AT_ONCE = 2;

function run(manner: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [SCRIPT, manner, String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (bytes) => {
      text += String(bytes);
    });
    child.on('close', (code, signal) => resolve(code === 0 ? 'clean' : `${manner}: ${signal ?? code} ${text}`));
  });
}

describe('a process with an engine', () => {
  it('ends cleanly fifty times, by exit, by itself, by an error, after close, and by a thread torn down', async () => {
    const manners = ['exit', 'fall', 'throw', 'close', 'terminate'];
    const ends: string[] = [];
    for (let round = 0; round < ROUNDS; round += AT_ONCE) {
      const pair = Array.from({ length: AT_ONCE }, (_, i) =>
        run(manners[(round + i) % manners.length] ?? '', 17_700 + i * 10),
      );
      ends.push(...(await Promise.all(pair)));
    }
    expect(ends.filter((end) => end !== 'clean')).toEqual([]);
  }, 120_000);
});
