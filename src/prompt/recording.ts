/** One recording of a locale: `name` is the file's name without `.wav`, `text` what the voice says. */
export interface Recording {
  readonly name: string;
  /** Empty: silence of `silenceMs`. */
  readonly text: string;
  readonly silenceMs?: number;
  /** Notes, one after the other, instead of a voice. */
  readonly tune?: string;
}

/** Something to say; a language turns it into names of recordings. */
export type Say =
  | { readonly kind: 'sentence'; readonly name: SentenceName }
  | { readonly kind: 'amount'; readonly amountMinor: number; readonly currency: string }
  | { readonly kind: 'number'; readonly value: number }
  /** Digit by digit: last four, the example of a keyed amount. Never a card field: those are read back natively. */
  | { readonly kind: 'digits'; readonly digits: string }
  /** Letters and digits one by one: a reference. */
  | { readonly kind: 'spelled'; readonly text: string }
  | { readonly kind: 'brand'; readonly brand: string }
  | { readonly kind: 'date'; readonly year: number; readonly month: number; readonly day: number }
  | { readonly kind: 'pause' };

/** Sentences every locale has. */
export type SentenceName =
  | 'please-hold-identification'
  | 'not-identified'
  | 'connecting-queue'
  | 'connecting-next'
  | 'goodbye'
  | 'balance-is'
  | 'offer-full-amount'
  | 'enter-amount'
  | 'for-example'
  | 'press-keys'
  | 'then-press-pound'
  | 'amount-is'
  | 'amount-too-low'
  | 'amount-too-high'
  | 'confirm-or-again'
  | 'nothing-keyed'
  | 'too-many-tries'
  | 'you-entered'
  | 'enter-card-number'
  | 'enter-expiry'
  | 'enter-cvc-3'
  | 'enter-cvc-4'
  | 'enter-postcode'
  | 'enter-start-date'
  | 'enter-issue-number'
  | 'card-number-invalid'
  | 'card-not-accepted'
  | 'we-accept'
  | 'expiry-invalid'
  | 'start-date-invalid'
  | 'cvc-invalid'
  | 'postcode-invalid'
  | 'issue-number-invalid'
  | 'please-wait'
  | 'still-working'
  | 'payment-declined'
  | 'try-again-or-other-card'
  | 'declines-max'
  | 'payment-approved'
  | 'was-approved'
  | 'card-ending-in'
  | 'reference-is'
  | 'try-again-later'
  | 'agent-will-check'
  | 'not-charged'
  | 'interrupted'
  | 'payment-time-over'
  | 'caller-is-paying';

/** How one language says things. Every name it returns is in `recordings`. */
export interface Language {
  readonly locale: string;
  readonly recordings: readonly Recording[];
  number(value: number): readonly string[];
  amount(amountMinor: number, currency: string): readonly string[];
  date(date: { year: number; month: number; day: number }): readonly string[];
}
