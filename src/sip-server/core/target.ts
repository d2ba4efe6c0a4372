import { isIP } from 'node:net';
import { parseSipUri, type SipUri } from '../message/uri.ts';
import { defaultPort, type Endpoint, type Flow, type Protocol } from '../transport/flow.ts';
import type { Context } from './context.ts';
import { locate, type Way } from './locate.ts';

/** Where a request goes: an open flow, or an endpoint of ours and a host to look up. */
export type Target =
  | { readonly kind: 'flow'; readonly flow: Flow; readonly endpoint: Endpoint }
  | {
      readonly kind: 'host';
      readonly endpoint: Endpoint;
      readonly host: string;
      readonly port: number | undefined;
      /** Whom the URI names: over TLS the peer must prove to be it, wherever DNS says that it is. */
      readonly domain: string;
    }
  | { readonly kind: 'refused'; readonly reason: string };

/** RFC 3263 §4, as far as it needs no network: transport, host, port. */
export function targetOf(context: Context, uri: string): Target {
  const parsed = parseSipUri(uri);
  if (parsed === undefined) return { kind: 'refused', reason: 'invalid request-uri' };
  const alias = context.alias(parsed.host.toLowerCase());
  if (alias !== undefined) return { kind: 'flow', flow: alias, endpoint: alias.local };
  const host = parsed.maddr ?? parsed.host;
  const protocol = protocolOf(context, parsed);
  const endpoint = protocol === undefined ? undefined : context.endpoint(protocol, host);
  if (protocol === undefined || endpoint === undefined) {
    return { kind: 'refused', reason: 'requested protocol/transport not available' };
  }
  if (context.isOwn(protocol, host, parsed.port ?? defaultPort(protocol))) {
    return { kind: 'refused', reason: 'can not send request to myself' };
  }
  return { kind: 'host', endpoint, host, port: parsed.port, domain: parsed.host };
}

/** RFC 3261 §26.2.2: `sips` is TLS on every hop, whatever transport the URI names; over UDP it is nothing. */
function protocolOf(context: Context, { scheme, transport }: SipUri): Protocol | undefined {
  if (scheme === 'sips')
    return transport === undefined || transport === 'tcp' || transport === 'tls' ? 'tls' : undefined;
  switch (transport) {
    case undefined:
      return context.endpoint('udp') === undefined ? 'tcp' : 'udp';
    case 'udp':
    case 'tcp':
    case 'tls':
    case 'ws':
      return transport;
    default:
      return undefined;
  }
}

/** Calls back with the ways to a host, best first; at once where the host is an address. */
export function findWays(context: Context, target: Target & { kind: 'host' }, found: (ways: Way[]) => void): void {
  const { endpoint, host, port } = target;
  const { protocol } = endpoint;
  if (isIP(host) !== 0) {
    found([{ address: host, port: port ?? defaultPort(protocol) }]);
    return;
  }
  const family = endpoint.address.includes(':') ? 6 : 4;
  locate(context.resolver, { host, port, protocol, family }).then(
    (ways) => found(context.penalties.sort(protocol, ways)),
    () => found([]),
  );
}

/** Calls back with a flow, for what has no transaction; undefined where there is none. */
export function openTarget(context: Context, target: Target, done: (flow: Flow | undefined) => void): void {
  if (target.kind === 'refused') done(undefined);
  else if (target.kind === 'flow') done(target.flow);
  else {
    findWays(context, target, ([way]) => {
      const transport = context.transportOf(target.endpoint);
      done(way === undefined ? undefined : transport?.flowTo(way.address, way.port, target.domain));
    });
  }
}
