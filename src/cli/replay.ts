import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Hop, localAddressFor } from '../caller/udp-transport.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ProgressBar } from './decode/progress.ts';
import { placeReplayCall, type ReplayCall } from './replay/call.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, ReplayError } from './replay/error.ts';
import { Heard } from './replay/heard.ts';
import { load, resolved } from './replay/load.ts';
import { ReplayMedia } from './replay/media.ts';
import { type Answer, type Offer, offerOf, readAnswer, sdpOf } from './replay/offer.ts';
import { type ReplayOptions, readOptions } from './replay/options.ts';
import { describeSent, failureOf, nameAt, nameOf, record, seconds } from './replay/report.ts';
import { type Sending, scheduleOf } from './replay/schedule.ts';
import type { ReplayStream } from './replay/stream-source.ts';

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

const SSRC_MAX = 0xffff_ffff;
/** randomInt takes ranges below 2^48. */
const SEED_RANGE = 2 ** 32;

const print = (line: string) => void process.stdout.write(`${line}\n`);

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
  const { chosen, stream } = load(options, print, clock);
  print(`seed ${options.seed}`);
  const schedule = scheduleOf(stream.packets, options);
  const offer = offerOf(stream.codecs);
  const hop = await resolved(options.hop);
  const address = await localAddressFor(hop);
  const heard = new Heard(options.record !== null);
  const media = await ReplayMedia.open({ address, ssrc: randomInt(SSRC_MAX), offer, heard }, clock);
  const kinds = [...new Set([...stream.codecs.values()].map(nameOf))].join(', ') || 'nothing that could be named';
  const length = `${chosen.packets} packets, ${seconds(chosen.durationMs)} s`;
  print(`playing ${chosen.name} (${length}: ${kinds}) to ${options.to}`);
  const call = await dial({ options, hop, address, stream, offer, media, interrupted }, clock);
  if (call === null) return EXIT_INTERRUPTED;
  const end = await play({ options, call, media, sendings: schedule.sendings, interrupted }, clock);
  const played = media.played(schedule.sendings);
  media.close();
  await call.close();
  print(describeSent(stream, schedule, played));
  print(heard.describe((payloadType) => nameAt(offer, payloadType)));
  if (options.record !== null) print(record(options.record, heard));
  if (end === null) return EXIT_INTERRUPTED;
  if (end === 'ended' && played.unsent > 0) {
    throw new ReplayError(`the other side hung up before ${played.unsent} packets were sent`, EXIT_FAILED);
  }
  return EXIT_OK;
}

interface Dialling {
  readonly options: Order;
  readonly hop: Hop;
  readonly address: string;
  readonly stream: ReplayStream;
  readonly offer: Offer;
  readonly media: ReplayMedia;
  readonly interrupted: Promise<null>;
}

/** A call that was answered with something that we can send; null where somebody pressed Ctrl-C. */
async function dial(dialling: Dialling, clock: Clock): Promise<ReplayCall | null> {
  const { options, hop, address, stream, offer, media, interrupted } = dialling;
  let agreed: Answer | null = null;
  const order = {
    to: options.to,
    address,
    webSocket: options.isWebSocket ? `ws://${hop.host.includes(':') ? `[${hop.host}]` : hop.host}:${hop.port}` : null,
    offer: sdpOf(address, media.port, offer),
    answered: (sdp: string) => {
      const answer = readAnswer(sdp, stream.codecs);
      if (answer === null || answer.mappings.size === 0) return false;
      agreed = answer;
      media.sendTo(answer);
      return true;
    },
  };
  const call = await placeReplayCall(order, clock).catch((error: unknown) => {
    media.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new ReplayError(`${options.to} cannot be reached: ${reason}`, EXIT_FAILED);
  });
  const outcome = await Promise.race([call.outcome, interrupted]);
  const answer = agreed as Answer | null;
  if (outcome?.kind === 'answered' && answer !== null) {
    const sent = [...answer.mappings].map(([type, to]) => `${nameAt(stream.codecs, type)} as ${to.payloadType}`);
    print(`answered: ${sent.join(', ')}; media at ${answer.address}:${answer.port}`);
    return call;
  }
  await call.close();
  media.close();
  if (outcome === null) return null;
  throw new ReplayError(failureOf(outcome, options.to, [...offer.values()]), EXIT_FAILED);
}

interface Playing {
  readonly options: Order;
  readonly call: ReplayCall;
  readonly media: ReplayMedia;
  readonly sendings: readonly Sending[];
  readonly interrupted: Promise<null>;
}

/** How it ended: all was played, the other side hung up, or somebody pressed Ctrl-C. */
async function play(
  { options, call, media, sendings, interrupted }: Playing,
  clock: Clock,
): Promise<'played' | 'ended' | null> {
  const bar = new ProgressBar(process.stderr, clock);
  const playing = media.play(sendings, (done) => bar.show(done, `playing to ${options.to}`));
  const listened = playing.then(() => pause(options.tailMs, clock)).then(() => 'played' as const);
  const ended = call.ended.then(() => 'ended' as const);
  const end = await Promise.race([listened, ended, interrupted]);
  bar.clear();
  return end;
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
