import { existsSync, readFileSync, rmSync } from 'node:fs';
import { BUILD, junit, oneCheck, type Phase, runPhases, upstreamSuite } from './phases.ts';

/* `make test`: types, lint, unit tests, native tests under sanitizers, end-to-end tests, drachtio-srf's own tests. */

const PHASE_MS_MAX = 480_000;

function main(): number {
  const phases: Phase[] = [
    { name: 'types', command: ['tsc', '-p', '.'], msMax: PHASE_MS_MAX, count: oneCheck },
    { name: 'lint', command: ['biome', 'check', '--error-on-warnings', '.'], msMax: PHASE_MS_MAX, count: oneCheck },
    { name: 'unused', command: ['knip', '--no-progress', '--exclude', 'types'], msMax: PHASE_MS_MAX, count: oneCheck },
    vitest('unit'),
    {
      name: 'native',
      command: ['make', '--no-print-directory', 'test-native'],
      msMax: PHASE_MS_MAX,
      count: () => junit('native-asan.xml'),
    },
    vitest('e2e'),
    {
      name: 'drachtio',
      command: ['test/sip-server/upstream-suite'],
      msMax: PHASE_MS_MAX,
      count: upstreamSuite,
    },
  ];
  return runPhases(phases, 'test-sum.txt');
}

function vitest(project: string): Phase {
  const report = `${BUILD}/vitest-${project}.json`;
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return {
    name: project,
    command: ['vitest', 'run', '--config', 'test/vitest.config.ts', '--project', project, ...reporters],
    msMax: PHASE_MS_MAX,
    count: () => {
      if (!existsSync(report)) return null;
      const read = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>;
      const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = read;
      return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
    },
  };
}

process.exitCode = main();
