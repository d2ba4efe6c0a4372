import { lookup } from 'node:dns/promises';
import type { Hop } from '../../caller/udp-transport.ts';
import type { Clock } from '../../lib/clock.ts';
import { ProgressBar } from '../decode/progress.ts';
import { chunksOf, openInput, systemReason } from '../decode/read-file.ts';
import { EXIT_FAILED, EXIT_USAGE, ReplayError } from './error.ts';
import type { ReplayOptions } from './options.ts';
import { PACKETS_MAX, type ReplayStream, readStream, type StreamSummary, summarize } from './stream-source.ts';

/** The stream, and what the capture said of it. */
export function load(
  options: ReplayOptions,
  print: (line: string) => void,
  clock: Clock,
): { readonly chosen: StreamSummary; readonly stream: ReplayStream } {
  const { file } = options;
  const opened = openInput(file);
  if (opened.kind === 'neither') throw new ReplayError(`${file}: ${opened.fault}`, EXIT_USAGE);
  if (opened.kind === 'recording') throw new ReplayError(`${file}: is a recording; captures are played`, EXIT_USAGE);
  const bar = new ProgressBar(process.stderr, clock);
  const chunks = (pass: number) => chunksOf(file, opened.size, (done) => bar.show((pass + done) / 2, file));
  try {
    const { streams: all, fault } = summarize(chunks(0));
    if (all.length === 0) throw new ReplayError(`${file}: has no RTP stream`, EXIT_USAGE);
    const fitting = all.filter(({ name }) => options.stream === null || name.includes(options.stream));
    const chosen = fitting.toSorted((a, b) => b.packets - a.packets)[0];
    if (chosen === undefined) {
      const names = all.map(({ name }) => name).join(', ');
      throw new ReplayError(`${file}: has no stream that contains "${options.stream}"; it has ${names}`, EXIT_USAGE);
    }
    const stream = readStream(chunks(1), chosen.name);
    bar.clear();
    if (fault !== null) process.stderr.write(`${file}: ${fault}; what stands before it is played\n`);
    for (const other of all) if (other !== chosen) print(`not played: ${other.name} (${other.packets} packets)`);
    if (stream.leftOut > 0) print(`only the first ${PACKETS_MAX} packets are played, ${stream.leftOut} are left out`);
    return { chosen, stream };
  } catch (error) {
    bar.clear();
    if (error instanceof ReplayError) throw error;
    throw new ReplayError(`${file}: ${systemReason(error)}`, EXIT_USAGE);
  }
}

/** By its address. */
export async function resolved(hop: Hop): Promise<Hop> {
  try {
    return { ...hop, host: (await lookup(hop.host)).address };
  } catch {
    throw new ReplayError(`no address is known for ${hop.host}`, EXIT_FAILED);
  }
}
