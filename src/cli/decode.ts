import { closeSync, openSync, readSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import { WAV_BYTES_MAX } from '../lib/wav.ts';
import { frameReaderFor } from '../pcap/capture.ts';
import { CaptureDecoder } from './decode/decode-capture.ts';
import { decodeWav } from './decode/decode-wav.ts';
import { jsonLine, type StreamPresses, textLine } from './decode/key-press.ts';
import { ProgressBar } from './decode/progress.ts';

const USAGE = `usage: hushtone decode [--json] [--reveal] FILE…

Prints one line for each key pressed in recordings (.wav) and packet captures (.pcap, .pcapng). RTP streams are found
without SIP; where the capture has SIP, its SDP says which payload type is what. Keys come from telephone-event
(RFC 4733), tones in G.711 audio, and SIP INFO; a press seen on two paths is one line.

  --json     one object a line: file, stream, source (event, inband, info), digit, onsetMs (from the stream's first
             packet or sample), durationMs, levelDbm0
  --reveal   print the digits; without it each is •

A file that cannot be read is named on standard error, the others are still decoded, and the exit status is 2.

examples:
  npx hushtone decode call.pcap
  npx hushtone decode --json --reveal call.pcapng | jq -r .digit
  npx hushtone decode --reveal recordings/*.wav
`;

const HEAD_BYTES = 4;
const CHUNK_BYTES = 1024 * 1024;
const GZIP_MAGIC = '1f8b';

interface Options {
  readonly json: boolean;
  readonly reveal: boolean;
}

/** What a file gave; `fault` and `note` are for a person. A fault makes the exit status 2. */
interface Decoded {
  readonly streams: readonly StreamPresses[];
  readonly fault: string | null;
  readonly note: string | null;
}

/** Returns the exit status: 0 fine, 2 a file could not be read, or wrong use. */
export async function decodeCommand(argv: readonly string[]): Promise<number> {
  let parsed: { values: Options & { help: boolean }; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        reveal: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`hushtone decode: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (parsed.values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (parsed.positionals.length === 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  let status = 0;
  for (const file of parsed.positionals) {
    const { streams, fault, note } = await decodeFile(file);
    print(file, streams, parsed.values);
    if (fault !== null) status = 2;
    if (fault !== null || note !== null) process.stderr.write(`${file}: ${fault ?? note}\n`);
  }
  return status;
}

function print(file: string, streams: readonly StreamPresses[], { json, reveal }: Options): void {
  const line = json ? jsonLine : textLine;
  for (const { stream, presses } of streams) {
    for (const press of presses) process.stdout.write(`${line(file, stream, press, reveal)}\n`);
  }
}

/** Never throws: what the system says becomes the fault. */
export async function decodeFile(file: string): Promise<Decoded> {
  const bar = new ProgressBar(file, process.stderr, systemClock);
  try {
    const { size } = await stat(file);
    const head = await readHead(file);
    if (head.length === 0) return failed('is empty');
    if (head.toString('latin1') === 'RIFF') return await decodeRecording(file, size, bar);
    if (frameReaderFor(head) !== null) return await decodeCapture(file, size, head, bar);
    if (head.toString('hex').startsWith(GZIP_MAGIC)) return failed('is compressed with gzip');
    return failed('is neither a WAV file nor a packet capture');
  } catch (error) {
    return failed(systemReason(error));
  } finally {
    bar.clear();
  }
}

/** Each is good until the next. Read synchronously: nothing else waits in this process, and a stream costs a third more. */
function* chunksOf(file: string): Generator<Uint8Array> {
  const descriptor = openSync(file, 'r');
  const buffer = new Uint8Array(CHUNK_BYTES);
  try {
    for (;;) {
      const bytes = readSync(descriptor, buffer);
      if (bytes === 0) return;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    closeSync(descriptor);
  }
}

async function readHead(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function decodeRecording(file: string, size: number, bar: ProgressBar): Promise<Decoded> {
  if (size > WAV_BYTES_MAX) return failed(`is larger than ${WAV_BYTES_MAX} bytes`);
  const result = decodeWav(await readFile(file), (done) => bar.show(done));
  return result.ok ? { streams: result.streams, fault: null, note: null } : failed(result.reason);
}

async function decodeCapture(file: string, size: number, head: Buffer, bar: ProgressBar): Promise<Decoded> {
  const decoder = new CaptureDecoder(head);
  let read = 0;
  for (const chunk of chunksOf(file)) {
    read += chunk.length;
    bar.show(read / size);
    if (!decoder.push(chunk)) break;
  }
  const { streams, counts, fault, isCutOff } = decoder.finish();
  const cut = counts.cut > 0 ? `${counts.cut} of ${counts.frames} packets were cut by the capture` : null;
  const note = isCutOff ? 'ends within a packet' : cut;
  return { streams, fault, note };
}

function failed(fault: string): Decoded {
  return { streams: [], fault, note: null };
}

function systemReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: 'may not be read',
    EISDIR: 'is a directory',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}
