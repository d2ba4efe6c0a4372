import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/lib/log.ts';
import config from '../vitest.config.ts';
import { ProcessWatch } from './process-watch.ts';

/* The watch is planted with what it must find. The number is nobody's, and the setup's own watch does not know it. */

const CARD = { pan: '4539148803436467', expiry: '0731', cvc: '918' };
const ROOT = join(import.meta.dirname, '../..');
const CHILD_MS_MAX = 60_000;

let watch: ProcessWatch;

beforeEach(() => {
  // What is planted goes no further than the watch, which lies over these.
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockReturnValue(true);
  vi.spyOn(console, 'info').mockReturnValue();
  watch = new ProcessWatch();
  watch.watch.add(CARD);
  watch.install();
});

afterEach(() => {
  watch.uninstall();
  vi.restoreAllMocks();
});

const found = () => {
  try {
    watch.watch.assertNone();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

const database = (folder: string, sql: string, ...values: unknown[]): void => {
  const file = new Sqlite(join(folder, 'planted.db'));
  file.pragma('journal_mode = WAL');
  file.exec(sql);
  file.prepare('INSERT INTO notes VALUES (?, ?)').run(...values);
  file.close();
};

describe('the watch over a test process', () => {
  it.each([
    ['stdout', () => process.stdout.write(`planted on purpose: ${CARD.pan}\n`)],
    ['stderr', () => process.stderr.write(Buffer.from(`planted on purpose: ${CARD.pan}\n`))],
    ['console.info', () => console.info('planted on purpose', { number: CARD.pan })],
    ['log', () => silentLog.info('planted', { number: CARD.pan })],
    ['log', () => silentLog.child({ cvc: CARD.cvc }).info('planted')],
  ])('finds what goes to %s', (where, plant) => {
    plant();
    expect(found()).toContain(`${where}: `);
    expect(found()).toBe('');
  });

  it('finds what a child writes that would inherit the streams', async () => {
    const script = `process.stdout.write('planted on purpose: ${CARD.pan}\\n')`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit'] });
    await new Promise((resolve) => child.once('close', resolve));
    expect(found()).toContain('stdout: ');
  });

  it('finds what a temporary folder holds, also when the test removes it', async () => {
    const kept = mkdtempSync(join(tmpdir(), 'hushtone-planted-'));
    writeFileSync(join(kept, 'notes.txt'), `number ${CARD.pan}`);
    watch.lookThroughFolders();
    expect(found()).toContain('file notes.txt: ');
    rmSync(kept, { recursive: true });
    expect(found()).toContain('file notes.txt: ');
    const removed = await mkdtemp(join(tmpdir(), 'hushtone-planted-'));
    mkdirSync(join(removed, 'below'));
    writeFileSync(join(removed, 'below/notes.txt'), `number ${CARD.pan}`);
    await rm(removed, { recursive: true });
    expect(found()).toContain('file below/notes.txt: ');
  });

  it.each([
    ['the security code as a value of its own', 'TEXT', CARD.cvc],
    ['the security code as a value of its own', 'INTEGER', Number(CARD.cvc)],
    ['the security code as a value of its own', 'TEXT', JSON.stringify({ list: [{ what: CARD.cvc }] })],
    ['the expiry as a value of its own', 'TEXT', CARD.expiry],
    ['the expiry as a value of its own', 'TEXT', '07/31'],
    ['the expiry as a value of its own', 'TEXT', '2031-07'],
    ['the expiry as a value of its own', 'BLOB', Buffer.from(CARD.expiry)],
  ])('finds %s in a cell of %s', (what, type, value) => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-planted-'));
    database(folder, `CREATE TABLE notes (id INTEGER, note ${type})`, 1, value);
    rmSync(folder, { recursive: true });
    expect(found()).toContain(`file planted.db, notes.note: ${what}`);
  });

  it('lets a database pass that holds the last four, amounts, times and ids', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-planted-'));
    const honest = { last4: CARD.pan.slice(-4), at: 1_795_427_496_918, length: 4, amountMinor: 9180 };
    database(folder, 'CREATE TABLE notes (id INTEGER, note TEXT)', 73_100, JSON.stringify(honest));
    const counted = new Sqlite(join(folder, 'counted.db'));
    counted.exec(`CREATE TABLE events (ordinal INTEGER, sequence INTEGER); INSERT INTO events VALUES (${CARD.cvc}, 1)`);
    counted.close();
    rmSync(folder, { recursive: true });
    expect(found()).toBe('');
  });
});

describe('every project of the tests', () => {
  it('has the watch as its setup', () => {
    const projects = config.test?.projects as { test: { name: string; setupFiles: string[] } }[];
    expect(projects.map(({ test }) => test.name)).toEqual(['unit', 'e2e']);
    for (const { test } of projects) expect(test.setupFiles).toContain('test/harness/watch-setup.ts');
  });

  // A run of vitest over a file that leaks, with the setup that all others have.
  it(
    'fails a test that leaks, and names where',
    async () => {
      const build = join(ROOT, 'build');
      mkdirSync(build, { recursive: true });
      const folder = mkdtempSync(join(build, 'planted-'));
      const setup = join(import.meta.dirname, 'watch-setup.ts');
      const settings = { test: { root: folder, include: ['*.planted.ts'], setupFiles: [setup] } };
      writeFileSync(join(folder, 'vitest.config.ts'), `export default ${JSON.stringify(settings)}`);
      const test =
        "import { it } from 'vitest';\nit('leaks', () => void process.stdout.write('4242' + '42424242' + '4242'));\n";
      writeFileSync(join(folder, 'leak.planted.ts'), test);
      const argv = ['run', '--config', join(folder, 'vitest.config.ts'), '--root', folder];
      const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), argv, { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += String(bytes)));
      const status = await new Promise((resolve) => child.once('close', resolve));
      rmSync(folder, { recursive: true });
      expect(output).toContain('card data was found outside the vault');
      expect(output).toMatch(/stdout: .*digits of the number/);
      expect(status).toBe(1);
    },
    CHILD_MS_MAX,
  );
});
