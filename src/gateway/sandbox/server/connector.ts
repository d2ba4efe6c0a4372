import { parseAmount } from '../../../money/amount.ts';
import type { SandboxTransaction } from '../api.ts';
import type { Ledger, LedgerAnswer } from './ledger.ts';
import {
  type ConnectorChange,
  ConnectorChangeSchema,
  type ConnectorCharge,
  type ConnectorLookup,
  ConnectorLookupSchema,
  ConnectorSchema,
  check,
} from './requests.ts';

export type HttpAnswer = Omit<LedgerAnswer, 'body'> & { readonly body: object };
export type Dialect = 'connector' | 'hushtone';

export const invalid = (message: string): HttpAnswer => ({
  status: 400,
  body: { error: { code: 'requestInvalid', message } },
  delivery: 'now',
});

const METHODS: Readonly<Record<Dialect, readonly string[]>> = {
  connector: ['charge', 'tokenize'],
  hushtone: ['charge', 'tokenize', 'authorize', 'capture', 'void', 'refund', 'lookup'],
};

/**
 * The connector contract (src/gateway/generic-rest/adapter.ts): one POST, `transaction_id` is the idempotency key, an
 * answer is `{ charge_id | token_id, error_code, error_message }`, HTTP 200 for approved and declined alike.
 */
export function speakConnector(ledger: Ledger, dialect: Dialect, asked: { method: string; body: string }): HttpAnswer {
  if (asked.method !== 'POST') return invalid('expected POST');
  const body = parseJson(asked.body);
  const method = typeof body === 'object' && body !== null && 'method' in body ? String(body.method) : '';
  if (!METHODS[dialect].includes(method)) return invalid(`expected method ${METHODS[dialect].join(', ')}`);
  switch (method) {
    case 'lookup': {
      const lookup = check<ConnectorLookup>(ConnectorLookupSchema, body);
      return lookup.ok ? lookUp(ledger, lookup.value) : invalid(`wrong field: ${lookup.field}`);
    }
    case 'capture':
    case 'void':
    case 'refund': {
      const change = check<ConnectorChange>(ConnectorChangeSchema, body);
      return change.ok ? carryOut(ledger, change.value) : invalid(`wrong field: ${change.field}`);
    }
    default: {
      const charge = check<ConnectorCharge>(ConnectorSchema, body);
      return charge.ok ? ask(ledger, dialect, charge.value) : invalid(`wrong field: ${charge.field}`);
    }
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function ask(ledger: Ledger, dialect: Dialect, request: ConnectorCharge): HttpAnswer {
  const currency = (request.currency_code ?? 'USD').toUpperCase();
  const amountMinor = request.method === 'tokenize' ? 1 : parseAmount(request.amount ?? '', currency);
  if (amountMinor === null || amountMinor === 0) return invalid('wrong field: amount');
  const { reference } = request.parameters ?? {};
  const answer = ledger.charge(request.method === 'charge' ? 'purchase' : 'authorize', request.transaction_id, {
    pan: request.cardnumber,
    expiry_month: request.expiry_month,
    expiry_year: request.expiry_year,
    ...(request.cvv ? { cvc: request.cvv } : {}),
    ...(request.postal_code ? { postcode: request.postal_code } : {}),
    amount_minor: amountMinor,
    currency,
    reference: typeof reference === 'string' ? reference : request.transaction_id,
    description: request.description ?? '',
  });
  if ('error' in answer.body) return faulty(answer);
  if (request.method === 'tokenize' && answer.body.status !== 'declined') {
    return { ...answer, body: { token_id: answer.body.id, error_code: null, error_message: null } };
  }
  return judged(answer, answer.body, dialect);
}

function carryOut(ledger: Ledger, request: ConnectorChange): HttpAnswer {
  const currency = request.currency_code.toUpperCase();
  const amountMinor = parseAmount(request.amount, currency);
  if (amountMinor === null) return invalid('wrong field: amount');
  const { method, transaction_id } = request;
  const change = { charge_key: transaction_id, amount_minor: amountMinor, currency };
  const answer = ledger.change(method, `${transaction_id}-${method}`, change);
  return 'error' in answer.body ? faulty(answer) : judged(answer, answer.body, 'hushtone');
}

const STATUSES: Readonly<Record<SandboxTransaction['status'], string>> = {
  authorized: 'authorized',
  captured: 'approved',
  declined: 'declined',
  voided: 'voided',
  refunded: 'voided',
};

function lookUp(ledger: Ledger, { transaction_id }: ConnectorLookup): HttpAnswer {
  const answer = ledger.lookup(transaction_id);
  if ('error' in answer.body) return { ...answer, body: { status: 'notFound' } };
  const { status, decline_reason, text } = answer.body;
  const why = status === 'declined' ? { error_code: decline_reason, error_message: text } : {};
  return { ...answer, body: { ...chargeOf(answer.body), ...why, status: STATUSES[status] } };
}

/** Declined with 200, as the contract has it. */
function judged(answer: LedgerAnswer, transaction: SandboxTransaction, dialect: Dialect): HttpAnswer {
  if (transaction.status === 'declined') {
    return { ...answer, status: 200, body: fault(transaction.decline_reason ?? 'other', transaction.text) };
  }
  const { authorization_code, ...plain } = chargeOf(transaction);
  return { ...answer, body: dialect === 'hushtone' ? { ...plain, authorization_code } : plain };
}

const chargeOf = ({ id, authorization_code }: SandboxTransaction) => ({
  charge_id: id,
  authorization_code,
  error_code: null,
  error_message: null,
});

function faulty(answer: LedgerAnswer): HttpAnswer {
  const [code, message] = 'error' in answer.body ? [answer.body.error.code, answer.body.error.message] : ['other', ''];
  return { ...answer, body: fault(code, message) };
}

const fault = (code: string, message: string) => ({ charge_id: null, error_code: code, error_message: message });
