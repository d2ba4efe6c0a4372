import { createSocket, type Socket } from 'node:dgram';
import { connect, type Socket as TcpSocket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import type { Endpoint } from '../../src/sip-server/transport/flow.ts';
import { WireFraming } from '../../src/sip-server/wire/framing.ts';

const WAIT_MS_MAX = 3_000;

/** Things that arrive, taken in order by what they begin with. */
export class Inbox {
  readonly all: string[] = [];
  #unread: string[] = [];
  #waiting: { fits: (text: string) => boolean; found: (text: string) => void }[] = [];

  put(text: string): void {
    this.all.push(text);
    const at = this.#waiting.findIndex(({ fits }) => fits(text));
    if (at < 0) this.#unread.push(text);
    else this.#waiting.splice(at, 1)[0]?.found(text);
  }

  /** The first unread text with this in it; rejects after three seconds. */
  next(part: string): Promise<string> {
    const fits = (text: string) => text.includes(part);
    const at = this.#unread.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.#unread.splice(at, 1)[0] ?? '');
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no "${part}" among: ${this.all.join('\n--\n')}`)), WAIT_MS_MAX);
      const found = (text: string) => {
        clearTimeout(late);
        resolve(text);
      };
      this.#waiting.push({ fits, found });
    });
  }

  count(part: string): number {
    return this.all.filter((text) => text.includes(part)).length;
  }
}

/** A SIP peer on any transport: sends texts, keeps what comes. */
export interface Peer {
  readonly inbox: Inbox;
  readonly host: string;
  readonly port: number;
  readonly transport: string;
  send(text: string): void;
  close(): void;
}

export async function udpPeer(server: Endpoint): Promise<Peer> {
  const socket: Socket = createSocket('udp4');
  const inbox = new Inbox();
  socket.on('message', (bytes) => inbox.put(bytes.toString('latin1')));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
  return {
    inbox,
    host: '127.0.0.1',
    port: socket.address().port,
    transport: 'UDP',
    send: (text) => socket.send(Buffer.from(text, 'latin1'), server.port, server.address),
    close: () => socket.close(),
  };
}

export async function tcpPeer(server: Endpoint): Promise<Peer> {
  const socket = connect(server.port, server.address);
  await new Promise((resolve) => socket.once('connect', resolve));
  return streamPeer(socket, 'TCP');
}

/** Rejects where the handshake fails. */
export async function tlsPeer(server: Endpoint, options: ConnectionOptions): Promise<Peer> {
  const socket = connectTls({ ...options, port: server.port, host: server.address });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve());
  });
  return streamPeer(socket, 'TLS');
}

/** Of a connection that stands. */
export function streamPeer(socket: TcpSocket, transport: 'TCP' | 'TLS'): Peer {
  const inbox = new Inbox();
  let pending = '';
  socket.on('data', (bytes) => {
    pending += bytes.toString('latin1');
    for (let end = endOfMessage(pending); end > 0; end = endOfMessage(pending)) {
      inbox.put(pending.slice(0, end));
      pending = pending.slice(end);
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => inbox.put('closed'));
  const close = () => void socket.destroy();
  const { localPort = 0 } = socket;
  return {
    inbox,
    host: '127.0.0.1',
    port: localPort,
    transport,
    send: (text) => void socket.write(text),
    close,
  };
}

/** Of the first whole message (RFC 3261 §18.3), or 0. */
function endOfMessage(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  const length = Number(/\r\nContent-Length: *(\d+)/i.exec(text.slice(0, Math.max(0, head)))?.[1] ?? 0);
  return head < 0 || text.length < head + 4 + length ? 0 : head + 4 + length;
}

/** `options` for `wss`. */
export async function wsPeer(server: Endpoint, options: ConnectionOptions = {}): Promise<Peer> {
  const { protocol } = server;
  const socket = new WebSocket(`${protocol}://${server.address}:${server.port}`, 'sip', options);
  const inbox = new Inbox();
  socket.on('message', (bytes) => inbox.put(bytes.toString()));
  socket.on('close', () => inbox.put('closed'));
  socket.on('error', () => undefined);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  // RFC 7118 §5: a browser does not know its address.
  return {
    inbox,
    host: 'df7jal23ls0d.invalid',
    port: 0,
    transport: protocol.toUpperCase(),
    send: (text) => socket.send(text),
    close: () => socket.terminate(),
  };
}

/** The wire protocol without drachtio-srf: what a frame says can be looked at. */
export interface RawApplication {
  readonly inbox: Inbox;
  send(payload: string): string;
  close(): void;
}

export async function rawApplication(port: number): Promise<RawApplication> {
  const socket = connect(port, '127.0.0.1');
  const inbox = new Inbox();
  const framing = new WireFraming();
  socket.on('data', (bytes) => {
    const frames = framing.push(bytes);
    if (frames.kind === 'frames') for (const payload of frames.payloads) inbox.put(payload);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => inbox.put('closed'));
  await new Promise((resolve) => socket.once('connect', resolve));
  let count = 0;
  return {
    inbox,
    send(payload) {
      const id = `m${++count}`;
      const text = Buffer.from(`${id}|${payload}`, 'utf8');
      socket.write(Buffer.concat([Buffer.from(`${text.length}#`), text]));
      return id;
    },
    close: () => void socket.destroy(),
  };
}

export interface RequestParts {
  readonly peer: Peer;
  readonly callId: string;
  readonly cseq?: number;
  readonly branch?: string;
  readonly toTag?: string;
  readonly lines?: readonly string[];
  readonly body?: string;
}

/** A request as a peer writes it. */
export function request(method: string, parts: RequestParts): string {
  const { peer, callId, cseq = 1, toTag, body = '' } = parts;
  const at = peer.port === 0 ? peer.host : `${peer.host}:${peer.port}`;
  const transport = peer.transport === 'UDP' ? '' : `;transport=${peer.transport.toLowerCase()}`;
  return [
    `${method} sip:pay@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/${peer.transport} ${at};branch=z9hG4bK${parts.branch ?? `${callId}${cseq}${method}`}`,
    `From: <sip:caller@${peer.host}>;tag=far`,
    `To: <sip:pay@127.0.0.1>${toTag === undefined ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    `Contact: <sip:caller@${at}${transport}>`,
    'Max-Forwards: 70',
    ...(parts.lines ?? []),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** A request of a peer that was called: `invite` is what it received, `peer` the tag it answered with. */
export function requestBack(method: string, invite: string, parts: Omit<RequestParts, 'callId' | 'toTag'>): string {
  const said = (name: string) => new RegExp(`\r\n${name}: ([^\r]*)`).exec(invite)?.[1] ?? '';
  const asCaller = request(method, { ...parts, callId: said('Call-ID') });
  return asCaller
    .replace(/\r\nFrom: [^\r]*/, `\r\nFrom: ${said('To')};tag=peer`)
    .replace(/\r\nTo: [^\r]*/, `\r\nTo: ${said('From')}`);
}

/** A response of a peer to a request it received: the five headers copied, a tag in To. */
export function response(status: string, to: string, parts: { tag?: string; lines?: readonly string[] } = {}): string {
  const kept = to.split('\r\n').filter((line) => /^(?:Via|From|To|Call-ID|CSeq|Record-Route): /.test(line));
  const tagged = kept.map((line) =>
    line.startsWith('To: ') && !line.includes('tag=') ? `${line};tag=${parts.tag ?? 'peer'}` : line,
  );
  return [`SIP/2.0 ${status}`, ...tagged, ...(parts.lines ?? []), 'Content-Length: 0', '', ''].join('\r\n');
}

export const tagOf = (message: string): string => /\r\nTo: [^\r]*;tag=([^;\r]+)/.exec(message)?.[1] ?? '';
