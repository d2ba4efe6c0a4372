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
        },
      },
      {
        // Real processes, real sockets, real clients: one file at a time, so that two cores are enough.
        root,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          setupFiles,
          fileParallelism: false,
          testTimeout: 90_000,
          maxConcurrency: 10,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
