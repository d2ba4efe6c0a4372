import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '../lib/clock.ts';
import { type ErrorCode, ServiceError, VERDICTS } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import {
  type Answer,
  type AnswerKind,
  type Answers,
  type Event,
  encodeFrame,
  FrameReader,
  type OrderKind,
  type Orders,
  PROTOCOL,
} from '../worker/wire.ts';

const RECONNECT_MS = 100;
/** Orders under way at once; more means that the worker hangs. */
const ORDERS_MAX = 10_000;

export interface WorkerAddress {
  readonly socketPath: string;
  readonly secret: Sensitive<string>;
}

export interface ConnectionListener {
  /** The worker said hello; `pid` tells a new worker from the one before. */
  ready(pid: number): void;
  lost(): void;
  event(callId: string, event: Event): void;
}

/** An answer to these may rightly take long: the gateway's, and the mask's proof. */
const LONG_ORDERS: ReadonlySet<OrderKind> = new Set(['send', 'armMask']);

interface Waiting {
  readonly timer: Timer;
  readonly askedAt: number;
  readonly isLong: boolean;
  settle(answer: Answer | null): void;
}

/** One worker's socket: connects again for ever, and every order settles within its limit. */
export class Connection {
  readonly #address: WorkerAddress;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: ConnectionListener;
  #socket: Socket | null = null;
  #retry: Timer | null = null;
  #isReady = false;
  #isClosed = false;
  #lastRequest = 0;
  #heardAt = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(address: WorkerAddress, clock: Clock, log: Log, listener: ConnectionListener) {
    this.#address = address;
    this.#clock = clock;
    this.#log = log;
    this.#listener = listener;
    this.#connect();
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** For how long it has owed an answer and said nothing at all. */
  get silentMs(): number {
    const owed = [...this.#waiting.values()].find(({ isLong }) => !isLong);
    return owed === undefined ? 0 : Math.max(0, this.#clock.now() - Math.max(owed.askedAt, this.#heardAt));
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#socket?.destroy();
  }

  /** Throws ServiceError: the worker's own code, WORKER_TIMEOUT, or WORKER_UNAVAILABLE. */
  async ask<K extends OrderKind, A extends AnswerKind>(
    kind: K,
    value: Orders[K],
    expected: A,
    timeoutMs: number,
  ): Promise<Answers[A]> {
    const answer = await this.#send(kind, value, timeoutMs);
    if (answer.kind === 'failed') {
      const { code, message } = answer.value;
      throw new ServiceError(Object.hasOwn(VERDICTS, code) ? (code as ErrorCode) : 'INTERNAL', message);
    }
    if (answer.kind !== expected) throw new ServiceError('INTERNAL', `worker answered ${answer.kind} to ${kind}`);
    return answer.value as Answers[A];
  }

  #send<K extends OrderKind>(kind: K, value: Orders[K], timeoutMs: number): Promise<Answer> {
    const socket = this.#socket;
    if (socket === null || (!this.#isReady && kind !== 'hello')) {
      return Promise.reject(new ServiceError('WORKER_UNAVAILABLE', 'no connection to the worker'));
    }
    if (this.#waiting.size >= ORDERS_MAX) {
      return Promise.reject(new ServiceError('WORKER_UNAVAILABLE', `${ORDERS_MAX} orders under way`));
    }
    this.#lastRequest = (this.#lastRequest % 0xffff_fffe) + 1;
    const requestId = this.#lastRequest;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.startTimer(timeoutMs, () => {
        this.#waiting.delete(requestId);
        reject(new ServiceError('WORKER_TIMEOUT', `no answer to ${kind} within ${timeoutMs} ms`));
      });
      this.#waiting.set(requestId, {
        timer,
        askedAt: this.#clock.now(),
        isLong: LONG_ORDERS.has(kind),
        settle: (answer) => {
          timer.cancel();
          if (answer === null) reject(new ServiceError('WORKER_UNAVAILABLE', `worker lost during ${kind}`));
          else resolve(answer);
        },
      });
      const order = { kind, value } as Parameters<typeof encodeFrame>[0] extends { order: infer O } ? O : never;
      socket.write(encodeFrame({ type: 'request', requestId, order }));
    });
  }

  #connect(): void {
    const socket = connect(this.#address.socketPath);
    const reader = new FrameReader();
    this.#socket = socket;
    socket.on('connect', () => void this.#greet(socket));
    socket.on('data', (bytes) => {
      this.#heardAt = this.#clock.now();
      try {
        for (const frame of reader.push(bytes)) {
          if (frame.type === 'answer') this.#settle(frame.requestId, frame.answer);
          else if (frame.type === 'event') this.#listener.event(frame.callId, frame.event);
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // The reason is in 'close'; a worker that restarts refuses for a moment.
    socket.on('error', () => {});
    socket.on('close', () => this.#lose(socket));
  }

  async #greet(socket: Socket): Promise<void> {
    try {
      const hello = { protocol: PROTOCOL, secret: this.#address.secret.reveal() };
      const { pid } = await this.ask('hello', hello, 'welcome', 2000);
      this.#isReady = true;
      this.#listener.ready(pid);
    } catch (error) {
      this.#log.warn('worker refused us', { socket: this.#address.socketPath, reason: (error as Error).message });
      socket.destroy();
    }
  }

  #settle(requestId: number, answer: Answer): void {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    waiting?.settle(answer);
  }

  #lose(socket: Socket): void {
    if (this.#socket !== socket) return;
    const wasReady = this.#isReady;
    this.#socket = null;
    this.#isReady = false;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) one.settle(null);
    if (wasReady) this.#listener.lost();
    if (!this.#isClosed) this.#retry = this.#clock.startTimer(RECONNECT_MS, () => this.#connect());
  }
}
