import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/*
 * Ports of the loopback address that are free at this moment, from where connections get theirs: another process may take
 * one before it is used, so whoever can says port 0 instead.
 */

const TRIES_MAX = 20;
const PHONE_PORT_FIRST = 23_000;
const PHONE_PORTS = 900;

export async function freeUdpPort(): Promise<number> {
  const socket = await bindUdp(0);
  const { port } = socket.address();
  await close(socket);
  return port;
}

/** An even UDP port that is free, as is the second one behind it: SIPp takes both for its media. */
export async function freeMediaPort(): Promise<number> {
  for (let time = 0; time < TRIES_MAX; time++) {
    const even = (await freeUdpPort()) & ~1;
    const pair = await Promise.allSettled([bindUdp(even), bindUdp(even + 2)]);
    const bound = pair.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(bound.map(close));
    if (bound.length === 2) return even;
  }
  throw new Error(`no pair of free UDP ports in ${TRIES_MAX} tries`);
}

/**
 * For a telephone: free for UDP and TCP, and the one behind it for TLS, which baresip takes unasked. Below those that the
 * kernel gives to connections (32768), any of which may be the one behind.
 */
export async function freePhonePort(): Promise<number> {
  for (let time = 0; time < TRIES_MAX; time++) {
    const port = PHONE_PORT_FIRST + 2 * randomInt(PHONE_PORTS / 2);
    const all = await Promise.allSettled([bindUdp(port), bindTcp(port), bindTcp(port + 1)]);
    const bound = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(bound.map(close));
    if (bound.length === all.length) return port;
  }
  throw new Error(`no free ports for a telephone in ${TRIES_MAX} tries`);
}

function bindTcp(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

export function bindUdp(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(port, '127.0.0.1', () => resolve(socket));
  });
}

async function close(socket: Socket | Server): Promise<void> {
  socket.close();
  await once(socket, 'close');
}
