import { couldBeCardField, holdsPan, PAN_DIGITS_MIN, withoutPan } from '../card/pan-guard.ts';

/**
 * What a column may take, by what it is for. Every kind refuses what looks like a card number.
 *
 *   text       what the call brought in its INVITE: a customer or an order may be any few digits, and no key was pressed
 *   phone      an address of SIP: a telephone number is no card
 *   words      names, keys and sentences of ours: digits alone are none
 *   gateway    what a gateway calls its approval or transaction: a number like a card's, or three or four digits, is not
 *              kept; src/app/charges.ts has gone over to our own key by then
 *   id         two letters, an underscore, and what src/lib/ids.ts makes
 *   detail     JSON of an event: each value for itself, three or four digits under `last4` only
 *   time       milliseconds since 1970, below the 13 digits of a Visa
 *   number     amounts and counts, shorter than any card number
 */
export type ColumnKind = 'text' | 'phone' | 'words' | 'gateway' | 'id' | 'detail' | 'time' | 'number';

const WITHHELD = '[withheld]';
const ID = /^[a-z]{2}_[0-9a-z]+$/;
/** The year 2096; a card number of 13 digits begins with 4. */
const TIME_MAX = 4e12 - 1;
const NUMBER_MAX = 10 ** (PAN_DIGITS_MIN - 1) - 1;
const CARD_FIELD = /^(pan|number|card|expir|exp|cvc|cvv|csc|security|track)/i;

export function isRefused(kind: ColumnKind, value: string | number): boolean {
  if (typeof value === 'number') return value > (kind === 'time' ? TIME_MAX : NUMBER_MAX);
  switch (kind) {
    case 'phone':
      return holdsPan(value, 'phone');
    case 'words':
      return holdsPan(value) || !/[a-z]/i.test(value);
    case 'gateway':
      return couldBeCardField(value);
    case 'id':
      return holdsPan(value) || !ID.test(value);
    case 'detail':
      return Object.entries(detailOf(value) ?? { '': value }).some(([key, leaf]) => isLeafRefused(key, leaf));
    default:
      return holdsPan(value);
  }
}

/** The text with as little as possible replaced; null where it must stand or fall as it is: an id, a time, a number. */
export function cleaned(kind: ColumnKind, text: string): string | null {
  if (kind === 'id') return null;
  if (kind === 'detail') {
    const entries = Object.entries(detailOf(text) ?? {});
    return JSON.stringify(Object.fromEntries(entries.map(([key, leaf]) => [key, cleanedLeaf(key, leaf)])));
  }
  const less = withoutPan(text, WITHHELD);
  return isRefused(kind, less) ? WITHHELD : less;
}

/** Null where it is no JSON, which the table refuses. */
function detailOf(text: string): object | null {
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}

/** A number may stand in a field meant for an amount. */
function isLeafRefused(key: string, leaf: unknown): boolean {
  const text = String(leaf);
  if (holdsPan(text)) return true;
  if (CARD_FIELD.test(key)) return /\d/.test(text);
  return typeof leaf === 'string' && couldBeCardField(text) && key !== 'last4';
}

function cleanedLeaf(key: string, leaf: unknown): unknown {
  if (!isLeafRefused(key, leaf)) return leaf;
  const less = withoutPan(String(leaf), WITHHELD);
  return isLeafRefused(key, less) ? WITHHELD : less;
}
