import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { encodeUlaw } from '../../src/lib/g711.ts';
import type { BenchCase } from '../case.ts';
import { HOUR_MS, type Hour, writeEventHour, writeToneHour } from '../hour.ts';
import { buildTool, scratch } from '../native-build.ts';

const HUSHTONE = join(import.meta.dirname, '../../src/cli/hushtone.js');
/** Beside the start-up of Node, which is measured with a capture of 28 packets. */
const START_UP = join(import.meta.dirname, '../../test/data/events-alone.pcapng');
const REPEATS = 5;
const CORE = '1';
/** What a command prints is kept in memory. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const ORACLE_REPEATS = '3';

interface Run {
  /** Processor time, user and system, of all its threads. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly output: string;
}

/** Runs a command on one core; the times are bash's, which are those of the process and what it waited for. */
function timed(argv: readonly string[]): Run {
  const script = 'TIMEFORMAT="TIMES %R %U %S"; time "$@"';
  const { stdout, stderr, status } = spawnSync('taskset', ['-c', CORE, 'bash', '-c', script, 'bash', ...argv], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const times = /TIMES ([\d.]+) ([\d.]+) ([\d.]+)/.exec(stderr ?? '');
  if (status !== 0 || times === null) throw new Error(`${argv[0]} failed: ${stderr}`);
  return { wallSeconds: Number(times[1]), cpuSeconds: Number(times[2]) + Number(times[3]), output: stdout };
}

/** The best of several: what another process took from the core is not ours. */
function best(argv: readonly string[]): Run {
  const runs = Array.from({ length: REPEATS }, () => timed(argv));
  const least = (one: (run: Run) => number) => Math.min(...runs.map(one));
  return {
    cpuSeconds: least((run) => run.cpuSeconds),
    wallSeconds: least((run) => run.wallSeconds),
    output: runs[0]?.output ?? '',
  };
}

const decode = (file: string): Run => best([process.execPath, HUSHTONE, 'decode', '--json', '--reveal', file]);
const timesRealTime = (seconds: number): number => HOUR_MS / 1000 / seconds;

/** A figure counts only where every key came out. */
function assertKeys(what: string, { digits }: Hour, { output }: Run): void {
  const found = [...output.matchAll(/"digit":"(.)"/g)].map((match) => match[1]).join('');
  if (found !== digits) throw new Error(`${what}: ${found.length} keys where ${digits.length} were pressed`);
}

/** `hushtone decode` on an hour of one side of a call, beside tshark and spandsp. */
export const bench: BenchCase = {
  name: 'decode',
  question: 'how much faster than real time is a capture decoded, on one core, beside the start-up of Node?',
  target: 'at least 10,000 times for a capture with keys as events, 2,000 times where tones are listened for',
  async run(report) {
    const folder = scratch();
    const [events, tones, raw] = ['hour-events.pcap', 'hour-tones.pcap', 'hour-tones.raw'].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    const eventHour = writeEventHour(events);
    const toneHour = writeToneHour(tones, raw, encodeUlaw);
    const startUp = decode(START_UP);

    const ofEvents = decode(events);
    assertKeys('events', eventHour, ofEvents);
    const tshark = existsSync('/usr/bin/tshark') ? best(tsharkOf(events)) : null;
    const ofTones = decode(tones);
    assertKeys('tones', toneHour, ofTones);
    const oracle = buildTool('dtmf/spandsp_oracle.c', ['-lspandsp', '-lm']);
    const spandsp = execFileSync('taskset', ['-c', CORE, oracle, raw, ORACLE_REPEATS]).toString();
    const spandspTimes = Number(/x-realtime (\d+)/.exec(spandsp)?.[1]);

    const cpu = (run: Run) => timesRealTime(run.cpuSeconds - startUp.cpuSeconds);
    const unit = 'x real time';
    const beside = tshark === null ? {} : { peer: 'tshark', peerValue: timesRealTime(tshark.cpuSeconds) };
    const detector = { peer: 'spandsp, samples only', peerValue: spandspTimes };
    report({ metric: 'events', value: cpu(ofEvents), unit, ...beside });
    report({ metric: 'events, start-up included', value: timesRealTime(ofEvents.cpuSeconds), unit, ...beside });
    report({ metric: 'events, by the clock, start-up included', value: timesRealTime(ofEvents.wallSeconds), unit });
    report({ metric: 'tones', value: cpu(ofTones), unit, ...detector });
    report({ metric: 'tones, start-up included', value: timesRealTime(ofTones.cpuSeconds), unit, ...detector });
    report({ metric: 'tones, by the clock, start-up included', value: timesRealTime(ofTones.wallSeconds), unit });
    report({ metric: 'start-up of Node', value: startUp.cpuSeconds * 1000, unit: 'ms' });
  },
};

/** The same question of tshark: which packet says which key. */
function tsharkOf(file: string): readonly string[] {
  const fields = ['-T', 'fields', '-e', 'rtp.timestamp', '-e', 'rtpevent.event_id'];
  return ['/usr/bin/tshark', '-r', file, '-n', '-d', 'udp.port==20000,rtp', '-Y', 'rtpevent', ...fields];
}
