import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { promisify } from 'node:util';
import { writeWav } from '../lib/wav.ts';
import type { Language } from '../prompt/recording.ts';
import { join } from './join.ts';
import { SAMPLE_RATE } from './level.ts';
import { AMOUNT_GRAMMAR, amountCases, DIGIT_GRAMMAR, digitCases, type SpokenCase } from './recognise-cases.ts';

/** Debian's pocketsphinx and its American English model: ears that are not ours. */
const RECOGNISER = 'pocketsphinx_batch';
const MODEL = '/usr/share/pocketsphinx/model/en-us';
export const RECOGNISER_MISSING = 'is not installed: apt-get install pocketsphinx pocketsphinx-en-us';

const run = promisify(execFile);
const RUN_MS_MAX = 300_000;
const PAD_SAMPLES = 2_400;
/** One step of the 16 bits: the recogniser's logarithm of digital silence is minus infinity. */
const DITHER = 5;
const WAV_HEADER_BYTES = '44';
const CURRENCY = 'USD';

export interface Understood {
  readonly what: 'digits' | 'amounts';
  readonly said: number;
  readonly understood: number;
  /** Words as they were said and as they were heard, where they differ. */
  readonly misheard: readonly { readonly said: string; readonly heard: string }[];
}

export function canRecognise(): boolean {
  const isThere = (process.env.PATH ?? '').split(':').some((folder) => existsSync(joinPath(folder, RECOGNISER)));
  return isThere && existsSync(MODEL);
}

/** Says digits and amounts with the recordings of a locale and lets the recogniser write them down. */
export async function recognise(
  files: ReadonlyMap<string, string>,
  language: Language,
): Promise<readonly Understood[]> {
  const digits = digitCases(language);
  const amounts = amountCases(language, CURRENCY);
  const heardDigits = await listen(files, digits, DIGIT_GRAMMAR);
  const heardAmounts = await listen(files, amounts, AMOUNT_GRAMMAR);
  const right = digits.flatMap(({ words }, at) => {
    const heard = (heardDigits[at] ?? '').split(' ');
    return words.split(' ').map((word, place) => word === heard[place]);
  });
  const differ = (cases: readonly SpokenCase[], heard: readonly string[]) =>
    cases.flatMap(({ words }, at) =>
      singular(words) === singular(heard[at] ?? '') ? [] : [{ said: words, heard: heard[at] ?? '' }],
    );
  const missed = differ(amounts, heardAmounts);
  return [
    {
      what: 'digits',
      said: right.length,
      understood: right.filter(Boolean).length,
      misheard: differ(digits, heardDigits),
    },
    { what: 'amounts', said: amounts.length, understood: amounts.length - missed.length, misheard: missed },
  ];
}

/** Whether `dollars` or `dollar` was heard: the amount is the same. */
function singular(words: string): string {
  return words.replace(/(dollar|cent)s\b/g, '$1');
}

/** What was heard of each case, in order. */
async function listen(
  files: ReadonlyMap<string, string>,
  cases: readonly SpokenCase[],
  grammar: string,
): Promise<readonly string[]> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'hushtone-recognise-'));
  try {
    const [control, rules, heard] = ['control', 'rules.gram', 'heard'].map((name) => joinPath(folder, name));
    for (const [at, { recordings }] of cases.entries()) {
      const wide = wideBand(join(files, recordings));
      await writeFile(joinPath(folder, `${at}.wav`), writeWav([wide], 2 * SAMPLE_RATE));
    }
    await writeFile(control ?? '', cases.map((_, at) => `${at}\n`).join(''));
    await writeFile(rules ?? '', grammar);
    const model = ['-hmm', joinPath(MODEL, 'en-us'), '-dict', joinPath(MODEL, 'cmudict-en-us.dict')];
    const audio = ['-adcin', 'yes', '-adchdr', WAV_HEADER_BYTES, '-cepdir', folder, '-cepext', '.wav'];
    const ends = ['-jsgf', rules ?? '', '-ctl', control ?? '', '-hyp', heard ?? '', '-logfn', '/dev/null'];
    await run(RECOGNISER, [...model, ...audio, ...ends], { timeout: RUN_MS_MAX });
    // `forty two dollars (17 -2300)`: the words, the case and a score.
    const lines = (await readFile(heard ?? '', 'utf8')).trimEnd().split('\n');
    return lines.map((line) => line.replace(/ *\([^)]*\)$/, '').trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`${RECOGNISER} ${RECOGNISER_MISSING}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * 16 kHz, which is what the model was trained for. A zero behind each sample mirrors the band of the telephone into the
 * one above, which is not speech, but nearer to it than the nothing that interpolation leaves there.
 */
function wideBand(samples: Int16Array): Int16Array {
  const wide = new Int16Array(2 * (samples.length + 2 * PAD_SAMPLES));
  for (const [at, sample] of samples.entries()) wide[2 * (at + PAD_SAMPLES)] = sample;
  for (let at = 0; at < wide.length; at++) wide[at] = (wide[at] ?? 0) + dither(at);
  return wide;
}

/** The same on every run. */
function dither(at: number): number {
  return ((Math.imul(at + 1, 2_654_435_761) >>> 16) % (2 * DITHER + 1)) - DITHER;
}
