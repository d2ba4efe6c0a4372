import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import type { CryptoAttribute } from '../sip/crypto.ts';
import { CaptureDecoder } from './decode/decode-capture.ts';
import { decodeWav } from './decode/decode-wav.ts';
import { jsonLine, type StreamPresses, textLine } from './decode/key-press.ts';
import { type PlotOrder, plotCapture, plotWav } from './decode/plot.ts';
import { ProgressBar } from './decode/progress.ts';
import { chunksOf, openInput, systemReason, wholeOf } from './decode/read-file.ts';
import { loadKeys } from './decode/srtp-keys.ts';

const USAGE = `usage: hushtone decode [--json] [--reveal] [--stream SEL] [--srtp-keys FILE] [--plot OUT.png] FILE…

Prints one line for each key pressed in recordings (.wav) and packet captures (.pcap, .pcapng). RTP streams are found
without SIP; where the capture has SIP, its SDP says which payload type is what. Keys come from telephone-event
(RFC 4733, also within RED), tones in G.711, G.722 and Opus audio, and SIP INFO; a press seen on two paths is one line.
Media under SRTP are opened by the keys that SDP in the capture bears (a=crypto), or by those in a file.

  --json            one object a line: file, stream, source (event, inband, info), digit, onsetMs (from the stream's first
                    packet or sample), durationMs, levelDbm0
  --reveal          print the digits; without it each is •, and a picture does not show which tones sounded
  --stream SEL      only the streams whose name (src:port>dst:port/ssrc) contains SEL
  --srtp-keys FILE  keys of SRTP, one a line as SDP has them: SUITE inline:BASE64; - reads them from standard input
  --plot OUT.png    a picture of each stream of one file: spectrogram, presses by event and by tone, each in its lane

What of a stream could not be heard, and why, is said on standard error. So is a file that cannot be read: the others are
still decoded, and the exit status is 2. Work of more than two seconds shows a bar on a terminal.

examples:
  npx hushtone decode call.pcap
  npx hushtone decode --json --reveal call.pcapng | jq -r .digit
  npx hushtone decode --stream 0badcafe --plot call.png call.pcap
  npx hushtone decode --srtp-keys keys.txt call.pcap
  npx hushtone decode --reveal recordings/*.wav
`;

interface Options {
  readonly json: boolean;
  readonly reveal: boolean;
  readonly stream?: string;
  readonly plot?: string;
}

type Keys = readonly CryptoAttribute[];

/** What a file gave; `fault` and `note` are for a person. A fault makes the exit status 2. */
interface Decoded {
  readonly streams: readonly StreamPresses[];
  readonly fault: string | null;
  readonly note: string | null;
}

/** 0 to 1. */
type Progress = (done: number) => void;

/** Lines on what could not be heard in one file. */
const NOTES_MAX = 32;
const EXIT_OK = 0;
const EXIT_USAGE = 2;
const EXIT_UNREADABLE = 2;

/** Returns the exit status: 0 fine, 2 a file could not be read, or wrong use. */
export async function decodeCommand(argv: readonly string[]): Promise<number> {
  let parsed: { values: Options & { help: boolean; 'srtp-keys'?: string }; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        reveal: { type: 'boolean', default: false },
        stream: { type: 'string' },
        plot: { type: 'string' },
        'srtp-keys': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals: files } = parsed;
  if (values.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  if (files.length === 0) {
    process.stderr.write(USAGE);
    return EXIT_USAGE;
  }
  if (values.plot !== undefined && files.length > 1) return refuse('--plot draws one file');
  const keyFile = values['srtp-keys'];
  const given = keyFile === undefined ? { ok: true as const, keys: [] } : loadKeys(keyFile);
  if (!given.ok) return refuse(given.reason);
  const bar = new ProgressBar(process.stderr, systemClock);
  const passes = values.plot === undefined ? 1 : 2;
  const statuses = files.map((file, index) => {
    const progress = (pass: number) => (done: number) =>
      bar.show((index + (pass + done) / passes) / files.length, file);
    return oneFile(file, { ...values, keys: given.keys }, [progress(0), progress(1)], () => bar.clear());
  });
  bar.clear();
  return Math.max(...statuses);
}

function refuse(reason: string): number {
  process.stderr.write(`hushtone decode: ${reason}\n`);
  return EXIT_USAGE;
}

/** `progress` of reading and of drawing; `quiet` is called before something is printed. */
function oneFile(
  file: string,
  options: Options & { readonly keys: Keys },
  progress: readonly [Progress, Progress],
  quiet: () => void,
): number {
  const { stream: wanted, plot, reveal, keys } = options;
  const { streams: all, fault, note } = decodeFile(file, progress[0], keys);
  const streams = all.filter(({ stream }) => wanted === undefined || stream.includes(wanted));
  quiet();
  print(file, streams, options);
  const complaints = [...notesOf(streams), fault ?? note];
  if (wanted !== undefined && streams.length === 0 && fault === null) complaints.push(noSuchStream(wanted, all));
  let isDrawn = true;
  if (plot !== undefined && streams.length > 0) {
    const failure = draw(file, streams, { output: plot, reveal, keys }, progress[1]);
    isDrawn = failure === null;
    complaints.push(failure);
    quiet();
  }
  for (const complaint of complaints) if (complaint !== null) process.stderr.write(`${file}: ${complaint}\n`);
  return fault === null && isDrawn && (wanted === undefined || streams.length > 0) ? EXIT_OK : EXIT_UNREADABLE;
}

function print(file: string, streams: readonly StreamPresses[], { json, reveal }: Options): void {
  const line = json ? jsonLine : textLine;
  for (const { stream, presses } of streams) {
    for (const press of presses) process.stdout.write(`${line(file, stream, press, reveal)}\n`);
  }
}

/** What could not be heard, stream by stream. */
function notesOf(streams: readonly StreamPresses[]): string[] {
  const all = streams.flatMap(({ stream, notes }) => notes.map((note) => `${stream}: ${note}`));
  const left = all.length - NOTES_MAX;
  return left > 0 ? [...all.slice(0, NOTES_MAX), `and ${left} more such lines: choose a stream by --stream`] : all;
}

function noSuchStream(wanted: string, all: readonly StreamPresses[]): string {
  const names = all.length === 0 ? 'no stream' : all.map(({ stream }) => stream).join(', ');
  return `has no stream that contains "${wanted}"; it has ${names}`;
}

/** Never throws: what the system says becomes the fault. */
export function decodeFile(file: string, progress: Progress = () => {}, keys: Keys = []): Decoded {
  const opened = openInput(file);
  if (opened.kind === 'neither') return { streams: [], fault: opened.fault, note: null };
  try {
    return opened.kind === 'recording' ? decodeRecording(file, progress) : decodeCapture(file, opened, progress, keys);
  } catch (error) {
    return { streams: [], fault: systemReason(error), note: null };
  }
}

function decodeRecording(file: string, progress: Progress): Decoded {
  const result = decodeWav(wholeOf(file), progress);
  if (result.ok) return { streams: result.streams, fault: null, note: null };
  return { streams: [], fault: result.reason, note: null };
}

function decodeCapture(
  file: string,
  { head, size }: { readonly head: Buffer; readonly size: number },
  progress: Progress,
  keys: Keys,
): Decoded {
  const decoder = new CaptureDecoder(head, undefined, keys);
  for (const chunk of chunksOf(file, size, progress)) if (!decoder.push(chunk)) break;
  const { streams, counts, fault, isCutOff } = decoder.finish();
  const cut = counts.cut > 0 ? `${counts.cut} of ${counts.frames} packets were cut by the capture` : null;
  return { streams, fault, note: isCutOff ? 'ends within a packet' : cut };
}

/** Why no picture was made, or null. */
function draw(file: string, streams: readonly StreamPresses[], order: PlotOrder, progress: Progress): string | null {
  const opened = openInput(file);
  if (opened.kind === 'neither') return opened.fault;
  try {
    const [first] = streams;
    if (opened.kind === 'capture') plotCapture(file, chunksOf(file, opened.size, progress), streams, order);
    else if (first !== undefined) plotWav(file, wholeOf(file), first, order, progress);
    return null;
  } catch (error) {
    return `no picture was written to ${order.output}: ${systemReason(error, 'written')}`;
  }
}
