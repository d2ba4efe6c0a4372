import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { recordingFiles } from '../lib/recording-files.ts';
import { LOCALES, languageOf } from '../prompt/plan.ts';
import type { Language } from '../prompt/recording.ts';
import { buildLocale } from '../prompts-build/build.ts';
import { checkRecordings, strangers } from '../prompts-build/check.ts';
import { canRecognise, RECOGNISER_MISSING, recognise } from '../prompts-build/recognise.ts';
import { SPOKEN, VOICE } from '../prompts-build/voice.ts';

/** Of what the recogniser must understand; the shipped voice reaches more (prompts/README.md). */
export const UNDERSTOOD_MIN = { digits: 0.95, amounts: 0.9 } as const;

const USAGE = `usage: hushtone prompts build|check|recognise|list [OPTIONS]

  build      makes recordings that are new or whose text or voice changed (Debian: flite sox)
  check      reads every recording: present, 8 kHz mono WAV, even level
  recognise  lets an independent recogniser hear digits and amounts joined from them, and fails below
             ${100 * UNDERSTOOD_MIN.digits} % of the digits or ${100 * UNDERSTOOD_MIN.amounts} % of the amounts (Debian: pocketsphinx pocketsphinx-en-us)
  list       prints name and text of every recording of a locale

  --locale L      (en-US)
  --dir D         folder of the locales                 (prompts)
  --overrides O   check, recognise: folder of your own recordings, a folder a locale in it; they go first by name
  --voice V       build: tool:voice                     (${VOICE})

examples:
  npx hushtone prompts list
  npx hushtone prompts check --overrides /etc/hushtone/prompts
`;

/** Returns the exit status: 0 fine, 1 faults, 2 wrong use. */
export async function promptsCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      locale: { type: 'string', default: 'en-US' },
      dir: { type: 'string', default: 'prompts' },
      overrides: { type: 'string' },
      voice: { type: 'string', default: VOICE },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [verb] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const language = languageOf(values.locale);
  if (language === null) {
    process.stderr.write(`prompts: no locale ${values.locale}; expected one of ${LOCALES.join(', ')}\n`);
    return 2;
  }
  const names = language.recordings.map((recording) => recording.name);
  switch (verb) {
    case 'list':
      for (const { name, text } of language.recordings) process.stdout.write(`${name.padEnd(28)} ${text}\n`);
      return 0;
    case 'recognise': {
      const folders = { directory: values.dir, overrides: values.overrides ?? null };
      return recogniseCommand(recordingFiles(folders, values.locale), language);
    }
    case 'check': {
      const folders = { directory: values.dir, overrides: values.overrides ?? null };
      for (const folder of [folders.directory, folders.overrides]) {
        if (folder === null || existsSync(folder)) continue;
        process.stderr.write(`prompts: ${folder}: expected a folder, found none\n`);
        return 1;
      }
      const faults = checkRecordings(folders, values.locale, names);
      for (const { file, fault } of faults) process.stderr.write(`${file} ${fault}\n`);
      for (const file of strangers(folders, values.locale, names))
        process.stderr.write(`${file} is asked for by nothing\n`);
      process.stdout.write(`${names.length - faults.length} of ${names.length} recordings are right\n`);
      return faults.length === 0 ? 0 : 1;
    }
    case 'build': {
      const { dir, locale, voice } = values;
      const built = await buildLocale({ directory: dir, locale, voice, spoken: SPOKEN, progress: showProgress });
      process.stdout.write(`${built.made} recordings made, ${built.kept} up to date\n`);
      return 0;
    }
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

async function recogniseCommand(files: ReadonlyMap<string, string>, language: Language): Promise<number> {
  if (!canRecognise()) {
    process.stderr.write(`prompts: pocketsphinx ${RECOGNISER_MISSING}\n`);
    return 1;
  }
  let isClear = true;
  for (const { what, said, understood, misheard } of await recognise(files, language)) {
    for (const one of misheard) process.stdout.write(`  said  ${one.said}\n  heard ${one.heard}\n`);
    const share = understood / said;
    const min = UNDERSTOOD_MIN[what];
    const text = `${understood} of ${said}`.padStart(12);
    process.stdout.write(`${what.padEnd(8)}${text}  ${(100 * share).toFixed(1)} %  (at least ${100 * min} %)\n`);
    isClear &&= share >= min;
  }
  return isClear ? 0 : 1;
}

const BAR_WIDTH = 30;

function showProgress(done: number, total: number, name: string): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.round((done / total) * BAR_WIDTH);
  const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}`;
  process.stderr.write(done === total ? '\r\x1b[K' : `\r[${bar}] ${done}/${total} ${name}\x1b[K`);
}
