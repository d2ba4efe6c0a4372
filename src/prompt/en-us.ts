import { splitAmount } from '../money/amount.ts';
import { minorUnits } from '../money/minor-units.ts';
import { CURRENCY_WORDS, EN_US_RECORDINGS, two } from './en-us-words.ts';
import type { Language } from './recording.ts';

/** Scales of the short scale, largest first. */
const SCALES: readonly (readonly [number, string])[] = [
  [1_000_000_000, 'number-billion'],
  [1_000_000, 'number-million'],
  [1_000, 'number-thousand'],
];

/** 0 to 999,999,999,999: `one hundred twenty-five`, without "and". */
function number(value: number): readonly string[] {
  if (value < 100) return [`number-${two(value)}`];
  const names: string[] = [];
  let rest = value;
  for (const [scale, name] of SCALES) {
    if (rest >= scale) names.push(...number(Math.trunc(rest / scale)), name);
    rest %= scale;
  }
  if (rest >= 100) names.push(`number-${two(Math.trunc(rest / 100))}`, 'number-hundred');
  if (rest % 100 > 0) names.push(`number-${two(rest % 100)}`);
  return names;
}

/** `forty-two dollars and ten cents`; no cents are not said, no dollars neither where there are cents. */
function amount(amountMinor: number, currency: string): readonly string[] {
  const { major, minor } = splitAmount(amountMinor, currency);
  const words = CURRENCY_WORDS.get(currency);
  if (words === undefined) return [...point(major, minor, currency), ...letters(currency)];
  const [one, many, minorOne, minorMany] = words;
  const majorPart = [...number(major), `unit-${major === 1 ? one : many}`];
  if (minor === 0) return majorPart;
  const minorPart = [...number(minor), `unit-${minor === 1 ? minorOne : minorMany}`];
  return major === 0 ? minorPart : [...majorPart, 'word-and', ...minorPart];
}

/** A currency without words: `forty-two point one zero`. */
function point(major: number, minor: number, currency: string): readonly string[] {
  const units = minorUnits(currency) ?? 2;
  if (units === 0) return number(major);
  const decimals = [...String(minor).padStart(units, '0')].map((digit) => `digit-${digit}`);
  return [...number(major), 'word-point', ...decimals];
}

function letters(code: string): readonly string[] {
  return [...code.toLowerCase()].map((letter) => `letter-${letter}`);
}

/** `November twenty-third, twenty twenty-six`; years 2000 to 2099. */
function date({ year, month, day }: { year: number; month: number; day: number }): readonly string[] {
  return [`month-${two(month)}`, `day-${two(day)}`, `year-${two(year % 100)}`];
}

export const enUs: Language = { locale: 'en-US', recordings: EN_US_RECORDINGS, number, amount, date };
