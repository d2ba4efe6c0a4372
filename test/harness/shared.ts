import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';

/** Data of others, outside the repository for their licences; HUSHTONE_SHARED_DATA names it where it lies elsewhere. */
const SHARED_DATA = process.env.HUSHTONE_SHARED_DATA ?? join(import.meta.dirname, '../../../shared/data');

/** Null where the folder or file is not there. */
export function sharedData(name: string): string | null {
  const path = join(SHARED_DATA, name);
  return existsSync(path) ? path : null;
}

/** Tests over data of others; where it is not there, one skipped test that says so stands in the report. */
export function describeShared(title: string, name: string, tests: (path: string) => void): void {
  describe(title, () => {
    const path = sharedData(name);
    if (path === null) it.skip(`needs ../shared/data/${name}, which is not here`, () => {});
    else tests(path);
  });
}
