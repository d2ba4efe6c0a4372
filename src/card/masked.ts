/*
 * A card number as anybody but its holder may see it: dots, and of a finished number the last four digits.
 */

const LAST_DIGITS = 4;
/** How cards are printed, by brand; four by four otherwise. */
const GROUPS: Readonly<Record<string, readonly number[]>> = { amex: [4, 6, 5], diners: [4, 6, 4] };
const FOURS = [4, 4, 4, 4, 4];

/** `•••• •••• •••• 4242`: so many digits, of which the last four are shown where they are known. Never more. */
export function maskedNumber(length: number, last4: string | null, brand: string | null = null): string {
  const shown = last4 === null ? '' : last4.slice(-LAST_DIGITS);
  const dots = '•'.repeat(Math.max(0, length - shown.length)) + shown;
  const groups: string[] = [];
  let at = 0;
  for (const size of GROUPS[brand ?? ''] ?? FOURS) {
    if (at >= dots.length) break;
    groups.push(dots.slice(at, at + size));
    at += size;
  }
  if (at < dots.length) groups.push(dots.slice(at));
  return groups.join(' ');
}
