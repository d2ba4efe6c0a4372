/** A complex fast Fourier transform in place, radix 2, of one size. Fill `real` and `imaginary`, then `run`. */
export class Fft {
  readonly size: number;
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
  readonly #cosine: Float64Array;
  readonly #sine: Float64Array;
  readonly #reversed: Uint32Array;

  /** `size` is a power of two. */
  constructor(size: number) {
    this.size = size;
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.#cosine = Float64Array.from({ length: size / 2 }, (_, index) => Math.cos((2 * Math.PI * index) / size));
    this.#sine = Float64Array.from({ length: size / 2 }, (_, index) => -Math.sin((2 * Math.PI * index) / size));
    const bits = Math.log2(size);
    this.#reversed = Uint32Array.from({ length: size }, (_, index) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit += 1) reversed |= ((index >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  run(): void {
    this.#reorder();
    for (let half = 1; half < this.size; half *= 2) this.#stage(half);
  }

  #reorder(): void {
    const { real, imaginary } = this;
    for (let from = 0; from < this.size; from += 1) {
      const to = this.#reversed[from] ?? 0;
      if (to <= from) continue;
      const re = real[from] ?? 0;
      const im = imaginary[from] ?? 0;
      real[from] = real[to] ?? 0;
      imaginary[from] = imaginary[to] ?? 0;
      real[to] = re;
      imaginary[to] = im;
    }
  }

  /** Butterflies of two parts of `half` values each. */
  #stage(half: number): void {
    const { real, imaginary } = this;
    const cosines = this.#cosine;
    const sines = this.#sine;
    const stride = this.size / (2 * half);
    for (let start = 0; start < this.size; start += 2 * half) {
      for (let index = 0; index < half; index += 1) {
        const upper = start + index;
        const lower = upper + half;
        const cosine = cosines[index * stride] ?? 0;
        const sine = sines[index * stride] ?? 0;
        const re = real[lower] ?? 0;
        const im = imaginary[lower] ?? 0;
        const turnedRe = re * cosine - im * sine;
        const turnedIm = re * sine + im * cosine;
        real[lower] = (real[upper] ?? 0) - turnedRe;
        imaginary[lower] = (imaginary[upper] ?? 0) - turnedIm;
        real[upper] = (real[upper] ?? 0) + turnedRe;
        imaginary[upper] = (imaginary[upper] ?? 0) + turnedIm;
      }
    }
  }
}
