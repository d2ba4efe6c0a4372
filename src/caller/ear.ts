/*
 * What a caller makes of the line: where speech is, counted in samples heard and not by the clock, so that packets which
 * come late or in a burst neither end a prompt nor begin one. Nothing is forgotten when somebody asks: a prompt that
 * began and ended before is still the one that the caller waits for.
 */

/** Louder than this, on average over a packet, is speech. */
const SPEECH_MEAN_SQUARE = 150 ** 2;
/** After a key goes down the old prompt is still heard for so long, on its way: 300 ms; any prompt is longer. */
const TAIL_SAMPLES = 2_400;
const SAMPLES_PER_MS = 8;

export class Ear {
  #heard = 0;
  /** Where the last speech ended; 0 before any. */
  #speechEnd = 0;
  /** Speech that ends behind this is news. */
  #from = 0;

  /** One packet's audio, 8 kHz. */
  hear(samples: Int16Array): void {
    this.#heard += samples.length;
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    if (sum / Math.max(1, samples.length) >= SPEECH_MEAN_SQUARE) this.#speechEnd = this.#heard;
  }

  /** A key goes down: what comes now belongs to the next prompt. */
  keyed(): void {
    this.#from = this.#heard + TAIL_SAMPLES;
  }

  /** All that was heard so far is old. */
  forget(): void {
    this.#from = this.#heard;
  }

  /** Speech since the last key, or since what was heard was forgotten. */
  get hasHeardPrompt(): boolean {
    return this.#speechEnd > this.#from;
  }

  get quietMs(): number {
    return (this.#heard - this.#speechEnd) / SAMPLES_PER_MS;
  }

  get heardMs(): number {
    return this.#heard / SAMPLES_PER_MS;
  }
}
