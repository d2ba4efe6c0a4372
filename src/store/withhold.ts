import { cleaned, isRefused } from './guard.ts';
import { GUARDED_COLUMNS, type Tables } from './tables.ts';

/**
 * The row with every text that looks like a card field replaced, and the names of the columns where that was. A call
 * must not fail because a loyalty number passes Luhn, and a record must not hold what may be a card: so the text goes.
 */
export function withhold<Row extends object>(
  table: keyof Tables,
  row: Row,
): { readonly row: Row; readonly withheld: readonly string[] } {
  const withheld: string[] = [];
  const kept = { ...row } as Record<string, unknown>;
  for (const [column, kind] of Object.entries(GUARDED_COLUMNS[table])) {
    const text = kept[column];
    if (typeof text !== 'string' || !isRefused(kind, text)) continue;
    const clean = cleaned(kind, text);
    if (clean === null) continue;
    kept[column] = clean;
    withheld.push(`${table}.${column}`);
  }
  return { row: kept as Row, withheld };
}
