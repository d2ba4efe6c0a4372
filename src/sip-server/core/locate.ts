import { lookup, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { defaultPort, type Protocol } from '../transport/flow.ts';

/** One host that may take a request. */
export interface Way {
  readonly address: string;
  readonly port: number;
}

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** DNS as far as it is asked; both reject where there is nothing. */
export interface Resolver {
  srv(name: string): Promise<SrvRecord[]>;
  addresses(host: string, family: 4 | 6): Promise<string[]>;
}

export const systemResolver: Resolver = {
  srv: resolveSrv,
  addresses: async (host, family) => (await lookup(host, { family, all: true })).map(({ address }) => address),
};

/** Of one domain; what a carrier lists beyond them is not tried. */
const WAYS_MAX = 8;
/** An address that did not take a request is asked last for so long. */
const PENALTY_MS = 60_000;
const PENALTIES_MAX = 1_000;

export interface Wanted {
  readonly host: string;
  readonly port: number | undefined;
  readonly protocol: Protocol;
  /** Of the endpoint that sends: it cannot reach the other kind. */
  readonly family: 4 | 6;
}

/** RFC 3263 §4.2: the hosts of a domain in the order in which they are tried; none where DNS knows none. */
export async function locate(resolver: Resolver, wanted: Wanted, random: () => number = Math.random): Promise<Way[]> {
  const { host, protocol, family } = wanted;
  const port = wanted.port ?? defaultPort(protocol);
  if (isIP(host) !== 0) return [{ address: host, port }];
  const service = protocol === 'tls' ? '_sips._tcp' : `_sip._${protocol}`;
  // A port, or a name that is no domain, needs no SRV.
  const asked = wanted.port === undefined && host.includes('.') ? resolver.srv(`${service}.${host}`) : [];
  const records = await Promise.resolve(asked).catch(() => []);
  const hosts = records.length > 0 ? orderSrv(records.slice(0, WAYS_MAX * 2), random) : [{ name: host, port }];
  const ways: Way[] = [];
  for (const { name, port: at } of hosts) {
    if (ways.length >= WAYS_MAX) break;
    const addresses = await resolver.addresses(name, family).catch(() => []);
    for (const address of addresses) ways.push({ address, port: at });
  }
  return ways.slice(0, WAYS_MAX);
}

/** RFC 2782: the lowest priority first; among equals, one after the other is drawn by its weight. */
export function orderSrv(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  for (const priority of [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b)) {
    // Those of weight 0 first, so that they have a chance at all.
    const rest = records.filter((record) => record.priority === priority).sort((a, b) => a.weight - b.weight);
    while (rest.length > 0) {
      const total = rest.reduce((sum, { weight }) => sum + weight, 0);
      let left = random() * total;
      const drawn = rest.findIndex(({ weight }) => {
        left -= weight;
        return left <= 0;
      });
      ordered.push(...rest.splice(Math.max(0, drawn), 1));
    }
  }
  return ordered;
}

/** Who did not take a request lately. It is still asked where nobody else is left. */
export class Penalties {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  give(protocol: Protocol, way: Way): void {
    const key = keyOf(protocol, way);
    this.#until.delete(key);
    this.#until.set(key, this.#clock.now() + PENALTY_MS);
    const oldest = this.#until.keys().next().value;
    if (this.#until.size > PENALTIES_MAX && oldest !== undefined) this.#until.delete(oldest);
  }

  /** The same ways, those with a penalty behind the others. */
  sort(protocol: Protocol, ways: readonly Way[]): Way[] {
    const isOut = (way: Way) => (this.#until.get(keyOf(protocol, way)) ?? 0) > this.#clock.now();
    return [...ways.filter((way) => !isOut(way)), ...ways.filter(isOut)];
  }
}

const keyOf = (protocol: Protocol, { address, port }: Way): string => `${protocol} ${address} ${port}`;
