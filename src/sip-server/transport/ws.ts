import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Limits } from '../limits.ts';
import { Connections } from './connections.ts';
import type { Credentials } from './credentials.ts';
import type { Endpoint, Flow, Transport, TransportEvents } from './flow.ts';

/**
 * SIP over WebSocket (RFC 7118): one message a frame, text or binary; we never dial. With credentials over TLS, where no
 * certificate is asked for: browsers have none.
 */
export async function openWs(
  endpoint: Endpoint,
  events: TransportEvents,
  limits: Limits,
  credentials?: Credentials,
): Promise<Transport> {
  const connections = new Connections<WsFlow>(limits);
  const http = credentials === undefined ? createServer() : openHttps(credentials, events, limits);
  const server = new WebSocketServer({
    server: http,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    // RFC 7118 §4.1: the sub-protocol is "sip"; without it there is no agreement to speak SIP.
    handleProtocols: (protocols) => (protocols.has('sip') ? 'sip' : false),
    verifyClient: ({ req }: { req: IncomingMessage }) =>
      (req.headers['sec-websocket-protocol'] ?? '').split(',').some((item) => item.trim() === 'sip'),
  });
  // What is no WebSocket is told so.
  http.on('request', (_, response) => response.writeHead(426, { connection: 'close' }).end());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    http.listen({ host: endpoint.address, port: endpoint.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => events.dropped('websocket listener error'));
  const bound = server.address();
  const local = { ...endpoint, port: typeof bound === 'object' && bound !== null ? bound.port : endpoint.port };
  server.on('connection', (socket, request) => {
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    const flow = new WsFlow(socket, local, remoteAddress, remotePort, limits);
    if (!connections.add(flow)) {
      events.dropped('too many connections');
      socket.terminate();
      return;
    }
    request.socket.setTimeout(limits.idleConnectionMsMax, () => socket.terminate());
    socket.on('message', (data) => {
      const text = asLatin1(data);
      // RFC 5626 §3.5.1, RFC 7118 §6: CRLF CRLF asks for CRLF.
      if (/^[\r\n]*$/.test(text.slice(0, 8)) && text.length <= 8) {
        if (text.length >= 4) flow.send('\r\n');
        return;
      }
      events.received(text, flow);
    });
    socket.on('error', () => events.dropped('websocket error'));
    socket.on('close', () => {
      flow.open = false;
      connections.remove(flow);
      events.flowFailed(flow);
    });
  });
  return {
    endpoint: local,
    flowTo(address, port) {
      const flow = connections.get(address, port);
      return flow?.open ? flow : undefined;
    },
    close: () =>
      new Promise((resolve) => {
        for (const flow of connections.values()) flow.destroy();
        server.close();
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}

function openHttps(credentials: Credentials, events: TransportEvents, limits: Limits) {
  const server = createHttpsServer({ ...credentials.options, handshakeTimeout: limits.connectMsMax });
  server.on('tlsClientError', (_, socket) => {
    events.dropped('tls handshake failed');
    socket.destroy();
  });
  credentials.onRenewed((options) => server.setSecureContext(options));
  return server;
}

function asLatin1(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Buffer.isBuffer(data)) return data.toString('latin1');
  return Array.isArray(data) ? Buffer.concat(data).toString('latin1') : Buffer.from(data).toString('latin1');
}

class WsFlow implements Flow {
  readonly reliable = true;
  readonly local: Endpoint;
  readonly remoteAddress: string;
  readonly remotePort: number;
  open = true;
  readonly #socket: WebSocket;
  readonly #limits: Limits;

  constructor(socket: WebSocket, local: Endpoint, remoteAddress: string, remotePort: number, limits: Limits) {
    this.#socket = socket;
    this.#limits = limits;
    this.local = local;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  get protocol(): Endpoint['protocol'] {
    return this.local.protocol;
  }

  send(text: string): boolean {
    if (!this.open) return false;
    if (this.#socket.bufferedAmount > this.#limits.writeBufferBytesMax) {
      this.destroy();
      return false;
    }
    // A text frame must be UTF-8, which SIP is; anything else goes as a binary frame (RFC 7118 §5).
    const bytes = Buffer.from(text, 'latin1');
    this.#socket.send(bytes, { binary: !isUtf8(bytes) });
    return true;
  }

  destroy(): void {
    this.open = false;
    this.#socket.terminate();
  }
}
