import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

const closed = { additionalProperties: false } as const;
const digits = (minimum: number, maximum: number) => Type.String({ pattern: `^[0-9]{${minimum},${maximum}}$` });
const currency = Type.String({ pattern: '^[A-Z]{3}$' });

export const ChargeSchema = Type.Object(
  {
    pan: digits(12, 19),
    expiry_month: digits(2, 2),
    expiry_year: digits(2, 2),
    cvc: Type.Optional(digits(3, 4)),
    postcode: Type.Optional(Type.String({ maxLength: 16 })),
    start_month: Type.Optional(digits(2, 2)),
    start_year: Type.Optional(digits(2, 2)),
    issue_number: Type.Optional(digits(1, 2)),
    amount_minor: Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 }),
    currency,
    reference: Type.String({ maxLength: 128 }),
    description: Type.String({ maxLength: 256 }),
  },
  closed,
);

export const FollowUpSchema = Type.Object(
  {
    charge_key: Type.Optional(Type.String({ maxLength: 128 })),
    transaction_id: Type.Optional(Type.String({ maxLength: 128 })),
    amount_minor: Type.Integer({ minimum: 0, maximum: 1_000_000_000_000 }),
    currency,
  },
  closed,
);

const transactionId = Type.String({ minLength: 1, maxLength: 128 });
const amountText = Type.String({ pattern: '^[0-9]{1,12}([.][0-9]{1,4})?$' });
const currencyCode = Type.String({ pattern: '^[A-Za-z]{3}$' });

/** The generic pay connector's charge and tokenize, as Twilio documents them; our dialect's authorize has the same members. */
export const ConnectorSchema = Type.Object({
  method: Type.Enum(['charge', 'tokenize', 'authorize']),
  transaction_id: transactionId,
  cardnumber: digits(12, 19),
  cvv: Type.Optional(Type.String({ pattern: '^([0-9]{3,4})?$' })),
  expiry_month: digits(2, 2),
  expiry_year: digits(2, 2),
  amount: Type.Optional(amountText),
  currency_code: Type.Optional(currencyCode),
  description: Type.Optional(Type.String({ maxLength: 256 })),
  postal_code: Type.Optional(Type.String({ maxLength: 16 })),
  parameters: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type ConnectorCharge = Static<typeof ConnectorSchema>;

/** Our dialect: the charge is named by its `transaction_id`. */
export const ConnectorChangeSchema = Type.Object(
  {
    method: Type.Enum(['capture', 'void', 'refund']),
    transaction_id: transactionId,
    amount: amountText,
    currency_code: currencyCode,
    charge_id: Type.Optional(Type.String({ maxLength: 128 })),
  },
  closed,
);
export type ConnectorChange = Static<typeof ConnectorChangeSchema>;

export const ConnectorLookupSchema = Type.Object(
  {
    method: Type.Literal('lookup'),
    transaction_id: transactionId,
    charge_id: Type.Optional(Type.String({ maxLength: 128 })),
  },
  closed,
);
export type ConnectorLookup = Static<typeof ConnectorLookupSchema>;

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly field: string };

/** Names the field that is wrong and never its value: it may be a card number. */
export function check<T>(schema: Type.TSchema, value: unknown): Checked<T> {
  const first = Value.Errors(schema, value)[0];
  if (first === undefined) return { ok: true, value: value as T };
  const missing = (first.params as { requiredProperties?: string[] }).requiredProperties?.[0];
  return { ok: false, field: missing ?? (first.instancePath.slice(1) || 'body') };
}
