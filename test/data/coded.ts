import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyedAudio } from './calls.ts';

/*
 * Payloads of G.722 and Opus, encoded once and kept beside this file, because a test has no encoder:
 *
 *   cmake --build build/native-bench --target encode_packets && node test/data/coded.ts
 */

const ENCODER = join(import.meta.dirname, '../../build/native-bench/encode_packets');
export const CODED_KEYS = '1234567890*#';
const RATES = { g722: 8_000, opus: 48_000 } as const;
export type Coded = keyof typeof RATES;

/** Packets of 20 ms with CODED_KEYS in them as tones, as `keyedAudio` says. */
export function codedPayloads(codec: Coded): Uint8Array[] {
  const bytes = readFileSync(fileOf(codec));
  const payloads: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    payloads.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return payloads;
}

function fileOf(codec: Coded): string {
  return join(import.meta.dirname, `tones.${codec}`);
}

if (process.argv[1] === import.meta.filename) {
  const folder = mkdtempSync(join(tmpdir(), 'hushtone-coded-'));
  const raw = join(folder, 'raw');
  for (const [codec, sampleRate] of Object.entries(RATES) as [Coded, number][]) {
    writeFileSync(raw, keyedAudio(CODED_KEYS, { sampleRate }));
    execFileSync(ENCODER, [codec, raw, fileOf(codec)], { stdio: 'inherit' });
  }
  rmSync(folder, { recursive: true });
}
