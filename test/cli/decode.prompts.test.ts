import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeFile } from '../../src/cli/decode.ts';

const PROMPTS = join(import.meta.dirname, '../../prompts/en-US');

/** A prompt's echo comes back on the caller's leg: nothing in it may sound like a key. */
it('hears no key in any recording that callers hear', async () => {
  const names = readdirSync(PROMPTS).filter((name) => name.endsWith('.wav'));
  expect(names.length).toBeGreaterThan(400);
  const heard: string[] = [];
  for (const name of names) {
    const { streams, fault } = await decodeFile(join(PROMPTS, name));
    if (fault !== null || streams.some(({ presses }) => presses.length > 0)) heard.push(`${name} ${fault ?? ''}`);
  }
  expect(heard).toEqual([]);
}, 30_000);
