import type { Sensitive } from '../lib/sensitive.ts';
import type { FieldName } from '../session/flow.ts';

/*
 * What this worker holds against control's orders: where a request may go, and which fields may go with it. It comes
 * from the worker's own reading of the configuration and never over the socket.
 */

/** One place that requests may reach. */
export interface EgressDestination {
  /** In small letters; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM with the authorities of this host alone; null for the ones Node knows. */
  readonly caFile: string | null;
  /** Beginnings of paths that may be asked for; none given: every path. */
  readonly paths?: readonly string[];
  /** Fields that may go there; none given: all. */
  readonly fields?: readonly FieldName[];
  /** Plain HTTP beyond this machine: card data on the wire, so it must be said here by name. */
  readonly plainAnywhere?: boolean;
  /** How bodies that go there are signed, natively once they are filled. */
  readonly sign?: EgressSign | null;
}

export interface EgressSign {
  readonly header: string;
  readonly kind: 'hmac-sha256' | 'sha256';
  readonly encoding: 'hex' | 'base64';
  /** Null for a digest. */
  readonly secret: Sensitive<string> | null;
  readonly prefix: string;
  readonly suffix: string;
}

/** Numbers of `enum FieldKind` in native/vault/vault.h. */
const FIELD_NUMBERS: Readonly<Record<FieldName, number>> = {
  pan: 1,
  expiry: 2,
  cvc: 3,
  postcode: 4,
  startDate: 5,
  issueNumber: 6,
};

export interface EgressTarget {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** With its query. */
  readonly path: string;
}

export type Permission =
  | {
      readonly ok: true;
      readonly target: EgressTarget;
      readonly destination: EgressDestination;
      readonly index: number;
    }
  | { readonly ok: false; readonly reason: string };

const URL_LENGTH_MAX = 2048;

/** May a request go there? The URL is read here once, and native code gets its parts, so no second reader can differ. */
export function permit(destinations: readonly EgressDestination[], url: string): Permission {
  if (url.length > URL_LENGTH_MAX || !URL.canParse(url)) return { ok: false, reason: 'url cannot be read' };
  const parsed = new URL(url);
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    return { ok: false, reason: `url begins with ${parsed.protocol}` };
  }
  if (parsed.username !== '' || parsed.password !== '') return { ok: false, reason: 'url has a user name' };
  const tls = parsed.protocol === 'https:';
  const target: EgressTarget = {
    tls,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(parsed.port || (tls ? 443 : 80)),
    path: parsed.pathname + parsed.search,
  };
  const isThere = (d: EgressDestination) => d.host === target.host && d.port === target.port && d.tls === tls;
  if (!destinations.some(isThere)) {
    return {
      ok: false,
      reason: `${tls ? 'https' : 'http'} to ${target.host}:${target.port} is not in this worker's list`,
    };
  }
  // Two gateways of one host, one below the other's path: the nearer one's rules hold.
  const fits = destinations.map((d) => (isThere(d) ? pathFit(parsed.pathname, d.paths) : -1));
  const best = Math.max(...fits);
  const index = fits.indexOf(best);
  const destination = destinations[index];
  if (best < 0 || destination === undefined) {
    return { ok: false, reason: `${target.host} may not be asked for this path` };
  }
  return { ok: true, target, destination, index };
}

/** Characters of the longest beginning that admits the path; -1 where none does. */
function pathFit(path: string, allowed: readonly string[] | undefined): number {
  if (allowed === undefined) return 0;
  return Math.max(-1, ...allowed.filter((one) => isBelow(path, one)).map((one) => one.length));
}

/** `/v1/pay` admits itself and what is below it, not `/v1/payees`. */
function isBelow(path: string, allowed: string): boolean {
  return path === allowed || path.startsWith(allowed.endsWith('/') ? allowed : `${allowed}/`);
}

/** Bits of the fields that may go there, as native code counts them. */
export function fieldMask(destination: EgressDestination): number {
  const fields = destination.fields ?? (Object.keys(FIELD_NUMBERS) as FieldName[]);
  return fields.reduce((mask, field) => mask | (1 << FIELD_NUMBERS[field]), 0);
}
