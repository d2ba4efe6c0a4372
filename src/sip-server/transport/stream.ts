import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { Limits } from '../limits.ts';
import { Connections } from './connections.ts';
import { type Credentials, checkSipIdentity } from './credentials.ts';
import type { Endpoint, Flow, Transport, TransportEvents } from './flow.ts';
import { StreamFraming } from './framing.ts';

const SOCKET_OPTIONS = { noDelay: true, keepAlive: true } as const;

/** What differs between TCP and TLS: how one listens, how one dials, and when a dialed connection may be used. */
interface Layer {
  listen(accepted: (socket: Socket) => void): Server;
  dial(peer: { readonly address: string; readonly port: number; readonly domain: string }): Socket;
  readonly usable: 'connect' | 'secureConnect';
}

/** SIP over TCP: connections are used both ways and by whoever needs that peer (RFC 3261 §18). */
export function openTcp(endpoint: Endpoint, events: TransportEvents, limits: Limits): Promise<Transport> {
  return openStream(endpoint, events, limits, {
    listen: (accepted) => createServer(SOCKET_OPTIONS, accepted),
    dial: ({ address, port }) => connect({ host: address, port, localAddress: endpoint.address, ...SOCKET_OPTIONS }),
    usable: 'connect',
  });
}

/**
 * The same over TLS (RFC 3261 §26.2.1). A peer that we dial must prove to be the domain we asked for; we show our own
 * certificate where it asks (carriers with mutual TLS do).
 */
export function openTls(
  endpoint: Endpoint,
  events: TransportEvents,
  limits: Limits,
  credentials: Credentials,
): Promise<Transport> {
  const { clients } = credentials.settings;
  return openStream(endpoint, events, limits, {
    listen: (accepted) => {
      const asked = { requestCert: clients !== 'none', rejectUnauthorized: clients === 'require' };
      const handshake = { handshakeTimeout: limits.connectMsMax };
      const server = createTlsServer({ ...credentials.options, ...asked, ...handshake, ...SOCKET_OPTIONS }, accepted);
      server.on('tlsClientError', (_, socket) => {
        events.dropped('tls handshake failed');
        socket.destroy();
      });
      credentials.onRenewed((options) => server.setSecureContext(options));
      return server;
    },
    dial: ({ address, port, domain }) => {
      const name = isIP(domain) === 0 ? { servername: domain } : {};
      const identity = (_: string, certificate: Parameters<typeof checkSipIdentity>[1]) =>
        checkSipIdentity(domain, certificate);
      const way = { host: address, port, localAddress: endpoint.address, ...SOCKET_OPTIONS };
      return connectTls({ ...credentials.options, ...way, ...name, checkServerIdentity: identity }).setNoDelay(true);
    },
    usable: 'secureConnect',
  });
}

async function openStream(
  endpoint: Endpoint,
  events: TransportEvents,
  limits: Limits,
  layer: Layer,
): Promise<Transport> {
  const connections = new Connections<StreamFlow>(limits);
  const gone = (ended: StreamFlow) => connections.remove(ended);
  const server = layer.listen((socket) => {
    const flow = new StreamFlow(socket, local, { events, limits, gone });
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
  server.on('error', () => events.dropped(`${endpoint.protocol} listener error`));
  const bound = server.address();
  const local = { ...endpoint, port: typeof bound === 'object' && bound !== null ? bound.port : endpoint.port };
  return {
    endpoint: local,
    flowTo(address, port, domain = address) {
      const known = connections.get(address, port);
      // What proved to be one domain has not proved to be another.
      if (known?.open && (endpoint.protocol === 'tcp' || known.domain === domain)) return known;
      const peer = { address, port, domain };
      const flow = new StreamFlow(layer.dial(peer), local, { events, limits, gone, peer, usable: layer.usable });
      if (connections.add(flow)) return flow;
      flow.destroy();
      return undefined;
    },
    close: () =>
      new Promise((resolve) => {
        for (const flow of connections.values()) flow.destroy();
        server.close(() => resolve());
      }),
  };
}

interface StreamParts {
  readonly events: TransportEvents;
  readonly limits: Limits;
  /** Given where we dial, with the event from which on the connection may be used. */
  readonly peer?: { readonly address: string; readonly port: number; readonly domain: string };
  readonly usable?: Layer['usable'];
  gone(flow: StreamFlow): void;
}

class StreamFlow implements Flow {
  readonly reliable = true;
  readonly local: Endpoint;
  /** What the peer that we dialed was asked to be. */
  readonly domain: string | undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  open = true;
  readonly #socket: Socket;
  readonly #limits: Limits;

  constructor(socket: Socket, local: Endpoint, parts: StreamParts) {
    const { events, limits } = parts;
    this.#socket = socket;
    this.#limits = limits;
    this.local = local;
    this.domain = parts.peer?.domain;
    this.remoteAddress = parts.peer?.address ?? socket.remoteAddress ?? '';
    this.remotePort = parts.peer?.port ?? socket.remotePort ?? 0;
    const framing = new StreamFraming(limits);
    socket.setTimeout(parts.peer === undefined ? limits.idleConnectionMsMax : limits.connectMsMax, () =>
      socket.destroy(),
    );
    if (parts.usable !== undefined) socket.on(parts.usable, () => socket.setTimeout(limits.idleConnectionMsMax));
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
    socket.on('error', ({ message }) => {
      if (parts.usable === 'secureConnect') events.dropped(`tls to ${this.domain}: ${message}`);
    });
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

  get protocol(): Endpoint['protocol'] {
    return this.local.protocol;
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
