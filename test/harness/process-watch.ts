import childProcess, { type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { relative, sep } from 'node:path';
import { type Log, type LogFields, silentLog } from '../../src/lib/log.ts';
import { type Card, LeakWatch } from './leak-watch.ts';

type Write = NodeJS.WriteStream['write'];
/** A function of Node with many signatures, passed through as it is. */
type Free = (...args: unknown[]) => unknown;
type Look = (where: string, content: string | Uint8Array) => void;

/**
 * Watches this process: what it writes to standard output and standard error, what its children write where they would
 * inherit these, what the silent log is told, and every temporary folder that it makes, with the databases in it, before
 * the folder is removed and at the end.
 */
export class ProcessWatch {
  readonly watch = new LeakWatch();
  readonly #folders = new Set<string>();
  readonly #undo: (() => void)[] = [];

  install(): void {
    const look: Look = (where, content) => this.watch.look(where, content);
    for (const name of ['stdout', 'stderr'] as const) this.#undo.push(watchStream(process[name], name, look));
    this.#undo.push(...watchConsole(look), watchSilentLog(look));
    for (const name of ['spawn', 'fork']) {
      this.#replace(childProcess, name, (start) => (file, argv, options) => {
        return heard(start(file, argv, piped(options)) as ChildProcess, options);
      });
    }
    this.#replace(
      fs,
      'mkdtempSync',
      (make) =>
        (...args) =>
          this.#noted(make(...args)),
    );
    this.#replace(
      fs.promises,
      'mkdtemp',
      (make) =>
        async (...args) =>
          this.#noted(await make(...args)),
    );
    for (const [owner, name] of [[fs, 'rmSync'] as const, [fs.promises, 'rm'] as const]) {
      this.#replace(owner, name, (remove) => (path, ...rest) => {
        this.#beforeRemoval(path);
        return remove(path, ...rest);
      });
    }
    syncBuiltinESMExports();
  }

  uninstall(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
    syncBuiltinESMExports();
  }

  /** Looks through the folders that are left. */
  lookThroughFolders(): void {
    for (const folder of this.#folders) this.watch.lookThroughFolder(folder);
  }

  #replace(owner: object, name: string, make: (original: Free) => Free): void {
    const table = owner as Record<string, Free>;
    const original = table[name];
    if (original === undefined) throw new Error(`Node has no ${name}`);
    table[name] = make(original.bind(owner));
    this.#undo.push(() => {
      table[name] = original;
    });
  }

  #noted(folder: unknown): unknown {
    if (typeof folder === 'string') this.#folders.add(folder);
    return folder;
  }

  #beforeRemoval(path: unknown): void {
    if (typeof path !== 'string') return;
    // The folder itself or one around it; a single file inside is its test's own affair.
    for (const folder of this.#folders) {
      const way = relative(path, folder);
      if (way === '..' || way.startsWith(`..${sep}`)) continue;
      this.watch.lookThroughFolder(folder);
      this.#folders.delete(folder);
    }
  }
}

function watchStream(stream: NodeJS.WriteStream, name: string, look: Look): () => void {
  const original = stream.write;
  const write = original.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((content: string | Uint8Array, ...rest: unknown[]) => {
    look(name, content);
    return write(content, ...rest);
  }) as Write;
  return () => {
    stream.write = original;
  };
}

/** Vitest sends these to its reporter past the streams. */
function watchConsole(look: Look): (() => void)[] {
  return (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => {
    const original = console[name];
    console[name] = (...args: unknown[]) => {
      look(`console.${name}`, args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))).join(' '));
      original(...args);
    };
    return () => {
      console[name] = original;
    };
  });
}

/** What the silent log is told would stand in a real one. */
function watchSilentLog(look: Look): () => void {
  const original = { ...silentLog };
  const line = (message: string, fields?: LogFields) => look('log', JSON.stringify({ message, ...fields }));
  const child = (fields: LogFields): Log => {
    line('child', fields);
    return silentLog;
  };
  Object.assign(silentLog, { debug: line, info: line, warn: line, error: line, child });
  return () => void Object.assign(silentLog, original);
}

/** `inherit` would write past us. */
function piped(options: unknown): unknown {
  const stdio = stdioOf(options);
  if (stdio.length === 0) return options;
  return { ...(options as object), stdio: stdio.map((one, at) => (one === 'inherit' && at > 0 ? 'pipe' : one)) };
}

function heard(child: ChildProcess, options: unknown): ChildProcess {
  const stdio = stdioOf(options);
  if (stdio[1] === 'inherit') child.stdout?.on('data', (bytes: Buffer) => process.stdout.write(bytes));
  if (stdio[2] === 'inherit') child.stderr?.on('data', (bytes: Buffer) => process.stderr.write(bytes));
  return child;
}

/** Three or four ways a child's streams go; none where they are all piped by default. */
function stdioOf(options: unknown): readonly unknown[] {
  const stdio = (options as { stdio?: unknown } | undefined)?.stdio;
  if (stdio === 'inherit') return ['inherit', 'inherit', 'inherit'];
  return Array.isArray(stdio) ? stdio : [];
}

/** The watch of this test file: `watch-setup.ts` installs it. */
export const processWatch = new ProcessWatch();

/** A card that a test keys and that is not among the published ones: from here on it is looked for too. */
export function watchCard(card: Card): void {
  processWatch.watch.add(card);
}
