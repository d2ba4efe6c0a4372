import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWav } from '../../src/lib/wav.ts';
import { activeLevelDbm0 } from '../../src/prompts-build/level.ts';

const FOLDER = join(import.meta.dirname, '../../prompts/en-US');
const SAMPLE_RATE = 8_000;
/** Long sentences of many sounds, one after the other, so that no key always falls on the same one. */
const SENTENCES = ['agent-will-check', 'enter-expiry', 'confirm-or-again', 'enter-amount', 'still-working'];

/** Speech without a pause for so long, at this active level (ITU-T P.56). */
export function speech(durationMs: number, levelDbm0: number): Int16Array {
  const said = SENTENCES.flatMap((name) => {
    const read = readWav(readFileSync(join(FOLDER, `${name}.wav`)));
    if (!read.ok) throw new Error(`${name}: ${read.reason}`);
    return [...(read.wav.channels[0] ?? [])];
  });
  const gain = 10 ** ((levelDbm0 - activeLevelDbm0(Int16Array.from(said))) / 20);
  return Int16Array.from({ length: (durationMs * SAMPLE_RATE) / 1000 }, (_, at) =>
    Math.round((said[at % said.length] ?? 0) * gain),
  );
}
