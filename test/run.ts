import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/*
 * `make test`: every phase in turn, each with its own output, and at the very end one line that adds them up:
 * `N passed, N failed`. A phase that ends badly without saying which test failed counts as one failure.
 */

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Phase {
  readonly name: string;
  readonly command: readonly string[];
  /** Reads the phase's report; null where it wrote none. */
  readonly count: (ok: boolean) => Count | null;
}

const BUILD = process.env.BUILD ?? 'build';
/** A phase that hangs must not keep CI for ever. */
const PHASE_MS_MAX = 480_000;

function main(): number {
  mkdirSync(BUILD, { recursive: true });
  const phases: Phase[] = [
    { name: 'types', command: ['tsc', '-p', '.'], count: oneCheck },
    { name: 'lint', command: ['biome', 'check', '--error-on-warnings', '.'], count: oneCheck },
    { name: 'unused', command: ['knip', '--no-progress', '--exclude', 'types'], count: oneCheck },
    vitest('unit'),
    { name: 'native', command: ['make', '--no-print-directory', 'test-native'], count: () => junit('native-asan.xml') },
    vitest('e2e'),
    { name: 'drachtio', command: ['test/sip-server/upstream-suite'], count: upstreamSuite },
  ];
  const rows: string[] = [];
  const total = { passed: 0, failed: 0 };
  for (const phase of phases) {
    process.stdout.write(`\n== ${phase.name}\n`);
    const startedAt = performance.now();
    const [program = '', ...argv] = phase.command;
    const { status } = spawnSync(program, argv, { stdio: 'inherit', timeout: PHASE_MS_MAX, killSignal: 'SIGKILL' });
    const found = phase.count(status === 0) ?? { passed: 0, failed: 1, skipped: 0 };
    // A report without a failure from a phase that failed: something broke around the tests.
    const count = status !== 0 && found.failed === 0 ? { ...found, failed: 1 } : found;
    total.passed += count.passed;
    total.failed += count.failed;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    rows.push(
      `${phase.name.padEnd(8)} ${String(count.passed).padStart(5)} passed ${String(count.failed).padStart(3)} failed ` +
        `${String(count.skipped).padStart(3)} skipped  ${seconds.padStart(4)} s`,
    );
  }
  const sum = `${total.passed} passed, ${total.failed} failed\n`;
  writeFileSync(`${BUILD}/test-sum.txt`, sum);
  process.stdout.write(`\n${rows.join('\n')}\n\n${sum}`);
  return total.failed === 0 ? 0 : 1;
}

function vitest(project: string): Phase {
  const report = `${BUILD}/vitest-${project}.json`;
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return {
    name: project,
    command: ['vitest', 'run', '--config', 'test/vitest.config.ts', '--project', project, ...reporters],
    count: () => {
      if (!existsSync(report)) return null;
      const read = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>;
      const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = read;
      return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
    },
  };
}

function oneCheck(ok: boolean): Count {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** drachtio-srf's own tests: `passed failed skipped`, all skipped where ../shared is not. */
function upstreamSuite(): Count | null {
  const file = `${BUILD}/drachtio-suite.txt`;
  if (!existsSync(file)) return null;
  const [passed = 0, failed = 0, skipped = 0] = readFileSync(file, 'utf8').trim().split(' ').map(Number);
  return { passed, failed, skipped };
}

/** CTest's report: `<testsuite tests="12" failures="0" disabled="0" skipped="0" …>`. */
function junit(name: string): Count | null {
  const file = `${BUILD}/${name}`;
  if (!existsSync(file)) return null;
  const head = /<testsuite\b[^>]*>/s.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  const number = (key: string) => Number(new RegExp(`\\b${key}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const [tests, failed, skipped] = [number('tests'), number('failures'), number('skipped') + number('disabled')];
  return { passed: tests - failed - skipped, failed, skipped };
}

process.exitCode = main();
