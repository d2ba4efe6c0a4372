import { holdsPan, type TextKind, withoutPan } from '../card/pan-guard.ts';
import { GUARDED_COLUMNS, type Tables } from './tables.ts';

/**
 * The row with every text that looks like a card number replaced, and the names of the columns where that was. A call
 * must not fail because a loyalty number passes Luhn, and a record must not hold what may be a card: so the text goes.
 */
export function withhold<Row extends object>(
  table: keyof Tables,
  row: Row,
): { readonly row: Row; readonly withheld: readonly string[] } {
  const kinds: Readonly<Record<string, TextKind>> = GUARDED_COLUMNS[table];
  const withheld: string[] = [];
  const kept = { ...row } as Record<string, unknown>;
  for (const [column, kind] of Object.entries(kinds)) {
    const text = kept[column];
    if (typeof text !== 'string' || !holdsPan(text, kind)) continue;
    kept[column] = column === 'detail' ? JSON.stringify(withoutPanInside(JSON.parse(text))) : withoutPan(text);
    withheld.push(`${table}.${column}`);
  }
  return { row: kept as Row, withheld };
}

/** Numbers too: a detail may carry one in a field meant for an amount. */
function withoutPanInside(detail: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(detail).map(([key, value]) => {
      return [key, holdsPan(String(value)) ? withoutPan(String(value)) : value];
    }),
  );
}
