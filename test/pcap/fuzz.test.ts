import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CaptureDecoder } from '../../src/cli/decode/decode-capture.ts';
import type { KeyPress } from '../../src/cli/decode/key-press.ts';
import { mergePresses } from '../../src/cli/decode/merge.ts';
import { decodeFile } from '../../src/cli/decode.ts';
import { offerOf } from '../../src/cli/replay/offer.ts';
import { readStream, summarize } from '../../src/cli/replay/stream-source.ts';
import { Capture, frameReaderFor } from '../../src/pcap/capture.ts';
import { framed, SSRC } from '../data/calls.ts';
import { testFiles } from '../data/make.ts';
import { pcapFile, rtp } from '../data/packets.ts';
import { cases, within } from '../harness/fuzz.ts';
import { describeShared, sharedData } from '../harness/shared.ts';

/** Own files always; captures of others where they are, the small ones, so that this takes seconds. */
const SHARED_BYTES_MAX = 12_000;
const shared = sharedData('captures');
const others =
  shared === null
    ? []
    : readdirSync(shared)
        .filter((name) => /\.pcap(ng)?$/.test(name))
        .map((name) => readFileSync(join(shared, name)))
        .filter((bytes) => bytes.length <= SHARED_BYTES_MAX);
const own = [...testFiles().values()].map(({ bytes }) => bytes);
const captures = [...own.filter((bytes) => bytes[0] !== 0x52), ...others];
/** A hang would be far above it; a mutated file of 30 kB takes about a millisecond. */
const FILE_MS_MAX = 10_000;
/** Every reason that a person may read, each one line. */
const REASONS = [
  /^is (empty|compressed with gzip|neither a WAV file nor a packet capture|not a WAV file)$/,
  /^is damaged: a (packet|block) claims \d+ bytes$/,
  /^is damaged: a section without its byte order$/,
  /^has more than 1024 interfaces$/,
  /^ends within a packet$/,
  /^\d+ of \d+ packets were cut by the capture$/,
  /^has (a cut (format|WAVE_FORMAT_EXTENSIBLE) chunk|audio before its format|no (audio|format chunk))$/,
  /^has (WAV format \d+; PCM, float, A-law and mu-law can be read|\d+ channels)$/,
  /^has (a sample rate of \d+ Hz|\d+-bit (pcm|float|alaw|ulaw) samples)$/,
  /^is WAVE_FORMAT_EXTENSIBLE of an unknown subtype$/,
];

const folder = mkdtempSync(join(tmpdir(), 'hushtone-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true }));

function decode(bytes: Buffer, chunkBytes: number): void {
  const decoder = new CaptureDecoder(bytes);
  for (let at = 0; at < bytes.length && decoder.push(bytes.subarray(at, at + chunkBytes)); at += chunkBytes);
  decoder.finish();
}

const changes = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    kind: fc.constantFrom('over', 'insert', 'remove', 'cut'),
  }),
  { minLength: 1, maxLength: 12 },
);
type Change = ReturnType<typeof changes.generate>['value'][number];

function changed(seed: Buffer, all: readonly Change[]): Buffer {
  let bytes = Buffer.from(seed);
  for (const { at, bytes: put, kind } of all) {
    const place = Math.floor(at * bytes.length);
    const rest = kind === 'cut' ? Buffer.alloc(0) : bytes.subarray(place + (kind === 'insert' ? 0 : put.length));
    bytes = Buffer.concat([bytes.subarray(0, place), ...(kind === 'over' || kind === 'insert' ? [put] : []), rest]);
  }
  return bytes;
}

describeShared('captures of others', 'captures', () => {
  it('are damaged beside our own', () => expect(others.length).toBeGreaterThan(0));
});

describe('reading damaged captures', () => {
  it(
    'never throws and never hangs, whatever was changed, cut out, cut off or put in',
    () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...captures),
          changes,
          fc.integer({ min: 1, max: 5000 }),
          (seed, all, chunkBytes) => {
            const beganAt = performance.now();
            decode(changed(seed, all), chunkBytes);
            expect(performance.now() - beganAt).toBeLessThan(FILE_MS_MAX);
          },
        ),
        cases(1500),
      );
    },
    within(60_000),
  );

  it(
    'never throws where the frames stay whole and what is in them is changed',
    () => {
      const place = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), value: fc.nat(255) });
      fc.assert(
        fc.property(fc.constantFrom(...captures), fc.array(place, { minLength: 1, maxLength: 40 }), (seed, places) => {
          const bytes = Buffer.from(seed);
          for (const { at, value } of places) bytes[Math.floor(at * bytes.length)] = value;
          const reader = frameReaderFor(seed);
          const capture = new Capture({ stream: () => () => {}, info: () => {} });
          // Frames are taken from the file as it was, and their bytes from the changed one.
          reader?.push(seed, (frame) => {
            const changedBytes = bytes.subarray(frame.from, frame.to);
            capture.frame({ ...frame, bytes: changedBytes, from: 0, to: changedBytes.length });
          });
          capture.finish();
          decode(bytes, bytes.length);
        }),
        cases(1000),
      );
    },
    within(60_000),
  );

  it(
    'finds the same streams to replay, packet by packet, without throwing',
    () => {
      fc.assert(
        fc.property(fc.constantFrom(...captures), changes, (seed, all) => {
          const bytes = changed(seed, all);
          for (const { name, packets } of summarize([bytes]).streams) {
            const stream = readStream([bytes], name);
            expect(stream.packets).toHaveLength(packets);
            offerOf(stream.codecs);
          }
        }),
        cases(300),
      );
    },
    within(60_000),
  );

  it(
    'gives the same keys whatever the pieces in which a file is read',
    () => {
      const keysOf = (bytes: Buffer, chunkBytes: number): unknown => {
        const decoder = new CaptureDecoder(bytes);
        for (let at = 0; at < bytes.length && decoder.push(bytes.subarray(at, at + chunkBytes)); at += chunkBytes);
        return decoder.finish();
      };
      fc.assert(
        fc.property(
          fc.constantFrom(...captures),
          changes,
          fc.integer({ min: 1, max: 3000 }),
          (seed, all, chunkBytes) => {
            const bytes = changed(seed, all);
            if (bytes.length < 4) return;
            expect(keysOf(bytes, chunkBytes)).toEqual(keysOf(bytes, bytes.length));
          },
        ),
        cases(300),
      );
    },
    within(60_000),
  );

  it(
    'gives one of the reasons that it has words for, of captures and recordings alike',
    async () => {
      const file = join(folder, 'changed');
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...own, ...others), changes, async (seed, all) => {
          writeFileSync(file, changed(seed, all));
          const { fault, note } = decodeFile(file);
          const reason = fault ?? note;
          if (reason !== null) expect(REASONS.filter((known) => known.test(reason))).toHaveLength(1);
        }),
        cases(500),
      );
    },
    within(60_000),
  );

  it(
    'never throws on any bytes behind a good beginning, nor on any frame of any link type',
    () => {
      fc.assert(
        fc.property(fc.constantFrom(...captures), fc.uint8Array({ maxLength: 400 }), (seed, noise) => {
          decode(Buffer.concat([seed.subarray(0, 24), noise]), 64);
        }),
        cases(500),
      );
      const capture = new Capture({ stream: () => () => {}, info: () => {} });
      const linkTypes = fc.constantFrom(0, 1, 9, 12, 14, 101, 108, 113, 228, 229, 276, 147);
      const ipHeads = fc.constantFrom('4500', '4f00', '6000', '0800', '8100', '88a8', '8847', '86dd', '');
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
        cases(3000),
      );
      capture.finish();
    },
    within(60_000),
  );
});

describe('captures made to take long', () => {
  it(
    'cost by their bytes, not by the time that their timestamps claim',
    () => {
      // 20,000 packets, each 59 s after the one before: 13 days.
      const packets = Array.from({ length: 20_000 }, (_, index) => {
        const fields = { payloadType: 0, sequenceNumber: index, timestamp: index * 59 * 8000, ssrc: SSRC };
        return { atMs: index * 20, bytes: framed(rtp(fields, new Uint8Array(8))) };
      });
      const bytes = pcapFile(packets);
      const beganAt = performance.now();
      decode(bytes, bytes.length);
      expect(performance.now() - beganAt).toBeLessThan(FILE_MS_MAX);
    },
    within(60_000),
  );

  it(
    'are merged in a time that grows with their presses, not with the square of them',
    () => {
      const presses = (source: KeyPress['source'], shiftMs: number): KeyPress[] =>
        Array.from({ length: 100_000 }, (_, index) => ({
          source,
          event: 5,
          onsetMs: index * 1000 + shiftMs,
          durationMs: 100,
          levelDbm0: -10,
        }));
      const beganAt = performance.now();
      const merged = mergePresses(presses('event', 0), presses('inband', 10), presses('info', 110));
      expect(merged).toHaveLength(100_000);
      expect(performance.now() - beganAt).toBeLessThan(FILE_MS_MAX);
    },
    within(60_000),
  );
});
