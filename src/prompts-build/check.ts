import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type RecordingFolders, recordingFiles } from '../lib/recording-files.ts';
import { readWav } from '../lib/wav.ts';
import { activeLevelDbm0, LEVEL_DBM0, LEVEL_TOLERANCE_DB, SAMPLE_RATE } from './level.ts';

const RECORDING_MS_MAX = 60_000;

export interface RecordingFault {
  readonly file: string;
  /** For a person: what is wrong and what was expected. */
  readonly fault: string;
}

/** Every recording of `names` in a locale, an operator's own first. An operator's level is his own business. */
export function checkRecordings(folders: RecordingFolders, locale: string, names: readonly string[]): RecordingFault[] {
  const files = recordingFiles(folders, locale);
  const shipped = join(folders.directory, locale);
  return names.flatMap((name) => {
    const file = files.get(name);
    if (file === undefined) {
      return [{ file: join(shipped, `${name}.wav`), fault: 'is missing; expected a recording of this name' }];
    }
    const fault = checkFile(file, dirname(file) !== shipped);
    return fault === null ? [] : [{ file, fault }];
  });
}

function checkFile(file: string, isOwn: boolean): string | null {
  const read = readWav(readFileSync(file));
  if (!read.ok) return `${read.reason}; expected WAV, 8 kHz, mono`;
  const { sampleRate, channels } = read.wav;
  const samples = channels[0] ?? new Int16Array(0);
  if (sampleRate !== SAMPLE_RATE) return `has ${sampleRate} samples a second; expected ${SAMPLE_RATE}`;
  if (channels.length !== 1) return `has ${channels.length} channels; expected one`;
  if (samples.length === 0) return 'is empty';
  if (samples.length > (RECORDING_MS_MAX * SAMPLE_RATE) / 1000) return `is longer than ${RECORDING_MS_MAX} ms`;
  const level = activeLevelDbm0(samples);
  if (isOwn || level === Number.NEGATIVE_INFINITY) return null;
  if (Math.abs(level - LEVEL_DBM0) <= LEVEL_TOLERANCE_DB) return null;
  return `has a level of ${level.toFixed(1)} dBm0; expected ${LEVEL_DBM0} ± ${LEVEL_TOLERANCE_DB}`;
}

/** Files that no plan asks for: a misspelt name is found so. */
export function strangers(folders: RecordingFolders, locale: string, names: readonly string[]): string[] {
  const known = new Set(names);
  return [...recordingFiles(folders, locale)].flatMap(([name, file]) => (known.has(name) ? [] : [file]));
}
