import { type ChildProcess, fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NegotiatedMedia } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createMediaClient, type MediaClient } from '../../src/media/client.ts';
import { runWorker, type Worker } from '../../src/worker/process.ts';
import { until as untilNamed } from './until.ts';

/*
 * What a test of a media worker needs: the worker, in this process or in one of its own; control's client of it; and a
 * telephone that keys and speaks packet by packet.
 */

const SCRIPT = new URL('../worker/worker-process.ts', import.meta.url);
const SECRET = new Sensitive('worker secret', 'between us');
const KEYS = '0123456789*#';
const EVENT_PAYLOAD_TYPE = 101;
/** "phon". */
const PHONE_SSRC = 0x70686f6e;
/** µ-law. */
const SPEECH_CODES = [0x10, 0x90] as const;
const FRAME_SAMPLES = 160;

/** Waits for what another thread or process does. */
export const until = (holds: () => boolean, limitMs = 20_000): Promise<void> =>
  untilNamed('it comes', holds, { limitMs });

/** A socket's path in a folder of its own. */
export const workerSocket = (): string => join(mkdtempSync(join(tmpdir(), 'hushtone-worker-')), 'worker.sock');

/** Settles once the worker has greeted it. */
export async function clientOf(socketPath: string): Promise<MediaClient> {
  const workers = [{ socketPath, secret: SECRET }];
  const client = createMediaClient({ workers, locale: 'en-US', clock: systemClock, log: silentLog });
  await until(() => client.readyWorkers() === 1);
  return client;
}

/** A worker in this process, without a way to gateways. */
export function workerHere(socketPath: string, portFirst: number, ports: number): Promise<Worker> {
  return runWorker({
    socketPath,
    secret: SECRET,
    localAddress: '127.0.0.1',
    portFirst,
    portLast: portFirst + ports - 1,
    legsMax: 100,
    silenceMs: 30_000,
    jitterMsMax: 200,
    prompts: { directory: 'prompts', overrides: null },
    makeEgress: () => ({
      send: () => Promise.resolve({ kind: 'notSent', status: 0, headers: [], body: '', reason: 'no egress here' }),
      close() {},
    }),
    clock: systemClock,
    log: silentLog,
  });
}

/** A worker as a process of its own, which ends with this one. `'message'` tells that it is ready. */
export function forkWorker(socketPath: string, portFirst: number, destinations: readonly object[] = []): ChildProcess {
  return fork(SCRIPT, [socketPath, String(portFirst), JSON.stringify(destinations)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  });
}

/** Without a word to it. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** PCMU both ways and telephone-events, to this port. */
export function plainMedia(remotePort: number, more: Partial<NegotiatedMedia> = {}): NegotiatedMedia {
  return {
    remoteAddress: '127.0.0.1',
    remotePort,
    codec: 'PCMU',
    sendPayloadType: 0,
    receivePayloadType: 0,
    sendEventPayloadType: EVENT_PAYLOAD_TYPE,
    receiveEventPayloadType: EVENT_PAYLOAD_TYPE,
    ptimeMs: 20,
    direction: 'sendrecv',
    dtmf: 'auto',
    ...more,
  };
}

/** Makes of a packet what is sent; the roll-over counter of RFC 3711 §3.3.1 goes with it. */
export type Protect = (packet: Buffer, rollOver: number) => Buffer;
const inClear: Protect = (packet) => packet;

/** A telephone: one RTP stream out, and whatever comes. */
export class PacketPhone {
  readonly socket: Socket = createSocket('udp4');
  /** With its roll-over counter above the 16 bits of the packet. */
  #sequence: number;
  #timestamp = 1000;

  private constructor(firstSequence: number) {
    this.#sequence = firstSequence;
  }

  static async open(firstSequence = 1): Promise<PacketPhone> {
    const phone = new PacketPhone(firstSequence);
    phone.socket.bind(0, '127.0.0.1');
    await once(phone.socket, 'listening');
    return phone;
  }

  get port(): number {
    return (this.socket.address() as AddressInfo).port;
  }

  /** A key as events: its beginning and its end (RFC 4733 §2.5.1.2); returns the packets as they were sent. */
  press(port: number, key: string, protect = inClear): Buffer[] {
    this.#timestamp += 1600;
    return [
      [0, 160],
      [0x80, 800],
    ].map(([end = 0, duration = 0]) => {
      const payload = Uint8Array.of(KEYS.indexOf(key), end | 10, duration >> 8, duration & 0xff);
      return this.#send(port, EVENT_PAYLOAD_TYPE, payload, protect);
    });
  }

  /** µ-law codes. */
  say(port: number, codes: Uint8Array): void {
    this.#timestamp += codes.length;
    this.#send(port, 0, codes, inClear);
  }

  /** 20 ms of a loud square wave. */
  speak(port: number): void {
    this.say(
      port,
      Uint8Array.from({ length: FRAME_SAMPLES }, (_, at) => SPEECH_CODES[at % 2] ?? 0),
    );
  }

  close(): void {
    this.socket.close();
  }

  #send(port: number, type: number, payload: Uint8Array, protect: Protect): Buffer {
    const packet = Buffer.alloc(12 + payload.length);
    packet[0] = 0x80;
    packet[1] = type;
    packet.writeUInt16BE(this.#sequence & 0xffff, 2);
    packet.writeUInt32BE(this.#timestamp, 4);
    packet.writeUInt32BE(PHONE_SSRC, 8);
    packet.set(payload, 12);
    const sent = protect(packet, this.#sequence >>> 16);
    this.#sequence += 1;
    this.socket.send(sent, port, '127.0.0.1');
    return sent;
  }
}
