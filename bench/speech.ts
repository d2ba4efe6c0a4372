/** Speech to measure with, that everybody has: our own prompts, one after the other. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeUlaw } from '../src/lib/g711.ts';
import { scratch } from './native-build.ts';

const PROMPTS = join(import.meta.dirname, '../prompts/en-US');
const WAV_HEAD_BYTES = 44;

function samples(): Buffer {
  const names = readdirSync(PROMPTS).filter((name) => name.endsWith('.wav'));
  return Buffer.concat(names.sort().map((name) => readFileSync(join(PROMPTS, name)).subarray(WAV_HEAD_BYTES)));
}

/** Path of a raw file, 16 bit little-endian, 8 kHz, mono. */
export function joinPrompts(): string {
  const path = join(scratch(), 'prompts.raw');
  writeFileSync(path, samples());
  return path;
}

/** Path of the same as mu-law codes: what a packet carries. */
export function joinPromptsUlaw(): string {
  const path = join(scratch(), 'prompts.ul');
  const bytes = samples();
  const aligned = Uint8Array.from(bytes);
  writeFileSync(path, encodeUlaw(new Int16Array(aligned.buffer, 0, aligned.length >> 1)));
  return path;
}
