import { connect, createServer, type Socket } from 'node:net';
import type { Limits } from '../limits.ts';
import { Connections } from './connections.ts';
import type { Endpoint, Flow, Transport, TransportEvents } from './flow.ts';
import { StreamFraming } from './framing.ts';

/** SIP over TCP: connections are used both ways and by whoever needs that peer (RFC 3261 §18). */
export async function openTcp(endpoint: Endpoint, events: TransportEvents, limits: Limits): Promise<Transport> {
  const connections = new Connections<TcpFlow>(limits);
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    const flow = new TcpFlow(socket, local, { events, limits, gone: (ended) => connections.remove(ended) });
    if (!connections.add(flow)) {
      events.dropped('too many connections');
      socket.destroy();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: endpoint.address, port: endpoint.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => events.dropped('tcp listener error'));
  const bound = server.address();
  const local = { ...endpoint, port: typeof bound === 'object' && bound !== null ? bound.port : endpoint.port };
  return {
    endpoint: local,
    flowTo(address, port) {
      const known = connections.get(address, port);
      if (known?.open) return known;
      const socket = connect({ host: address, port, localAddress: endpoint.address, noDelay: true, keepAlive: true });
      const peer = { address, port };
      const flow = new TcpFlow(socket, local, { events, limits, peer, gone: (ended) => connections.remove(ended) });
      if (connections.add(flow)) return flow;
      socket.destroy();
      return undefined;
    },
    close: () =>
      new Promise((resolve) => {
        for (const flow of connections.values()) flow.destroy();
        server.close(() => resolve());
      }),
  };
}

interface TcpParts {
  readonly events: TransportEvents;
  readonly limits: Limits;
  /** Given where we dial. */
  readonly peer?: { address: string; port: number };
  gone(flow: TcpFlow): void;
}

class TcpFlow implements Flow {
  readonly protocol = 'tcp';
  readonly reliable = true;
  readonly local: Endpoint;
  readonly remoteAddress: string;
  readonly remotePort: number;
  open = true;
  readonly #socket: Socket;
  readonly #limits: Limits;

  constructor(socket: Socket, local: Endpoint, parts: TcpParts) {
    const { events, limits } = parts;
    this.#socket = socket;
    this.#limits = limits;
    this.local = local;
    this.remoteAddress = parts.peer?.address ?? socket.remoteAddress ?? '';
    this.remotePort = parts.peer?.port ?? socket.remotePort ?? 0;
    const framing = new StreamFraming(limits);
    socket.setTimeout(parts.peer === undefined ? limits.idleConnectionMsMax : limits.connectMsMax, () =>
      socket.destroy(),
    );
    socket.on('connect', () => socket.setTimeout(limits.idleConnectionMsMax));
    socket.on('data', (bytes) => {
      const framed = framing.push(bytes.toString('latin1'));
      if (framed.kind === 'fault') {
        events.dropped(framed.reason);
        socket.destroy();
        return;
      }
      // RFC 5626 §3.5.1: pong.
      if (framed.pings > 0) this.send('\r\n');
      this.#deliver(framed.texts, 0, events);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.open = false;
      parts.gone(this);
      events.flowFailed(this);
    });
  }

  /** A turn of the event loop takes a limited number of messages of one connection; it reads no more meanwhile. */
  #deliver(texts: readonly string[], from: number, events: TransportEvents): void {
    const until = Math.min(texts.length, from + this.#limits.messagesPerTurnMax);
    for (let i = from; i < until; i++) events.received(texts[i] ?? '', this);
    if (until === texts.length) {
      this.#socket.resume();
      return;
    }
    this.#socket.pause();
    setImmediate(() => this.#deliver(texts, until, events));
  }

  send(text: string): boolean {
    if (!this.open) return false;
    if (this.#socket.writableLength > this.#limits.writeBufferBytesMax) {
      this.destroy();
      return false;
    }
    this.#socket.write(text, 'latin1');
    return true;
  }

  destroy(): void {
    this.open = false;
    this.#socket.destroy();
  }
}
