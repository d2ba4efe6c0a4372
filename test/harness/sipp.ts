import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * SIPp as somebody whom the server calls: an IVR, a queue, an identification application.
 */

const SIPP = '/usr/bin/sipp';
const LIMIT_S = 70;

export const hasSipp = existsSync(SIPP);

/** One call's worth of a scenario, listening on a port. What it received and sent is kept. */
export class SippTarget {
  readonly #messages: string;
  readonly #process: ChildProcess;
  readonly #status: Promise<number | null>;
  #output = '';

  /** `folder` takes its files; where `echoes`, what it hears it says again. */
  constructor(folder: string, name: string, scenario: string, port: number, { echoes = false } = {}) {
    const file = join(folder, `${name}.xml`);
    this.#messages = join(folder, `${name}.messages`);
    writeFileSync(file, scenario);
    const address = ['-i', '127.0.0.1', '-p', String(port), '-mi', '127.0.0.1', '-mp', String(port + 1)];
    const limits = ['-m', '1', '-nostdin', '-timeout', `${LIMIT_S}s`, '-timeout_error'];
    const traces = ['-trace_msg', '-message_file', this.#messages, ...(echoes ? ['-rtp_echo'] : [])];
    this.#process = spawn(SIPP, ['-sf', file, ...address, ...limits, ...traces], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { TERM: 'dumb' },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output = (this.#output + bytes.toString()).slice(-4_000);
      });
    }
    this.#status = new Promise((resolve) => this.#process.once('exit', (code) => resolve(code)));
  }

  /** Everything that was received and sent. */
  get messages(): string {
    return existsSync(this.#messages) ? readFileSync(this.#messages, 'utf8') : '';
  }

  /** A header of the INVITE, or null. */
  header(name: string): string | null {
    const invite = /^INVITE [\s\S]*?\r?\n\r?\n/m.exec(this.messages)?.[0] ?? '';
    return new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(invite)?.[1] ?? null;
  }

  /** Settles when the call has gone as the scenario says; throws with SIPp's words where it did not. */
  async done(): Promise<void> {
    const status = await this.#status;
    if (status !== 0) throw new Error(`SIPp ended with ${status}: ${this.#output}\n${this.messages}`);
  }

  stop(): void {
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL');
  }
}

/** UDP ports that are free now, each even and with a free one behind it for media; no two are the same. */
export async function freeUdpPorts(count: number): Promise<readonly number[]> {
  const sockets = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const [first, second] = [createSocket('udp4'), createSocket('udp4')];
    const port = await bound(first, 0);
    sockets.push(first, second);
    if (port !== null && port % 2 === 0 && (await bound(second, port + 1)) !== null) ports.push(port);
  }
  for (const socket of sockets) socket.close();
  return ports;
}

function bound(socket: ReturnType<typeof createSocket>, port: number): Promise<number | null> {
  return new Promise((resolve) => {
    socket.once('error', () => resolve(null));
    socket.bind(port, '127.0.0.1', () => resolve(socket.address().port));
  });
}
