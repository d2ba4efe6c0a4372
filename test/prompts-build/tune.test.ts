import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readWav } from '../../src/lib/wav.ts';
import { HOLD_MUSIC } from '../../src/prompt/hold-music.ts';
import { hertzOf, playTune } from '../../src/prompts-build/tune.ts';
import { OfflineDecoder } from '../../src/worker/offline.ts';

const FILE = join(import.meta.dirname, '../../prompts/en-US/hold-music.wav');
/** Small beside the sentences: it is in every repository and every worker's memory. */
const BYTES_MAX = 100_000;
/** Half a minute, as one who waits hears it. */
const TIMES = 5;

function recording(): Int16Array {
  const read = readWav(readFileSync(FILE));
  if (!read.ok) throw new Error(read.reason);
  return read.wav.channels[0] ?? new Int16Array(0);
}

describe('a tune', () => {
  it('has its notes where an orchestra has them', () => {
    expect(hertzOf('A4')).toBe(440);
    expect(hertzOf('C4')).toBeCloseTo(261.63, 2);
    expect(hertzOf('G3')).toBeCloseTo(196, 2);
    expect(() => hertzOf('H4')).toThrow('no note H4');
  });

  it('sounds each note in its own time', () => {
    const samples = playTune('A4 A3');
    const amplitude = (from: number, hertz: number) => {
      const [re, im] = [...samples.subarray(from, from + 2000)].reduce<readonly [number, number]>(
        ([x, y], sample, n) => {
          const phase = (2 * Math.PI * hertz * n) / 8000;
          return [x + sample * Math.cos(phase), y + sample * Math.sin(phase)];
        },
        [0, 0],
      );
      return Math.hypot(re, im) / 1000;
    };
    expect(amplitude(200, 440)).toBeGreaterThan(4 * amplitude(200, 600));
    expect(amplitude(3200, 220)).toBeGreaterThan(4 * amplitude(3200, 600));
  });
});

describe('the music on hold', () => {
  it('is small, and as long as its notes', () => {
    expect(statSync(FILE).size).toBeLessThan(BYTES_MAX);
    expect(recording().length).toBe((HOLD_MUSIC.split(' ').length * 375 * 8000) / 1000);
  });

  it('begins again without a click', () => {
    const samples = recording();
    const twice = Int16Array.from([...samples, ...samples]);
    const step = (at: number) => Math.abs((twice[at] ?? 0) - (twice[at - 1] ?? 0));
    const join = samples.length;
    expect(Math.max(...[-1, 0, 1, 2].map((near) => step(join + near)))).toBeLessThan(200);
  });

  it('holds nothing that an ear for keys takes for one', () => {
    const samples = recording();
    const decoder = new OfflineDecoder();
    const heard = Array.from({ length: TIMES }, () => decoder.feed(samples).length);
    expect(heard.reduce((sum, count) => sum + count, 0) + decoder.finish().length).toBe(0);
  });
});
