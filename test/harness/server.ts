import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freeTcpPort } from '../../src/supervisor/ports.ts';
import { writeBriefPrompts } from './brief-prompts.ts';
import { bindUdp } from './free-ports.ts';
import { type Card, LeakWatch } from './leak-watch.ts';
import { until } from './until.ts';

/*
 * A whole Hushtone as a person starts it, `hushtone serve`, on free ports in a folder of its own. Every log line, HTTP
 * body, metric and file of it goes through a leak watch, and `stop` fails the test where it found something.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENTRY = join(ROOT, 'src/cli/hushtone.js');
const CONFIG_FILE = 'hushtone.yaml';
const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 20_000;
/** Most of what is waited for is asked over HTTP. */
const POLL_MS = 50;
/**
 * Each server gets ports of its own, apart from those of every other test run on this machine too: a phone whose server
 * was killed goes on sending, and its RTP must not reach another server's call.
 */
const RTP_PORTS = 200;
const RTP_PORT_FIRST = 13_000;
const RTP_SERVERS = 20;
/** Behind the servers' RTP come the ports of the workers that unit tests start. */
const TEST_PORT_LAST = 17_999;
let serversStarted = process.pid;

type Tree = { readonly [key: string]: unknown };

export interface ServerOptions {
  /** Laid over the test's `hushtone.yaml`, key by key. */
  readonly config?: Tree;
  /** Files beside it: name below the folder, content. */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Prompts cut short, as an operator's own recordings: for tests of what is asked, not of how it is said. */
  readonly briefPrompts?: boolean;
}

export interface Ports {
  readonly udp: number;
  readonly tcp: number;
  readonly ws: number;
  readonly http: number;
  readonly sandbox: number;
}

/** Short limits: a test waits for what it tests and for nothing else. */
export const QUICK_FLOW = {
  firstDigitTimeoutMs: 8_000,
  interDigitTimeoutMs: 1_500,
  completeInterDigitTimeoutMs: 800,
  gatewayTimeoutMs: 2_000,
  fields: { pan: { confirm: false }, expiry: { confirm: false }, cvc: { confirm: false } },
} as const;

export class TestServer {
  readonly folder: string;
  readonly ports: Ports;
  readonly watch = new LeakWatch();
  readonly #process: ChildProcess;
  readonly #exit: Promise<number | null>;
  readonly #rtpClaim: Socket;
  #output = '';

  private constructor(folder: string, ports: Ports, child: ChildProcess, rtpClaim: Socket) {
    this.folder = folder;
    this.ports = ports;
    this.#rtpClaim = rtpClaim;
    this.#process = child;
    this.#exit = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output += bytes.toString();
      });
    }
  }

  /** Settles when the server says that it is ready. Throws with its output where it does not. */
  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const server = await TestServer.launch(options);
    try {
      await server.until('the server is ready', () => server.#output.includes('Hushtone is ready'), READY_MS_MAX);
    } catch (error) {
      await server.kill();
      throw new Error(`${(error as Error).message}\n${server.#output}`);
    }
    return server;
  }

  /** As start, without waiting for anything. */
  static async launch(options: ServerOptions = {}): Promise<TestServer> {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-test-'));
    const [udp, tcp, ws, http, sandbox] = await freePorts(5);
    const ports: Ports = { udp, tcp, ws, http, sandbox } as Ports;
    for (const [name, content] of Object.entries(options.files ?? {})) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const rtp = await claimRtpPorts();
    const brief = join(folder, 'brief-prompts');
    if (options.briefPrompts) writeBriefPrompts(join(ROOT, 'prompts'), brief);
    const base: Tree = {
      varDir: join(folder, 'var'),
      sip: {
        udpPort: udp,
        tcpPort: tcp,
        wsPort: ws,
        profiles: join(ROOT, 'sip-profiles'),
      },
      media: { portFirst: rtp.first, portLast: rtp.last, workers: 1 },
      http: { port: http },
      sandbox: { port: sandbox },
      prompts: { directory: join(ROOT, 'prompts'), ...(options.briefPrompts ? { overrides: brief } : {}) },
      flows: { default: QUICK_FLOW },
      drainMs: 2_000,
    };
    const file = join(folder, CONFIG_FILE);
    writeFileSync(file, stringify(merge(base, options.config ?? {})));
    const child = spawn(process.execPath, [ENTRY, 'serve', '--config', file], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    });
    return new TestServer(folder, ports, child, rtp.claim);
  }

  /** Its hushtone.yaml, for a command that runs beside it. */
  get configFile(): string {
    return join(this.folder, CONFIG_FILE);
  }

  /** Everything that the server's processes wrote so far. */
  get output(): string {
    return this.#output;
  }

  /** Settles with the exit status, which a signal makes null. */
  get exited(): Promise<number | null> {
    return this.#exit;
  }

  /** Its lines of JSON with this message. */
  logged(message: string): readonly Record<string, unknown>[] {
    return this.#output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line.msg === message || line.message === message);
  }

  /** GET of the API; the body goes through the leak watch. */
  async get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.ports.http}${path}`, { signal: AbortSignal.timeout(5_000) });
    const text = await answer.text();
    this.watch.look(`GET ${path}`, text);
    return { status: answer.status, text };
  }

  async json<T>(path: string): Promise<T> {
    const { status, text } = await this.get(path);
    if (status !== 200) throw new Error(`GET ${path} was answered ${status}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** The process of a command, `control` or `worker`; there is no second one of a kind in a test. */
  pidOf(command: string): number {
    for (const pid of childrenOf(this.#process.pid ?? 0)) {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (argv.includes(command)) return pid;
    }
    throw new Error(`no process ${command}`);
  }

  get supervisorPid(): number {
    return this.#process.pid ?? 0;
  }

  /** Waits until it holds; throws with `what` after the limit. */
  async until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
    const giveUp = () => (this.#process.exitCode === null ? null : 'the server ended before');
    await until(what, holds, { limitMs, pollMs: POLL_MS, giveUp });
  }

  /** Watches for a card from here on; call it before the first key. */
  expectNoLeakOf(card: Card): void {
    this.watch.add(card);
  }

  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void {
    this.#process.kill(name);
  }

  /** Ctrl-C, the exit status, and the leak watch over all that is left. Throws where a card was found. */
  async stop(): Promise<number | null> {
    if (this.#process.exitCode === null) {
      await this.get('/metrics').catch(() => {});
      this.#process.kill('SIGINT');
    }
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX);
    const status = await this.#exit;
    clearTimeout(timer);
    this.#rtpClaim.close();
    this.watch.look('log', this.#output);
    this.watch.lookThroughFolder(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
    this.watch.assertNone();
    return status;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exit;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Ids of the processes that this one started. */
export function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // pid (name) state ppid …; the name may hold anything, so count from its end.
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) found.push(Number(name));
    } catch {
      // Ended meanwhile.
    }
  }
  return found;
}

/** Ports that are free for TCP now, no two the same, and none of a server's RTP. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = await freeTcpPort('127.0.0.1');
    if (port < RTP_PORT_FIRST || port > TEST_PORT_LAST) ports.add(port);
  }
  return [...ports];
}

/**
 * The last port of a range is held and says to other runs that the range is taken: until the server has stopped, or, where
 * it was killed, to the end of this process, for its callers' phones may go on sending.
 */
async function claimRtpPorts(): Promise<{ first: number; last: number; claim: Socket }> {
  for (let time = 0; time < RTP_SERVERS; time++) {
    const first = RTP_PORT_FIRST + RTP_PORTS * (serversStarted++ % RTP_SERVERS);
    const held = first + RTP_PORTS - 1;
    const claim = await bindUdp(held).catch(() => null);
    // Pairs of ports begin with an even one: the held port and the one below it are not the server's.
    claim?.unref();
    if (claim !== null) return { first, last: held - 2, claim };
  }
  throw new Error(`all ${RTP_SERVERS} ranges of RTP ports are taken`);
}

function merge(base: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(below) && isTree(value) ? merge(below, value) : value;
  }
  return result;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
