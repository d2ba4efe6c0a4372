import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Endpoint, Flow, Transport, TransportEvents } from './flow.ts';

const UDP_BUFFER_BYTES = 4_194_304;

/** SIP over UDP (RFC 3261 §18): a datagram is a message; a keep-alive of CRLFs is not. */
export async function openUdp(endpoint: Endpoint, events: TransportEvents): Promise<Transport> {
  const family = isIPv6(endpoint.address) ? 6 : 4;
  // Peers are addresses by now; Node's own look-up would cost every packet a turn.
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    lookup: (address, _options, found) => found(null, address, family),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: endpoint.address, port: endpoint.port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  try {
    socket.setRecvBufferSize(UDP_BUFFER_BYTES);
    socket.setSendBufferSize(UDP_BUFFER_BYTES);
  } catch {
    // The system's ceiling stands; retransmission covers what it drops.
  }
  const local = { ...endpoint, port: socket.address().port };
  let open = true;
  const flowTo = (address: string, port: number): Flow => new UdpFlow(socket, local, address, port, events, () => open);

  socket.on('message', (datagram, remote) => {
    if (isKeepAlive(datagram)) return;
    events.received(datagram.toString('latin1'), flowTo(remote.address, remote.port));
  });
  socket.on('error', () => events.dropped('udp socket error'));
  return {
    endpoint: local,
    flowTo,
    close: () =>
      new Promise((resolve) => {
        open = false;
        socket.close(() => resolve());
      }),
  };
}

/** More of the same bytes is no keep-alive, and is counted as malformed. */
const KEEP_ALIVE_BYTES_MAX = 16;

/** RFC 5626 §4.4.1 and common practice: nothing, CRLFs or zeros keep a NAT open. */
function isKeepAlive(datagram: Buffer): boolean {
  return datagram.length <= KEEP_ALIVE_BYTES_MAX && datagram.every((byte) => byte === 0 || byte === 10 || byte === 13);
}

class UdpFlow implements Flow {
  readonly protocol = 'udp';
  readonly reliable = false;
  readonly local: Endpoint;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  readonly #events: TransportEvents;
  readonly #isOpen: () => boolean;

  constructor(
    socket: Socket,
    local: Endpoint,
    address: string,
    port: number,
    events: TransportEvents,
    isOpen: () => boolean,
  ) {
    this.#socket = socket;
    this.#events = events;
    this.#isOpen = isOpen;
    this.local = local;
    this.remoteAddress = address;
    this.remotePort = port;
  }

  get open(): boolean {
    return this.#isOpen();
  }

  send(text: string): boolean {
    if (!this.#isOpen()) return false;
    this.#socket.send(Buffer.from(text, 'latin1'), this.remotePort, this.remoteAddress, (error) => {
      if (error !== null) this.#events.flowFailed(this);
    });
    return true;
  }
}
