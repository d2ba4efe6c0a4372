import { timingSafeEqual } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { RecordingFolders } from '../lib/recording-files.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import { Engine } from './engine.ts';
import { type Egress, Host } from './host.ts';
import { loadVoices } from './recordings.ts';
import { encodeFrame, type Frame, FrameReader, PROTOCOL } from './wire.ts';

/** Legs without a control for so long are closed. */
const ORPHAN_LIMIT_MS = 60_000;
/** What may wait for a control that does not read; more ends the connection. */
const SEND_BYTES_MAX = 8 * 1024 * 1024;
const TODAY_EVERY_MS = 60_000;

export interface WorkerOptions {
  readonly socketPath: string;
  readonly secret: Sensitive<string>;
  readonly localAddress: string;
  readonly portFirst: number;
  readonly portLast: number;
  readonly legsMax: number;
  readonly silenceMs: number;
  readonly jitterMsMax: number;
  readonly prompts: RecordingFolders;
  readonly makeEgress: (engine: Engine) => Egress & { close(): void };
  readonly clock: Clock;
  readonly log: Log;
}

export interface Worker {
  /** Whether the media thread has moved since this was asked last: what a worker that lives can say of itself. */
  isMoving(): boolean;
  close(): Promise<void>;
}

/** A media worker: one Unix socket, one control at a time, no TCP port. Throws where it cannot start. */
export async function runWorker(options: WorkerOptions): Promise<Worker> {
  const { clock, log } = options;
  let control: Socket | null = null;
  let orphanTimer: Timer | null = null;

  const engine = new Engine({
    portFirst: options.portFirst,
    portLast: options.portLast,
    silenceMs: options.silenceMs,
    jitterMsMax: options.jitterMsMax,
    onEvent: (event) => host.onEvent(event),
  });
  const egress = options.makeEgress(engine);
  const voices = loadVoices(engine, options.prompts);
  const send = (socket: Socket, frame: Frame) => {
    if (socket.writableLength > SEND_BYTES_MAX) socket.destroy(new Error('control does not read'));
    else socket.write(encodeFrame(frame));
  };
  const host = new Host({
    engine,
    egress,
    voices,
    localAddress: options.localAddress,
    legsMax: options.legsMax,
    clock,
    log,
    emit: (callId, event) => {
      if (control !== null) send(control, { type: 'event', callId, event });
    },
  });

  const welcome = (socket: Socket) => {
    control?.destroy();
    control = socket;
    orphanTimer?.cancel();
    orphanTimer = null;
  };
  const lost = (socket: Socket) => {
    if (control !== socket) return;
    control = null;
    log.warn('control is gone: captures wiped', { legs: host.legCount });
    host.wipeAll();
    orphanTimer = clock.startTimer(ORPHAN_LIMIT_MS, () => host.closeAll());
  };

  const server = createServer((socket) => {
    const reader = new FrameReader();
    let isWelcome = false;
    socket.on('error', (error) => log.warn('control connection', { reason: error.message }));
    socket.on('close', () => lost(socket));
    socket.on('data', (bytes) => {
      try {
        for (const frame of reader.push(bytes)) {
          if (frame.type !== 'request') throw new Error('control sends requests only');
          const { requestId, order } = frame;
          if (isWelcome) {
            void host.handle(order).then((answer) => {
              if (!socket.destroyed) send(socket, { type: 'answer', requestId, answer });
            });
            continue;
          }
          if (
            order.kind !== 'hello' ||
            order.value.protocol !== PROTOCOL ||
            !isSecret(options.secret, order.value.secret)
          ) {
            throw new Error('no proper hello');
          }
          isWelcome = true;
          welcome(socket);
          const value = {
            protocol: PROTOCOL,
            legsMax: options.legsMax,
            pid: process.pid,
            localAddress: options.localAddress,
          };
          send(socket, { type: 'answer', requestId, answer: { kind: 'welcome', value } });
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
  });
  await listen(server, options.socketPath);

  let todayTimer: Timer;
  const tellToday = () => {
    const today = new Date(clock.now());
    engine.setToday(today.getUTCFullYear(), today.getUTCMonth() + 1);
    todayTimer = clock.startTimer(TODAY_EVERY_MS, tellToday);
  };
  tellToday();

  let turns = -1;
  return {
    isMoving() {
      const now = engine.pulse();
      const moved = now !== turns;
      if (!moved) log.warn('the media thread has made no turn since it was looked at last', { turns });
      turns = now;
      return moved;
    },
    async close() {
      todayTimer.cancel();
      orphanTimer?.cancel();
      host.closeAll();
      control?.destroy();
      await new Promise((resolve) => server.close(resolve));
      egress.close();
      engine.close();
    },
  };
}

function isSecret(secret: Sensitive<string>, given: string): boolean {
  const [a, b] = [Buffer.from(secret.reveal()), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function listen(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
}
