import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchCase } from '../case.ts';
import { buildNativeBench, buildTool, scratch } from '../native-build.ts';
import { joinPromptsUlaw } from '../speech.ts';

const TRIALS = [400, 1000].flatMap((legs) => [false, true].map((masked) => ({ legs, masked })));
const SECONDS = 7;
// Below the range that the kernel gives to others (32768).
const PORT_FIRST = 27_000;
const PEER_PORT_FIRST = 25_000;
const SETTLE_MS = 600;

interface Load {
  readonly ratio: number;
  readonly gapP999Ms: number;
  readonly lagMs: number;
}

interface Running {
  /** Settles when it says `ready`. */
  readonly ready: Promise<void>;
  /** Settles with what it printed. */
  readonly ended: Promise<string>;
}

/** Starts a program pinned to a core (where taskset is). */
function pinned(core: number, program: string, ...args: string[]): Running {
  const ended = Promise.withResolvers<string>();
  const ready = Promise.withResolvers<void>();
  const child = spawn('taskset', ['-c', String(core), program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const keep = (bytes: Buffer) => {
    text += bytes.toString();
    if (/^ready$/m.test(text)) ready.resolve();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', ended.reject);
  child.on('exit', (code) => {
    ready.resolve();
    if (code === 0) ended.resolve(text);
    else ended.reject(new Error(`${program} ended with ${code}: ${text}`));
  });
  return { ready: ready.promise, ended: ended.promise };
}

function field(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`cannot read ${pattern.source} in: ${text}`);
  return Number(found);
}

function readLoad(text: string): Load {
  return {
    ratio: field(text, /ratio ([\d.]+)/),
    gapP999Ms: field(text, /p99\.9 (\d+)/) / 1000,
    lagMs: field(text, /gen_lag_ms ([\d.]+)/),
  };
}

/** The engine beside ../shared/tools/rtp/relay.c, which decodes nothing; the generator on the other core. */
export const bench: BenchCase = {
  name: 'media-packet',
  question: 'what does one RTP packet cost: jitter buffer, in-band detection, mixing and encoding of two-leg calls?',
  target: 'at most 0.60 of the bare relay at 1,000 legs and 0.45 at 400; a run with lag over 1 ms does not count',
  async run(report) {
    const programs = buildNativeBench();
    const relay = buildTool('rtp/relay.c');
    const rtpgen = buildTool('rtp/rtpgen.c');
    const folder = scratch();
    const speech = joinPromptsUlaw();
    const generate = async (legsFile: string) =>
      readLoad(await pinned(0, rtpgen, legsFile, String(SECONDS), speech).ended);
    const ports = [String(PORT_FIRST), String(PEER_PORT_FIRST)];
    for (const { legs, masked } of TRIALS) {
      const relayLegs = join(folder, 'relay-legs.txt');
      const lines = Array.from({ length: legs }, (_, i) => `${PEER_PORT_FIRST + i} 127.0.0.1 ${PORT_FIRST + i}`);
      writeFileSync(relayLegs, `${lines.join('\n')}\n`);
      const floor = pinned(1, relay, String(legs), ...ports, String(SECONDS + 2));
      await sleep(SETTLE_MS);
      const floorLoad = await generate(relayLegs);
      const floorUs = field(await floor.ended, /us_per_packet ([\d.]+)/);

      const ourLegs = join(folder, 'our-legs.txt');
      const argv = [String(legs), ...ports, String(SECONDS + 1), ourLegs, ...(masked ? ['masked'] : [])];
      const ours = pinned(1, join(programs, 'media_bench'), ...argv);
      await ours.ready;
      const ourLoad = await generate(ourLegs);
      const text = await ours.ended;
      const usPerPacket = field(text, /"usPerPacket":([\d.]+)/);

      const at = (metric: string) => `${metric}, ${legs} legs${masked ? ', one of two masked' : ''}`;
      report({ metric: at('cpu per packet'), value: usPerPacket, unit: 'us', peer: 'relay.c', peerValue: floorUs });
      report({ metric: at('ratio to the bare relay'), value: usPerPacket / floorUs, unit: 'x' });
      report({ metric: at('memory per call'), value: field(text, /"kbPerCall":([\d.]+)/), unit: 'kB' });
      report({ metric: at('packets lost by us'), value: field(text, /"lost":(\d+)/), unit: 'packets' });
      const gap = { value: ourLoad.gapP999Ms, unit: 'ms', peer: 'relay.c', peerValue: floorLoad.gapP999Ms };
      report({ metric: at('gap between packets, p99.9'), ...gap });
      const lag = { value: ourLoad.lagMs, unit: 'ms', peer: 'relay.c', peerValue: floorLoad.lagMs };
      report({ metric: at('lag of the generator'), ...lag });
    }
  },
};
