import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeWav } from '../../src/lib/wav.ts';
import { languageOf } from '../../src/prompt/plan.ts';
import { checkRecordings, strangers } from '../../src/prompts-build/check.ts';
import { activeLevelDbm0, softEnds, toLevel, trim } from '../../src/prompts-build/level.ts';

const sine = (amplitude: number, count: number) =>
  Int16Array.from({ length: count }, (_, n) => Math.round(amplitude * Math.sin((2 * Math.PI * 1000 * n) / 8000)));

describe('levelling a recording', () => {
  it('reads a sine of full scale as +3.17 dBm0', () => {
    expect(activeLevelDbm0(sine(32124, 8000))).toBeCloseTo(3.17, 1);
  });

  it('does not count pauses as speech', () => {
    const withPause = Int16Array.from([...sine(3000, 8000), ...new Int16Array(16000), ...sine(3000, 8000)]);
    expect(activeLevelDbm0(withPause)).toBeCloseTo(activeLevelDbm0(sine(3000, 8000)), 1);
  });

  it('brings quiet and loud to -20 dBm0', () => {
    for (const amplitude of [300, 3000, 30000]) {
      expect(activeLevelDbm0(toLevel(sine(amplitude, 8000)))).toBeCloseTo(-20, 0);
    }
  });

  it('trims silence but for 30 ms, and leaves silence empty', () => {
    const padded = Int16Array.from([...new Int16Array(8000), ...sine(3000, 1600), ...new Int16Array(8000)]);
    expect(trim(padded).length).toBeLessThanOrEqual(1600 + 2 * 240 + 320);
    expect(trim(padded).length).toBeGreaterThanOrEqual(1600);
    expect(trim(new Int16Array(8000))).toHaveLength(0);
  });

  it('begins and ends softly', () => {
    const soft = softEnds(new Int16Array(800).fill(10000));
    expect(Math.abs(soft[0] ?? 0)).toBeLessThan(200);
    expect(Math.abs(soft.at(-1) ?? 0)).toBeLessThan(200);
    expect(soft[400]).toBe(10000);
  });
});

describe('checking recordings', () => {
  it('finds every recording of en-US present, at its level, and nothing besides', () => {
    const names = languageOf('en-US')?.recordings.map((recording) => recording.name) ?? [];
    expect(names.length).toBeGreaterThan(400);
    expect(checkRecordings({ directory: 'prompts', overrides: null }, 'en-US', names)).toEqual([]);
    expect(strangers({ directory: 'prompts', overrides: null }, 'en-US', names)).toEqual([]);
  });

  it('names file and fault, and lets an override go first', () => {
    const directory = mkdtempSync(join(tmpdir(), 'hushtone-prompts-'));
    const overrides = mkdtempSync(join(tmpdir(), 'hushtone-own-'));
    for (const root of [directory, overrides]) mkdirSync(join(root, 'xx'));
    const write = (root: string, name: string, content: Uint8Array | string) =>
      writeFileSync(join(root, 'xx', name), content);
    write(directory, 'loud.wav', writeWav([sine(30000, 8000)], 8000));
    write(directory, 'fast.wav', writeWav([sine(3000, 8000)], 16000));
    write(directory, 'stereo.wav', writeWav([sine(3000, 800), sine(3000, 800)], 8000));
    write(directory, 'text.wav', 'hello');
    write(overrides, 'loud.wav', writeWav([sine(30000, 8000)], 8000));
    const names = ['loud', 'fast', 'stereo', 'text', 'gone'];
    const faults = checkRecordings({ directory, overrides: null }, 'xx', names).map((one) => one.fault);
    expect(faults).toEqual([
      expect.stringMatching(/level of 2\.\d dBm0; expected -20/),
      'has 16000 samples a second; expected 8000',
      'has 2 channels; expected one',
      expect.stringMatching(/is not a WAV file/),
      expect.stringMatching(/is missing/),
    ]);
    expect(checkRecordings({ directory, overrides }, 'xx', ['loud'])).toEqual([]);
  });
});
