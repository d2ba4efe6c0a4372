import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchCase, Report } from '../case.ts';
import { cpuMs, end, quantile, startHushtone, until } from '../processes.ts';

/** Calls that stand at the same time: enough to keep the server busy, too few to measure its queue alone. */
const CALLS_AT_ONCE = 20;
const WARM_UP_CALLS = 500;
const CALLS = 5_000;
/** Asked of SIPp, and more than it can get: then the calls at once are the limit. */
const RATE_ASKED = 10_000;
const START_MS_MAX = 15_000;
const LOAD_S_MAX = 40;
const PORTS = { admin: 18_522, sip: 18_560, caller: 18_562 };
const SECRET = 'only for this bench';
const APPLICATION = fileURLToPath(new URL('../load/answering-application.ts', import.meta.url));

export const bench: BenchCase = {
  name: 'sip-calls',
  question: 'how many calls a second, INVITE to BYE, through the embedded server to an application on drachtio-srf?',
  target: 'at least 300 a second, answered within 100 ms at p99, each call under 2 ms of server CPU',
  async run(report) {
    const directory = mkdtempSync(join(tmpdir(), 'hushtone-bench-'));
    if (!existsSync('/usr/bin/sipp')) throw new Error('needs SIPp: sudo apt-get install -y sip-tester');
    const sip = `udp:127.0.0.1:${PORTS.sip}`;
    const admin = `127.0.0.1:${PORTS.admin}`;
    const server = startHushtone(['sip-server', '--admin', admin, '--sip', sip], { HUSHTONE_SIP_SECRET: SECRET });
    let application: ChildProcess | null = null;
    try {
      await until('the SIP server listens', START_MS_MAX, () => connects(PORTS.admin));
      application = fork(APPLICATION, [String(PORTS.admin), SECRET], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      await once(application, 'message', { signal: AbortSignal.timeout(START_MS_MAX) });
      await measure(report, directory, { server: server.pid ?? 0, application: application.pid ?? 0 });
    } finally {
      if (application !== null) await end(application);
      await end(server);
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function measure(
  report: Report,
  directory: string,
  pids: { server: number; application: number },
): Promise<void> {
  await callBySipp(directory, WARM_UP_CALLS);
  const before = { server: cpuMs(pids.server), application: cpuMs(pids.application) };
  const startedAt = performance.now();
  const answerMs = await callBySipp(directory, CALLS);
  const seconds = (performance.now() - startedAt) / 1000;
  report({ metric: 'calls-per-second', value: CALLS / seconds, unit: '1/s' });
  report({ metric: 'answer-time-p50', value: quantile(answerMs, 0.5), unit: 'ms' });
  report({ metric: 'answer-time-p99', value: quantile(answerMs, 0.99), unit: 'ms' });
  report({ metric: 'answer-time-max', value: quantile(answerMs, 1), unit: 'ms' });
  report({ metric: 'cpu-per-call-sip-server', value: (cpuMs(pids.server) - before.server) / CALLS, unit: 'ms' });
  report({
    metric: 'cpu-per-call-application',
    value: (cpuMs(pids.application) - before.application) / CALLS,
    unit: 'ms',
  });
}

/** SIPp's own caller: INVITE, 200, ACK, BYE, 200. Milliseconds from INVITE to 200; throws where one call fails. */
async function callBySipp(directory: string, calls: number): Promise<number[]> {
  const argv = ['-sn', 'uac', `127.0.0.1:${PORTS.sip}`, '-i', '127.0.0.1', '-p', String(PORTS.caller), '-d', '0'];
  argv.push('-m', String(calls), '-l', String(CALLS_AT_ONCE), '-r', String(RATE_ASKED), '-trace_rtt', '-rtt_freq', '1');
  argv.push('-nostdin', '-timeout', `${LOAD_S_MAX}s`, '-timeout_error');
  const known = new Set(readdirSync(directory));
  await new Promise<void>((resolve, reject) => {
    execFile('/usr/bin/sipp', argv, { cwd: directory, maxBuffer: 1 << 26 }, (error) => {
      if (error === null) resolve();
      else reject(new Error(`SIPp ended with status ${error.code}: not every call of ${calls} was answered`));
    });
  });
  const file = readdirSync(directory).find((name) => name.endsWith('_rtt.csv') && !known.has(name));
  if (file === undefined) throw new Error('SIPp wrote no answer times');
  const rows = readFileSync(join(directory, file), 'utf8').trim().split('\n').slice(1);
  // Date_ms;response_time_ms;rtd_name
  return rows.map((row) => Number(row.split(';')[1])).filter(Number.isFinite);
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const settle = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
