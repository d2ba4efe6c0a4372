/** Builds what cases measure: our native programs, and the yardsticks of ../shared/tools where they are. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const TOOLS = join(ROOT, '../shared/tools');
const OUT = join(ROOT, 'build/bench');

/** Release build of native/bench; returns the folder of its programs. */
export function buildNativeBench(): string {
  const folder = join(ROOT, 'build/native-bench');
  const options = ['-DHUSHTONE_ADDON=OFF', '-DHUSHTONE_BENCH=ON', '-DCMAKE_BUILD_TYPE=RelWithDebInfo'];
  execFileSync('cmake', ['-S', join(ROOT, 'native'), '-B', folder, ...options], { stdio: 'pipe' });
  execFileSync('cmake', ['--build', folder, '-j', '2'], { stdio: 'pipe' });
  return folder;
}

/** A file of ../shared/tools; throws where that folder is not. */
export function toolFile(source: string): string {
  const path = join(TOOLS, source);
  if (!existsSync(path)) throw new Error(`../shared/tools/${source} is not there to measure with`);
  return path;
}

/** Compiles one C file of ../shared/tools. */
export function buildTool(source: string, libraries: readonly string[] = []): string {
  const path = toolFile(source);
  mkdirSync(OUT, { recursive: true });
  const program = join(OUT, source.replace(/^.*\//, '').replace(/\.c$/, ''));
  execFileSync('gcc', ['-O2', path, '-o', program, ...libraries], { stdio: 'pipe' });
  return program;
}

/** Scratch folder of the benchmarks. */
export function scratch(): string {
  mkdirSync(OUT, { recursive: true });
  return OUT;
}
