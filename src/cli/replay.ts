import { randomInt } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Hop, localAddressFor } from '../caller/udp-transport.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { writeWav } from '../lib/wav.ts';
import type { CodecName } from '../pcap/sip.ts';
import { ProgressBar } from './decode/progress.ts';
import { chunksOf, openInput, systemReason } from './decode/read-file.ts';
import { type Outcome, placeReplayCall } from './replay/call.ts';
import { Heard } from './replay/heard.ts';
import { type Played, ReplayMedia } from './replay/media.ts';
import { type Answer, offerOf, readAnswer, sdpOf } from './replay/offer.ts';
import { type ReplayOptions, readOptions } from './replay/options.ts';
import { type Schedule, scheduleOf } from './replay/schedule.ts';
import { PACKETS_MAX, type ReplayStream, readStream, type StreamSummary, summarize } from './replay/stream-source.ts';

const USAGE = `usage: hushtone replay FILE --to sip:… [options]

Places a call and plays a stream of a packet capture (.pcap, .pcapng) into it: its packets, repeats and gaps, with their
sequence numbers, timestamps and timing; payload types become those that were agreed on. Says what came back.

  --to URI        whom to call: sip:USER@HOST[:PORT] over UDP, with ;transport=ws over WebSocket
  --stream SEL    the stream whose name (src:port>dst:port/ssrc) contains SEL; else the one with the most packets
  --speed N       N times as fast (0.1 to 100); events are understood at any speed, tones at 1
  --loss P        lose P of a hundred packets
  --jitter MS     hold each packet back by up to MS milliseconds, so that some overtake others
  --seed S        what is lost and held back is the same for the same seed; without it one is drawn, and printed
  --tail MS       listen on for so long before hanging up (2000)
  --record OUT.wav  write what was heard, G.711 only: this command is a telephone of yours, and keeps what it hears

Exit status: 0 played to the end, 1 the call failed or ended early, 2 wrong use or no stream, 130 ended by Ctrl-C.

examples:
  npx hushtone replay call.pcap --to sip:pay@192.0.2.1
  npx hushtone replay call.pcapng --stream 0badcafe --to 'sip:pay@127.0.0.1:5060;amount=4210' --record heard.wav
  npx hushtone replay call.pcap --to sip:pay@127.0.0.1 --loss 5 --jitter 40 --seed 7
`;

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const SAMPLE_RATE = 8_000;
const SSRC_MAX = 0xffff_ffff;
/** randomInt takes ranges below 2^48. */
const SEED_RANGE = 2 ** 32;

const print = (line: string) => void process.stdout.write(`${line}\n`);

/** One line for a person, and the exit status. */
class ReplayError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export async function replayCommand(argv: readonly string[]): Promise<number> {
  let positionals: string[];
  let values: Record<string, string | boolean | undefined>;
  try {
    const string = { type: 'string' } as const;
    ({ positionals, values } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        to: string,
        stream: string,
        speed: string,
        loss: string,
        jitter: string,
        seed: string,
        tail: string,
        record: string,
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), EXIT_USAGE);
  }
  if (values.help === true) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const options = readOptions(positionals, values);
  if (typeof options === 'string') return refuse(options, EXIT_USAGE);
  const interrupt = onInterrupt();
  try {
    return await replay({ ...options, seed: options.seed ?? randomInt(SEED_RANGE) }, interrupt.came, systemClock);
  } catch (error) {
    if (error instanceof ReplayError) return refuse(error.message, error.status);
    throw error;
  } finally {
    interrupt.ignore();
  }
}

function refuse(reason: string, status: number): number {
  process.stderr.write(`hushtone replay: ${reason}\n`);
  return status;
}

type Order = ReplayOptions & { readonly seed: number };

/** `interrupted` settles with null. */
async function replay(options: Order, interrupted: Promise<null>, clock: Clock): Promise<number> {
  const { chosen, stream } = load(options);
  const hop = await resolved(options.hop);
  print(`seed ${options.seed}`);
  const schedule = scheduleOf(stream.packets, options);
  const address = await localAddressFor(hop);
  const heard = new Heard(options.record !== null);
  const offer = offerOf(stream.codecs);
  const media = await ReplayMedia.open({ address, ssrc: randomInt(SSRC_MAX), offer, heard }, clock);
  const kinds = [...new Set([...stream.codecs.values()].map(nameOf))].join(', ') || 'nothing that could be named';
  print(
    `playing ${chosen.name} (${chosen.packets} packets, ${seconds(chosen.durationMs)} s: ${kinds}) to ${options.to}`,
  );
  let answer: Answer | null = null;
  const order = {
    to: options.to,
    address,
    webSocket: options.isWebSocket ? `ws://${hop.host.includes(':') ? `[${hop.host}]` : hop.host}:${hop.port}` : null,
    offer: sdpOf(address, media.port, offer),
    answered: (sdp: string) => {
      const read = readAnswer(sdp, stream.codecs);
      if (read === null || read.mappings.size === 0) return false;
      answer = read;
      media.sendTo(read);
      return true;
    },
  };
  const call = await placeReplayCall(order, clock).catch((error: unknown) => {
    media.close();
    throw new ReplayError(`${options.to} cannot be reached: ${messageOf(error)}`, EXIT_FAILED);
  });
  const outcome = await Promise.race([call.outcome, interrupted]);
  const agreed = answer as Answer | null;
  if (outcome === null || outcome.kind !== 'answered' || agreed === null) {
    await call.close();
    media.close();
    if (outcome === null) return EXIT_INTERRUPTED;
    throw new ReplayError(failureOf(outcome, options.to, [...offer.values()]), EXIT_FAILED);
  }
  const sent = [...agreed.mappings].map(
    ([from, { payloadType }]) => `${nameAt(stream.codecs, from)} as ${payloadType}`,
  );
  print(`answered: ${sent.join(', ')}; media at ${agreed.address}:${agreed.port}`);
  const bar = new ProgressBar(process.stderr, clock);
  const playing = media.play(schedule.sendings, (done) => bar.show(done, `${chosen.name} to ${options.to}`));
  const listened = playing.then(() => pause(options.tailMs, clock)).then(() => 'played' as const);
  const ended = call.ended.then(() => 'ended' as const);
  const end = await Promise.race([listened, ended, interrupted]);
  bar.clear();
  const played = media.played(schedule.sendings);
  media.close();
  await call.close();
  report(stream, schedule, played);
  print(heard.describe((payloadType) => nameAt(offer, payloadType)));
  if (options.record !== null) record(options.record, heard);
  if (end === null) return EXIT_INTERRUPTED;
  if (end === 'ended' && played.unsent > 0) {
    throw new ReplayError(`the other side hung up before ${played.unsent} packets were sent`, EXIT_FAILED);
  }
  return EXIT_OK;
}

/** The stream, and what the capture said of it. */
function load(options: ReplayOptions): { readonly chosen: StreamSummary; readonly stream: ReplayStream } {
  const { file } = options;
  const opened = openInput(file);
  if (opened.kind === 'neither') throw new ReplayError(`${file}: ${opened.fault}`, EXIT_USAGE);
  if (opened.kind === 'recording') throw new ReplayError(`${file}: is a recording; captures are played`, EXIT_USAGE);
  const bar = new ProgressBar(process.stderr, systemClock);
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

async function resolved(hop: Hop): Promise<Hop> {
  try {
    return { ...hop, host: (await lookup(hop.host)).address };
  } catch {
    throw new ReplayError(`no address is known for ${hop.host}`, EXIT_FAILED);
  }
}

function failureOf(outcome: Outcome, to: string, offered: readonly CodecName[]): string {
  const names = offered.map(nameOf).join(', ');
  if (outcome.kind === 'answered') return `no common codec with ${to}: offered ${names}`;
  if (outcome.kind === 'failed') return `${to}: ${outcome.reason}`;
  // RFC 3261 §21.4.26: 488 is what a codec that nobody has is refused with.
  const why = outcome.status === 488 ? `; offered ${names}` : '';
  return `${to} refused the call: ${outcome.status} ${outcome.reason}${why}`;
}

function report(stream: ReplayStream, schedule: Schedule, played: Played): void {
  const parts = [`sent ${played.sent} of ${stream.packets.length} packets`];
  if (schedule.lost > 0) parts.push(`${schedule.lost} lost on purpose`);
  for (const [payloadType, count] of played.notAgreed) {
    const codec = stream.codecs.get(payloadType);
    const why =
      codec === undefined
        ? `of payload type ${payloadType}, which nothing explains`
        : `${nameOf(codec)}, not agreed on`;
    parts.push(`${count} left out (${why})`);
  }
  if (played.unsent > 0) parts.push(`${played.unsent} not yet due`);
  print(parts.join(', '));
}

function record(file: string, heard: Heard): void {
  const samples = heard.recording();
  try {
    writeFileSync(file, writeWav([samples], SAMPLE_RATE), { mode: 0o600 });
  } catch (error) {
    throw new ReplayError(`${file} was not written: ${systemReason(error, 'written')}`, EXIT_FAILED);
  }
  print(`recorded ${seconds((samples.length / SAMPLE_RATE) * 1000)} s to ${file}`);
}

/** Null once somebody pressed Ctrl-C. */
function onInterrupt(): { readonly came: Promise<null>; ignore(): void } {
  const { promise, resolve } = Promise.withResolvers<null>();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const note = (): void => resolve(null);
  for (const signal of signals) process.once(signal, note);
  return {
    came: promise,
    ignore: () => {
      for (const signal of signals) process.off(signal, note);
    },
  };
}

function pause(durationMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.startTimer(durationMs, resolve));
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
const nameOf = ({ name }: CodecName): string => (name === 'TELEPHONE-EVENT' ? 'telephone-event' : name);
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function nameAt(codecs: ReadonlyMap<number, CodecName>, payloadType: number): string {
  const codec = codecs.get(payloadType);
  return codec === undefined ? `of payload type ${payloadType}` : nameOf(codec);
}
