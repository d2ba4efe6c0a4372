import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/*
 * The sandbox gateway as a process of its own, `hushtone sandbox-gateway`, on a free port: an outsider, who keeps what it
 * is sent.
 */

const ENTRY = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));

export interface GatewayOptions {
  readonly argv?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** The other side of the record; src/gateway/sandbox/api.ts. */
export interface Transaction {
  readonly status: string;
  readonly amount_minor: number;
  readonly last4: string;
  readonly idempotency_key: string;
  readonly asked: number;
}

export class TestGateway {
  /** `http://127.0.0.1:PORT`, https where it was started with a certificate. */
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#process = child;
  }

  /** Settles when it listens. */
  static async start({ argv = [], environment = {} }: GatewayOptions = {}): Promise<TestGateway> {
    const child = spawn(process.execPath, [ENTRY, 'sandbox-gateway', '--listen', '127.0.0.1:0', ...argv], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...environment },
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.once('exit', (status) => reject(new Error(`the sandbox gateway ended with ${status}`)));
      child.stdout.once('data', (bytes) => resolve(/https?:\S+/.exec(String(bytes))?.[0] ?? ''));
    });
    return new TestGateway(url, child);
  }

  /** What it holds for a reference, oldest first. */
  async transactions(reference: string): Promise<readonly Transaction[]> {
    const answer = await fetch(`${this.url}/v1/transactions?reference=${reference}`);
    return ((await answer.json()) as { transactions: readonly Transaction[] }).transactions;
  }

  stop(): void {
    this.#process.kill();
  }
}
