import { minorUnits } from './minor-units.ts';

/** Nine digits: 9,999,999.99 dollars. More than any phone payment, and far below what a double counts exactly. */
export const KEYED_AMOUNT_DIGITS_MAX = 9;

/** `42.10`, `4210` (yen), `4.210` (dinar): a decimal point, all minor digits, no grouping, no symbol. */
export function formatAmount(amountMinor: number, currency: string): string {
  const units = minorUnits(currency) ?? 2;
  const sign = amountMinor < 0 ? '-' : '';
  const digits = String(Math.abs(amountMinor)).padStart(units + 1, '0');
  if (units === 0) return sign + digits;
  return `${sign}${digits.slice(0, -units)}.${digits.slice(-units)}`;
}

/** The major and minor part, both whole numbers. */
export function splitAmount(amountMinor: number, currency: string): { readonly major: number; readonly minor: number } {
  const scale = 10 ** (minorUnits(currency) ?? 2);
  return { major: Math.trunc(amountMinor / scale), minor: amountMinor % scale };
}

/**
 * `42.10` → 4210. At most as many decimals as the currency has; fewer are filled up. Null for anything else: signs,
 * grouping, exponents, an unknown currency, or more than KEYED_AMOUNT_DIGITS_MAX + 3 digits.
 */
export function parseAmount(text: string, currency: string): number | null {
  const units = minorUnits(currency);
  const match = /^(\d{1,12})(?:\.(\d{1,4}))?$/.exec(text);
  if (units === null || match === null) return null;
  const decimals = match[2] ?? '';
  if (decimals.length > units) return null;
  const digits = (match[1] ?? '') + decimals.padEnd(units, '0');
  return digits.length > KEYED_AMOUNT_DIGITS_MAX + 3 ? null : Number(digits);
}

/**
 * What a caller keyed before `#`, in minor units: 4 2 1 0 is 42 dollars and 10 cents. Null for no digits, too many, or
 * anything but digits.
 */
export function parseKeyedAmount(keys: string): number | null {
  return /^\d+$/.test(keys) && keys.length <= KEYED_AMOUNT_DIGITS_MAX ? Number(keys) : null;
}

/** Between the limits, both included. */
export function checkRange(
  amountMinor: number,
  limits: { readonly minimumMinor: number; readonly maximumMinor: number },
): 'ok' | 'tooLow' | 'tooHigh' {
  if (amountMinor < limits.minimumMinor) return 'tooLow';
  return amountMinor > limits.maximumMinor ? 'tooHigh' : 'ok';
}
