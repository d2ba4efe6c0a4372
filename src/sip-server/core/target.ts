import { lookup, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseSipUri, type SipUri } from '../message/uri.ts';
import { defaultPort, type Endpoint, type Flow, type Protocol } from '../transport/flow.ts';
import type { Context } from './context.ts';

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

/** Calls back with a flow, at once where the host is an address; undefined where there is none. */
export function openTarget(context: Context, target: Target, done: (flow: Flow | undefined) => void): void {
  if (target.kind === 'refused') {
    done(undefined);
    return;
  }
  if (target.kind === 'flow') {
    done(target.flow);
    return;
  }
  const transport = context.transportOf(target.endpoint);
  if (isIP(target.host) !== 0) {
    done(transport?.flowTo(target.host, target.port ?? defaultPort(target.endpoint.protocol), target.domain));
    return;
  }
  findHost(target).then(
    ({ address, port }) => done(transport?.flowTo(address, port, target.domain)),
    () => done(undefined),
  );
}

async function findHost(target: Target & { kind: 'host' }): Promise<{ address: string; port: number }> {
  let { host } = target;
  const { protocol } = target.endpoint;
  let port = target.port ?? defaultPort(protocol);
  if (target.port === undefined && host.includes('.')) {
    // RFC 3263 §4.2: no port, so SRV says host and port; the first of the lowest priority.
    const service = protocol === 'tls' ? '_sips._tcp' : `_sip._${protocol}`;
    const records = await resolveSrv(`${service}.${host}`).catch(() => []);
    const best = records.sort((a, b) => a.priority - b.priority || b.weight - a.weight)[0];
    if (best !== undefined) {
      host = best.name;
      port = best.port;
    }
  }
  return { address: (await lookup(host, { family: 4 })).address, port };
}
