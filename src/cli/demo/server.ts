import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Config } from '../../config/config.ts';
import { ENVIRONMENT_KEYS } from '../../config/environment.ts';
import { readConfig } from '../../config/read.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Flow } from '../../session/flow.ts';
import { freeTcpPort } from '../../supervisor/ports.ts';
import type { Api } from './events.ts';

/** The server that the demo calls: one that runs already, or one of its own. */
export interface DemoServer {
  readonly wsUrl: string;
  readonly api: Api;
  readonly flow: Flow;
  /** In a person's words. */
  readonly is: string;
  /** Ends it where it is our own; its log is kept, and its path answered, where `keep` is true. */
  stop(keep: boolean): Promise<string | null>;
}

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const ENTRY = join(ROOT, 'src/cli/hushtone.js');
const ASK_MS_MAX = 2_000;
const READY_MS_MAX = 40_000;
const STOP_MS_MAX = 15_000;
const POLL_MS = 100;
const LOG_LINES_SHOWN = 12;
/** An own server takes its RTP ports from one of these blocks, so that it does not meet a server that runs. */
const RTP_PORT_FIRST = 20_000;
const RTP_BLOCK = 200;
const RTP_BLOCKS = 50;

/** Why the demo cannot call the server of this configuration, or null where it can. */
export function unfitReason(config: Config): string | null {
  const flow = defaultFlow(config);
  if (config.sip.server.kind !== 'embedded') return 'its SIP server is not the embedded one';
  if (config.gateways.get(flow.gateway)?.kind !== 'sandbox') return `its flow ${flow.name} pays at a real gateway`;
  if (flow.amount.source.kind !== 'passed' || flow.amount.offerFullAmount) return 'its callers key the amount';
  if (flow.identification !== null) return `its flow ${flow.name} identifies callers first`;
  if (flow.next.kind !== 'bye') return `its flow ${flow.name} hands approved calls on`;
  return null;
}

function defaultFlow(config: Config): Flow {
  const flow = config.flows.get('default') ?? [...config.flows.values()][0];
  if (flow === undefined) throw new Error('the configuration has no flow');
  return flow;
}

/** The running server where one answers, is ready and fits; null otherwise, with the reason told. */
export async function findServer(config: Config, tell: (line: string) => void): Promise<DemoServer | null> {
  const { address, port, keys } = config.http;
  const url = `http://${hostOf(address)}:${port}`;
  const status = await statusOf(`${url}/readyz`);
  if (status === null) return null;
  const key = process.env.HUSHTONE_API_KEY ?? null;
  const unfit =
    status === 200
      ? keys.length > 0 && key === null
        ? 'it asks for an API key (set HUSHTONE_API_KEY)'
        : unfitReason(config)
      : 'it is not ready';
  const { server } = config.sip;
  if (unfit !== null || server.kind !== 'embedded') {
    tell(`A server runs at ${url}, but ${unfit}; the demo starts its own.`);
    return null;
  }
  return {
    wsUrl: `ws://${hostOf(server.address)}:${server.wsPort}`,
    api: { url, key },
    flow: defaultFlow(config),
    is: 'runs already',
    stop: async () => null,
  };
}

/** `hushtone serve` with the defaults, on free ports, in a folder of its own. Throws where it does not become ready. */
export async function startServer(clock: Clock): Promise<DemoServer> {
  const folder = mkdtempSync(join(tmpdir(), 'hushtone-demo-'));
  const file = join(folder, 'hushtone.yaml');
  const log = join(folder, 'serve.log');
  const [sip, ws, http, sandbox] = await freePorts();
  const portFirst = RTP_PORT_FIRST + RTP_BLOCK * Math.floor(Math.random() * RTP_BLOCKS);
  const tree = {
    varDir: join(folder, 'var'),
    sip: { udpPort: sip, tcpPort: sip, wsPort: ws, profiles: join(ROOT, 'sip-profiles') },
    media: { portFirst, portLast: portFirst + RTP_BLOCK - 1, workers: 1 },
    http: { port: http },
    sandbox: { port: sandbox },
    prompts: { directory: join(ROOT, 'prompts') },
    drainMs: 1_000,
    log: { level: 'info' },
  };
  writeFileSync(file, stringify(tree));
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !Object.hasOwn(ENVIRONMENT_KEYS, name)),
  );
  const config = readConfig({ file, environment: {}, directory: folder });
  const descriptor = openSync(log, 'w', 0o600);
  const child = spawn(process.execPath, [ENTRY, 'serve', '--config', file], {
    cwd: folder,
    // It ends when the demo does, however that comes: by its standard input. In a group of its own, so that Ctrl-C
    // reaches the demo only.
    stdio: ['pipe', descriptor, descriptor],
    detached: true,
    env: { ...environment, HUSHTONE_SUPERVISED: '1' },
  });
  closeSync(descriptor);
  child.stdin?.on('error', () => {});
  const url = `http://127.0.0.1:${http}`;
  if (!(await becomesReady(child, `${url}/readyz`, clock))) {
    await end(child, clock);
    const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n');
    throw new Error(`its own server did not become ready; the last of ${log}:\n${tail}`);
  }
  return {
    wsUrl: `ws://127.0.0.1:${ws}`,
    api: { url, key: null },
    flow: defaultFlow(config),
    is: 'was started for the demo',
    async stop(keep) {
      await end(child, clock);
      if (keep) return log;
      rmSync(folder, { recursive: true, force: true });
      return null;
    },
  };
}

async function freePorts(): Promise<[number, number, number, number]> {
  const ports = new Set<number>();
  while (ports.size < 4) ports.add(await freeTcpPort('127.0.0.1'));
  return [...ports] as [number, number, number, number];
}

async function becomesReady(child: ChildProcess, url: string, clock: Clock): Promise<boolean> {
  const deadline = clock.now() + READY_MS_MAX;
  while (clock.now() < deadline && child.exitCode === null && child.signalCode === null) {
    if ((await statusOf(url)) === 200) return true;
    await new Promise<void>((resolve) => clock.startTimer(POLL_MS, resolve));
  }
  return false;
}

async function end(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = clock.startTimer(STOP_MS_MAX, () => child.kill('SIGKILL'));
  await gone;
  timer.cancel();
}

/** Null where nobody answers. */
async function statusOf(url: string): Promise<number | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ASK_MS_MAX) });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}

function hostOf(address: string): string {
  const reachable = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return reachable.includes(':') ? `[${reachable}]` : reachable;
}
