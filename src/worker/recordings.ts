import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav } from '../lib/wav.ts';
import type { Engine } from './engine.ts';

const SAMPLE_RATE = 8000;

/** The recordings of one locale in the engine, by name. */
export interface Voice {
  /** Number of the locale in the engine. */
  readonly index: number;
  readonly recordings: ReadonlyMap<string, number>;
}

export interface RecordingFolders {
  readonly directory: string;
  readonly overrides: string | null;
}

/**
 * Loads every locale; an operator's own recordings go first by name. Throws with one line a file that is wrong: nothing
 * is found wrong in the middle of a call.
 */
export function loadVoices(engine: Engine, folders: RecordingFolders): ReadonlyMap<string, Voice> {
  const faults: string[] = [];
  const voices = new Map<string, Voice>();
  const locales = readdirSync(folders.directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const [index, locale] of locales.entries()) {
    const recordings = loadLocale(engine, join(folders.directory, locale.name), folders.overrides, faults);
    voices.set(locale.name, { index, recordings });
    const readBack = readBackNames().map((name) => recordings.get(name) ?? -1);
    engine.setReadBackVoice(index, readBack);
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return voices;
}

function loadLocale(engine: Engine, folder: string, overrides: string | null, faults: string[]): Map<string, number> {
  const recordings = new Map<string, number>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.wav'))) {
    const own = overrides === null ? null : join(overrides, file);
    const path = own !== null && existsSync(own) ? own : join(folder, file);
    const read = readWav(readFileSync(path));
    const samples = read.ok ? read.wav.channels[0] : undefined;
    if (!read.ok || samples === undefined) {
      faults.push(`${path} ${read.ok ? 'has no audio' : read.reason}; expected WAV, 8 kHz, mono`);
    } else if (read.wav.sampleRate !== SAMPLE_RATE || read.wav.channels.length !== 1 || samples.length === 0) {
      const found = `${read.wav.sampleRate} Hz, ${read.wav.channels.length} channels, ${samples.length} samples`;
      faults.push(`${path} has ${found}; expected ${SAMPLE_RATE} Hz, mono`);
    } else {
      recordings.set(file.slice(0, -'.wav'.length), engine.addRecording(samples));
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
