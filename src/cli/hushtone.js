#!/usr/bin/env node
// Entry of `npx hushtone`. Plain JavaScript that old Node versions parse, because its one task is to find the right one:
// the rest of the product is TypeScript that Node 24 runs as it is. The npm package `node` (24.x) brings that runtime.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const PARENT_CHECK_MS = 500;
const LINGER_MS_MAX = 1_000;
const SHIM_PID = 'HUSHTONE_SHIM_PID';

const nodeMajor = Number(process.versions.node.split('.')[0]);
if (nodeMajor >= NODE_MAJOR_MIN) {
  watchShim();
  const { main } = await import('./main.ts');
  process.exitCode = await main(process.argv.slice(2));
  // What a failed start left open (a database, a socket) must not keep the process; output gets its time to be read.
  setTimeout(() => process.exit(), LINGER_MS_MAX).unref();
} else {
  runWithPinnedNode();
}

/** Where an older Node started us: ends when that one is gone, which no signal may have announced. */
function watchShim() {
  const shimPid = Number(process.env[SHIM_PID]);
  delete process.env[SHIM_PID];
  if (!shimPid) return;
  setInterval(() => {
    if (process.ppid !== shimPid) process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS).unref();
}

function runWithPinnedNode() {
  const pinned = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
  if (!existsSync(pinned)) {
    process.stderr.write(
      `hushtone: this is Node ${process.versions.node}, and hushtone runs on Node ${NODE_MAJOR_MIN} or newer, ` +
        `which "npm ci" installs beside it (${pinned} is missing)\n`,
    );
    process.exit(1);
  }
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, [SHIM_PID]: String(process.pid) },
  });
  // A terminal sends Ctrl-C to the child too; from elsewhere only this process gets it.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
  child.on('error', (error) => {
    process.stderr.write(`hushtone: ${pinned}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
}
