/*
 * The last net behind everything that keeps card numbers out: does a text hold something that looks like one? It is for
 * texts that should hold none (records, log lines, answers of the API) and never for reading a card.
 *
 * A number of 12 to 19 digits that passes Luhn, in one run or grouped as people write cards; a tenth of all account and
 * order numbers of that length pass too, so who asks must be able to live with `true`. Identifiers are passed over: our
 * own ids, UUIDs, and hexadecimal strings of 24 characters and more with a letter in them.
 */
export const PAN_DIGITS_MIN = 12;
export const PAN_DIGITS_MAX = 19;
/** Telephone numbers have at most 15 digits (ITU-T E.164), of which 15 are a card only as 34 or 37. */
const PHONE_DIGITS_MAX = 15;

const IDENTIFIERS =
  /\b(?:[a-z]{2}_[0-9a-z]{19}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{24,})\b/gi;

/** One run; four or more groups of four (the last may be short); 4-6-4 and 4-6-5; or digits each by itself. */
const CANDIDATES =
  /\d{12,}|(?<!\d)\d{4}(?:[ -]\d{4}){2}(?:[ -]\d{1,4}){0,2}(?!\d)|(?<!\d)\d{4}[ -]\d{6}[ -]\d{4,5}(?!\d)|(?<!\d)\d(?:[ -]\d){11,18}(?!\d)/g;

/** Three or four digits and nothing else: a security code, or an expiry. */
const CODE_OR_EXPIRY = /^\d{3,4}$/;

export type TextKind = 'text' | 'phone';

/** Whether `text` holds what looks like a card number; for `phone`, what cannot be a telephone number besides. */
export function holdsPan(text: string, kind: TextKind = 'text'): boolean {
  return textBetween(text).some((part) =>
    [...part.matchAll(CANDIDATES)].some(([found]) => isPan(digitsOf(found), kind)),
  );
}

/** Whether the text as a whole could be a card number, an expiry or a security code. */
export function couldBeCardField(text: string): boolean {
  return holdsPan(text) || CODE_OR_EXPIRY.test(text);
}

/** The text with each such number replaced by `mark`. */
export function withoutPan(text: string, mark = '[withheld]'): string {
  if (!holdsPan(text)) return text;
  return text.replace(CANDIDATES, (found) => (isPan(digitsOf(found), 'text') ? mark : found));
}

function textBetween(text: string): string[] {
  return /\d/.test(text) ? text.split(IDENTIFIERS) : [];
}

function digitsOf(found: string): string {
  return found.replace(/\D/g, '');
}

function isPan(digits: string, kind: TextKind): boolean {
  if (digits.length < PAN_DIGITS_MIN) return false;
  if (kind === 'phone' && digits.length <= PHONE_DIGITS_MAX && !/^3[47]\d{13}$/.test(digits)) return false;
  // Longer than any card: a card with its expiry behind it, perhaps. Nothing of ours is such a number.
  if (digits.length > PAN_DIGITS_MAX) return true;
  // No issuer's number begins with 0 (ISO/IEC 7812 leaves it to other uses).
  return digits[0] !== '0' && luhn(digits);
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const weighted = index % 2 === 0 ? digit : digit * 2;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}
