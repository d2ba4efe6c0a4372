import { rmSync } from 'node:fs';
import { BUILD, junit, runPhases, sumOf } from './phases.ts';

/*
 * `make check`: everything that must hold before a change goes in. `make test` (drachtio-srf's own tests once among it),
 * every fuzzer for a short time, and the native tests that have threads under the thread sanitizer.
 */

/** Beside `make test`, as measured on two cores: fuzzers and thread sanitizer are built first, of which most is repeated. */
const MINUTES_MORE = 7;
const TEST_MS_MAX = 45 * 60_000;
const FUZZ_MS_MAX = 30 * 60_000;
const TSAN_MS_MAX = 15 * 60_000;

for (const report of ['test-sum.txt', 'fuzz.txt', 'native-tsan.xml']) rmSync(`${BUILD}/${report}`, { force: true });
process.stdout.write(`make check takes as long as make test, and about ${MINUTES_MORE} minutes more on two cores\n`);
process.exitCode = runPhases(
  [
    { name: 'test', command: ['node', 'test/run.ts'], msMax: TEST_MS_MAX, count: () => sumOf('test-sum.txt') },
    {
      name: 'fuzz',
      command: ['make', '--no-print-directory', 'fuzz'],
      msMax: FUZZ_MS_MAX,
      count: () => sumOf('fuzz.txt'),
    },
    {
      name: 'threads',
      command: ['make', '--no-print-directory', 'test-native-tsan'],
      msMax: TSAN_MS_MAX,
      count: () => junit('native-tsan.xml'),
    },
  ],
  'check-sum.txt',
);
