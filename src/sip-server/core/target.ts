import { lookup, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseSipUri } from '../message/uri.ts';
import type { Endpoint, Flow, Protocol } from '../transport/flow.ts';
import type { Context } from './context.ts';

/** Where a request goes: an open flow, or an endpoint of ours and a host to look up. */
export type Target =
  | { readonly kind: 'flow'; readonly flow: Flow; readonly endpoint: Endpoint }
  | { readonly kind: 'host'; readonly endpoint: Endpoint; readonly host: string; readonly port: number | undefined }
  | { readonly kind: 'refused'; readonly reason: string };

/** RFC 3263 §4, as far as it needs no network: transport, host, port. */
export function targetOf(context: Context, uri: string): Target {
  const parsed = parseSipUri(uri);
  if (parsed === undefined) return { kind: 'refused', reason: 'invalid request-uri' };
  const alias = context.alias(parsed.host.toLowerCase());
  if (alias !== undefined) return { kind: 'flow', flow: alias, endpoint: alias.local };
  const host = parsed.maddr ?? parsed.host;
  const wanted = parsed.transport;
  if (parsed.scheme === 'sips' || (wanted !== undefined && wanted !== 'udp' && wanted !== 'tcp' && wanted !== 'ws')) {
    return { kind: 'refused', reason: 'requested protocol/transport not available' };
  }
  const protocol: Protocol = wanted ?? (context.endpoint('udp') === undefined ? 'tcp' : 'udp');
  const endpoint = context.endpoint(protocol, host);
  if (endpoint === undefined) return { kind: 'refused', reason: 'requested protocol/transport not available' };
  if (context.isOwn(protocol, host, parsed.port ?? 5060)) {
    return { kind: 'refused', reason: 'can not send request to myself' };
  }
  return { kind: 'host', endpoint, host, port: parsed.port };
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
    done(transport?.flowTo(target.host, target.port ?? 5060));
    return;
  }
  findHost(target).then(
    ({ address, port }) => done(transport?.flowTo(address, port)),
    () => done(undefined),
  );
}

async function findHost(target: Target & { kind: 'host' }): Promise<{ address: string; port: number }> {
  let { host } = target;
  let port = target.port ?? 5060;
  if (target.port === undefined && host.includes('.')) {
    // RFC 3263 §4.2: no port, so SRV says host and port; the first of the lowest priority.
    const records = await resolveSrv(`_sip._${target.endpoint.protocol}.${host}`).catch(() => []);
    const best = records.sort((a, b) => a.priority - b.priority || b.weight - a.weight)[0];
    if (best !== undefined) {
      host = best.name;
      port = best.port;
    }
  }
  return { address: (await lookup(host, { family: 4 })).address, port };
}
