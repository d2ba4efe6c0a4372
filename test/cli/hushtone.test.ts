import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const shim = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));
const systemNode = '/usr/bin/node';

function run(node: string, ...argv: string[]) {
  return spawnSync(node, [shim, ...argv], { encoding: 'utf8' });
}

describe('the hushtone command', () => {
  it('lists its commands with an example each', () => {
    const { stdout, status } = run(process.execPath, '--help');
    expect(status).toBe(0);
    expect(stdout).toContain('serve');
    expect(stdout).toContain('npx hushtone decode --json call.pcap');
    expect(stdout).not.toContain('hushtone worker');
  });

  it('says its version and the runtime it found', () => {
    expect(run(process.execPath, '--version').stdout).toMatch(/^hushtone \d+\.\d+\.\d+ \(Node \d+\./);
  });

  it('refuses an unknown command and suggests the nearest', () => {
    const { stderr, status } = run(process.execPath, 'serv');
    expect(status).toBe(2);
    expect(stderr).toBe('hushtone: unknown command "serv"; did you mean "serve"?\n');
  });

  it('ends without a word when nobody reads on', () => {
    const file = fileURLToPath(new URL('../data/tones-pcmu.pcap', import.meta.url));
    const script = '"$0" "$1" decode "$2" "$2" "$2" | head -1';
    const { stdout, stderr } = spawnSync('bash', ['-c', script, process.execPath, shim, file], { encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(stderr).toBe('');
  });

  it.skipIf(!existsSync(systemNode))("runs on the pinned Node 24 where the system's Node is older", () => {
    expect(run(systemNode, '--version').stdout).toMatch(/\(Node (2[4-9]|[3-9]\d)\./);
  });
});
