import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { canScan, scanMemory } from './memory-scan.ts';

const digits = '4012888888881881';

/** A process that makes the digits in one form and holds them until it is told to end. */
async function holder(expression: string) {
  const code = `const d = [4,0,1,2,8,8,8,8,8,8,8,8,1,8,8,1]; globalThis.kept = ${expression}; console.log('held');
    process.stdin.resume()`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child;
}

describe.skipIf(!canScan(process.pid))('searching the memory of a process', () => {
  it.each([
    ['ascii', "Buffer.from(d.join(''))"],
    ['utf16', "Buffer.from(d.join(''), 'utf16le')"],
    ['bytes', 'Buffer.from(d)'],
    ['int32', 'Int32Array.from(d)'],
    ['utf32', 'Int32Array.from(d, (digit) => digit + 48)'],
    ['bcd', "Buffer.from(d.join(''), 'hex')"],
  ])('finds digits held as %s', async (encoding, expression) => {
    const child = await holder(expression);
    const hits = scanMemory(child.pid ?? 0, digits);
    child.kill();
    expect(hits.map((hit) => hit.encoding)).toContain(encoding);
  });

  it('finds nothing in a process that never had the digits', async () => {
    const child = await holder('null');
    const hits = scanMemory(child.pid ?? 0, '5105105105105100');
    child.kill();
    expect(hits).toEqual([]);
  });
});
