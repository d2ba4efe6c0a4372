import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchCase, Report } from '../case.ts';
import { buildNativeBench, buildTool, scratch } from '../native-build.ts';
import { joinPrompts } from '../speech.ts';

const ROOT = join(import.meta.dirname, '../..');
const SHARED_DATA = join(ROOT, '../shared/data');
const CORPUS = join(ROOT, '../shared/tools/dtmf/corpus.c');
const SEED = '7';
const HIT_MS_BEFORE = 25;
const HIT_MS_AFTER = 80;
const REPEATS = '20';
/** A card number: one key wrong and the caller keys it all again. */
const KEYS_OF_A_CARD = 16;
const BYTES_PER_HOUR = 3600 * 8000 * 2;
const LONGEST_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Silence after a recording, so that its last press can end. */
const TAIL_BYTES = 1600;
const CPUS = ['portable', 'avx2', 'avx512'] as const;

interface Press {
  readonly onset: number;
  readonly offset: number;
  readonly key: string;
  readonly isAsked: boolean;
  isHit: boolean;
}

interface Score {
  readonly hit: number;
  readonly asked: number;
  /** Also of those that nobody can be asked to hear. */
  readonly heard: number;
  readonly presses: number;
  readonly wrong: number;
  readonly again: number;
  /** Runs of 16 presses without a fault among them, of all such runs. */
  readonly cards: number;
  readonly cardsWhole: number;
  /** From onset to the last sample used, of each press heard, in order. */
  readonly latenciesMs: readonly number[];
}

/** The rule of ../shared/tools/dtmf/score.py: a report belongs to the press it falls into, or 80 ms after it. */
export function score(truth: string, detected: string): Score {
  const presses: Press[] = truth
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .map(([onset, offset, key, optional]) => ({
      onset: Number(onset),
      offset: Number(offset),
      key: key ?? '',
      isAsked: optional === undefined,
      isHit: false,
    }));
  let wrong = 0;
  let again = 0;
  const spoilt = new Set<number>();
  const latenciesMs: number[] = [];
  let at = 0;
  for (const line of detected.split('\n').filter((text) => text !== '' && !text.startsWith('end'))) {
    const [time, key] = line.split(' ');
    const ms = Number(time);
    while (ms >= (presses[at + 1]?.onset ?? Number.POSITIVE_INFINITY)) at += 1;
    const press = presses[at];
    if (press === undefined) continue;
    const isIn = ms >= press.onset - HIT_MS_BEFORE && ms <= press.offset + HIT_MS_AFTER;
    if (!isIn || key !== press.key) wrong += 1;
    else if (press.isHit) again += 1;
    if (!isIn || key !== press.key || press.isHit) spoilt.add(Math.floor(at / KEYS_OF_A_CARD));
    else {
      press.isHit = true;
      latenciesMs.push(Math.round((ms - press.onset) * 10) / 10);
    }
  }
  const cards = Math.floor(presses.length / KEYS_OF_A_CARD);
  const isWhole = (_: unknown, card: number) =>
    !spoilt.has(card) &&
    presses.slice(card * KEYS_OF_A_CARD, (card + 1) * KEYS_OF_A_CARD).every((press) => press.isHit || !press.isAsked);
  return {
    hit: presses.filter((press) => press.isAsked && press.isHit).length,
    asked: presses.filter((press) => press.isAsked).length,
    heard: presses.filter((press) => press.isHit).length,
    presses: presses.length,
    wrong,
    again,
    cards,
    cardsWhole: Array.from({ length: cards }, isWhole).filter((whole) => whole).length,
    latenciesMs: latenciesMs.sort((a, b) => a - b),
  };
}

function run(program: string, ...parts: string[]): string {
  return execFileSync(program, parts, {
    maxBuffer: LONGEST_OUTPUT_BYTES,
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
}

function percentOf(part: number, whole: number): number {
  return whole === 0 ? Number.NaN : Math.round((part / whole) * 10_000) / 100;
}

function toRaw(sound: string, path: string): Buffer {
  execFileSync('sox', ['-V0', sound, '-t', 'raw', '-r', '8000', '-c', '1', '-b', '16', '-e', 'signed', path]);
  return readFileSync(path);
}

const pressesIn = (detected: string) => detected.split('\n').filter((line) => line !== '' && !line.startsWith('end'));

interface Tools {
  readonly detect: string;
  readonly livePath: string;
  readonly spandsp: string;
  readonly folder: string;
}

function reportCorpus({ detect, spandsp, folder }: Tools, report: Report): void {
  const names = readdirSync(folder).filter((name) => name.endsWith('.truth'));
  let differing = 0;
  for (const name of names.sort().map((text) => text.slice(0, -6))) {
    const truth = readFileSync(join(folder, `${name}.truth`), 'utf8');
    const raw = join(folder, `${name}.raw`);
    const heard = run(detect, raw);
    differing += CPUS.filter((cpu) => run(detect, raw, '0', cpu) !== heard).length;
    const ours = score(truth, heard);
    const theirs = score(truth, run(spandsp, raw));
    const peer = 'spandsp';
    const [hit, hitOfPeer] = [ours, theirs].map((one) => percentOf(one.hit, one.asked));
    report({ metric: `${name}: hit`, value: hit ?? Number.NaN, unit: '%', peer, peerValue: hitOfPeer ?? Number.NaN });
    for (const kind of ['wrong', 'again'] as const) {
      if (ours[kind] === 0 && theirs[kind] === 0) continue;
      report({ metric: `${name}: ${kind}`, value: ours[kind], unit: 'presses', peer, peerValue: theirs[kind] });
    }
    if (name.startsWith('reject')) continue;
    const [cards, cardsOfPeer] = [ours, theirs].map((one) => percentOf(one.cardsWhole, one.cards));
    report({
      metric: `${name}: cards whole`,
      value: cards ?? Number.NaN,
      unit: '%',
      peer,
      peerValue: cardsOfPeer ?? Number.NaN,
    });
    for (const share of [0.5, 0.99]) {
      const at = ({ latenciesMs }: Score) => latenciesMs[Math.ceil(share * latenciesMs.length) - 1];
      const [late, lateOfPeer] = [at(ours), at(theirs)];
      if (late === undefined) continue;
      const heardByPeer = lateOfPeer === undefined ? {} : { peer, peerValue: lateOfPeer };
      report({ metric: `${name}: latency p${share * 100}`, value: late, unit: 'ms', ...heardByPeer });
    }
  }
  report({ metric: 'files where a CPU decides otherwise', value: differing, unit: 'files' });
}

/** ../shared/tools/dtmf/corpus.c, which leaves lost packets in and says which they are; three rows more. */
function buildLossCorpus(folder: string): string {
  let source = readFileSync(CORPUS, 'utf8');
  for (const [from, to] of [
    [/if \(c\.repeat_last\) memcpy.*?else memset.*?;/, ''],
    [
      /fwrite\(out, 2, total, f\); fclose\(f\);/,
      '$& if (c.loss == 0) { remove(path); goto done; } snprintf(path, sizeof path, "%s/%s.lost", dir, name); f = fopen(path, "wb"); ' +
        'fwrite(lost, 1, total / 160, f); fclose(f);',
    ],
    [/free\(x\); free\(out\);/, 'done: $&'],
    [
      'if (speech_samples) {',
      'C("loss-5-60ms", c.loss = .05) C("loss-5-40ms", c.loss = .05; c.on_ms = c.off_ms = 40) ' +
        'C("reject-23ms-loss-5", c.loss = .05; c.on_ms = 23; c.off_ms = 80) $&',
    ],
  ] as const) {
    const changed = source.replace(from, to);
    if (changed === source) throw new Error(`corpus.c has no ${from} any more`);
    source = changed;
  }
  const [file, program] = [join(folder, 'loss-corpus.c'), join(folder, 'loss-corpus')];
  writeFileSync(file, source);
  run('gcc', '-O2', file, '-o', program, '-lm');
  return program;
}

/** Lost packets go through the jitter buffer: ours is told what did not come; others hear what is played in its place. */
function reportLivePath({ detect, livePath, spandsp, folder }: Tools, speech: string, report: Report): void {
  const lossFolder = join(folder, 'loss');
  mkdirSync(lossFolder, { recursive: true });
  run(buildLossCorpus(lossFolder), lossFolder, SEED, speech);
  const played = join(lossFolder, 'played.raw-live');
  for (const file of readdirSync(lossFolder).filter((name) => name.endsWith('.lost'))) {
    const name = file.slice(0, -5);
    const [raw, lost] = [join(lossFolder, `${name}.raw`), join(lossFolder, file)];
    const truth = readFileSync(join(lossFolder, `${name}.truth`), 'utf8');
    const scores = {
      ours: score(truth, run(livePath, raw, lost, played)),
      'as played': score(truth, run(detect, played)),
      spandsp: score(truth, run(spandsp, played)),
    };
    for (const peer of ['as played', 'spandsp'] as const) {
      const [ours, theirs] = [scores.ours, scores[peer]];
      const row = `concealed live path, ${name}`;
      const [value, peerValue] = [ours, theirs].map((one) => percentOf(one.hit, one.asked));
      // Of a tone of 23 ms nobody is asked for anything.
      if (scores.ours.asked > 0)
        report({ metric: `${row}: hit`, value: value ?? 0, unit: '%', peer, peerValue: peerValue ?? 0 });
      const [all, allOfPeer] = [ours, theirs].map((one) => percentOf(one.heard, one.presses));
      report({
        metric: `${row}: heard of all, however little came`,
        value: all ?? 0,
        unit: '%',
        peer,
        peerValue: allOfPeer ?? 0,
      });
      for (const kind of ['wrong', 'again'] as const) {
        report({ metric: `${row}: ${kind}`, value: ours[kind], unit: 'presses', peer, peerValue: theirs[kind] });
      }
    }
  }
}

function reportTalkOff({ detect, spandsp, folder }: Tools, report: Report): void {
  const reels = join(SHARED_DATA, 'talkoff');
  let hours = 0;
  const found = { ours: 0, spandsp: 0, multimon: 0 };
  const hasMultimon = spawnSync('multimon-ng', ['-h']).error === undefined;
  const path = join(folder, 'reel.raw-talkoff');
  for (const reel of readdirSync(reels).filter((name) => name.endsWith('.flac'))) {
    hours += toRaw(join(reels, reel), path).length / BYTES_PER_HOUR;
    found.ours += pressesIn(run(detect, path)).length;
    found.spandsp += pressesIn(run(spandsp, path)).length;
    if (!hasMultimon) continue;
    const fast = join(folder, 'reel.raw-22050');
    execFileSync('sox', [
      '-V0',
      join(reels, reel),
      '-t',
      'raw',
      '-r',
      '22050',
      '-c',
      '1',
      '-b',
      '16',
      '-e',
      'signed',
      fast,
    ]);
    const lines = run('multimon-ng', '-q', '-a', 'DTMF', '-t', 'raw', fast).split('\n');
    found.multimon += lines.filter((line) => line.startsWith('DTMF:')).length;
  }
  const perTenHours = (count: number) => Math.round((count / hours) * 100) / 10;
  const metric = `false presses, ${Math.round(hours * 60)} minutes of talk-off`;
  report({
    metric,
    value: perTenHours(found.ours),
    unit: 'per 10 h',
    peer: 'spandsp',
    peerValue: perTenHours(found.spandsp),
  });
  if (!hasMultimon) return;
  report({
    metric,
    value: perTenHours(found.ours),
    unit: 'per 10 h',
    peer: 'multimon-ng',
    peerValue: perTenHours(found.multimon),
  });
}

function reportRecordings({ detect, spandsp, folder }: Tools, report: Report): void {
  const recordings = join(SHARED_DATA, 'dtmf-audio');
  const truths = readdirSync(recordings).filter((name) => name.endsWith('.truth.json'));
  const path = join(folder, 'recording.raw-audio');
  let ours = 0;
  let theirs = 0;
  for (const name of truths) {
    const { digits } = JSON.parse(readFileSync(join(recordings, name), 'utf8')) as { digits: string };
    const samples = toRaw(join(recordings, name.replace('.truth.json', '.wav')), path);
    writeFileSync(path, Buffer.concat([samples, Buffer.alloc(TAIL_BYTES)]));
    const keys = (program: string) =>
      pressesIn(run(program, path))
        .map((line) => line.split(' ')[1])
        .join('');
    if (keys(detect) === digits) ours += 1;
    if (keys(spandsp) === digits) theirs += 1;
  }
  const [value, peerValue] = [percentOf(ours, truths.length), percentOf(theirs, truths.length)];
  report({ metric: `recordings exact, of ${truths.length}`, value, unit: '%', peer: 'spandsp', peerValue });
}

function reportCost({ detect, spandsp, folder }: Tools, speech: string, report: Report): void {
  for (const [what, path] of [
    ['half tones', join(folder, 'clean-60-60.raw')],
    ['prompts', speech],
  ] as const) {
    const peerCost = /ns\/sample ([\d.]+)/.exec(run(spandsp, path, REPEATS))?.[1];
    for (const cpu of CPUS) {
      const cost = /"nsPerSample":([\d.]+)/.exec(run(detect, path, REPEATS, cpu))?.[1];
      const metric = `cpu, ${what}, ${cpu}`;
      report({ metric, value: Number(cost), unit: 'ns/sample', peer: 'spandsp', peerValue: Number(peerCost) });
    }
  }
}

/** The in-band detector on the corpus of ../shared/tools/dtmf, on speech and on recordings, beside spandsp. */
export const bench: BenchCase = {
  name: 'detector',
  question: 'which presses are heard, when, wrong, twice or where there are none, and what does a sample cost?',
  target:
    "at least spandsp's hit rate in every row, none wrong, 0 in the reject rows; p99 45 ms clean, 65 ms at 6 dB; " +
    'at most 6 false in ten hours of talk; a third of its cost with AVX2, a fifth with AVX-512',
  async run(report) {
    const folder = join(scratch(), 'detector');
    mkdirSync(folder, { recursive: true });
    const programs = buildNativeBench();
    const tools: Tools = {
      detect: join(programs, 'detect'),
      livePath: join(programs, 'live_path'),
      spandsp: buildTool('dtmf/spandsp_oracle.c', ['-lspandsp', '-lm']),
      folder,
    };
    const speech = joinPrompts();
    execFileSync(buildTool('dtmf/corpus.c', ['-lm']), [folder, SEED, speech]);
    reportCorpus(tools, report);
    reportLivePath(tools, speech, report);
    if (existsSync(SHARED_DATA) && statSync(SHARED_DATA).isDirectory()) {
      reportTalkOff(tools, report);
      reportRecordings(tools, report);
    }
    reportCost(tools, speech, report);
  },
};
