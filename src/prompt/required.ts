import { languageOf, plan } from './plan.ts';

/**
 * Every recording that calls of this flow can need; null for a locale that nobody has written. All of the locale but the
 * brands the flow does not take and the units of other currencies: a refused brand that lacks its recording is not named.
 */
export function requiredRecordings(
  locale: string,
  flow: { readonly brands: readonly string[]; readonly currency: string },
): readonly string[] | null {
  const language = languageOf(locale);
  if (language === null) return null;
  const brands = new Set(flow.brands.map((brand) => `brand-${brand}`));
  const fixed = language.recordings
    .map((recording) => recording.name)
    .filter((name) => !name.startsWith('unit-') && (!name.startsWith('brand-') || brands.has(name)));
  // One and many of both units.
  const amounts = [1, 2, 100, 101, 200, 1000, 1001, 2000, 10_001, 20_002];
  const units = amounts.flatMap((amountMinor) =>
    plan(locale, [{ kind: 'amount', amountMinor, currency: flow.currency }]),
  );
  return [...new Set([...fixed, ...units])];
}
