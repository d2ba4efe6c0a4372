import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWav } from '../lib/wav.ts';
import { LOCALES, languageOf } from '../prompt/plan.ts';
import type { Language, Recording } from '../prompt/recording.ts';
import { SAMPLE_RATE, softEnds, toLevel, trim } from './level.ts';
import { inputHash, type ManifestEntry, readManifest, sha256, writeManifest } from './manifest.ts';
import { synthesize } from './synth.ts';
import { playTune } from './tune.ts';

export interface BuildOptions {
  readonly directory: string;
  readonly locale: string;
  readonly voice: string;
  /** Respellings for a voice that misreads: name of a recording → what it is given. */
  readonly spoken: Readonly<Record<string, string>>;
  progress(done: number, total: number, name: string): void;
}

export interface Built {
  readonly made: number;
  readonly kept: number;
}

/** Makes what is new or changed; what is up to date is not touched. Throws where a tool is missing. */
export async function buildLocale(options: BuildOptions): Promise<Built> {
  const language = languageOf(options.locale);
  if (language === null) throw new Error(`no such locale: ${options.locale}; there are ${LOCALES.join(', ')}`);
  const folder = join(options.directory, options.locale);
  await mkdir(folder, { recursive: true });
  const before = await entriesBefore(folder);
  const entries: ManifestEntry[] = [];
  let made = 0;
  for (const [index, recording] of language.recordings.entries()) {
    options.progress(index, language.recordings.length, recording.name);
    const known = before.get(recording.name);
    const entry = await buildOne(options, folder, recording, known);
    if (entry !== known) made += 1;
    entries.push(entry);
  }
  options.progress(language.recordings.length, language.recordings.length, '');
  const manifest = { locale: options.locale, voice: options.voice, recordings: entries };
  await writeFile(join(folder, 'manifest.yaml'), writeManifest(manifest));
  return { made, kept: entries.length - made };
}

async function entriesBefore(folder: string): Promise<Map<string, ManifestEntry>> {
  const file = join(folder, 'manifest.yaml');
  if (!existsSync(file)) return new Map();
  return new Map(readManifest(await readFile(file, 'utf8')).recordings.map((entry) => [entry.name, entry]));
}

/** What a recording is made from, besides the voice. */
export function givenOf({ text, silenceMs = 0, tune }: Recording): string {
  return tune ?? `${text}/${silenceMs}`;
}

async function samplesFor(voice: string, spoken: string | undefined, recording: Recording): Promise<Int16Array> {
  const { text, silenceMs = 0, tune } = recording;
  if (tune !== undefined) return softEnds(toLevel(playTune(tune)));
  if (text === '') return new Int16Array((silenceMs * SAMPLE_RATE) / 1000);
  return softEnds(toLevel(trim(await synthesize(voice, spoken ?? text))));
}

async function buildOne(
  options: BuildOptions,
  folder: string,
  recording: Language['recordings'][number],
  known: ManifestEntry | undefined,
): Promise<ManifestEntry> {
  const spoken = options.spoken[recording.name];
  const input = inputHash(options.voice, spoken ?? givenOf(recording));
  const file = join(folder, `${recording.name}.wav`);
  if (known?.inputHash === input && existsSync(file) && sha256(await readFile(file)) === known.fileHash) return known;
  const samples = await samplesFor(options.voice, spoken, recording);
  const bytes = writeWav([samples], SAMPLE_RATE);
  await writeFile(file, bytes);
  const { name, text } = recording;
  return { name, text, ...(spoken === undefined ? {} : { spoken }), inputHash: input, fileHash: sha256(bytes) };
}
