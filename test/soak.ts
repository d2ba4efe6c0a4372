import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BUILD, type Count, oneCheck, type Phase, runPhases, sumOf, upstreamSuite } from './phases.ts';

/*
 * `make soak`: what shows only after a while. Prints its plan, then does it; what it found is in build/soak/*.txt, and the last
 * line adds it up.
 *
 *   node test/soak.ts [--only suite|fuzz|properties|calls]… [--times N] [--seconds N] [--factor N]
 */

const PARTS = ['suite', 'fuzz', 'properties', 'calls'] as const;
/** As measured on two cores that others use too. */
const SUITE_MINUTES = 1.4;
const PROPERTIES_MINUTES = 5;
const CALLS_MINUTES = 11;
/** What a part may take at most, beside what it is expected to. */
const PATIENCE = 3;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    /** How often drachtio-srf's suite runs. */
    times: { type: 'string', default: '10' },
    /** For each fuzzer. */
    seconds: { type: 'string', default: '120' },
    /** How many times as many cases the property tests try. */
    factor: { type: 'string', default: '100' },
  },
});
const [times, seconds, factor] = [values.times, values.seconds, values.factor].map(Number) as [number, number, number];
const folder = resolve(BUILD, 'soak');
/** Not below this repository: drachtio-srf's tests are CommonJS, and would be taken for modules by our package.json. */
const suiteFolder = mkdtempSync(join(tmpdir(), 'hushtone-soak-'));

interface Part {
  readonly what: string;
  readonly minutes: number;
  readonly phases: readonly Phase[];
}

function suite(run: number): Phase {
  return {
    name: `suite ${run}`,
    command: ['test/sip-server/upstream-suite'],
    msMax: 8 * MINUTE_MS,
    environment: { CONF_ROOT: suiteFolder },
    count: () => {
      const count = upstreamSuite();
      const line =
        count === null ? 'no report' : `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`;
      appendFileSync(`${folder}/drachtio-suite.txt`, `run ${run}: ${line}\n`);
      return count;
    },
  };
}

function calls(what: string, minutes: number): Phase {
  return {
    name: `calls ${what}`,
    command: ['node', 'test/soak-calls.ts', what],
    msMax: minutes * PATIENCE * MINUTE_MS,
    count: oneCheck,
  };
}

/** Where bytes from outside are parsed in TypeScript: captures, SIP, SDP, keys, frames of applications and workers. */
const PARSER_TESTS = [
  'test/pcap/fuzz.test.ts',
  'test/cli/decode.media.test.ts',
  'test/sip-server/fuzz.test.ts',
  'test/sip-server/parse.test.ts',
  'test/sip/offer-answer.test.ts',
  'test/worker/wire.test.ts',
];
const vitest = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--project', 'unit', ...PARSER_TESTS];
const fuzzers = readdirSync('native/fuzz').filter((file) => file.endsWith('_fuzz.cc')).length;
const fuzzMinutes = (fuzzers * seconds) / 60;
const PLAN: Readonly<Record<(typeof PARTS)[number], Part>> = {
  suite: {
    what: `drachtio-srf's own tests, ${times} times in a row`,
    minutes: times * SUITE_MINUTES,
    phases: Array.from({ length: times }, (_, index) => suite(index + 1)),
  },
  fuzz: {
    what: `every fuzzer for ${seconds} s`,
    minutes: fuzzMinutes,
    phases: [
      {
        name: 'fuzz',
        command: ['node', 'test/fuzz.ts', '--seconds', String(seconds), '--report', 'soak/fuzz.txt'],
        msMax: (fuzzMinutes * PATIENCE + 10) * MINUTE_MS,
        count: (): Count | null => sumOf('soak/fuzz.txt'),
      },
    ],
  },
  properties: {
    what: `what parses bytes from outside in TypeScript, with ${factor} times as many cases`,
    minutes: PROPERTIES_MINUTES,
    phases: [
      {
        name: 'properties',
        command: [...vitest, '--reporter=default', '--reporter=json', `--outputFile.json=${folder}/properties.json`],
        msMax: PROPERTIES_MINUTES * PATIENCE * MINUTE_MS,
        environment: { HUSHTONE_FUZZ_FACTOR: String(factor) },
        count: oneCheck,
      },
    ],
  },
  calls: {
    what: 'SIPp calls, round after round, with the memory of every process watched',
    minutes: CALLS_MINUTES,
    phases: [calls('server', CALLS_MINUTES / 2), calls('payments', CALLS_MINUTES / 2)],
  },
};

const chosen = PARTS.filter((part) => values.only === undefined || values.only.includes(part));
if (chosen.length === 0 || ![times, seconds, factor].every((number) => number >= 1)) {
  process.stderr.write(`soak: --only takes ${PARTS.join(', ')}; numbers are 1 or more\n`);
  process.exit(2);
}
rmSync(`${folder}/drachtio-suite.txt`, { force: true });
mkdirSync(folder, { recursive: true });
const minutes = chosen.reduce((sum, part) => sum + PLAN[part].minutes, 0);
process.stdout.write(`make soak takes about ${minutes.toFixed(0)} minutes:\n`);
for (const part of chosen)
  process.stdout.write(`  ${PLAN[part].minutes.toFixed(0).padStart(3)} min  ${PLAN[part].what}\n`);
process.exitCode = runPhases(
  chosen.flatMap((part) => PLAN[part].phases),
  'soak/sum.txt',
);
// What went wrong there is in its logs.
if (process.exitCode === 0) rmSync(suiteFolder, { recursive: true, force: true });
else process.stdout.write(`logs of drachtio-srf's tests: ${suiteFolder}\n`);
