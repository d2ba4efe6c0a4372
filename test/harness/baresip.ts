import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePhonePort, freeUdpPort } from './free-ports.ts';
import { until } from './until.ts';

/*
 * Debian's baresip as a caller: SIP, SDES, SRTP and telephone-events of which no line is ours. Its keypad is the UDP console
 * of module cons.so, one key a datagram.
 */

const END_MS_MAX = 20_000;
const RTP_PORTS = '24000-24099';

/** `srtp` is RTP/AVP with a=crypto, `srtp-mand` RTP/SAVP. */
export type MediaEncryption = 'srtp' | 'srtp-mand' | 'none';

/** Where its modules lie; null where it is not installed. */
function modulePath(): string | null {
  if (spawnSync('baresip', ['-h'], { stdio: 'ignore' }).error !== undefined) return null;
  const places = ['/usr/lib/baresip/modules'];
  for (const name of readdirSync('/usr/lib')) places.push(`/usr/lib/${name}/baresip/modules`);
  return places.find((place) => spawnSync('test', ['-f', `${place}/srtp.so`]).status === 0) ?? null;
}

export const BARESIP_MODULES = modulePath();

export class Baresip {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #consolePort: number;
  /** Where it takes calls. */
  readonly uri: string;
  readonly #exit: Promise<void>;
  #output = '';

  private constructor(folder: string, child: ChildProcess, ports: { sip: number; console: number }) {
    this.#folder = folder;
    this.uri = `sip:callee@127.0.0.1:${ports.sip}`;
    this.#process = child;
    this.#consolePort = ports.console;
    this.#exit = new Promise((resolve) => child.once('exit', () => resolve()));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.#output += bytes.toString();
      });
    }
  }

  /** Starts one that calls `uri` at once. `caFile`: whom it believes over TLS. */
  static call(uri: string, encryption: MediaEncryption, caFile?: string): Promise<Baresip> {
    const tls = caFile === undefined ? [] : [`sip_cafile ${caFile}`, 'sip_verify_server yes'];
    return Baresip.#start('caller', encryption, { argv: ['-e', `/dial ${uri}`], config: tls });
  }

  /** Starts one that answers every call at once. */
  static async answering(encryption: MediaEncryption): Promise<Baresip> {
    const phone = await Baresip.#start('callee', encryption, { argv: [], config: [] });
    await phone.until(/baresip is ready/);
    return phone;
  }

  static async #start(
    user: string,
    encryption: MediaEncryption,
    more: { readonly argv: readonly string[]; readonly config: readonly string[] },
  ): Promise<Baresip> {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-baresip-'));
    const [sipPort, consolePort] = [await freePhonePort(), await freeUdpPort()];
    const config = [
      `module_path ${BARESIP_MODULES}`,
      ...['g711.so', 'aubridge.so', 'cons.so', 'srtp.so'].map((name) => `module ${name}`),
      'module_tmp account.so',
      'module_app menu.so',
      'net_interface 127.0.0.1',
      `sip_listen 127.0.0.1:${sipPort}`,
      `cons_listen 127.0.0.1:${consolePort}`,
      `rtp_ports ${RTP_PORTS}`,
      'audio_source aubridge,silence',
      'audio_player aubridge,silence',
      'audio_alert aubridge,silence',
      ...more.config,
    ];
    writeFileSync(join(folder, 'config'), `${config.join('\n')}\n`);
    const encoding = encryption === 'none' ? '' : `;mediaenc=${encryption}`;
    writeFileSync(join(folder, 'accounts'), `<sip:${user}@127.0.0.1>;regint=0;answermode=auto${encoding}\n`);
    writeFileSync(join(folder, 'contacts'), '');
    const child = spawn('baresip', ['-4', '-s', '-f', folder, ...more.argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Baresip(folder, child, { sip: sipPort, console: consolePort });
  }

  /** All that it printed, the SIP included (`-s`). */
  get output(): string {
    return this.#output;
  }

  /** All at once: baresip presses one after the other, every 240 ms (captured), and what comes quicker waits there. */
  async key(keys: string): Promise<void> {
    const socket = createSocket('udp4');
    try {
      for (const key of keys) {
        await new Promise<void>((resolve) => socket.send(key, this.#consolePort, '127.0.0.1', () => resolve()));
      }
    } finally {
      socket.close();
    }
  }

  /** Waits until it printed this; throws with its output after the limit. */
  async until(pattern: RegExp, limitMs = END_MS_MAX): Promise<void> {
    const says = () => pattern.test(this.#output);
    await until(`baresip says ${pattern.source}`, says, { limitMs }).catch((error: Error) => {
      throw new Error(`${error.message}, only\n${this.#output}`);
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL');
    await this.#exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
