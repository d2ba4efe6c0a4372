import { readdirSync, readFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UNDERSTOOD_MIN } from '../../src/cli/prompts.ts';
import { recordingFiles } from '../../src/lib/recording-files.ts';
import { languageOf } from '../../src/prompt/plan.ts';
import { givenOf } from '../../src/prompts-build/build.ts';
import { join, samplesOf } from '../../src/prompts-build/join.ts';
import { inputHash, readManifest, sha256 } from '../../src/prompts-build/manifest.ts';
import { canRecognise, RECOGNISER_MISSING, recognise } from '../../src/prompts-build/recognise.ts';
import { amountCases, digitCases } from '../../src/prompts-build/recognise-cases.ts';

/* The recordings that are committed: what the manifest says of them, how they join, and whether they are understood. */

const ROOT = joinPath(import.meta.dirname, '../..');
const FOLDER = joinPath(ROOT, 'prompts/en-US');
const files = recordingFiles({ directory: joinPath(ROOT, 'prompts'), overrides: null }, 'en-US');
const language = languageOf('en-US');
if (language === null) throw new Error('no en-US');
const manifest = readManifest(readFileSync(joinPath(FOLDER, 'manifest.yaml'), 'utf8'));

/** Of 32768. G.711 µ-law's smallest step is 8 in 16 bits: an end below half of it is silence on the wire. */
const END_SAMPLE_MAX = 4;
/** Over a join and the two samples on each side of it: one such step more, and no click. */
const JOIN_STEP_MAX = 2 * END_SAMPLE_MAX + 8;
const NEAR_JOIN_SAMPLES = 2;
const RECOGNISE_MS_MAX = 120_000;

describe('the manifest of en-US', () => {
  it('names every recording of the language with its text, and nothing else', () => {
    expect(manifest.recordings.map(({ name, text }) => [name, text])).toEqual(
      language.recordings.map(({ name, text }) => [name, text]),
    );
    expect(readdirSync(FOLDER).sort()).toEqual(
      [...manifest.recordings.map(({ name }) => `${name}.wav`), 'manifest.yaml'].sort(),
    );
  });

  it('has the hash of every committed file, and of what it was made from', () => {
    const made = new Map(language.recordings.map((recording) => [recording.name, givenOf(recording)]));
    const wrong = manifest.recordings.filter(({ name, spoken, inputHash: input, fileHash }) => {
      const given = spoken ?? made.get(name) ?? '';
      const file = readFileSync(joinPath(FOLDER, `${name}.wav`));
      return sha256(file) !== fileHash || inputHash(manifest.voice, given) !== input;
    });
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });
});

describe('the recordings of en-US', () => {
  it(`begin and end below ${END_SAMPLE_MAX} of 32768`, () => {
    const loud = [...files.keys()].filter((name) => {
      const samples = samplesOf(files, name);
      return Math.max(Math.abs(samples[0] ?? 0), Math.abs(samples.at(-1) ?? 0)) > END_SAMPLE_MAX;
    });
    expect(loud).toEqual([]);
  });

  it(`join without a step above ${JOIN_STEP_MAX}, in digits and amounts`, () => {
    const cases = [...digitCases(language), ...amountCases(language, 'USD')];
    let joins = 0;
    for (const { recordings, words } of cases) {
      const joined = join(files, recordings);
      let at = 0;
      for (const name of recordings.slice(0, -1)) {
        at += samplesOf(files, name).length;
        const near = joined.subarray(at - NEAR_JOIN_SAMPLES, at + NEAR_JOIN_SAMPLES);
        const steps = Array.from(near.subarray(1), (sample, before) => Math.abs(sample - (near[before] ?? 0)));
        expect(Math.max(...steps), `${words}: before ${name}`).toBeLessThanOrEqual(JOIN_STEP_MAX);
        joins += 1;
      }
    }
    expect(joins).toBeGreaterThan(400);
  });

  it('are all said by somebody: a sentence that nothing says is not recorded', () => {
    const sayers = [
      'src/app/words.ts',
      'src/app/conference-runner.ts',
      'src/session/conversation.ts',
      'src/lib/errors.ts',
    ];
    const text = sayers.map((file) => readFileSync(joinPath(ROOT, file), 'utf8')).join('\n');
    const sentences = language.recordings.map(({ name }) => name).filter((name) => !/-(\d\d?|[a-z])$/.test(name));
    const made = /^(number|word|symbol|brand|unit|month|day|year|letter|digit|pause)(-|$)/;
    expect(sentences.filter((name) => !made.test(name) && !text.includes(`'${name}'`))).toEqual([]);
  });

  const able = canRecognise();
  it.skipIf(!able)(
    `are understood by a recogniser that is not ours${able ? '' : ` (pocketsphinx ${RECOGNISER_MISSING})`}`,
    async () => {
      for (const { what, said, understood } of await recognise(files, language)) {
        expect(said).toBeGreaterThanOrEqual(60);
        expect(understood / said, what).toBeGreaterThanOrEqual(UNDERSTOOD_MIN[what]);
      }
    },
    RECOGNISE_MS_MAX,
  );
});
