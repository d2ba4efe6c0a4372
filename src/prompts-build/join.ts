import { readFileSync } from 'node:fs';
import { readWav } from '../lib/wav.ts';

/** Recordings one behind the other, as the engine plays them. Throws where one is missing or cannot be read. */
export function join(files: ReadonlyMap<string, string>, names: readonly string[]): Int16Array {
  const parts = names.map((name) => samplesOf(files, name));
  const joined = new Int16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function samplesOf(files: ReadonlyMap<string, string>, name: string): Int16Array {
  const file = files.get(name);
  if (file === undefined) throw new Error(`recording ${name} is missing`);
  const read = readWav(readFileSync(file));
  if (!read.ok) throw new Error(`${file} ${read.reason}`);
  return read.wav.channels[0] ?? new Int16Array(0);
}
