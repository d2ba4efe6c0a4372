import { Fft } from './fft.ts';

/** The highest frequency that a telephone's 8 kHz can carry. */
export const PLOTTED_HZ = 4_000;
/** A window of 32 ms tells tones 62 Hz apart (Hann), and the narrowest pair of DTMF is 73 Hz apart. */
const WINDOW_MS = 32;
/** Zeros behind the window: bins stand closer, and a tone between two keeps its height. */
const PADDING = 2;
const HOP_MS_MAX = 16;
const HOP_MS_MIN = 2;
/** Amplitude of a sine of 0 dBm0 in 16-bit samples: µ-law's largest, 32,124, is 3.17 dBm0 (ITU-T G.711 table 2a). */
const ZERO_DBM0_AMPLITUDE = 32_124 / 10 ** (3.17 / 20);
const FLOOR_POWER = 1e-12;

/**
 * Power over time and frequency, in as many columns as the picture has. A column keeps the most that it saw, so that a
 * short tone shows in a long call. Columns without audio stay empty.
 */
export class Spectrogram {
  readonly columns: number;
  readonly bins: number;
  readonly hzPerBin: number;
  readonly #power: Float32Array;
  readonly #hasAudio: Uint8Array;
  readonly #fft: Fft;
  readonly #window: Float64Array;
  readonly #hopSamples: number;
  readonly #samplesPerColumn: number;
  /** The last window of samples, and where in the stream the next one goes. */
  readonly #recent: Float64Array;
  #at = 0;
  #filled = 0;
  #untilHop = 0;
  /** The middle of a window that waits for a second one. */
  #pendingMiddle: number | null = null;

  constructor(durationMs: number, columns: number, sampleRate: number) {
    this.columns = columns;
    const windowSamples = powerOfTwo((sampleRate * WINDOW_MS) / 1000);
    this.#fft = new Fft(windowSamples * PADDING);
    this.hzPerBin = sampleRate / this.#fft.size;
    this.bins = Math.min(this.#fft.size / 2, Math.ceil(PLOTTED_HZ / this.hzPerBin)) + 1;
    this.#power = new Float32Array(columns * this.bins);
    this.#hasAudio = new Uint8Array(columns);
    const angle = (index: number): number => (2 * Math.PI * index) / windowSamples;
    this.#window = Float64Array.from({ length: windowSamples }, (_, index) => 0.5 - 0.5 * Math.cos(angle(index)));
    this.#recent = new Float64Array(windowSamples);
    this.#samplesPerColumn = Math.max(1, ((durationMs / 1000) * sampleRate) / columns);
    const [least, most] = [HOP_MS_MIN, HOP_MS_MAX].map((ms) => Math.round((ms * sampleRate) / 1000));
    this.#hopSamples = Math.max(least ?? 1, Math.min(most ?? 1, Math.floor(this.#samplesPerColumn)));
  }

  /** `first` is the place of the first sample in the stream; a place that was passed is heard again where it is now. */
  push(first: number, samples: Int16Array): void {
    if (first > this.#at) this.#skip(first);
    for (const sample of samples) this.#take(sample);
  }

  /** The power of a sine of this frequency, in dBm0; null where the column has no audio. */
  levelDbm0(column: number, hertz: number): number | null {
    if (this.#hasAudio[column] !== 1) return null;
    const place = Math.min(hertz / this.hzPerBin, this.bins - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, this.bins - 1);
    const below = this.#power[column * this.bins + low] ?? 0;
    const above = this.#power[column * this.bins + high] ?? 0;
    return decibels(below + (above - below) * (place - low));
  }

  /** The most of all frequencies between two, in dBm0: how loud it is, and not which tone. */
  loudestDbm0(column: number, fromHz: number, toHz: number): number | null {
    if (this.#hasAudio[column] !== 1) return null;
    let most = 0;
    const last = Math.min(this.bins - 1, Math.floor(toHz / this.hzPerBin));
    for (let bin = Math.ceil(fromHz / this.hzPerBin); bin <= last; bin += 1) {
      most = Math.max(most, this.#power[column * this.bins + bin] ?? 0);
    }
    return decibels(most);
  }

  #skip(to: number): void {
    const silence = Math.min(to - this.#at, this.#recent.length);
    for (let count = 0; count < silence; count += 1) this.#take(0, false);
    this.#at = to;
  }

  #take(sample: number, isAudio = true): void {
    this.#recent[this.#filled] = sample;
    this.#filled = (this.#filled + 1) % this.#recent.length;
    this.#at += 1;
    if (isAudio) this.#hasAudio[this.#columnOf(this.#at - 1)] = 1;
    this.#untilHop -= 1;
    if (this.#untilHop > 0) return;
    this.#untilHop = this.#hopSamples;
    this.#takeWindow();
  }

  #columnOf(sample: number): number {
    return Math.max(0, Math.min(this.columns - 1, Math.floor(sample / this.#samplesPerColumn)));
  }

  /** After the last sample. */
  finish(): void {
    if (this.#pendingMiddle !== null) this.#transform();
  }

  /** Two windows are transformed at once: one as the real part, one as the imaginary. */
  #takeWindow(): void {
    const { real, imaginary } = this.#fft;
    const part = this.#pendingMiddle === null ? real : imaginary;
    const length = this.#recent.length;
    for (let index = 0; index < length; index += 1) {
      part[index] = (this.#recent[(this.#filled + index) % length] ?? 0) * (this.#window[index] ?? 0);
    }
    // A window is heard in its middle.
    const middle = this.#at - length / 2;
    if (this.#pendingMiddle === null) this.#pendingMiddle = middle;
    else this.#transform(middle);
  }

  #transform(secondMiddle: number | null = null): void {
    const { real, imaginary, size } = this.#fft;
    this.#fft.run();
    for (const [middle, isSecond] of [
      [this.#pendingMiddle, false],
      [secondMiddle, true],
    ] as const) {
      if (middle !== null) this.#keep(middle, isSecond);
    }
    real.fill(0, 0, size);
    imaginary.fill(0, 0, size);
    this.#pendingMiddle = null;
  }

  /** The transform of a real signal is symmetric about its middle, so the two can be told apart. */
  #keep(middle: number, isSecond: boolean): void {
    const { real, imaginary, size } = this.#fft;
    // A sine of amplitude A in a Hann window of n samples stands A·n/4 high; the sums below are twice that.
    const scale = (2 / (this.#recent.length * ZERO_DBM0_AMPLITUDE)) ** 2;
    const first = this.#columnOf(middle - this.#hopSamples / 2);
    const last = Math.max(first, this.#columnOf(middle + this.#hopSamples / 2) - 1);
    const sign = isSecond ? -1 : 1;
    for (let bin = 0; bin < this.bins; bin += 1) {
      const mirror = (size - bin) % size;
      const re = (real[bin] ?? 0) + sign * (real[mirror] ?? 0);
      const im = (imaginary[bin] ?? 0) - sign * (imaginary[mirror] ?? 0);
      const power = (re * re + im * im) * scale;
      for (let at = first * this.bins + bin; at <= last * this.bins + bin; at += this.bins) {
        if (power > (this.#power[at] ?? 0)) this.#power[at] = power;
      }
    }
  }
}

function decibels(power: number): number {
  return 10 * Math.log10(Math.max(power, FLOOR_POWER));
}

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, atLeast)));
}
