import { isIP } from 'node:net';

/** A block of addresses of one family; `bits` is the prefix length. */
export interface Network {
  readonly family: 4 | 6;
  readonly prefix: bigint;
  readonly bits: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;
/** `::ffff:0:0/96`: how a socket of both families shows an IPv4 peer (RFC 4291 §2.5.5.2). */
const MAPPED = 0xffff_0000_0000n;

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Null for anything else, bits set past the prefix included. */
export function parseNetwork(text: string): Network | null {
  const [address = '', bitsText, more] = text.split('/');
  const value = parseAddress(address);
  if (value === null || more !== undefined) return null;
  const width = WIDTH[value.family];
  if (bitsText === undefined) return { family: value.family, prefix: value.number, bits: width };
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : -1;
  if (bits < 0 || bits > width) return null;
  const network = { family: value.family, prefix: value.number, bits };
  return (value.number & mask(width, bits)) === value.number ? network : null;
}

export function parseAddress(text: string): { readonly family: 4 | 6; readonly number: bigint } | null {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const family = isIP(bare);
  if (family === 4) return { family: 4, number: fromBytes(bare.split('.').map(Number), 8n) };
  if (family !== 6 || bare.includes('%')) return null;
  const number = fromBytes(groupsOf(bare), 16n);
  return number >> 32n === MAPPED >> 32n ? { family: 4, number: number & 0xffff_ffffn } : { family: 6, number };
}

export function contains(network: Network, address: { readonly family: 4 | 6; readonly number: bigint }): boolean {
  if (network.family !== address.family) return false;
  return (address.number & mask(WIDTH[network.family], network.bits)) === network.prefix;
}

function mask(width: number, bits: number): bigint {
  return ((1n << BigInt(bits)) - 1n) << BigInt(width - bits);
}

function fromBytes(parts: readonly number[], size: bigint): bigint {
  return parts.reduce((sum, part) => (sum << size) | BigInt(part), 0n);
}

/** The eight groups of an address that `isIP` has already approved. */
function groupsOf(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const plain =
    dotted === null
      ? text
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
}
