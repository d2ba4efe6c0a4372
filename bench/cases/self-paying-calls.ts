import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placeCall } from '../../src/caller/sip-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { BenchCase, Report } from '../case.ts';
import { childrenByCommand, cpuMs, end, quantile, startHushtone, until, wait } from '../processes.ts';

const CALLS = 20;
/** Calls begin this far apart, so that they are not in step. */
const APART_MS = 100;
const START_MS_MAX = 15_000;
const READY_PAUSE_MS = 500;
/** A caller who knows what comes keys into the question, but hears the read-back to its end. */
const LISTENS_MS = 1_000;
const CALL_MS_MAX = 50_000;
const PORTS = { sip: 18_660, ws: 18_666, http: 18_680, sandbox: 18_690, rtpFirst: 18_700, rtpLast: 18_999 };
const HTTP = `http://127.0.0.1:${PORTS.http}`;
/** What the caller keys after each prompt: number, yes, expiry, yes, code. Visa's published test number. */
const YES = '1';
const KEYS = ['4111111111111111#', YES, '1230', YES, '123'];
const PARTS = ['control', 'worker', 'sip-server'] as const;

export const bench: BenchCase = {
  name: 'self-paying-calls',
  question: `what does a call that pays cost each process, ${CALLS} at once on one worker?`,
  target: 'all approved; under 4 ms of worker CPU a second of a call; control event loop p99 under 30 ms',
  async run(report) {
    const directory = mkdtempSync(join(tmpdir(), 'hushtone-bench-'));
    const { sip, ws, http, sandbox, rtpFirst, rtpLast } = PORTS;
    const server = startHushtone(['serve'], {
      HUSHTONE_VAR_DIR: directory,
      HUSHTONE_SIP_UDP_PORT: String(sip),
      HUSHTONE_SIP_TCP_PORT: String(sip),
      HUSHTONE_SIP_WS_PORT: String(ws),
      HUSHTONE_HTTP_PORT: String(http),
      HUSHTONE_SANDBOX_PORT: String(sandbox),
      HUSHTONE_RTP_PORT_FIRST: String(rtpFirst),
      HUSHTONE_RTP_PORT_LAST: String(rtpLast),
      HUSHTONE_WORKERS: '1',
      HUSHTONE_DRAIN_MS: '0',
      HUSHTONE_LOG_LEVEL: 'error',
    });
    try {
      await until('everything is ready', START_MS_MAX, isReady);
      await wait(READY_PAUSE_MS);
      await measure(report, childrenByCommand(server.pid ?? 0));
    } finally {
      await end(server);
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function measure(report: Report, pids: ReadonlyMap<string, number>): Promise<void> {
  const cpu = () => new Map(PARTS.map((part) => [part, cpuMs(pids.get(part) ?? 0)]));
  // prom-client starts its histogram afresh each time it is read.
  await eventLoopDelays();
  const before = cpu();
  const startedAt = performance.now();
  const calls = await Promise.all(Array.from({ length: CALLS }, (_, index) => pay(index)));
  const seconds = (performance.now() - startedAt) / 1000;
  const after = cpu();
  const delays = await eventLoopDelays();

  const callSeconds = calls.reduce((sum, call) => sum + call.seconds, 0);
  report({ metric: 'calls', value: CALLS, unit: '1' });
  const approved = calls.filter(({ result }) => result === 'approved').length;
  report({ metric: 'calls-approved', value: approved, unit: '1' });
  // A call that went another way had other prompts and keys: its costs answer another question.
  if (approved < CALLS) throw new Error(`${CALLS - approved} of ${CALLS} calls did not pay`);
  const lengths = calls.map((call) => call.seconds);
  report({ metric: 'call-length-p50', value: quantile(lengths, 0.5), unit: 's' });
  report({ metric: 'call-length-max', value: quantile(lengths, 1), unit: 's' });
  const packets = calls.reduce((sum, call) => sum + call.packetsReceived, 0);
  report({ metric: 'rtp-to-caller', value: packets / callSeconds, unit: '1/s' });
  for (const part of PARTS) {
    const used = (after.get(part) ?? 0) - (before.get(part) ?? 0);
    report({ metric: `cpu-per-call-${part}`, value: used / CALLS, unit: 'ms' });
    report({ metric: `cpu-share-${part}`, value: (used / (seconds * 1000)) * 100, unit: '% of a core' });
  }
  const workerMs = (after.get('worker') ?? 0) - (before.get('worker') ?? 0);
  report({ metric: 'worker-cpu-per-call-second', value: workerMs / callSeconds, unit: 'ms' });
  const clock = await mediaClock();
  report({ metric: 'media-ticks-late', value: clock.late, unit: 'steps of 5 ms' });
  report({ metric: 'media-ticks-skipped', value: clock.skipped, unit: 'steps of 5 ms' });
  report({ metric: 'control-event-loop-delay-p99', value: delays.p99, unit: 'ms' });
  report({ metric: 'control-event-loop-delay-max', value: delays.max, unit: 'ms' });
}

interface Paid {
  readonly result: string;
  readonly seconds: number;
  readonly packetsReceived: number;
}

async function pay(index: number): Promise<Paid> {
  await wait(index * APART_MS);
  const uri = `sip:pay@127.0.0.1;amount=4210;currency=USD;reference=bench-${index}`;
  const call = await placeCall({ server: `ws://127.0.0.1:${PORTS.ws}`, uri }, systemClock);
  const startedAt = performance.now();
  const status = await call.answered;
  if (status !== 200) throw new Error(`call ${index} was refused with ${status}`);
  const keyed = (async () => {
    for (const keys of KEYS) {
      const isHeard = keys === YES ? await call.media.promptEnds() : await call.media.promptBegins();
      if (!isHeard) return;
      if (keys !== YES) await wait(LISTENS_MS);
      await call.media.key(keys, 'event');
    }
  })();
  const timeUp = wait(CALL_MS_MAX).then(() => 'time up' as const);
  const how = await Promise.race([call.ended, timeUp]);
  if (how === 'time up') await call.hangUp();
  void keyed.catch(() => {});
  const result = call.byeHeaders()['x-hushtone-result'] ?? 'none';
  return { result, seconds: (performance.now() - startedAt) / 1000, packetsReceived: call.media.packetsReceived };
}

async function isReady(): Promise<boolean> {
  return await fetch(`${HTTP}/readyz`).then(
    (answer) => answer.ok,
    () => false,
  );
}

async function metrics(): Promise<string> {
  return await (await fetch(`${HTTP}/metrics`)).text();
}

/** Of the worker since it started, which is the calls that were measured. */
async function mediaClock(): Promise<{ late: number; skipped: number }> {
  const text = await metrics();
  const read = (name: string) => Number(new RegExp(`^hushtone_media_ticks_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return { late: read('late'), skipped: read('skipped') };
}

async function eventLoopDelays(): Promise<{ p99: number; max: number }> {
  const text = await metrics();
  const read = (name: string) => {
    const value = new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`/metrics says no nodejs_eventloop_lag_${name}_seconds`);
    return Number(value) * 1000;
  };
  return { p99: read('p99'), max: read('max') };
}
