/**
 * Runs the benchmark cases, one after the other: `node bench/run.ts [--case NAME] [--save]`. Prints one JSON object a line,
 * for people on a terminal a table. `--save` also writes results/<date>-<commit>.jsonl.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchCase, Row } from './case.ts';

const HERE = import.meta.dirname;

const { values } = parseArgs({ options: { case: { type: 'string' }, save: { type: 'boolean', default: false } } });

const files = readdirSync(join(HERE, 'cases')).filter((name) => name.endsWith('.ts'));
const cases = await Promise.all(
  files.sort().map(async (name) => ((await import(`./cases/${name}`)) as { bench: BenchCase }).bench),
);
const chosen = cases.filter((one) => values.case === undefined || one.name === values.case);
if (chosen.length === 0) {
  process.stderr.write(`bench: no case "${values.case}"; there are ${cases.map((one) => one.name).join(', ')}\n`);
  process.exit(2);
}

const rows: Row[] = [];
const shown = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
for (const one of chosen) {
  if (process.stdout.isTTY) process.stdout.write(`\n${one.name}: ${one.question}\n  target: ${one.target}\n`);
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
  }
}

if (values.save && rows.length > 0) {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: HERE }).toString().trim();
  const head = { commit, at: new Date().toISOString(), machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}` };
  mkdirSync(join(HERE, 'results'), { recursive: true });
  const file = join(HERE, 'results', `${head.at.slice(0, 10)}-${commit}.jsonl`);
  writeFileSync(file, `${[head, ...rows].map((row) => JSON.stringify(row)).join('\n')}\n`);
}
