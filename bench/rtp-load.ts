/** RTP load from `../shared/tools/rtp/rtpgen.c`, pinned to one core, on a program pinned to the other. Loopback only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuMs, end, wait } from './processes.ts';

/** The engine and its peers run on one core, the generator on the other. */
const MEASURED_CORE = 1;
const GENERATOR_CORE = 0;
/** Below the range that the kernel gives to others (32768). */
export const PORT_FIRST = 27_000;
export const PEER_PORT_FIRST = 25_000;
const RTPENGINE_PORTS = { first: 40_000, last: 65_000, control: 2_223 };
const START_MS = 1_500;

export interface Load {
  readonly sent: number;
  /** Of what was sent, as much came back. */
  readonly ratio: number;
  readonly gapP999Ms: number;
  readonly lagMs: number;
}

export interface Running {
  readonly child: ChildProcess;
  /** Settles when it says `ready`, or has ended. */
  readonly ready: Promise<void>;
  /** Settles with what it printed; throws where it failed. */
  readonly ended: Promise<string>;
}

export function pinned(core: number, program: string, argv: readonly string[], environment = {}): Running {
  const ended = Promise.withResolvers<string>();
  const ready = Promise.withResolvers<void>();
  const env = { ...process.env, ...environment };
  const child = spawn('taskset', ['-c', String(core), program, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let text = '';
  const keep = (bytes: Buffer) => {
    text += bytes.toString();
    if (/^ready$/m.test(text)) ready.resolve();
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', ended.reject);
  child.on('exit', (code) => {
    ready.resolve();
    if (code === 0) ended.resolve(text);
    else ended.reject(new Error(`${program} ended with ${code}: ${text}`));
  });
  // Awaited when the load has run; a failure until then waits for that.
  ended.promise.catch(() => {});
  return { child, ready: ready.promise, ended: ended.promise };
}

/** On the core of what is measured. */
export const measured = (program: string, ...argv: string[]): Running => pinned(MEASURED_CORE, program, argv);

export function field(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`cannot read ${pattern.source} in: ${text}`);
  return Number(found);
}

/** `legsFile`: a line a leg, "PORT_OF_GENERATOR ADDRESS PORT". Packets carry `speech`, raw µ-law. */
export async function generate(rtpgen: string, legsFile: string, seconds: number, speech: string): Promise<Load> {
  const text = await pinned(GENERATOR_CORE, rtpgen, [legsFile, String(seconds), speech]).ended;
  return {
    sent: field(text, /sent (\d+)/),
    ratio: field(text, /ratio ([\d.]+)/),
    gapP999Ms: field(text, /p99\.9 (\d+)/) / 1000,
    lagMs: field(text, /gen_lag_ms ([\d.]+)/),
  };
}

/** `forward`: packets pass as they are. `mask`: `DTMF-security: silence`, which decodes the audio. */
export type RtpengineMode = 'forward' | 'mask';

export interface RtpengineCost {
  readonly usPerPacket: number;
  readonly load: Load;
}

/** rtpengine in user space, one thread, set up by `../shared/tools/rtp/rtpengine-setup.mjs`. */
export async function loadRtpengine(
  setup: string,
  mode: RtpengineMode,
  legs: number,
  run: (legsFile: string) => Promise<Load>,
): Promise<RtpengineCost> {
  const { first, last, control } = RTPENGINE_PORTS;
  const folder = mkdtempSync(join(tmpdir(), 'hushtone-rtpengine-'));
  const argv = ['--interface=127.0.0.1', `--listen-ng=127.0.0.1:${control}`, '--table=-1', `--port-min=${first}`];
  argv.push(
    `--port-max=${last}`,
    '-L',
    '2',
    '--foreground',
    '--log-stderr',
    '--num-threads=1',
    '--media-num-threads=1',
  );
  const engine = pinned(MEASURED_CORE, 'rtpengine', argv);
  try {
    await wait(START_MS);
    const how = [setup, String(control), String(legs / 2), String(PEER_PORT_FIRST), mode === 'mask' ? 'dtmf' : 'plain'];
    const setUp = spawn(process.execPath, how, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...(mode === 'mask' ? { SEC: 'silence' } : {}) },
    });
    let lines = '';
    setUp.stdout.on('data', (bytes: Buffer) => {
      lines += bytes.toString();
    });
    const [code] = await once(setUp, 'close');
    if (code !== 0) throw new Error('rtpengine did not take the calls');
    const legsFile = join(folder, 'legs.txt');
    writeFileSync(legsFile, lines);
    // taskset has become rtpengine.
    const pid = engine.child.pid ?? 0;
    const before = cpuMs(pid);
    const load = await run(legsFile);
    return { usPerPacket: ((cpuMs(pid) - before) * 1000) / load.sent, load };
  } finally {
    await end(engine.child);
    rmSync(folder, { recursive: true });
  }
}
