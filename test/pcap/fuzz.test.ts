import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CaptureDecoder } from '../../src/cli/decode/decode-capture.ts';
import { Capture } from '../../src/pcap/capture.ts';
import { testFiles } from '../data/make.ts';

/** Own files always; captures of others where they are, the small ones, so that this takes seconds. */
const SHARED = join(import.meta.dirname, '../../../shared/data/captures');
const SHARED_BYTES_MAX = 12_000;
const others = existsSync(SHARED)
  ? readdirSync(SHARED)
      .filter((name) => /\.pcap(ng)?$/.test(name))
      .map((name) => readFileSync(join(SHARED, name)))
      .filter((bytes) => bytes.length <= SHARED_BYTES_MAX)
  : [];
const seeds = [...[...testFiles().values()].map(({ bytes }) => bytes).filter((bytes) => bytes[0] !== 0x52), ...others];
/** A hang would be far above it; a mutated file of 30 kB takes about a millisecond. */
const FILE_MS_MAX = 10_000;

function decode(bytes: Buffer, chunkBytes: number): void {
  const decoder = new CaptureDecoder(bytes);
  for (let at = 0; at < bytes.length && decoder.push(bytes.subarray(at, at + chunkBytes)); at += chunkBytes);
  decoder.finish();
}

describe('reading damaged captures', () => {
  it('never throws and never hangs, whatever was changed, cut out or put in', () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
      kind: fc.constantFrom('over', 'insert', 'remove'),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(change, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5000 }),
        (seed, changes, chunkBytes) => {
          let bytes = Buffer.from(seed);
          for (const { at, bytes: put, kind } of changes) {
            const place = Math.floor(at * bytes.length);
            const rest = bytes.subarray(place + (kind === 'insert' ? 0 : put.length));
            bytes = Buffer.concat([bytes.subarray(0, place), kind === 'remove' ? Buffer.alloc(0) : put, rest]);
          }
          const beganAt = performance.now();
          decode(bytes, chunkBytes);
          expect(performance.now() - beganAt).toBeLessThan(FILE_MS_MAX);
        },
      ),
      { numRuns: 1500 },
    );
  }, 60_000);

  it('never throws on any bytes behind a good beginning, nor on any frame of any link type', () => {
    fc.assert(
      fc.property(fc.constantFrom(...seeds), fc.uint8Array({ maxLength: 400 }), (seed, noise) => {
        decode(Buffer.concat([seed.subarray(0, 24), noise]), 64);
      }),
      { numRuns: 500 },
    );
    const capture = new Capture({ stream: () => () => {}, info: () => {} });
    const linkTypes = fc.constantFrom(0, 1, 9, 12, 14, 101, 108, 113, 228, 229, 276, 147);
    const ipHeads = fc.constantFrom('4500', '4f00', '6000', '0800', '8100', '88a8', '86dd', '');
    fc.assert(
      fc.property(
        linkTypes,
        ipHeads,
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(100_000),
        (linkType, head, noise, atMs) => {
          const bytes = Buffer.concat([Buffer.from(head, 'hex'), noise]);
          capture.frame({ linkType, atMs, bytes, from: 0, to: bytes.length, cut: false });
        },
      ),
      { numRuns: 3000 },
    );
    capture.finish();
  }, 60_000);
});
