import table from './brands.json' with { type: 'json' };

/**
 * Brands by name, which is all that control knows of them: the ranges of src/card/brands.json are for the vault, and
 * nothing here takes a digit.
 */
interface Row {
  readonly name: string;
  readonly label: string;
  readonly precedence: number;
  readonly cvcLength: number;
}

const ROWS: ReadonlyMap<string, Row> = new Map(table.brands.map((row) => [row.name, row]));

/** Names in the table's order. */
export const BRAND_NAMES: readonly string[] = [...ROWS.keys()];

export function isBrand(name: string): boolean {
  return ROWS.has(name);
}

/** For people: `American Express`; an unknown name is its own label. */
export function brandLabel(name: string): string {
  return ROWS.get(name)?.label ?? name;
}

/** How many digits the brand's cvc has; 0 where it has none, null for an unknown name. */
export function cvcLength(name: string): number | null {
  return ROWS.get(name)?.cvcLength ?? null;
}

/** Brands that print a start date or an issue number on some of their cards. */
export function hasIssueData(name: string): boolean {
  return name === 'maestro';
}

/**
 * Of the brands a number still fits, the one it is taken for: among those allowed, the lowest precedence. Null with the
 * brand that was not allowed, or with nothing where the number fits no brand at all.
 */
export function chooseBrand(
  candidates: readonly string[],
  allowed: readonly string[],
): { readonly brand: string } | { readonly brand: null; readonly refused: string | null } {
  const likeliest = (names: readonly string[]): string | null =>
    names
      .filter(isBrand)
      .sort((a, b) => (ROWS.get(a)?.precedence ?? 0) - (ROWS.get(b)?.precedence ?? 0))
      .at(0) ?? null;
  const brand = likeliest(candidates.filter((name) => allowed.includes(name)));
  return brand === null ? { brand: null, refused: likeliest(candidates) } : { brand };
}
