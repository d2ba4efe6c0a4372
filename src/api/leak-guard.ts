import { holdsPan, type TextKind } from '../card/pan-guard.ts';

/** Names whose texts may be long numbers for a good reason; src/store/README.md says which and why. */
const KINDS: Readonly<Record<string, TextKind>> = { from: 'phone', to: 'phone' };
const DEPTH_MAX = 12;

/** Where a value to be answered holds what looks like a card number: its key path, or null. Deeper than we answer counts. */
export function leakIn(value: unknown, path = '', kind: TextKind = 'text', depth = 0): string | null {
  if (depth > DEPTH_MAX) return path;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') {
    return holdsPan(String(value), kind) ? path : null;
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const innerKind = KINDS[key] ?? 'text';
    if (!Array.isArray(value) && holdsPan(key)) return path;
    const leak = leakIn(inner, path === '' ? key : `${path}.${key}`, innerKind, depth + 1);
    if (leak !== null) return leak;
  }
  return null;
}
