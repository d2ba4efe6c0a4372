/*
 * How many cases a property test of bytes from outside tries. `make test` tries the stated number; `make soak` more, by
 * HUSHTONE_FUZZ_FACTOR. A failure prints its seed and the smallest case; HUSHTONE_FUZZ_SEED runs it again.
 */

const FACTOR = Math.max(1, Number(process.env.HUSHTONE_FUZZ_FACTOR ?? 1) || 1);
const SEED = process.env.HUSHTONE_FUZZ_SEED;

/** What fast-check's assert takes. */
export function cases(count: number): { numRuns: number; seed?: number } {
  return { numRuns: Math.round(count * FACTOR), ...(SEED === undefined ? {} : { seed: Number(SEED) }) };
}

/** The time limit of a test whose cases take `ms` at most in `make test`. */
export function within(ms: number): number {
  return ms * FACTOR;
}
