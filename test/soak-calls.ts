import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { childrenByCommand, end, startHushtone, until, wait } from '../bench/processes.ts';
import { BUILD } from './phases.ts';

/*
 * Calls by SIPp, round after round, with the memory of every process watched:
 *
 *   node test/soak-calls.ts server     the embedded server and an application on drachtio-srf: 100,000 calls
 *   node test/soak-calls.ts payments   everything: calls that begin to pay, hear a prompt and hang up
 *
 * Fails where a call fails; where what lives in the embedded server's heap, once its transactions are over, has grown by more
 * than LIVE_MB_MAX over 50,000 calls (40 bytes a call); or where another process in its last ROUNDS_LOOKED_AT rounds has
 * GROWTH_SHARE_MAX and GROWTH_MB_MAX together more than in as many rounds before (3 kB a call, 20 kB a payment).
 */

const GROWTH_SHARE_MAX = 0.1;
const GROWTH_MB_MAX = 16;
const START_MS_MAX = 20_000;
/** What was let go is given back a while after the last call. */
const SETTLE_MS = 2_000;
/**
 * Of V8, for each process: it lets garbage lie up to a gigabyte where it may, and that would look like growth. Transactions
 * are kept for 32 s (RFC 3261 §17.1.2.2, §17.2.2), 10 kB a call: at 1,000 calls a second 320 MB live.
 */
const HEAP_MB_MAX = 768;
const NODE_OPTIONS = `--max-old-space-size=${HEAP_MB_MAX}`;
/** Rounds of which the least counts: when garbage is collected is not ours to say. */
const ROUNDS_LOOKED_AT = 5;
/** After it no transaction is left: the longest timer of RFC 3261 §17 is of 32 s. */
const IDLE_MS = 40_000;
const LIVE_MB_MAX = 2;
const SECRET = 'only for this soak';
const APPLICATION = fileURLToPath(new URL('../bench/load/answering-application.ts', import.meta.url));

interface Load {
  readonly rounds: number;
  readonly calls: number;
  readonly atOnce: number;
  readonly secondsMax: number;
  readonly server: string;
  readonly callerPort: number;
  /** Of SIPp, beside what every load has. */
  readonly scenario: readonly string[];
  /** The process that is asked for its live heap, and where it has its inspector; on loopback. */
  readonly inspected?: { readonly process: string; readonly port: number };
}

interface InspectorTarget {
  readonly webSocketDebuggerUrl: string;
}

type Memory = ReadonlyMap<string, number>;

const LINES_OF_PAYMENT = `<?xml version="1.0" encoding="UTF-8"?>
<scenario name="pays a little">
  <send retrans="500"><![CDATA[
    INVITE sip:pay@[remote_ip]:[remote_port];amount=4210;currency=USD;reference=soak-[call_number] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    To: <sip:pay@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:caller@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP4 [local_ip]
    s=-
    c=IN IP4 [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0 101
    a=rtpmap:0 PCMU/8000
    a=rtpmap:101 telephone-event/8000
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
    ACK [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    [last_To:]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <pause milliseconds="1500"/>
  <send retrans="500"><![CDATA[
    BYE [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]
    [last_To:]
    Call-ID: [call_id]
    CSeq: 2 BYE
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
`;

async function soakServer(directory: string): Promise<boolean> {
  const ports = { admin: 19_522, sip: 19_560, caller: 19_562, inspector: 19_529 };
  const argv = ['sip-server', '--admin', `127.0.0.1:${ports.admin}`, '--sip', `udp:127.0.0.1:${ports.sip}`];
  const inspect = `${NODE_OPTIONS} --inspect=127.0.0.1:${ports.inspector}`;
  const server = startHushtone(argv, { HUSHTONE_SIP_SECRET: SECRET, NODE_OPTIONS: inspect });
  let application: ChildProcess | null = null;
  try {
    await until('the SIP server listens', START_MS_MAX, () => connects(ports.admin));
    application = fork(APPLICATION, [String(ports.admin), SECRET], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(application, 'message', { signal: AbortSignal.timeout(START_MS_MAX) });
    const pids = new Map([
      ['sip-server', server.pid ?? 0],
      ['application', application.pid ?? 0],
    ]);
    const load = {
      rounds: 20,
      calls: 5_000,
      atOnce: 20,
      secondsMax: 60,
      callerPort: ports.caller,
      inspected: { process: 'sip-server', port: ports.inspector },
    };
    return await soak('server', directory, pids, {
      ...load,
      server: `127.0.0.1:${ports.sip}`,
      scenario: ['-sn', 'uac', '-d', '0'],
    });
  } finally {
    if (application !== null) await end(application);
    await end(server);
  }
}

async function soakPayments(directory: string): Promise<boolean> {
  const ports = { sip: 19_660, ws: 19_666, http: 19_680, sandbox: 19_690, first: 19_700, last: 19_999, caller: 19_662 };
  const server = startHushtone(['serve'], {
    NODE_OPTIONS,
    HUSHTONE_VAR_DIR: join(directory, 'var'),
    HUSHTONE_SIP_UDP_PORT: String(ports.sip),
    HUSHTONE_SIP_TCP_PORT: String(ports.sip),
    HUSHTONE_SIP_WS_PORT: String(ports.ws),
    HUSHTONE_HTTP_PORT: String(ports.http),
    HUSHTONE_SANDBOX_PORT: String(ports.sandbox),
    HUSHTONE_RTP_PORT_FIRST: String(ports.first),
    HUSHTONE_RTP_PORT_LAST: String(ports.last),
    HUSHTONE_WORKERS: '1',
    HUSHTONE_DRAIN_MS: '0',
    HUSHTONE_LOG_LEVEL: 'error',
  });
  try {
    await until('everything is ready', START_MS_MAX, () => isReady(`http://127.0.0.1:${ports.http}/readyz`));
    const scenario = join(directory, 'pays.xml');
    writeFileSync(scenario, LINES_OF_PAYMENT);
    const children = childrenByCommand(server.pid ?? 0);
    const pids = new Map([...children].filter(([name]) => ['control', 'worker', 'sip-server'].includes(name)));
    const load = { rounds: 14, calls: 400, atOnce: 40, secondsMax: 90, callerPort: ports.caller };
    const more = ['-sf', scenario, '-mi', '127.0.0.1', '-mp', '29000'];
    return await soak('payments', directory, pids, { ...load, server: `127.0.0.1:${ports.sip}`, scenario: more });
  } finally {
    await end(server);
  }
}

/** Writes a line a round to build/soak; false where memory grew past the bound. */
async function soak(name: string, directory: string, pids: Memory, load: Load): Promise<boolean> {
  const { rounds, calls, atOnce } = load;
  process.stdout.write(
    `${rounds} rounds of ${calls} calls, ${atOnce} at once; memory of ${[...pids.keys()].join(', ')}\n`,
  );
  const lines: string[] = [];
  const say = (line: string): void => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };
  const seen: Memory[] = [];
  const live: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const startedAt = performance.now();
    await callBySipp(directory, load);
    const seconds = (performance.now() - startedAt) / 1000;
    await wait(SETTLE_MS);
    const memory = new Map([...pids].map(([process, pid]) => [process, rssMb(pid)]));
    seen.push(memory);
    const sizes = [...memory].map(([process, mb]) => `${process} ${mb.toFixed(1)} MB`).join(', ');
    say(`round ${String(round).padStart(2)}: ${(calls / seconds).toFixed(0)} calls a second; ${sizes}`);
    if (load.inspected === undefined || (round !== rounds / 2 && round !== rounds)) continue;
    await wait(IDLE_MS);
    live.push(await liveMb(load.inspected.port));
    say(`live heap after ${round * calls} calls and ${IDLE_MS / 1000} s without one: ${live.at(-1)?.toFixed(2)} MB`);
  }
  let isFlat = (live.at(-1) ?? 0) - (live[0] ?? 0) <= LIVE_MB_MAX;
  for (const process of pids.keys()) {
    // Its garbage was collected in between: resident memory begins again there.
    if (process === load.inspected?.process) continue;
    const sizes = seen.map((memory) => memory.get(process) ?? 0);
    const before = Math.min(...sizes.slice(-2 * ROUNDS_LOOKED_AT, -ROUNDS_LOOKED_AT));
    const after = Math.min(...sizes.slice(-ROUNDS_LOOKED_AT));
    const bound = before * (1 + GROWTH_SHARE_MAX) + GROWTH_MB_MAX;
    const verdict = after <= bound ? 'flat' : 'GROWS';
    isFlat = isFlat && after <= bound;
    say(
      `${process}: ${before.toFixed(1)} MB after ${(rounds - ROUNDS_LOOKED_AT) * calls} calls, ${after.toFixed(1)} after ${rounds * calls} (bound ${bound.toFixed(1)}): ${verdict}`,
    );
  }
  mkdirSync(`${BUILD}/soak`, { recursive: true });
  writeFileSync(`${BUILD}/soak/calls-${name}.txt`, `${lines.join('\n')}\n`);
  return isFlat;
}

/** Throws where one call fails. */
async function callBySipp(directory: string, load: Load): Promise<void> {
  const argv = [load.server, '-i', '127.0.0.1', '-p', String(load.callerPort), ...load.scenario];
  argv.push('-m', String(load.calls), '-l', String(load.atOnce), '-r', '10000', '-nostdin');
  argv.push('-timeout', `${load.secondsMax}s`, '-timeout_error');
  await new Promise<void>((resolve, reject) => {
    execFile('/usr/bin/sipp', argv, { cwd: directory, maxBuffer: 1 << 26, env: { TERM: 'dumb' } }, (error, out) => {
      if (error === null) resolve();
      else
        reject(
          new Error(
            `SIPp ended with status ${error.code}: not every call of ${load.calls} went well\n${out.slice(-2_000)}`,
          ),
        );
    });
  });
}

/** What lives in the heap of a process, by its inspector: what is used after everything was collected that can be. */
async function liveMb(port: number): Promise<number> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as InspectorTarget[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  await once(socket, 'open');
  let id = 0;
  const ask = async (method: string): Promise<unknown> => {
    id += 1;
    socket.send(JSON.stringify({ id, method }));
    for (;;) {
      const [bytes] = (await once(socket, 'message')) as [Buffer];
      const answer = JSON.parse(bytes.toString()) as { id?: number; result?: unknown };
      if (answer.id === id) return answer.result;
    }
  };
  // Twice: what finalizers let go in the first.
  await ask('HeapProfiler.collectGarbage');
  await ask('HeapProfiler.collectGarbage');
  const { usedSize } = (await ask('Runtime.getHeapUsage')) as { usedSize: number };
  socket.close();
  return usedSize / (1024 * 1024);
}

function rssMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
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

async function isReady(url: string): Promise<boolean> {
  return await fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );
}

const what = process.argv[2];
if (what !== 'server' && what !== 'payments') {
  process.stderr.write('usage: node test/soak-calls.ts server|payments\n');
  process.exit(2);
}
const directory = mkdtempSync(join(tmpdir(), 'hushtone-soak-'));
try {
  process.exitCode = (await (what === 'server' ? soakServer(directory) : soakPayments(directory))) ? 0 : 1;
} catch (error) {
  process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
