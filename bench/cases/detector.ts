import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchCase } from '../case.ts';
import { buildNativeBench, buildTool, scratch } from '../native-build.ts';

const SEED = '7';
const HIT_MS_BEFORE = 25;
const HIT_MS_AFTER = 80;
const REPEATS = '5';

interface Score {
  hit: number;
  asked: number;
  wrong: number;
  again: number;
}

/** The rule of ../shared/tools/dtmf/score.py: a report belongs to the press it falls into, or 80 ms after it. */
export function score(truth: string, detected: string): Score {
  const presses = truth
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .map(([onset, offset, key, optional]) => ({
      onset: Number(onset),
      offset: Number(offset),
      key,
      isAsked: optional === undefined,
      isHit: false,
    }));
  const result: Score = { hit: 0, asked: presses.filter((press) => press.isAsked).length, wrong: 0, again: 0 };
  let at = 0;
  for (const line of detected.split('\n').filter((text) => text !== '' && !text.startsWith('end'))) {
    const [time, key] = line.split(' ');
    const ms = Number(time);
    while (ms >= (presses[at + 1]?.onset ?? Number.POSITIVE_INFINITY)) at += 1;
    const press = presses[at];
    if (press === undefined) continue;
    const isIn = ms >= press.onset - HIT_MS_BEFORE && ms <= press.offset + HIT_MS_AFTER;
    if (!isIn || key !== press.key) result.wrong += 1;
    else if (press.isHit) result.again += 1;
    else press.isHit = true;
  }
  result.hit = presses.filter((press) => press.isAsked && press.isHit).length;
  return result;
}

/** The in-band detector on the corpus of ../shared/tools/dtmf, beside spandsp. */
export const bench: BenchCase = {
  name: 'detector',
  question: 'which presses of the in-band corpus are heard, wrong or counted twice, and what does a sample cost?',
  target: "at least spandsp's hit rate in every row, no wrong press; 0 in the reject rows",
  async run(report) {
    const detect = join(buildNativeBench(), 'detect');
    const corpus = buildTool('dtmf/corpus.c', ['-lm']);
    const spandsp = buildTool('dtmf/spandsp_oracle.c', ['-lspandsp', '-lm']);
    const folder = scratch();
    execFileSync(corpus, [folder, SEED]);
    const names = execFileSync('ls', [folder]).toString().split('\n');
    for (const name of names.filter((text) => text.endsWith('.truth')).map((text) => text.slice(0, -6))) {
      const truth = readFileSync(join(folder, `${name}.truth`), 'utf8');
      const raw = join(folder, `${name}.raw`);
      const ours = score(truth, execFileSync(detect, [raw]).toString());
      const theirs = score(truth, execFileSync(spandsp, [raw]).toString());
      const percent = (one: Score) => Math.round((one.hit / one.asked) * 10_000) / 100;
      report({ metric: `${name}: hit`, value: percent(ours), unit: '%', peer: 'spandsp', peerValue: percent(theirs) });
      for (const kind of ['wrong', 'again'] as const) {
        if (ours[kind] === 0 && theirs[kind] === 0) continue;
        const peer = { peer: 'spandsp', peerValue: theirs[kind] };
        report({ metric: `${name}: ${kind}`, value: ours[kind], unit: 'presses', ...peer });
      }
    }
    const clean = join(folder, 'clean-60-60.raw');
    const cost = /"nsPerSample":([\d.]+)/.exec(execFileSync(detect, [clean, REPEATS]).toString())?.[1];
    const peerCost = /ns\/sample ([\d.]+)/.exec(execFileSync(spandsp, [clean, REPEATS]).toString())?.[1];
    report({ metric: 'cpu', value: Number(cost), unit: 'ns/sample', peer: 'spandsp', peerValue: Number(peerCost) });
  },
};
