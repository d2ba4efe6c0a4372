import { afterAll, afterEach } from 'vitest';
import { TEST_CARDS } from '../../src/gateway/sandbox/server/test-cards.ts';
import { CARDS } from './cards.ts';
import { processWatch } from './process-watch.ts';

/*
 * Runs before every test file of every project: each test runs under a watch for every published test card, and fails
 * where one of them stands in what the test's process writes, or in the folders and databases that it leaves. A test
 * that keys another number, or an expiry and code of its own, names it with `watchCard`.
 */

const { watch } = processWatch;
for (const { pan } of TEST_CARDS) watch.addNumber(pan);
for (const card of Object.values(CARDS)) watch.add(card);
processWatch.install();

afterEach(() => watch.assertNone());
afterAll(() => {
  processWatch.lookThroughFolders();
  processWatch.uninstall();
  watch.assertNone();
});
