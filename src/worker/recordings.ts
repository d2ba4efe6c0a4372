import { readFileSync } from 'node:fs';
import { localesOf, type RecordingFolders, recordingFiles } from '../lib/recording-files.ts';
import { readWav } from '../lib/wav.ts';
import type { Engine } from './engine.ts';

const SAMPLE_RATE = 8000;

/** The part of the engine that takes recordings. */
export type RecordingHolder = Pick<Engine, 'addRecording' | 'setReadBackVoice'>;

/** The recordings of one locale in the engine, by name. */
export interface Voice {
  /** Number of the locale in the engine. */
  readonly index: number;
  readonly recordings: ReadonlyMap<string, number>;
}

/**
 * Loads every locale; an operator's own recordings go first by name. Throws with one line a file that is wrong: nothing
 * is found wrong in the middle of a call.
 */
export function loadVoices(engine: RecordingHolder, folders: RecordingFolders): ReadonlyMap<string, Voice> {
  const faults: string[] = [];
  const voices = new Map<string, Voice>();
  for (const [index, locale] of localesOf(folders).entries()) {
    const recordings = loadLocale(engine, recordingFiles(folders, locale), faults);
    voices.set(locale, { index, recordings });
    const readBack = readBackNames().map((name) => recordings.get(name) ?? -1);
    engine.setReadBackVoice(index, readBack);
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return voices;
}

function loadLocale(
  engine: RecordingHolder,
  files: ReadonlyMap<string, string>,
  faults: string[],
): Map<string, number> {
  const recordings = new Map<string, number>();
  for (const [name, path] of files) {
    const read = readWav(readFileSync(path));
    const samples = read.ok ? read.wav.channels[0] : undefined;
    if (!read.ok || samples === undefined) {
      faults.push(`${path} ${read.ok ? 'has no audio' : read.reason}; expected WAV, 8 kHz, mono`);
    } else if (read.wav.sampleRate !== SAMPLE_RATE || read.wav.channels.length !== 1 || samples.length === 0) {
      const found = `${read.wav.sampleRate} Hz, ${read.wav.channels.length} channels, ${samples.length} samples`;
      faults.push(`${path} has ${found}; expected ${SAMPLE_RATE} Hz, mono`);
    } else {
      recordings.set(name, engine.addRecording(samples));
    }
  }
  return recordings;
}

/** In the order of VOICE_LENGTH: digits, months, years, pause. */
function readBackNames(): string[] {
  const two = (value: number) => String(value).padStart(2, '0');
  const count = (length: number) => Array.from({ length }, (_, i) => i);
  return [
    ...count(10).map((digit) => `digit-${digit}`),
    ...count(12).map((month) => `month-${two(month + 1)}`),
    ...count(100).map((year) => `year-${two(year)}`),
    'pause',
  ];
}
