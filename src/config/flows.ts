import { BRAND_NAMES, isBrand } from '../card/brands.ts';
import { nearest } from '../lib/nearest.ts';
import { minorUnits } from '../money/minor-units.ts';
import { LOCALES } from '../prompt/plan.ts';
import type { Flow } from '../session/flow.ts';
import type { Fault } from './check.ts';
import type { ConfigFile } from './schema.ts';

/** The machines ask for these in every payment. */
const FIELDS_ALWAYS = ['pan', 'expiry'] as const;

/** Turns a checked flow into the machines' type, and finds what a schema cannot say. */
export function readFlow(
  name: string,
  file: ConfigFile['flows'][string],
  gateways: readonly string[],
  faults: Fault[],
): Flow {
  const fault = (key: string, message: string) => faults.push({ path: `flows.${name}.${key}`, message });
  if (minorUnits(file.currency) === null) fault('currency', `expected an ISO 4217 code, found "${file.currency}"`);
  if (!LOCALES.includes(file.locale)) fault('locale', `expected one of ${LOCALES.join(', ')}, found "${file.locale}"`);
  if (!gateways.includes(file.gateway)) {
    fault('gateway', `expected a name under gateways (${gateways.join(', ')}), found "${file.gateway}"`);
  }
  if (file.amount.minimumMinor > file.amount.maximumMinor) {
    fault('amount.minimumMinor', `expected at most maximumMinor (${file.amount.maximumMinor})`);
  }
  if (file.completeInterDigitTimeoutMs > file.interDigitTimeoutMs) {
    fault('completeInterDigitTimeoutMs', `expected at most interDigitTimeoutMs (${file.interDigitTimeoutMs})`);
  }
  for (const [index, brand] of file.brands.entries()) {
    if (isBrand(brand)) continue;
    const suggestion = nearest(brand, BRAND_NAMES);
    const hint = suggestion === null ? `expected one of ${BRAND_NAMES.join(', ')}` : `did you mean "${suggestion}"?`;
    fault(`brands[${index}]`, `is not a known brand: "${brand}"; ${hint}`);
  }
  for (const field of FIELDS_ALWAYS) {
    if (file.fields[field] === undefined)
      fault(`fields.${field}`, 'is missing; expected its settings, {} for defaults');
  }
  const { identification, ...rest } = file;
  return { ...rest, name, identification: identification ?? null, fields: { ...file.fields } as Flow['fields'] };
}
