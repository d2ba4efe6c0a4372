import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coreLimits, lockedMappings } from '../harness/memory-scan.ts';

/*
 * What the kernel lets another process of the same user do to a worker. Root may do anything, so everybody here gives up
 * CAP_SYS_PTRACE first, which is what root has before other users; that takes root and setpriv.
 */

const DROP = ['--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'];
const PORT_FIRST = 17_300;
const START_MS_MAX = 30_000;
const canDrop = process.getuid?.() === 0 && spawnSync('setpriv', [...DROP, 'true']).status === 0;

/** The ptrace access check of ptrace(2) guards it: the same user passes, unless the process is not dumpable. */
function mayLookInto(pid: number): boolean {
  return spawnSync('setpriv', [...DROP, 'sh', '-c', `: </proc/${pid}/mem`]).status === 0;
}

const why = canDrop ? '' : ' (skipped: needs root and setpriv)';

describe.skipIf(!canDrop)(`a worker before others of its user${why}`, () => {
  let worker: ChildProcess;
  let plain: ChildProcess;

  beforeAll(async () => {
    const socketPath = join(mkdtempSync(join(tmpdir(), 'hushtone-hardening-')), 'worker.sock');
    const script = new URL('./worker-process.ts', import.meta.url);
    const setpriv = execFileSync('which', ['setpriv'], { encoding: 'utf8' }).trim();
    worker = fork(script, [socketPath, String(PORT_FIRST)], {
      execPath: setpriv,
      execArgv: [...DROP, process.execPath],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    plain = spawn('setpriv', [...DROP, 'sleep', '60'], { stdio: 'ignore' });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('exit', (status) => reject(new Error(`the worker ended with ${status}`)));
    });
  }, START_MS_MAX);

  afterAll(() => {
    worker?.kill();
    plain?.kill();
  });

  it('cannot be looked into or dumped, as any other process of that user can', (test) => {
    if (!mayLookInto(plain.pid ?? 0)) return test.skip('the kernel lets nobody look into any process here');
    expect(mayLookInto(worker.pid ?? 0)).toBe(false);
    expect(coreLimits(worker.pid ?? 0)).toEqual(['0', '0']);
  });

  it('keeps its vault in locked memory that no core dump and no child gets', () => {
    const vault = lockedMappings(worker.pid ?? 0);
    expect(vault.length).toBeGreaterThan(0);
    for (const flags of vault) expect([flags.has('dd'), flags.has('wf') || flags.has('dc')]).toEqual([true, true]);
  });
});
