import { plan } from '../prompt/plan.ts';
import type { Language, Say } from '../prompt/recording.ts';

/*
 * What an independent listener must understand: digits as a card is read back, in fours, and amounts. The same sentences
 * each time, drawn once, so that two runs and two voices can be compared. Pure.
 */

export interface SpokenCase {
  readonly recordings: readonly string[];
  /** What a listener should write down, in lower case and without hyphens. */
  readonly words: string;
}

const GROUPS = 60;
const GROUP_DIGITS = 4;
const AMOUNTS = 60;
/** A third each: below ten, below a thousand and below ten thousand dollars. */
const AMOUNT_MINOR_MAX = [1_000, 100_000, 1_000_000];
const SEED = 20_261_125;

/** Numerical Recipes' generator: small, and the same on every machine. */
function* drawn(seed: number): Generator<number> {
  for (let value = seed; ; ) {
    value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0;
    yield value / 2 ** 32;
  }
}

export function digitCases(language: Language): readonly SpokenCase[] {
  const numbers = drawn(SEED);
  return Array.from({ length: GROUPS }, () => {
    const digits = Array.from({ length: GROUP_DIGITS }, () => Math.floor(10 * next(numbers))).join('');
    return spoken(language, { kind: 'digits', digits });
  });
}

export function amountCases(language: Language, currency: string): readonly SpokenCase[] {
  const numbers = drawn(SEED + 1);
  return Array.from({ length: AMOUNTS }, (_, at) => {
    const below = AMOUNT_MINOR_MAX[at % AMOUNT_MINOR_MAX.length] ?? 0;
    return spoken(language, { kind: 'amount', amountMinor: 1 + Math.floor((below - 1) * next(numbers)), currency });
  });
}

function next(numbers: Generator<number>): number {
  return numbers.next().value as number;
}

function spoken(language: Language, say: Say): SpokenCase {
  const recordings = plan(language.locale, [say]);
  const texts = new Map(language.recordings.map(({ name, text }) => [name, text]));
  const words = recordings.map((name) => texts.get(name) ?? '').join(' ');
  return { recordings, words: words.toLowerCase().replaceAll('-', ' ') };
}

const DIGITS = 'zero | one | two | three | four | five | six | seven | eight | nine';

/** Four digits, as a listener knows them to come. JSpeech Grammar Format. */
export const DIGIT_GRAMMAR = `#JSGF V1.0;
grammar digits;
<digit> = ${DIGITS};
public <group> = <digit> <digit> <digit> <digit>;
`;

/** Any amount below a million dollars, as people say them. */
export const AMOUNT_GRAMMAR = `#JSGF V1.0;
grammar amounts;
<one> = ${DIGITS.replace('zero | ', '')};
<teen> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen | nineteen;
<ten> = twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety;
<two> = <one> | <teen> | <ten> [ <one> ];
<three> = <two> | <one> hundred [ <two> ];
<number> = <three> | <three> thousand [ <three> ];
public <amount> = <number> ( dollar | dollars ) [ and <two> ( cent | cents ) ] | <two> ( cent | cents );
`;
