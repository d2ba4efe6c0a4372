/**
 * Runs the benchmark cases, one after the other: `node bench/run.ts [--case NAME …] [--save]`. Prints one JSON object a line,
 * for people on a terminal a table. `--save` also writes results/<date>-<commit>.jsonl.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchCase, Row } from './case.ts';

/** Nobody waits longer for a sign of life; a case that blocks this thread shows none. */
const PROGRESS_EACH_MS = 2_000;
const HERE = import.meta.dirname;

const { values } = parseArgs({
  options: { case: { type: 'string', multiple: true }, save: { type: 'boolean', default: false } },
});

const files = readdirSync(join(HERE, 'cases')).filter((name) => name.endsWith('.ts'));
const cases = await Promise.all(
  files.sort().map(async (name) => ((await import(`./cases/${name}`)) as { bench: BenchCase }).bench),
);
const chosen = cases.filter((one) => values.case === undefined || values.case.includes(one.name));
if (chosen.length === 0) {
  process.stderr.write(
    `bench: no case "${values.case?.join()}"; there are ${cases.map((one) => one.name).join(', ')}\n`,
  );
  process.exit(2);
}

const rows: Row[] = [];
const shown = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
for (const one of chosen) {
  if (process.stdout.isTTY) process.stdout.write(`\n${one.name}: ${one.question}\n  target: ${one.target}\n`);
  const startedAt = performance.now();
  const progress = setInterval(() => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    process.stderr.write(`bench: ${one.name} runs (${seconds} s)\n`);
  }, PROGRESS_EACH_MS);
  try {
    await one.run((measured) => {
      const row = { case: one.name, ...measured };
      rows.push(row);
      const peer = row.peer === undefined ? '' : `${row.peer} ${shown(row.peerValue ?? Number.NaN)}`;
      const line = `  ${row.metric.padEnd(44)}${shown(row.value).padStart(10)} ${row.unit.padEnd(12)}${peer}`;
      process.stdout.write(process.stdout.isTTY ? `${line}\n` : `${JSON.stringify(row)}\n`);
    });
  } catch (error) {
    process.stderr.write(`bench: ${one.name} did not run: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    clearInterval(progress);
  }
}

if (values.save && rows.length > 0) {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: HERE }).toString().trim();
  const head = { commit, at: new Date().toISOString(), machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}` };
  mkdirSync(join(HERE, 'results'), { recursive: true });
  const file = join(HERE, 'results', `${head.at.slice(0, 10)}-${commit}.jsonl`);
  writeFileSync(file, `${[head, ...rows].map((row) => JSON.stringify(row)).join('\n')}\n`);
}
