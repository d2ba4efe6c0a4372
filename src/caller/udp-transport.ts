import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { type AddressInfo, isIP } from 'node:net';
import { type Emitter, EmitterImpl, type Transport, TransportState } from 'sip.js';
import type { Clock, Timer } from '../lib/clock.ts';

/*
 * SIP over UDP for sip.js, which brings WebSocket only. What a reliable transport spares sip.js is done here: requests are
 * sent again until they are answered (RFC 3261 §17.1.1.2 timer A, §17.1.2.2 timer E), and each goes where its Route or
 * Request-URI says (§8.1.2).
 *
 * sip.js refuses a response whose Via has a port, so it is told a name in the place of our address, and the name is
 * exchanged for the address on the way out and back.
 */

/** RFC 3261 §17.1.1.1: an estimate of the round trip; the longest wait between two tries; and when to give up. */
const T1_MS = 500;
const T2_MS = 4_000;
const GIVE_UP_MS = 64 * T1_MS;
/** Requests that are not yet answered; a call has one or two. */
const WAITING_MAX = 64;
const IDLE_POLL_MS = 20;
const DEFAULT_PORT = 5060;
/** What sip.js is told that we are called. */
export const VIA_NAME = 'udp-caller.invalid';

export interface Hop {
  readonly host: string;
  readonly port: number;
}

interface Waiting {
  readonly text: string;
  readonly hop: Hop;
  readonly isInvite: boolean;
  readonly beganAt: number;
  waitMs: number;
  timer: Timer | null;
}

export class UdpTransport implements Transport {
  readonly protocol = 'UDP';
  onConnect: (() => void) | undefined;
  onDisconnect: ((error?: Error) => void) | undefined;
  onMessage: ((message: string) => void) | undefined;
  readonly #changes = new EmitterImpl<TransportState>();
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #address: string;
  readonly #waiting = new Map<string, Waiting>();
  #state = TransportState.Disconnected;
  /** Messages whose address is being looked up, or that have not left. */
  #sending = 0;

  private constructor(socket: Socket, address: string, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    const { port } = socket.address();
    this.#address = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    socket.on('message', (bytes) => this.#receive(bytes.toString('utf8')));
    // What the network says of one datagram is no end: the request is sent again, or not answered.
    socket.on('error', () => {});
  }

  /** Bound to one of our addresses. */
  static async open(address: string, clock: Clock): Promise<UdpTransport> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, address, resolve);
    });
    return new UdpTransport(socket, address, clock);
  }

  get state(): TransportState {
    return this.#state;
  }

  get stateChange(): Emitter<TransportState> {
    return this.#changes;
  }

  isConnected(): boolean {
    return this.#state === TransportState.Connected;
  }

  connect(): Promise<void> {
    this.#change(TransportState.Connected);
    this.onConnect?.();
    return Promise.resolve();
  }

  disconnect(): Promise<void> {
    for (const { timer } of this.#waiting.values()) timer?.cancel();
    this.#waiting.clear();
    if (this.#state === TransportState.Connected) {
      this.#change(TransportState.Disconnected);
      this.#socket.close();
      this.onDisconnect?.();
    }
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return this.disconnect();
  }

  async send(message: string): Promise<void> {
    const text = message.replaceAll(VIA_NAME, this.#address);
    const method = /^([A-Z]+) /.exec(text)?.[1];
    const hop = method === undefined ? viaHop(text) : requestHop(text);
    if (hop === null) throw new Error('this SIP message names nobody to send it to');
    this.#sending += 1;
    try {
      await this.#dispatch(text, method, { ...hop, host: await addressOf(hop.host) });
    } finally {
      this.#sending -= 1;
    }
  }

  /** Settles when every request is answered or given up, so that a BYE is not lost with the socket; or at the limit. */
  async idle(limitMs: number): Promise<void> {
    const giveUpAt = this.#clock.now() + limitMs;
    while ((this.#sending > 0 || this.#waiting.size > 0) && this.#clock.now() < giveUpAt) {
      await new Promise<void>((resolve) => this.#clock.startTimer(IDLE_POLL_MS, resolve));
    }
  }

  #dispatch(text: string, method: string | undefined, resolved: Hop): Promise<void> {
    const left = this.#transmit(text, resolved);
    const key = transactionOf(text);
    if (method === undefined || method === 'ACK' || key === null || this.#waiting.size >= WAITING_MAX) return left;
    const isInvite = method === 'INVITE';
    const waiting = { text, hop: resolved, isInvite, beganAt: this.#clock.now(), waitMs: T1_MS, timer: null };
    this.#waiting.set(key, waiting);
    this.#sendAgain(key, waiting);
    return left;
  }

  #sendAgain(key: string, waiting: Waiting): void {
    waiting.timer = this.#clock.startTimer(waiting.waitMs, () => {
      if (this.#clock.now() - waiting.beganAt >= GIVE_UP_MS) {
        this.#waiting.delete(key);
        return;
      }
      void this.#transmit(waiting.text, waiting.hop);
      waiting.waitMs = waiting.isInvite ? waiting.waitMs * 2 : Math.min(waiting.waitMs * 2, T2_MS);
      this.#sendAgain(key, waiting);
    });
  }

  /** Settles when it has left. */
  #transmit(text: string, { host, port }: Hop): Promise<void> {
    if (!this.isConnected()) return Promise.resolve();
    return new Promise((resolve) => this.#socket.send(text, port, host, () => resolve()));
  }

  #receive(text: string): void {
    const status = /^SIP\/2\.0 (\d{3})/.exec(text)?.[1];
    const key = transactionOf(text);
    const waiting = key === null ? undefined : this.#waiting.get(key);
    // An INVITE rests at the first answer; another request that is still worked on is asked for again, but slowly.
    if (status !== undefined && key !== null && waiting !== undefined) {
      if (waiting.isInvite || Number(status) >= 200) {
        waiting.timer?.cancel();
        this.#waiting.delete(key);
      } else {
        waiting.waitMs = T2_MS;
      }
    }
    this.onMessage?.(text.replace(`UDP ${this.#address}`, `UDP ${VIA_NAME}`));
  }

  #change(state: TransportState): void {
    this.#state = state;
    this.#changes.emit(state);
  }
}

/** RFC 3261 §17.1.3: a response belongs to the request with the same branch and method. */
function transactionOf(text: string): string | null {
  const branch = /^(?:Via|v)[ \t]*:[^\r\n]*?;[ \t]*branch=([^\s;,]+)/im.exec(text)?.[1];
  const method = /^CSeq[ \t]*:[ \t]*\d+[ \t]+([A-Z]+)/im.exec(text)?.[1];
  return branch === undefined || method === undefined ? null : `${branch} ${method}`;
}

/** RFC 3261 §8.1.2: the first Route, or the Request-URI. */
function requestHop(text: string): Hop | null {
  const route = /^Route[ \t]*:[^<\r\n]*<([^>\r\n]+)>/im.exec(text)?.[1];
  const target = /^[A-Z]+ (\S+) SIP\/2\.0/.exec(text)?.[1];
  return hopOf(route ?? target ?? '');
}

/** RFC 3261 §18.2.2: a response goes to where the request came from. */
function viaHop(text: string): Hop | null {
  const via = /^(?:Via|v)[ \t]*:[ \t]*SIP\/2\.0\/UDP[ \t]+([^\s;,]+)([^\r\n]*)/im.exec(text);
  if (via === null) return null;
  const sent = hopOf(`sip:${via[1]}`);
  const received = /;received=([^\s;,]+)/i.exec(via[2] ?? '')?.[1];
  const rport = /;rport=(\d+)/i.exec(via[2] ?? '')?.[1];
  return sent === null ? null : { host: received ?? sent.host, port: Number(rport ?? sent.port) };
}

async function addressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

/** Host and port of a SIP URI; null where it is none. */
export function hopOf(uri: string): Hop | null {
  const parts = /^sips?:(?:[^@]*@)?(\[[0-9a-f:.]+\]|[^\s:;?>[\]]+)(?::(\d{1,5}))?/i.exec(uri);
  if (parts?.[1] === undefined) return null;
  return { host: parts[1].replace(/^\[|\]$/g, ''), port: Number(parts[2] ?? DEFAULT_PORT) };
}

/** Which of our addresses packets to this one leave from. */
export async function localAddressFor(hop: Hop): Promise<string> {
  const { address, family } = await lookup(hop.host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(hop.port, address, resolve);
    });
    return (socket.address() as AddressInfo).address;
  } finally {
    socket.close();
  }
}
