import { unreachable } from '../lib/assert.ts';
import { VERDICTS } from '../lib/errors.ts';
import type { Say, SentenceName } from '../prompt/recording.ts';
import type { FieldWrong } from '../session/field.ts';
import type { FieldName, Flow } from '../session/flow.ts';
import type { Words } from '../session/payment.ts';

const sentence = (name: SentenceName): Say => ({ kind: 'sentence', name });

const ENTER: Readonly<Record<Exclude<FieldName, 'cvc'>, SentenceName>> = {
  pan: 'enter-card-number',
  expiry: 'enter-expiry',
  postcode: 'enter-postcode',
  startDate: 'enter-start-date',
  issueNumber: 'enter-issue-number',
};

const INVALID: Readonly<Record<FieldName, SentenceName>> = {
  pan: 'card-number-invalid',
  expiry: 'expiry-invalid',
  cvc: 'cvc-invalid',
  postcode: 'postcode-invalid',
  startDate: 'start-date-invalid',
  issueNumber: 'issue-number-invalid',
};

/** An example whose digits differ in every currency's places. */
const EXAMPLE_MINOR = 4210;

/** The payment machine's words as things to say, in the flow's currency. */
export function saysOf(flow: Pick<Flow, 'currency' | 'brands'>, words: readonly Words[]): readonly Say[] {
  return words.flatMap((word) => saysOfOne(flow, word));
}

function saysOfOne({ currency, brands }: Pick<Flow, 'currency' | 'brands'>, word: Words): readonly Say[] {
  const amount = (amountMinor: number): Say => ({ kind: 'amount', amountMinor, currency });
  switch (word.kind) {
    case 'ask':
      return [
        ...wrongSays(word.field, word.wrong, word.refusedBrand, brands),
        enter(word.field, word.brand === 'amex'),
      ];
    case 'tellReadBack':
      return [sentence('you-entered')];
    case 'askConfirm':
      return [sentence('confirm-or-again')];
    case 'offerFullAmount':
      return [sentence('balance-is'), amount(word.balanceMinor), { kind: 'pause' }, sentence('offer-full-amount')];
    case 'enterAmount':
      return [
        sentence('enter-amount'),
        sentence('for-example'),
        amount(EXAMPLE_MINOR),
        sentence('press-keys'),
        { kind: 'digits', digits: String(EXAMPLE_MINOR) },
        sentence('then-press-pound'),
      ];
    case 'amountWrong':
      return [sentence(word.limit === 'tooLow' ? 'amount-too-low' : 'amount-too-high'), amount(word.limitMinor)];
    case 'nothingKeyed':
      return [sentence('nothing-keyed')];
    case 'confirmAmount':
      return [sentence('amount-is'), amount(word.amountMinor), { kind: 'pause' }, sentence('confirm-or-again')];
    case 'amountIs':
      return [sentence('amount-is'), amount(word.amountMinor), { kind: 'pause' }];
    case 'pleaseWait':
      return [sentence('please-wait')];
    case 'stillWorking':
      return [sentence('still-working')];
    case 'declined':
      return [sentence('payment-declined')];
    case 'declinesMax':
      return [sentence('declines-max')];
    case 'tryAgain':
      return [sentence('try-again-or-other-card')];
    case 'notCharged':
      return [sentence('not-charged')];
    case 'interrupted':
      return [sentence('interrupted')];
    case 'timeOver':
      return [sentence('payment-time-over')];
    case 'tooManyTries':
      return [sentence('too-many-tries')];
    case 'approved':
      return approvedSays(amount(word.known.amountMinor), word.known.last4, word.reference);
    case 'failed': {
      const prompt = VERDICTS[word.code].prompt;
      return prompt === null ? [] : [sentence(prompt)];
    }
    default:
      return unreachable(word);
  }
}

function approvedSays(amount: Say, last4: string | null, reference: string | null): readonly Say[] {
  const card: readonly Say[] =
    last4 === null ? [] : [{ kind: 'pause' }, sentence('card-ending-in'), { kind: 'digits', digits: last4 }];
  const quoted: readonly Say[] =
    reference === null ? [] : [{ kind: 'pause' }, sentence('reference-is'), { kind: 'spelled', text: reference }];
  return [sentence('payment-approved'), amount, sentence('was-approved'), ...card, ...quoted];
}

function enter(field: FieldName, fourDigits: boolean): Say {
  if (field === 'cvc') return sentence(fourDigits ? 'enter-cvc-4' : 'enter-cvc-3');
  return sentence(ENTER[field]);
}

function wrongSays(
  field: FieldName,
  wrong: FieldWrong | null,
  refusedBrand: string | null,
  brands: readonly string[],
): readonly Say[] {
  switch (wrong) {
    case null:
    case 'again':
      return [];
    case 'nothing':
      return [sentence('nothing-keyed')];
    case 'invalid':
      return [sentence(INVALID[field])];
    case 'brandRefused': {
      // The brands we take have their recordings; a refused one may lack its own, so it is not named.
      const taken: readonly Say[] = brands.map((brand) => ({ kind: 'brand', brand }));
      return refusedBrand === null
        ? [sentence(INVALID.pan)]
        : [sentence('card-not-accepted'), sentence('we-accept'), ...taken, { kind: 'pause' }];
    }
    default:
      return unreachable(wrong);
  }
}
