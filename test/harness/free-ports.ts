import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/*
 * Ports of the loopback address that are free at this moment, from where connections get theirs: another process may take
 * one before it is used, so whoever can says port 0 instead.
 */

const TRIES_MAX = 20;

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

export function bindUdp(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(port, '127.0.0.1', () => resolve(socket));
  });
}

async function close(socket: Socket): Promise<void> {
  socket.close();
  await once(socket, 'close');
}
