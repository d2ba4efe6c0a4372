import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { ServiceError } from '../lib/errors.ts';

/** A port that some part is going to ask for; `key` is where the configuration says so. */
export interface PortClaim {
  readonly protocol: 'udp' | 'tcp';
  readonly address: string;
  /** 0 claims nothing. */
  readonly port: number;
  readonly key: string;
}

/** Binds and frees every claimed port; throws PORT_IN_USE naming the first that can't be had. */
export async function checkPorts(claims: readonly PortClaim[]): Promise<void> {
  for (const claim of claims) {
    if (claim.port === 0) continue;
    try {
      await (claim.protocol === 'udp' ? bindUdp(claim.address, claim.port) : bindTcp(claim.address, claim.port));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN';
      const where = `${claim.address} port ${claim.port} (${claim.protocol})`;
      throw new ServiceError('PORT_IN_USE', `${where}, which ${claim.key} asks for, ${reasonOf(code)}`, {
        detail: { port: claim.port, protocol: claim.protocol, key: claim.key, code },
        cause: error,
      });
    }
  }
}

/** Below the ports that Linux gives to connections by itself (32768 and up), above those that have names. */
const OWN_PORT_FIRST = 10_240;
const OWN_PORT_LAST = 32_767;
const FREE_TRIES_MAX = 50;

/**
 * A TCP port of `address` that is free at this moment. It is drawn from where no connection of this machine gets its port
 * by itself, or one could take it before whoever asked for it binds it.
 */
export async function freeTcpPort(address: string): Promise<number> {
  for (let tries = 0; tries < FREE_TRIES_MAX; tries += 1) {
    const port = randomInt(OWN_PORT_FIRST, OWN_PORT_LAST + 1);
    if (await bindTcp(address, port).catch(() => null)) return port;
  }
  return await bindTcp(address, 0);
}

function reasonOf(code: string): string {
  if (code === 'EADDRINUSE') return 'is in use by another process';
  if (code === 'EACCES') return 'is not allowed to this user';
  if (code === 'EADDRNOTAVAIL') return 'is not an address of this machine';
  return `can't be had (${code})`;
}

function bindUdp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}

function bindTcp(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : port));
    });
  });
}
