import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav, writeWav } from '../../src/lib/wav.ts';

const SAMPLE_RATE = 8_000;
/** A caller takes no less for a prompt than 300 ms; see src/caller/ear.ts. */
const SENTENCE_MS = 500;
/** What stands among others: a digit, a unit, a letter of a reference. */
const WORD_MS = 80;
const WORDS = /^(?:brand|day|digit|letter|month|number|symbol|unit|word|year)-/;

/** The recordings of `prompts` as an operator's own, each only its beginning: a call takes a third of its time. */
export function writeBriefPrompts(prompts: string, folder: string): void {
  for (const locale of readdirSync(prompts, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const target = join(folder, locale.name);
    mkdirSync(target, { recursive: true });
    for (const file of readdirSync(join(prompts, locale.name)).filter((name) => name.endsWith('.wav'))) {
      const read = readWav(readFileSync(join(prompts, locale.name, file)));
      if (!read.ok) throw new Error(`${file}: ${read.reason}`);
      const samples = ((WORDS.test(file) ? WORD_MS : SENTENCE_MS) * SAMPLE_RATE) / 1000;
      const [channel = new Int16Array(0)] = read.wav.channels;
      writeFileSync(join(target, file), writeWav([channel.subarray(0, samples)], SAMPLE_RATE));
    }
  }
}
