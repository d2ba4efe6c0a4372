import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Limits } from '../limits.ts';
import { formatHost } from '../message/uri.ts';
import { type Endpoint, type Flow, type Protocol, type Transport, transportParam } from '../transport/flow.ts';
import type { Application } from '../wire/application.ts';
import { Penalties, type Resolver } from './locate.ts';
import type { Dialog, Incoming, Outgoing } from './types.ts';

export const COUNTER_NAMES = [
  'requests_received',
  'responses_received',
  'requests_sent',
  'malformed_answered',
  'malformed_dropped',
  'responses_unmatched',
  'requests_without_application',
  'requests_retransmitted_by_peer',
  'ack_timeouts',
  'transaction_timeouts',
  'transport_failures',
  'failed_over',
  'sessions_too_short',
  'sessions_expired',
  'limit_transactions',
  'limit_dialogs',
  'admin_refused',
  'admin_overrun',
  'faults',
] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];

/** What all of the core shares: who is connected, what is under way, what was counted. */
export class Context {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly log: Log;
  readonly resolver: Resolver;
  readonly penalties: Penalties;
  readonly transports: Transport[] = [];
  readonly applications = new Set<Application>();
  readonly dialogs = new Map<string, Dialog>();
  readonly incomingByKey = new Map<string, Incoming>();
  readonly incomingById = new Map<string, Incoming>();
  readonly outgoingByKey = new Map<string, Outgoing>();
  readonly outgoingById = new Map<string, Outgoing>();
  readonly counters: Record<CounterName, number>;
  /** Hosts ending in `.invalid` that stand for a connection (RFC 7118 §5). */
  readonly #aliases = new Map<string, Flow>();
  #turn = 0;
  #cseq = 1 + (Math.floor(Math.random() * 1_000_000) << 4);

  constructor(parts: { clock: Clock; limits: Limits; log: Log; resolver: Resolver }) {
    this.clock = parts.clock;
    this.resolver = parts.resolver;
    this.penalties = new Penalties(parts.clock);
    this.limits = parts.limits;
    this.log = parts.log;
    this.counters = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<CounterName, number>;
  }

  count(name: CounterName): void {
    this.counters[name]++;
  }

  /** Round robin over applications that routed the method; one application for each request. */
  applicationFor(method: string): Application | undefined {
    const verb = method.toLowerCase();
    const able = [...this.applications].filter((application) => application.open && application.verbs.has(verb));
    return able.length === 0 ? undefined : able[this.#turn++ % able.length];
  }

  endpoint(protocol: Protocol, near?: string): Endpoint | undefined {
    const fitting = this.transports.filter((transport) => transport.endpoint.protocol === protocol);
    const loopback = near !== undefined && isLoopback(near);
    const best = fitting.find(
      ({ endpoint }) => isLoopback(endpoint.address) === loopback && endpoint.address !== '0.0.0.0',
    );
    return (best ?? fitting[0])?.endpoint;
  }

  transportOf(endpoint: Endpoint): Transport | undefined {
    return this.transports.find((transport) => transport.endpoint === endpoint);
  }

  isOwn(protocol: Protocol, address: string, port: number): boolean {
    return this.transports.some(
      ({ endpoint }) => endpoint.protocol === protocol && endpoint.port === port && endpoint.address === address,
    );
  }

  newVia(endpoint: Endpoint, branch: string, near: string): string {
    const address = formatHost(sayAddress(endpoint, near));
    return `SIP/2.0/${endpoint.protocol.toUpperCase()} ${address}:${endpoint.port};rport;branch=${branch}`;
  }

  /** RFC 3261 §8.1.1.8, §12.1.1: a request to a `sips` URI has `sips` contacts on both sides. */
  contact(endpoint: Endpoint, near: string, requestUri: string): string {
    const isSips = /^sips:/i.test(requestUri);
    const transport = isSips && endpoint.protocol === 'tls' ? '' : transportParam(endpoint.protocol);
    return `<${isSips ? 'sips' : 'sip'}:${formatHost(sayAddress(endpoint, near))}:${endpoint.port}${transport}>`;
  }

  nextCseq(): number {
    this.#cseq = (this.#cseq + 1) & 0x3fff_ffff;
    return this.#cseq;
  }

  remember(host: string, flow: Flow): void {
    this.#aliases.delete(host);
    this.#aliases.set(host, flow);
    if (this.#aliases.size <= this.limits.aliasesMax) return;
    const oldest = this.#aliases.keys().next().value;
    if (oldest !== undefined) this.#aliases.delete(oldest);
  }

  alias(host: string): Flow | undefined {
    const flow = this.#aliases.get(host);
    return flow?.open ? flow : undefined;
  }

  forgetFlow(flow: Flow): void {
    for (const [host, known] of this.#aliases) if (known === flow) this.#aliases.delete(host);
  }
}

export const newTransactionId = (): string => randomUUID();
/** RFC 3261 §19.3: at least 32 random bits; UUIDs come from a pool, single random bytes cost a system call. */
export const newTag = (): string => randomUUID().replaceAll('-', '').slice(0, 20);
export const newBranch = (): string => `z9hG4bK${randomUUID().replaceAll('-', '')}`;

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address === 'localhost';
}

/** The address we name to a peer: the bound one, or, bound to all, one that the peer can reach. */
export function sayAddress(endpoint: Endpoint, near: string): string {
  if (endpoint.address !== '0.0.0.0' && endpoint.address !== '::') return endpoint.address;
  if (isLoopback(near)) return '127.0.0.1';
  externalAddress ??= findExternal();
  return externalAddress;
}

let externalAddress: string | undefined;

function findExternal(): string {
  for (const list of Object.values(networkInterfaces())) {
    for (const { internal, family, address } of list ?? []) if (!internal && family === 'IPv4') return address;
  }
  return '127.0.0.1';
}
