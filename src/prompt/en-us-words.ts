import { HOLD_MUSIC } from './hold-music.ts';
import type { Recording, SentenceName } from './recording.ts';

/** What each sentence says in American English. */
export const EN_US_SENTENCES: Readonly<Record<SentenceName, string>> = {
  'please-hold-identification': 'Please hold while we find your account.',
  'not-identified': 'Sorry, we could not find your account.',
  'connecting-queue': 'Please hold while we connect you to a person who can help.',
  'connecting-next': 'Please hold.',
  goodbye: 'Thank you for calling. Goodbye.',
  'balance-is': 'Your balance is',
  'offer-full-amount': 'To pay the full amount, press 1. To pay another amount, press 2.',
  'enter-amount': 'Please enter the amount you want to pay, with all its decimals, and then press the pound key.',
  'for-example': 'For example, for',
  'press-keys': 'press',
  'then-press-pound': 'and then pound.',
  'amount-is': 'You are paying',
  'amount-too-low': 'Sorry, the smallest amount you can pay is',
  'amount-too-high': 'Sorry, the largest amount you can pay is',
  'confirm-or-again': 'If this is right, press 1. To enter it again, press 2.',
  'nothing-keyed': 'Sorry, we did not get anything.',
  'too-many-tries': 'Sorry, we could not get your details.',
  'you-entered': 'You entered',
  'enter-card-number': 'Please enter your card number, followed by the pound key.',
  'enter-expiry': 'Please enter the expiry date, two digits for the month and two digits for the year.',
  'enter-cvc-3': 'Please enter the three digit security code from the back of your card.',
  'enter-cvc-4': 'Please enter the four digit security code from the front of your card.',
  'enter-postcode': 'Please enter the zip code of your billing address, followed by the pound key.',
  'enter-start-date': 'Please enter the start date, two digits for the month and two digits for the year.',
  'enter-issue-number': 'Please enter the issue number of your card, followed by the pound key.',
  'card-number-invalid': 'Sorry, that card number is not right.',
  'card-not-accepted': 'Sorry, we do not accept this card.',
  'we-accept': 'We accept',
  'expiry-invalid': 'Sorry, that expiry date is not right.',
  'start-date-invalid': 'Sorry, that start date is not right.',
  'cvc-invalid': 'Sorry, that security code is not right.',
  'postcode-invalid': 'Sorry, that zip code is not right.',
  'issue-number-invalid': 'Sorry, that issue number is not right.',
  'please-wait': 'Thank you. Please wait while we take your payment.',
  'still-working': 'We are still working on your payment. Please stay on the line.',
  'payment-declined': 'Sorry, your payment was declined.',
  'try-again-or-other-card': 'You can try again, or use another card.',
  'declines-max': 'Sorry, we could not take your payment.',
  'payment-approved': 'Thank you. Your payment of',
  'was-approved': 'was approved.',
  'card-ending-in': 'It was taken from the card ending in',
  'reference-is': 'Your reference is',
  'try-again-later': 'Sorry, we cannot take your payment at the moment. Please try again later.',
  'agent-will-check':
    'Sorry, we do not know yet whether your payment went through. A person will check it. Please do not pay again.',
  'not-charged': 'Your card was not charged.',
  interrupted: 'Sorry, we were interrupted. Please enter that again from the beginning.',
  'payment-time-over': 'Sorry, the time for this payment is over.',
  'caller-is-paying': 'The caller is entering the payment. Please stay on the line.',
};

const ONES = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen'
).split(' ');
const TENS = ' ten twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = (
  'first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth ' +
  'sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth ' +
  'twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first'
).split(' ');

/** 0 to 99 in words. */
export function words(value: number): string {
  if (value < 20) return ONES[value] ?? '';
  const ten = TENS[Math.trunc(value / 10)] ?? '';
  return value % 10 === 0 ? ten : `${ten}-${ONES[value % 10]}`;
}

/** 2000 + value, as people say a year: `two thousand five`, `twenty twenty-six`. */
function yearWords(value: number): string {
  if (value === 0) return 'two thousand';
  return value < 10 ? `two thousand ${words(value)}` : `twenty ${words(value)}`;
}

export const two = (value: number): string => String(value).padStart(2, '0');

/** Brands as people say them. Names as in src/card/brands.json; a test compares. */
const BRANDS: Readonly<Record<string, string>> = {
  visa: 'Visa',
  mastercard: 'Mastercard',
  amex: 'American Express',
  discover: 'Discover',
  diners: 'Diners Club',
  jcb: 'J C B',
  unionpay: 'Union Pay',
  maestro: 'Maestro',
  rupay: 'Roo Pay',
  elo: 'Elo',
  mir: 'Meer',
  hiper: 'Hiper',
  hipercard: 'Hiper Card',
  verve: 'Verve',
  troy: 'Troy',
  naranja: 'Naranja',
};

export const SYMBOLS: Readonly<Record<string, string>> = {
  '-': 'dash',
  '.': 'dot',
  '/': 'slash',
  _: 'underscore',
};

/** One, many, and the same of the minor unit; names of `unit-…` recordings. Codes not here are said by their letters. */
export const CURRENCY_WORDS: ReadonlyMap<string, readonly [string, string, string, string]> = new Map([
  ...each('USD CAD AUD NZD SGD HKD TWD JMD TTD BBD BSD BZD FJD XCD NAD', ['dollar', 'dollars', 'cent', 'cents']),
  ...each('EUR', ['euro', 'euros', 'cent', 'cents']),
  ...each('GBP GIP FKP', ['pound', 'pounds', 'penny', 'pence']),
  ...each('EGP LBP', ['pound', 'pounds', 'piaster', 'piasters']),
  ...each('JPY', ['yen', 'yen', 'yen', 'yen']),
  ...each('KRW', ['won', 'won', 'won', 'won']),
  ...each('CHF', ['franc', 'francs', 'rappen', 'rappen']),
  ...each('XOF XAF XPF RWF BIF GNF DJF KMF', ['franc', 'francs', 'centime', 'centimes']),
  ...each('SEK', ['krona', 'kronor', 'ore', 'ore']),
  ...each('NOK DKK', ['krone', 'kroner', 'ore', 'ore']),
  ...each('ISK', ['krona', 'kronor', 'ore', 'ore']),
  ...each('PLN', ['zloty', 'zlotys', 'grosz', 'groszy']),
  ...each('CZK', ['koruna', 'korunas', 'haler', 'halers']),
  ...each('HUF', ['forint', 'forints', 'filler', 'fillers']),
  ...each('RON', ['leu', 'lei', 'ban', 'bani']),
  ...each('TRY', ['lira', 'lira', 'kurus', 'kurus']),
  ...each('ILS', ['shekel', 'shekels', 'agora', 'agorot']),
  ...each('INR PKR NPR', ['rupee', 'rupees', 'paisa', 'paisa']),
  ...each('LKR MUR', ['rupee', 'rupees', 'cent', 'cents']),
  ...each('MXN COP CLP ARS PHP UYU DOP', ['peso', 'pesos', 'centavo', 'centavos']),
  ...each('BRL', ['real', 'reais', 'centavo', 'centavos']),
  ...each('PEN', ['sol', 'soles', 'centimo', 'centimos']),
  ...each('ZAR', ['rand', 'rand', 'cent', 'cents']),
  ...each('CNY', ['yuan', 'yuan', 'fen', 'fen']),
  ...each('THB', ['baht', 'baht', 'satang', 'satang']),
  ...each('MYR', ['ringgit', 'ringgit', 'sen', 'sen']),
  ...each('IDR', ['rupiah', 'rupiah', 'sen', 'sen']),
  ...each('VND', ['dong', 'dong', 'dong', 'dong']),
  ...each('AED', ['dirham', 'dirhams', 'fils', 'fils']),
  ...each('MAD', ['dirham', 'dirhams', 'centime', 'centimes']),
  ...each('SAR QAR', ['riyal', 'riyals', 'halala', 'halalas']),
  ...each('OMR', ['rial', 'rials', 'baisa', 'baisa']),
  ...each('KWD BHD IQD JOD', ['dinar', 'dinars', 'fils', 'fils']),
  ...each('TND', ['dinar', 'dinars', 'millime', 'millimes']),
  ...each('LYD', ['dinar', 'dinars', 'dirham', 'dirhams']),
  ...each('KES UGX TZS', ['shilling', 'shillings', 'cent', 'cents']),
  ...each('NGN', ['naira', 'naira', 'kobo', 'kobo']),
  ...each('GHS', ['cedi', 'cedis', 'pesewa', 'pesewas']),
  ...each('UAH', ['hryvnia', 'hryvnias', 'kopiyka', 'kopiykas']),
]);

function each(
  codes: string,
  units: readonly [string, string, string, string],
): [string, readonly [string, string, string, string]][] {
  return codes.split(' ').map((code) => [code, units]);
}

const UNITS = [...new Set([...CURRENCY_WORDS.values()].flat())].sort();
const range = (length: number, from = 0): readonly number[] => Array.from({ length }, (_, index) => from + index);
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'.split('');

/** Every recording of en-US: what `prompts/en-US/manifest` is built from, and all that a plan can name. */
export const EN_US_RECORDINGS: readonly Recording[] = [
  { name: 'pause', text: '', silenceMs: 250 },
  { name: 'hold-music', text: '', tune: HOLD_MUSIC },
  ...Object.entries(EN_US_SENTENCES).map(([name, text]) => ({ name, text })),
  ...range(10).map((n) => ({ name: `digit-${n}`, text: words(n) })),
  ...range(100).map((n) => ({ name: `number-${two(n)}`, text: words(n) })),
  { name: 'number-hundred', text: 'hundred' },
  { name: 'number-thousand', text: 'thousand' },
  { name: 'number-million', text: 'million' },
  { name: 'number-billion', text: 'billion' },
  { name: 'word-and', text: 'and' },
  { name: 'word-point', text: 'point' },
  ...MONTHS.map((text, index) => ({ name: `month-${two(index + 1)}`, text })),
  ...DAYS.map((text, index) => ({ name: `day-${two(index + 1)}`, text })),
  ...range(100).map((n) => ({ name: `year-${two(n)}`, text: yearWords(n) })),
  ...LETTERS.map((letter) => ({ name: `letter-${letter}`, text: letter.toUpperCase() })),
  ...Object.values(SYMBOLS).map((text) => ({ name: `symbol-${text}`, text })),
  ...Object.entries(BRANDS).map(([brand, text]) => ({ name: `brand-${brand}`, text })),
  ...UNITS.map((unit) => ({ name: `unit-${unit}`, text: unit })),
];
