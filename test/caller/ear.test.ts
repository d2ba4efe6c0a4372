import { describe, expect, it } from 'vitest';
import { Ear } from '../../src/caller/ear.ts';

const FRAME_SAMPLES = 160;
const QUIET = new Int16Array(FRAME_SAMPLES);
const SPEECH = Int16Array.from({ length: FRAME_SAMPLES }, (_, n) => (n % 2 === 0 ? 2_000 : -2_000));

function hear(ear: Ear, frame: Int16Array, ms: number): void {
  for (let at = 0; at < ms; at += 20) ear.hear(frame);
}

describe('a caller who listens', () => {
  it('has heard a prompt that began and ended before anybody asked', () => {
    const ear = new Ear();
    hear(ear, QUIET, 200);
    hear(ear, SPEECH, 1_000);
    hear(ear, QUIET, 800);
    expect(ear.hasHeardPrompt).toBe(true);
    expect(ear.quietMs).toBe(800);
  });

  it('does not take the end of the prompt that a key stops for the next prompt', () => {
    const ear = new Ear();
    hear(ear, SPEECH, 1_000);
    ear.keyed();
    hear(ear, SPEECH, 200);
    hear(ear, QUIET, 400);
    expect(ear.hasHeardPrompt).toBe(false);
  });

  it('hears the prompt that follows a key without a pause', () => {
    const ear = new Ear();
    hear(ear, SPEECH, 1_000);
    ear.keyed();
    hear(ear, SPEECH, 1_000);
    expect(ear.hasHeardPrompt).toBe(true);
  });

  it('waits for another prompt once one is forgotten', () => {
    const ear = new Ear();
    hear(ear, SPEECH, 1_000);
    hear(ear, QUIET, 500);
    ear.forget();
    expect(ear.hasHeardPrompt).toBe(false);
    hear(ear, SPEECH, 20);
    expect(ear.hasHeardPrompt).toBe(true);
  });

  it('takes the noise of a quiet line for no prompt', () => {
    const ear = new Ear();
    hear(
      ear,
      QUIET.map((_, n) => (n % 2 === 0 ? 100 : -100)),
      1_000,
    );
    expect(ear.hasHeardPrompt).toBe(false);
  });
});
