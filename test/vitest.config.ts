import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Every test runs under the leak watch. */
const setupFiles = ['test/harness/watch-setup.ts'];

const root = fileURLToPath(new URL('..', import.meta.url));

/** The longest first, or one of them runs alone in the end; a clone knows nothing of the run before. */
const LONGEST = ['e2e/srtp', 'e2e/payment', 'e2e/faults', 'e2e/late-offer', 'media/conference', 'worker/memory'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  root,
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        root,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          setupFiles,
          // Vitest leaves a core alone otherwise.
          maxWorkers: 2,
          // A property test of a second takes six on two cores that others use too.
          testTimeout: 20_000,
        },
      },
      {
        // Real processes, real sockets, real clients, and mostly waiting for speech: two files at a time on two cores.
        root,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          setupFiles,
          maxWorkers: 2,
          testTimeout: 90_000,
          maxConcurrency: 10,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
