import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { WAV_BYTES_MAX } from '../../lib/wav.ts';
import { frameReaderFor } from '../../pcap/capture.ts';

const HEAD_BYTES = 4;
const CHUNK_BYTES = 1024 * 1024;
const GZIP_MAGIC = '1f8b';

/** `fault` is for a person. */
export type Opened =
  | { readonly kind: 'capture' | 'recording'; readonly head: Buffer; readonly size: number }
  | { readonly kind: 'neither'; readonly fault: string };

/** What a file is, by its first bytes. Never throws: what the system says becomes the fault. */
export function openInput(file: string): Opened {
  try {
    const { size } = statSync(file);
    const head = readHead(file);
    if (head.length === 0) return { kind: 'neither', fault: 'is empty' };
    if (head.toString('latin1') === 'RIFF') {
      const isTooLarge = size > WAV_BYTES_MAX;
      return isTooLarge
        ? { kind: 'neither', fault: `is larger than ${WAV_BYTES_MAX} bytes` }
        : { kind: 'recording', head, size };
    }
    if (frameReaderFor(head) !== null) return { kind: 'capture', head, size };
    const isZipped = head.toString('hex').startsWith(GZIP_MAGIC);
    return {
      kind: 'neither',
      fault: isZipped ? 'is compressed with gzip' : 'is neither a WAV file nor a packet capture',
    };
  } catch (error) {
    return { kind: 'neither', fault: systemReason(error) };
  }
}

/**
 * A file in pieces, each good until the next. Read synchronously: nothing else waits in this process, and a stream costs
 * a third more. `progress` gets 0 to 1.
 */
export function* chunksOf(file: string, size: number, progress: (done: number) => void): Generator<Uint8Array> {
  const descriptor = openSync(file, 'r');
  const buffer = new Uint8Array(CHUNK_BYTES);
  try {
    for (let read = 0; ; ) {
      const bytes = readSync(descriptor, buffer);
      if (bytes === 0) return;
      read += bytes;
      yield buffer.subarray(0, bytes);
      progress(read / size);
    }
  } finally {
    closeSync(descriptor);
  }
}

export function wholeOf(file: string): Uint8Array {
  return readFileSync(file);
}

export function systemReason(error: unknown, done: 'read' | 'written' = 'read'): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: `may not be ${done}`,
    EISDIR: 'is a directory',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}

function readHead(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(descriptor, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}
