import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LOCALES, languageOf } from '../prompt/plan.ts';
import { buildLocale } from '../prompts-build/build.ts';
import { checkRecordings, strangers } from '../prompts-build/check.ts';
import { SPOKEN, VOICE } from '../prompts-build/voice.ts';

const USAGE = `usage: hushtone prompts build|check|list [OPTIONS]

  build   makes recordings that are new or whose text or voice changed (Debian: flite sox)
  check   reads every recording: present, 8 kHz mono WAV, even level
  list    prints name and text of every recording of a locale

  --locale L      (en-US)
  --dir D         folder of the locales                 (prompts)
  --overrides O   check: folder of your own recordings, a folder a locale in it; they go first by name
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

const BAR_WIDTH = 30;

function showProgress(done: number, total: number, name: string): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.round((done / total) * BAR_WIDTH);
  const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}`;
  process.stderr.write(done === total ? '\r\x1b[K' : `\r[${bar}] ${done}/${total} ${name}\x1b[K`);
}
