import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeWav } from '../../src/lib/wav.ts';
import { loadVoices } from '../../src/worker/recordings.ts';

/** Keeps what it is given, as the engine does; a recording is known by its first sample. */
class Holder {
  readonly taken: number[] = [];
  readonly readBack = new Map<number, readonly number[]>();
  addRecording(samples: Int16Array): number {
    return this.taken.push(samples[0] ?? 0) - 1;
  }
  setReadBackVoice(locale: number, recordings: readonly number[]): void {
    this.readBack.set(locale, recordings);
  }
}

let folder: string;
const shipped = () => join(folder, 'prompts');
const own = () => join(folder, 'own');

function record(root: string, name: string, sample: number, sampleRate = 8000): void {
  mkdirSync(join(root, 'en-US'), { recursive: true });
  writeFileSync(join(root, 'en-US', `${name}.wav`), writeWav([Int16Array.of(sample, sample)], sampleRate));
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hushtone-recordings-'));
  record(shipped(), 'approved', 1);
  record(shipped(), 'declined', 2);
});

afterEach(() => rmSync(folder, { recursive: true }));

describe("an operator's own recordings", () => {
  const load = (holder: Holder) => loadVoices(holder, { directory: shipped(), overrides: own() }).get('en-US');

  it('go first by name, and what the operator adds is loaded too', () => {
    record(own(), 'approved', 11);
    record(own(), 'welcome', 12);
    const holder = new Holder();
    const voice = load(holder);
    const said = (name: string) => holder.taken[voice?.recordings.get(name) ?? -1];
    expect([said('approved'), said('declined'), said('welcome')]).toEqual([11, 2, 12]);
  });

  it('are refused at start with file, what was found and what was expected', () => {
    record(own(), 'approved', 11, 16_000);
    writeFileSync(join(own(), 'en-US', 'declined.wav'), 'not a wav');
    const fault = (() => {
      try {
        load(new Holder());
      } catch (error) {
        return (error as Error).message.split('\n');
      }
      return [];
    })();
    expect(fault).toEqual([
      `${join(own(), 'en-US', 'approved.wav')} has 16000 Hz, 1 channels, 2 samples; expected 8000 Hz, mono`,
      expect.stringMatching(/own\/en-US\/declined\.wav .*; expected WAV, 8 kHz, mono$/),
    ]);
  });

  it('leave read-back without a recording where neither folder has one', () => {
    record(own(), 'digit-4', 14);
    const holder = new Holder();
    const voice = load(holder);
    const digits = holder.readBack.get(0)?.slice(0, 10);
    expect(digits).toEqual([-1, -1, -1, -1, voice?.recordings.get('digit-4'), -1, -1, -1, -1, -1]);
  });
});
