import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Every test runs under the leak watch. */
const setupFiles = ['test/harness/watch-setup.ts'];

const root = fileURLToPath(new URL('..', import.meta.url));

export default defineConfig({
  root,
  test: {
    projects: [
      {
        root,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          setupFiles,
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
