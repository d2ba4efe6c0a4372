import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchCase, Report } from '../case.ts';
import { buildNativeBench, buildTool, scratch, toolFile } from '../native-build.ts';
import { wait } from '../processes.ts';
import {
  field,
  generate,
  type Load,
  loadRtpengine,
  measured,
  PEER_PORT_FIRST,
  PORT_FIRST,
  type RtpengineMode,
} from '../rtp-load.ts';
import { joinPromptsUlaw } from '../speech.ts';

const LEGS = [100, 400, 1000, 2000];
/** rtpengine takes its own time to set calls up: at the two that a target is about. */
const LEGS_OF_RTPENGINE: readonly number[] = [400, 1000];
const RTPENGINE_MODES: readonly RtpengineMode[] = ['forward', 'mask'];
const SECONDS = 7;
const SETTLE_MS = 600;
/** The sockets of a run before are gone. */
const BETWEEN_MS = 500;

/** Codecs of the two legs of each call, for our own code alone. */
const CODECS = [
  ['pcmu', 'pcmu'],
  ['pcmu', 'pcma'],
  ['g722', 'g722'],
  ['opus', 'pcmu'],
  ['opus', 'opus'],
] as const;
const CORE_LEGS = 400;
const CORE_SECONDS = 20;
const SRTP_PACKETS = 200_000;

interface Tools {
  readonly programs: string;
  readonly relay: string;
  readonly generate: (legsFile: string) => Promise<Load>;
}

interface Measured {
  readonly usPerPacket: number;
  readonly load: Load;
  readonly text: string;
}

/** A relay of one socket a leg, on our ports: `../shared/tools/rtp/relay.c` or our own `tick_relay`. */
async function runRelay(tools: Tools, program: string, legs: number): Promise<Measured> {
  const legsFile = join(scratch(), 'relay-legs.txt');
  const lines = Array.from({ length: legs }, (_, i) => `${PEER_PORT_FIRST + i} 127.0.0.1 ${PORT_FIRST + i}`);
  writeFileSync(legsFile, `${lines.join('\n')}\n`);
  await wait(BETWEEN_MS);
  const argv = [String(legs), String(PORT_FIRST), String(PEER_PORT_FIRST), String(SECONDS + 2)];
  const running = measured(program, ...argv);
  await wait(SETTLE_MS);
  const load = await tools.generate(legsFile);
  const text = await running.ended;
  return { usPerPacket: field(text, /us_per_packet ([\d.]+)/), load, text };
}

async function runEngine(tools: Tools, legs: number, masked: boolean): Promise<Measured> {
  const legsFile = join(scratch(), 'our-legs.txt');
  await wait(BETWEEN_MS);
  const argv = [String(legs), String(PORT_FIRST), String(PEER_PORT_FIRST), String(SECONDS + 1), legsFile];
  const running = measured(join(tools.programs, 'media_bench'), ...argv, ...(masked ? ['masked'] : []));
  await running.ready;
  const load = await tools.generate(legsFile);
  const text = await running.ended;
  return { usPerPacket: field(text, /"usPerPacket":([\d.]+)/), load, text };
}

function tell(report: Report, what: string, ours: Measured, relay: Measured): void {
  const peer = 'relay.c';
  const at = (metric: string) => `${metric}, ${what}`;
  report({ metric: at('cpu per packet'), value: ours.usPerPacket, unit: 'us', peer, peerValue: relay.usPerPacket });
  report({ metric: at('ratio to the bare relay'), value: ours.usPerPacket / relay.usPerPacket, unit: 'x' });
  const gap = { value: ours.load.gapP999Ms, unit: 'ms', peer, peerValue: relay.load.gapP999Ms };
  report({ metric: at('gap between packets, p99.9'), ...gap });
  const lag = { value: ours.load.lagMs, unit: 'ms', peer, peerValue: relay.load.lagMs };
  report({ metric: at('lag of the generator'), ...lag });
}

/** Without sockets: what codecs and SRTP add to a packet, one received and one sent. */
function tellOwnCode(report: Report, programs: string): void {
  for (const codecs of CODECS) {
    const argv = [String(CORE_LEGS), String(CORE_SECONDS), ...codecs];
    const text = execFileSync(join(programs, 'core_bench'), argv, { encoding: 'utf8' });
    const metric = `our own code per packet, ${CORE_LEGS} legs, ${codecs.join(' and ')}`;
    report({ metric, value: field(text, /"nsPerPacket":(\d+)/), unit: 'ns' });
  }
  const suites = execFileSync(join(programs, 'srtp_bench'), [String(SRTP_PACKETS)], { encoding: 'utf8' });
  for (const line of suites.trim().split('\n')) {
    const { suite, protectNs, openNs } = JSON.parse(line) as { suite: string; protectNs: number; openNs: number };
    report({ metric: `what SRTP adds per packet, ${suite}`, value: protectNs + openNs, unit: 'ns' });
  }
}

/** The engine beside a relay that decodes nothing, beside the least our way of working can cost, and beside rtpengine. */
export const bench: BenchCase = {
  name: 'media-packet',
  question: 'what does one RTP packet cost: jitter buffer, in-band detection, mixing and encoding of two-leg calls?',
  target: 'at most 0.60 of the bare relay at 1,000 legs and 0.45 at 400; a run with lag over 1 ms does not count',
  async run(report) {
    const programs = buildNativeBench();
    const relay = buildTool('rtp/relay.c');
    const rtpgen = buildTool('rtp/rtpgen.c');
    const setup = toolFile('rtp/rtpengine-setup.mjs');
    const speech = joinPromptsUlaw();
    const tools: Tools = { programs, relay, generate: (legsFile) => generate(rtpgen, legsFile, SECONDS, speech) };
    for (const legs of LEGS) {
      const bare = await runRelay(tools, relay, legs);
      tell(report, `${legs} legs, only our sockets`, await runRelay(tools, join(programs, 'tick_relay'), legs), bare);
      for (const masked of [false, true]) {
        const beside = await runRelay(tools, relay, legs);
        const ours = await runEngine(tools, legs, masked);
        const what = `${legs} legs${masked ? ', one of two masked' : ''}`;
        tell(report, what, ours, beside);
        report({ metric: `memory per call, ${what}`, value: field(ours.text, /"kbPerCall":([\d.]+)/), unit: 'kB' });
        report({ metric: `packets lost by us, ${what}`, value: field(ours.text, /"lost":(\d+)/), unit: 'packets' });
      }
      if (!LEGS_OF_RTPENGINE.includes(legs)) continue;
      for (const mode of RTPENGINE_MODES) {
        const beside = await runRelay(tools, relay, legs);
        const cost = await loadRtpengine(setup, mode, legs, tools.generate);
        tell(report, `${legs} legs, rtpengine, ${mode}`, { ...cost, text: '' }, beside);
      }
    }
    tellOwnCode(report, programs);
  },
};
