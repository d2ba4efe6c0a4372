import type { FieldFactsSeen, FieldOutput, FieldState } from '../field.ts';

/*
 * What the payment machine is made of: its states, what may come in, and what it orders. No state, input or output has a
 * place for a digit of a sensitive field; an amount may be seen.
 */

export interface Charge {
  /** 1 for the first; a decline makes the next. */
  readonly number: number;
  /** How often it was asked and surely not sent, or not found. */
  readonly retries: number;
  readonly caller: 'present' | 'gone';
  /** False once the worker died that held the fields: they cannot be sent again. */
  readonly fieldsHeld: boolean;
}

/** What is known once the amount is settled and the number was keyed. */
export interface Known {
  readonly amountMinor: number;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly declines: number;
}

export interface Result {
  readonly result: 'approved' | 'declined' | 'abandoned' | 'failed' | 'unknown';
  readonly errorCode: PaymentErrorCode | null;
}

export type PaymentErrorCode =
  | 'GATEWAY_UNREACHABLE'
  | 'GATEWAY_OUTCOME_UNKNOWN'
  | 'GATEWAY_CAPTURE_FAILED'
  | 'DATA_DIP_FAILED'
  | 'CALL_CONTEXT_INVALID'
  | 'WORKER_UNAVAILABLE'
  | 'INTERNAL';

/** Why a charge is undone; the last three only where authorize and capture are apart. */
export type UndoCause = 'hungUp' | 'hungUpBeforeCapture' | 'captureRefused' | 'captureUnknown';

export type PaymentState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'fetching' }
  | { readonly kind: 'offering'; readonly balanceMinor: number; readonly wrong: number }
  | {
      readonly kind: 'keying';
      readonly keys: string;
      /** Of the balance where one was offered; the flow's maximum otherwise. */
      readonly maximumMinor: number;
      readonly wrong: number;
    }
  | { readonly kind: 'settling'; readonly amountMinor: number; readonly maximumMinor: number; readonly wrong: number }
  | { readonly kind: 'collecting'; readonly known: Known; readonly field: FieldState }
  | { readonly kind: 'authorizing'; readonly known: Known; readonly charge: Charge }
  | { readonly kind: 'waiting'; readonly known: Known; readonly charge: Charge }
  | { readonly kind: 'resolving'; readonly known: Known; readonly charge: Charge }
  | {
      readonly kind: 'capturing';
      readonly known: Known;
      readonly charge: Charge;
      /** It was not answered once: the caller has heard that it takes longer, and the hold runs. */
      readonly isSlow: boolean;
    }
  | { readonly kind: 'voiding'; readonly known: Known; readonly charge: Charge; readonly cause: UndoCause }
  | {
      readonly kind: 'announcing';
      readonly known: Known | null;
      readonly result: Result;
      /** Said once more where the worker that was saying them died. */
      readonly words: readonly Words[];
    }
  | { readonly kind: 'ended'; readonly known: Known | null; readonly result: Result };

/** A state by its name, and those in which nobody knows yet whether the card was charged. */
export type Of<K extends PaymentState['kind']> = Extract<PaymentState, { kind: K }>;
export type OpenCharge = Of<'authorizing'> | Of<'resolving'> | Of<'capturing'>;

export type TimerName = 'step' | 'payment' | 'hold';

export type PaymentInput =
  | { readonly kind: 'begun'; readonly passedMinor: number | null }
  | { readonly kind: 'amountFetched'; readonly amountMinor: number }
  | { readonly kind: 'amountFailed' }
  | { readonly kind: 'promptEnded' }
  /** Of an open collection: its value may be known. */
  | { readonly kind: 'keyPressed'; readonly key: string }
  | { readonly kind: 'fieldKeyPressed'; readonly key: 'digit' | 'star' | 'hash'; readonly complete: boolean }
  | { readonly kind: 'fieldEnded'; readonly facts: FieldFactsSeen }
  | { readonly kind: 'timerFired' }
  | { readonly kind: 'paymentTimeOver' }
  | { readonly kind: 'holdOver' }
  | { readonly kind: 'approved'; readonly reference: string | null }
  /** The amount is held and not taken. */
  | { readonly kind: 'authorized' }
  | { readonly kind: 'declined' }
  | { readonly kind: 'notSent' }
  | { readonly kind: 'notFound' }
  | { readonly kind: 'unknown' }
  /** Of a void alone: a capture that was on its way is answered meanwhile, and that says nothing of the void. */
  | { readonly kind: 'voided' }
  | { readonly kind: 'notVoided' }
  | { readonly kind: 'legRecreated' }
  /** An order could not be carried out and the payment cannot go on. */
  | { readonly kind: 'orderFailed'; readonly code: PaymentErrorCode }
  | { readonly kind: 'callEnded' };

/** What the caller hears; `session-words.ts` makes sentences of it. */
export type Words =
  | Extract<FieldOutput, { kind: 'ask' }>
  | { readonly kind: 'tellReadBack' }
  | { readonly kind: 'askConfirm' }
  | { readonly kind: 'offerFullAmount'; readonly balanceMinor: number }
  | { readonly kind: 'enterAmount' }
  | { readonly kind: 'amountWrong'; readonly limit: 'tooLow' | 'tooHigh'; readonly limitMinor: number }
  | { readonly kind: 'nothingKeyed' }
  | { readonly kind: 'confirmAmount'; readonly amountMinor: number }
  | { readonly kind: 'amountIs'; readonly amountMinor: number }
  | { readonly kind: 'pleaseWait' }
  | { readonly kind: 'stillWorking' }
  | { readonly kind: 'declined' }
  | { readonly kind: 'declinesMax' }
  /** A decline with a try left: the same card or another. */
  | { readonly kind: 'tryAgain' }
  /** Said only where it is sure. */
  | { readonly kind: 'notCharged' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'timeOver' }
  | { readonly kind: 'tooManyTries' }
  | { readonly kind: 'approved'; readonly known: Known; readonly reference: string | null }
  | { readonly kind: 'failed'; readonly code: PaymentErrorCode };

export type PaymentOutput =
  | { readonly kind: 'beginPayment' }
  /** Wipes every field in the vault. */
  | { readonly kind: 'endPayment' }
  | { readonly kind: 'fetchAmount' }
  | { readonly kind: 'say'; readonly words: readonly Words[]; readonly bargeIn: boolean }
  | { readonly kind: 'openKeys'; readonly allowed: string; readonly lengthMax: number }
  | { readonly kind: 'closeKeys' }
  | Exclude<
      FieldOutput,
      { kind: 'ask' | 'tellReadBack' | 'askConfirm' | 'openKeys' | 'closeKeys' | 'startTimer' | 'stopTimer' }
    >
  | { readonly kind: 'startTimer'; readonly timer: TimerName; readonly ms: number }
  | { readonly kind: 'stopTimer'; readonly timer: TimerName }
  /** Persist first, then ask; the number stands for one idempotency key. */
  | { readonly kind: 'authorize'; readonly charge: number; readonly amountMinor: number }
  /** By the adapter's means: lookup, or the same request again while the vault holds the fields. */
  | { readonly kind: 'resolve'; readonly charge: number; readonly amountMinor: number; readonly fieldsHeld: boolean }
  /** Takes what is held; the same number is the same capture. */
  | { readonly kind: 'capture'; readonly charge: number; readonly amountMinor: number }
  | { readonly kind: 'void'; readonly charge: number; readonly amountMinor: number }
  /** Puts the payment before a person. */
  | { readonly kind: 'attention'; readonly text: string }
  | { readonly kind: 'paymentEnded'; readonly result: Result };

export interface PaymentStep {
  readonly state: PaymentState;
  readonly outputs: readonly PaymentOutput[];
  readonly ignored?: true;
}
