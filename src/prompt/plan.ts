import { enUs } from './en-us.ts';
import { SYMBOLS } from './en-us-words.ts';
import type { Language, Say } from './recording.ts';

/** A reference longer than this is said by its last characters: nobody writes down more. */
export const SPELLED_MAX = 24;

const LANGUAGES: ReadonlyMap<string, Language> = new Map([enUs].map((language) => [language.locale, language]));

export const LOCALES: readonly string[] = [...LANGUAGES.keys()];

/** Null for a locale that nobody has written yet. */
export function languageOf(locale: string): Language | null {
  return LANGUAGES.get(locale) ?? null;
}

/** Names of recordings, in order; empty for an unknown locale, which the start-up check has already refused. */
export function plan(locale: string, says: readonly Say[]): readonly string[] {
  const language = LANGUAGES.get(locale);
  return language === undefined ? [] : says.flatMap((say) => planOne(language, say));
}

function planOne(language: Language, say: Say): readonly string[] {
  switch (say.kind) {
    case 'sentence':
      return [say.name];
    case 'amount':
      return language.amount(say.amountMinor, say.currency);
    case 'number':
      return language.number(say.value);
    case 'digits':
      return spell(say.digits.replace(/\D/g, ''));
    case 'spelled':
      return spell(say.text.slice(-SPELLED_MAX));
    case 'brand':
      return [`brand-${say.brand}`];
    case 'date':
      return language.date(say);
    case 'pause':
      return ['pause'];
  }
}

/** One recording a character; a character that has none is left out. */
function spell(text: string): readonly string[] {
  return [...text.toLowerCase()].flatMap((character) => {
    if (/\d/.test(character)) return [`digit-${character}`];
    if (/[a-z]/.test(character)) return [`letter-${character}`];
    const symbol = SYMBOLS[character];
    return symbol === undefined ? [] : [`symbol-${symbol}`];
  });
}
