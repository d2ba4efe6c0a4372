import type { FieldName } from '../card/fields.ts';

export type { FieldName };

/**
 * A flow as configured under `flows:` in hushtone.yaml: what a payment on a call asks, allows and does at its ends.
 * `config/` validates the file into this type and fills the defaults; the machines read it and never change it.
 */

export interface FieldSettings {
  /** Read back to the caller and confirmed (1) or keyed again (2). The cvc is never read back unless configured. */
  readonly confirm: boolean;
  /** How often the caller may key the field again after it was wrong or incomplete; 0 means one try. */
  readonly retriesMax: number;
}

/** Where the call goes next. `bye` hangs up with the result headers. */
export type Destination =
  | { readonly kind: 'refer'; readonly target: string }
  | { readonly kind: 'bridge'; readonly target: string }
  | { readonly kind: 'bye' };

export type AmountSource =
  /** In the call's context (URI parameter, header or User-to-User). */
  | { readonly kind: 'passed' }
  /** An HTTP GET or POST to the operator's system; the answer names the balance in minor units. */
  | { readonly kind: 'dataDip'; readonly url: string; readonly timeoutMs: number }
  | { readonly kind: 'keyed' };

export interface Flow {
  readonly name: string;
  readonly locale: string;
  /** ISO 4217 code in capitals. */
  readonly currency: string;
  /** A name under `gateways:`. */
  readonly gateway: string;
  readonly identification: {
    readonly target: string;
    readonly timeoutMs: number;
    readonly whenNot: 'queue' | 'go-on';
  } | null;
  readonly amount: {
    readonly source: AmountSource;
    readonly minimumMinor: number;
    readonly maximumMinor: number;
    /** Says the balance and lets the caller press 1 to pay it all, 2 to key another amount. */
    readonly offerFullAmount: boolean;
  };
  /** Brand names as in src/card/brands.json. */
  readonly brands: readonly string[];
  readonly fields: Readonly<Partial<Record<FieldName, FieldSettings>>>;
  readonly readBackCvc: boolean;
  readonly firstDigitTimeoutMs: number;
  readonly interDigitTimeoutMs: number;
  /** At a length that is complete for a candidate brand and passes its check. */
  readonly completeInterDigitTimeoutMs: number;
  /** Number of declines after which the payment ends; not the same as input retries. */
  readonly declinesMax: number;
  readonly atDeclinesMax: 'queue' | 'next' | 'bye';
  /** A payment in progress when the caller hangs up. */
  readonly onHangUp: 'complete' | 'void';
  readonly next: Destination;
  readonly queue: Destination;
  /** How long the vault may hold the fields while an unknown outcome is replayed under the same id. */
  readonly outcomeHoldMsMax: number;
  readonly gatewayTimeoutMs: number;
  /** The whole payment, from its beginning. */
  readonly paymentMsMax: number;
}
