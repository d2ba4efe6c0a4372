import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/*
 * The house rules that a machine can keep, after TigerBeetle's tidy.zig. Floors: imports go down, never sideways
 * (architecture.md). Each ban names what to use instead. Where a rule is wrong for a good reason, change it in the
 * commit that needs it and say why.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const FLOOR_OF: Readonly<Record<string, number>> = {
  cli: 5,
  sip: 4,
  'sip-server': 4,
  media: 4,
  worker: 4,
  supervisor: 4,
  gateway: 4,
  store: 4,
  events: 4,
  api: 4,
  config: 4,
  telemetry: 4,
  pcap: 4,
  'prompts-build': 4,
  'data-dip': 4,
  caller: 4,
  app: 3,
  session: 2,
  card: 2,
  money: 2,
  prompt: 2,
  lib: 1,
};

/** Sideways steps that are allowed, with the reason. */
const SIDEWAYS: ReadonlyArray<readonly [from: RegExp, to: RegExp, why: string]> = [
  [/^src\/cli\/control\.ts$/, /^src\/main\.ts$/, 'the command starts the composition root'],
  [/^src\/session\//, /^src\/(card|money)\//, 'the machines decide by the rules of cards and money'],
  [/^src\/prompt\//, /^src\/money\//, 'an amount is said in its currency'],
  [/^src\/media\//, /^src\/worker\/wire\.ts$/, 'the protocol between control and worker is one file'],
];

/** Native: addon → { io, egress } → call → leg → mask → { rtp, srtp, dtmf, audio, vault } → base. The mask proves itself by the decoder. */
const NATIVE_FLOOR_OF: Readonly<Record<string, number>> = {
  addon: 8,
  io: 7,
  egress: 6,
  call: 5,
  leg: 4,
  mask: 3,
  rtp: 2,
  srtp: 2,
  dtmf: 2,
  audio: 2,
  vault: 2,
  base: 1,
};

function filesBelow(folder: string, ending: RegExp): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && ending.test(entry.name)) found.push(relative(ROOT, join(entry.parentPath, entry.name)));
  }
  return found.sort();
}

/** The folder below src/ that a file stands in, or '' for src/main.ts. */
function folderOf(file: string): string {
  const parts = file.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : '';
}

function floorOf(file: string): number {
  const folder = folderOf(file);
  return folder === '' ? 5 : (FLOOR_OF[folder] ?? 0);
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)'([^']+)'/g)].map((match) => match[1] ?? '');
}

/** Comments may name what code may not use. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

const read = (file: string) => ({ file, text: readFileSync(join(ROOT, file), 'utf8') });
const sources = filesBelow('src', /\.ts$/).map(read);
const tests = filesBelow('test', /\.ts$/).map(read);
const natives = filesBelow('native', /\.(cc|h)$/).map(read);

/** Why this import is not allowed, or null. */
function importFault(file: string, target: string): string | null {
  if (!target.startsWith('src/')) return `${file} imports ${target}: src may not reach outside itself`;
  const [mine, theirs] = [folderOf(file), folderOf(target)];
  if (mine === theirs) {
    const [one, other] = [file.split('/')[2], target.split('/')[2]];
    // Beside the folders stands what they share; it knows none of them.
    const isInsideOneGateway = mine !== 'gateway' || target.split('/').length <= 3 || one === other;
    return isInsideOneGateway ? null : `${file} may not import ${target}: no gateway knows another`;
  }
  if (floorOf(file) > floorOf(target)) return null;
  if (SIDEWAYS.some(([from, to]) => from.test(file) && to.test(target))) return null;
  return `${mine || 'main'} (floor ${floorOf(file)}) may not import ${theirs || 'main'} (floor ${floorOf(target)}): ${file}`;
}

const relativeImportsOf = (files: ReadonlyArray<{ readonly file: string; readonly text: string }>) =>
  files.flatMap(({ file, text }) =>
    importsOf(text)
      .filter((name) => name.startsWith('.'))
      .map((name) => ({ file, target: relative(ROOT, resolve(ROOT, dirname(file), name)) })),
  );
const relativeImports = relativeImportsOf(sources);

/** Each way from a file back to itself; a type-only import counts, for it too makes one thing of two. */
function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (file: string): void => {
    const at = way.indexOf(file);
    if (at >= 0) circles.push([...way.slice(at), file].join(' → '));
    if (at >= 0 || done.has(file)) return;
    way.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    way.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return circles;
}

describe('the floors', () => {
  it('has a floor for every folder below src', () => {
    const unknown = sources.map((s) => folderOf(s.file)).filter((f) => f !== '' && FLOOR_OF[f] === undefined);
    expect([...new Set(unknown)]).toEqual([]);
  });

  it('lets imports go down and never sideways', () => {
    const faults = relativeImports.map(({ file, target }) => importFault(file, target));
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });

  it('has no two files that import each other, by whatever way', () => {
    const known = new Map([...sources, ...tests].map(({ file }) => [file, [] as string[]]));
    for (const { file, target } of [...relativeImports, ...relativeImportsOf(tests)]) known.get(file)?.push(target);
    expect(circlesOf(known)).toEqual([]);
    expect(circlesOf(new Map(Object.entries({ a: ['b'], b: ['c'], c: ['b'] })))).toEqual(['b → c → b']);
  });

  it('lets only floor 5 read the configuration', () => {
    const broken = relativeImports.filter(
      ({ file, target }) => folderOf(target) === 'config' && folderOf(file) !== 'config' && floorOf(file) < 5,
    );
    expect(broken.map(({ file }) => file)).toEqual([]);
  });

  it('lets native includes go down', () => {
    const broken: string[] = [];
    for (const { file, text } of natives) {
      const folder = file.split('/')[1] ?? '';
      const mine = NATIVE_FLOOR_OF[folder];
      if (mine === undefined) continue;
      for (const match of text.matchAll(/#include "([a-z_]+)\/[^"]+"/g)) {
        const other = match[1] ?? '';
        if (other !== folder && (NATIVE_FLOOR_OF[other] ?? mine) >= mine) broken.push(`${file} includes ${match[0]}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('keeps Node out of everything native but the addon', () => {
    const isForeign = ({ file, text }: { file: string; text: string }) =>
      !file.startsWith('native/addon/') && /#include <(napi|node_api|uv)\.h>/.test(text);
    expect(natives.filter(isForeign).map((n) => n.file)).toEqual([]);
  });

  it('loads the addon in the worker folder only', () => {
    const broken = sources.filter((s) => folderOf(s.file) !== 'worker' && /hushtone\.node/.test(codeOf(s.text)));
    expect(broken.map((s) => s.file)).toEqual([]);
  });

  it('has one door to SIP', () => {
    const broken = sources
      .filter((s) => !['sip', 'sip-server'].includes(folderOf(s.file)))
      .filter((s) => importsOf(s.text).some((name) => name.startsWith('drachtio-srf')));
    expect(broken.map((s) => s.file)).toEqual([]);
  });
});

interface Ban {
  readonly what: RegExp;
  readonly instead: string;
  readonly where: (file: string) => boolean;
  /** Comments are searched too. */
  readonly inComments?: true;
}

const everywhere = () => true;

const BANS: readonly Ban[] = [
  { what: /\bconsole\.\w+\(/, instead: 'the log argument, or process.stdout in a command', where: everywhere },
  {
    what: /\bDate\.now\(|\bsetTimeout\(|\bsetInterval\(|new Date\(\)/,
    instead: 'the clock argument',
    where: (file) => floorOf(file) < 4 && file !== 'src/lib/clock.ts',
  },
  {
    what: /\bparseFloat\(|\.toFixed\(/,
    instead: 'integer minor units',
    where: (file) => ['money', 'gateway', 'session', 'prompt'].includes(folderOf(file)),
  },
  { what: /\bIntl\.NumberFormat/, instead: 'src/money: Intl is wrong for 29 currencies', where: everywhere },
  { what: /:\s*any\b|<any>|\bas any\b/, instead: 'unknown and a check', where: everywhere },
  {
    what: /\.setRoutes\(/,
    instead: 'src/app/conference-runner.ts: who hears whom is decided in one table',
    where: (file) => !['media', 'worker'].includes(folderOf(file)) && file !== 'src/app/conference-runner.ts',
  },
  {
    what: /\bFIXME\b|\bXXX\b|\bTODO\b(?!\(#\d+\))/,
    instead: 'mending it, or TODO(#issue)',
    where: everywhere,
    inComments: true,
  },
];

/** Where a secret may leave its wrapper, so that an assessor can read every such place. */
const REVEAL_ALLOWED: ReadonlySet<string> = new Set([
  'src/lib/sensitive.ts',
  'src/main.ts',
  'src/media/client.ts',
  'src/media/connection.ts',
  'src/worker/process.ts',
  'src/worker/egress.ts',
  'src/sip/crypto.ts',
  'src/sip/signature.ts',
  'src/sip/front-end.ts',
  'src/api/auth.ts',
  'src/gateway/authorization.ts',
  // Keys of protected media in a capture that a person decodes.
  'src/pcap/sessions.ts',
  'src/cli/decode/protection.ts',
  'src/worker/offline.ts',
]);

describe('the bans', () => {
  for (const ban of BANS) {
    it(`bans ${ban.what.source}: use ${ban.instead}`, () => {
      const broken = sources.filter(
        (s) => ban.where(s.file) && ban.what.test(ban.inComments ? s.text : codeOf(s.text)),
      );
      expect(broken.map((s) => s.file)).toEqual([]);
    });
  }

  it('reveals secrets in named files only', () => {
    const broken = sources.filter((s) => /\.reveal\(/.test(codeOf(s.text)) && !REVEAL_ALLOWED.has(s.file));
    expect(broken.map((s) => s.file)).toEqual([]);
  });

  it('has no source file that nobody imports', () => {
    const imported = new Set(relativeImports.map(({ target }) => target));
    // What runs as a process or script of its own is named in a string somewhere.
    const isNamed = (file: string) => {
      const name = file.split('/').slice(-2).join('/');
      return sources.some((other) => other.file !== file && other.text.includes(name));
    };
    const orphans = sources
      .map((s) => s.file)
      .filter((file) => !/^src\/(main\.ts$|cli\/)/.test(file) && !file.endsWith('.d.ts'))
      .filter((file) => !imported.has(file) && !isNamed(file));
    expect(orphans).toEqual([]);
  });
});

const README_LINES_MAX = 40;

describe('the folders', () => {
  it(`has a README of at most ${README_LINES_MAX} lines in every folder`, () => {
    const below = (folder: string) =>
      readdirSync(join(ROOT, folder), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${folder}/${entry.name}`);
    const broken: string[] = [];
    for (const folder of [...below('src'), ...below('native'), 'native', 'prompts', 'sip-profiles', 'bench', 'test']) {
      if (!existsSync(join(ROOT, folder))) continue;
      const files = filesBelow(folder, /./);
      if (files.length === 0) continue;
      if (!files.includes(`${folder}/README.md`)) {
        broken.push(`${folder} has no README.md`);
        continue;
      }
      const lines = readFileSync(join(ROOT, folder, 'README.md'), 'utf8')
        .trimEnd()
        .split('\n').length;
      if (lines > README_LINES_MAX && folder !== 'bench') broken.push(`${folder}/README.md has ${lines} lines`);
    }
    expect(broken).toEqual([]);
  });

  it('keeps the top level as drawn', () => {
    const drawn = 'package.json package-lock.json tsconfig.json src native prompts sip-profiles bench test Makefile';
    const besides = 'README.md CHANGELOG.md LICENSE docs node_modules build var';
    const allowed = new Set([...drawn.split(' '), ...besides.split(' ')]);
    const strangers = readdirSync(ROOT).filter((n) => !n.startsWith('.') && !n.startsWith('build-') && !allowed.has(n));
    expect(strangers).toEqual([]);
  });
});
