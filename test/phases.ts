import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

/*
 * What `make test`, `make check` and `make soak` have in common: phases in turn, each with its own output, and at the very end
 * one line that adds them up: `N passed, N failed`. A phase that ends badly without saying which test failed counts as one.
 */

export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Phase {
  readonly name: string;
  readonly command: readonly string[];
  /** A phase that hangs must not keep CI for ever. */
  readonly msMax: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Reads the phase's report; null where it wrote none. */
  readonly count: (ok: boolean) => Count | null;
}

export const BUILD = process.env.BUILD ?? 'build';

/** Returns the exit status; the sum is also written to `sumFile` in the build folder. */
export function runPhases(phases: readonly Phase[], sumFile: string): number {
  mkdirSync(BUILD, { recursive: true });
  const rows: string[] = [];
  const total = { passed: 0, failed: 0 };
  for (const phase of phases) {
    process.stdout.write(`\n== ${phase.name}\n`);
    const startedAt = performance.now();
    const count = runPhase(phase);
    total.passed += count.passed;
    total.failed += count.failed;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    rows.push(
      `${phase.name.padEnd(8)} ${String(count.passed).padStart(5)} passed ${String(count.failed).padStart(3)} failed ` +
        `${String(count.skipped).padStart(3)} skipped  ${seconds.padStart(4)} s`,
    );
  }
  const sum = `${total.passed} passed, ${total.failed} failed\n`;
  writeFileSync(`${BUILD}/${sumFile}`, sum);
  process.stdout.write(`\n${rows.join('\n')}\n\n${sum}`);
  return total.failed === 0 ? 0 : 1;
}

function runPhase({ command, msMax, environment, count }: Phase): Count {
  const [program = '', ...argv] = command;
  const env = { ...process.env, ...environment };
  const { status } = spawnSync(program, argv, { stdio: 'inherit', timeout: msMax, killSignal: 'SIGKILL', env });
  const found = count(status === 0) ?? { passed: 0, failed: 1, skipped: 0 };
  // A report without a failure from a phase that failed: something broke around the tests.
  return status !== 0 && found.failed === 0 ? { ...found, failed: 1 } : found;
}

export function oneCheck(ok: boolean): Count {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** `N passed, N failed`, as another run wrote it. */
export function sumOf(name: string): Count | null {
  const found = /^(\d+) passed, (\d+) failed$/m.exec(report(name) ?? '');
  return found === null ? null : { passed: Number(found[1]), failed: Number(found[2]), skipped: 0 };
}

/** drachtio-srf's own tests: `passed failed skipped`, all skipped where ../shared is not. */
export function upstreamSuite(): Count | null {
  const text = report('drachtio-suite.txt');
  if (text === null) return null;
  const [passed = 0, failed = 0, skipped = 0] = text.trim().split(' ').map(Number);
  return { passed, failed, skipped };
}

/** CTest's report: `<testsuite tests="12" failures="0" disabled="0" skipped="0" …>`. */
export function junit(name: string): Count | null {
  const text = report(name);
  if (text === null) return null;
  const head = /<testsuite\b[^>]*>/s.exec(text)?.[0] ?? '';
  const number = (key: string) => Number(new RegExp(`\\b${key}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const [tests, failed, skipped] = [number('tests'), number('failures'), number('skipped') + number('disabled')];
  return { passed: tests - failed - skipped, failed, skipped };
}

function report(name: string): string | null {
  const file = `${BUILD}/${name}`;
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
