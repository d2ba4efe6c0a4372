import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BUILD } from './phases.ts';

/*
 * `make fuzz`: every libFuzzer entry of native/fuzz for so many seconds, one after the other. What it learns stays in
 * build/fuzz/<entry>, what broke one in build/fuzz/<entry>-crash-…; the last line adds up: `N passed, N failed`.
 *
 *   node test/fuzz.ts --seconds 10 [--only NAME]… [--seed N] [--report FILE]
 */

const INPUT_BYTES_MAX = 4096;
/** An input that takes longer is a fault of its own: the parsers are linear. */
const INPUT_SECONDS_MAX = 10;
const RSS_MB_MAX = 2048;
const PROGRESS_EACH_MS = 10_000;
/** Reading the corpus and the end of the last input. */
const GRACE_MS = 120_000;
const TAIL_LINES = 60;

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly execs: number;
  readonly execsPerSecond: number;
  /** Edges of our code reached, and libFuzzer's features: edges with how often, and what they compared. */
  readonly edges: number;
  readonly features: number;
  readonly inputs: number;
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', multiple: true },
    seed: { type: 'string' },
    report: { type: 'string', default: 'fuzz.txt' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed ?? randomInt(1, 2 ** 31));

async function main(): Promise<number> {
  const names = readdirSync('native/fuzz')
    .filter((file) => file.endsWith('_fuzz.cc'))
    .map((file) => file.replace('.cc', ''))
    .filter((name) => values.only === undefined || values.only.includes(name))
    .sort();
  if (!(seconds >= 1) || names.length === 0) {
    process.stderr.write('fuzz: nothing to do: --seconds must be 1 or more, --only one of native/fuzz/*_fuzz.cc\n');
    return 2;
  }
  const minutes = ((names.length * seconds) / 60).toFixed(1);
  process.stdout.write(`${names.length} fuzzers, ${seconds} s each: ${minutes} minutes in all; seed ${seed}\n`);
  const results: Result[] = [];
  for (const name of names) results.push(await run(name));
  const rows = results.map(row);
  const failed = results.filter(({ ok }) => !ok).length;
  const table = [HEAD, ...rows].join('\n');
  const sum = `${results.length - failed} passed, ${failed} failed\n`;
  const plan = `${seconds} s each, seed ${seed}`;
  writeFileSync(join(BUILD, values.report), `${plan}\n${table}\n${sum}`);
  process.stdout.write(`\n${table}\n\n${sum}`);
  return failed === 0 ? 0 : 1;
}

const HEAD = `${'fuzzer'.padEnd(24)}${'inputs run'.padStart(12)}${'a second'.padStart(10)}${'edges'.padStart(8)}${'features'.padStart(10)}${'corpus'.padStart(8)}`;

function row(result: Result): string {
  const numbers = [
    String(result.execs).padStart(12),
    String(result.execsPerSecond).padStart(10),
    String(result.edges).padStart(8),
    String(result.features).padStart(10),
    String(result.inputs).padStart(8),
  ];
  return `${result.name.padEnd(24)}${numbers.join('')}${result.ok ? '' : '  FAILED'}`;
}

async function run(name: string): Promise<Result> {
  const learned = join(BUILD, 'fuzz', name);
  const given = join('native/fuzz/corpus', name);
  const dictionary = join('native/fuzz/dictionaries', `${name}.dict`);
  mkdirSync(learned, { recursive: true });
  const argv = [
    `-max_total_time=${seconds}`,
    `-max_len=${INPUT_BYTES_MAX}`,
    `-timeout=${INPUT_SECONDS_MAX}`,
    `-rss_limit_mb=${RSS_MB_MAX}`,
    `-seed=${seed}`,
    '-print_final_stats=1',
    `-artifact_prefix=${join(BUILD, 'fuzz', `${name}-`)}`,
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    learned,
    ...(existsSync(given) ? [given] : []),
  ];
  const child = spawn(join(BUILD, 'native-fuzz', name), argv, { stdio: ['ignore', 'inherit', 'pipe'] });
  let tail: string[] = [];
  let pulse = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (/^#\d+\s/.test(line)) pulse = line;
    tail = [...tail, ...lines].slice(-TAIL_LINES);
  });
  const startedAt = performance.now();
  const progress = setInterval(() => {
    const passed = ((performance.now() - startedAt) / 1000).toFixed(0);
    process.stdout.write(`  ${name}: ${passed} of ${seconds} s, ${numberIn(pulse, /^#(\d+)/)} inputs\n`);
  }, PROGRESS_EACH_MS);
  const limit = setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + GRACE_MS);
  const status = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code));
  });
  clearInterval(progress);
  clearTimeout(limit);
  const ok = status === 0;
  if (!ok) process.stdout.write(`\n${name} ended with ${status}:\n${[...tail, rest].join('\n')}\n`);
  const all = tail.join('\n');
  const result = {
    name,
    ok,
    execs: numberIn(all, /stat::number_of_executed_units:\s*(\d+)/),
    execsPerSecond: numberIn(all, /stat::average_exec_per_sec:\s*(\d+)/),
    edges: numberIn(pulse, /cov: (\d+)/),
    features: numberIn(pulse, /ft: (\d+)/),
    inputs: numberIn(pulse, /corp: (\d+)/),
  };
  process.stdout.write(`${row(result)}\n`);
  return result;
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

process.exitCode = await main();
