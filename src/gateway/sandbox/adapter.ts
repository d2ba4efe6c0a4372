import type { EgressAnswer, EgressRequest, GatewayAdapter, GatewayOperation, GatewayOutcome } from '../../app/ports.ts';
import type { FieldName } from '../../session/flow.ts';
import {
  codeOf,
  type JsonApi,
  jsonRequest,
  objectOf,
  plain,
  reasonOf,
  requestRefused,
  sent,
  textOf,
} from '../json-api.ts';

export interface SandboxSettings extends JsonApi {
  /** `http://127.0.0.1:8090`, without a slash at the end. */
  readonly url: string;
}

/** Members of SandboxCharge that the vault fills, by field. */
const FIELD_MEMBERS: Readonly<Record<FieldName, readonly (readonly [string, string])[]>> = {
  pan: [['pan', '{{pan}}']],
  expiry: [
    ['expiry_month', '{{expiry|month2}}'],
    ['expiry_year', '{{expiry|year2}}'],
  ],
  cvc: [['cvc', '{{cvc}}']],
  postcode: [['postcode', '{{postcode}}']],
  startDate: [
    ['start_month', '{{startDate|month2}}'],
    ['start_year', '{{startDate|year2}}'],
  ],
  issueNumber: [['issue_number', '{{issueNumber}}']],
};

/** Our words and the sandbox's (api.ts). Pure: it neither sends nor waits. */
export function sandboxAdapter(settings: SandboxSettings): GatewayAdapter {
  return {
    name: settings.name,
    capabilities: {
      verbs: ['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup'],
      unknownOutcome: 'lookup',
    },
    request: (operation) => request(settings, operation),
    outcome: (operation, answer) => outcome(settings, operation, answer),
  };
}

function request(settings: SandboxSettings, operation: GatewayOperation): EgressRequest {
  const { verb, idempotencyKey } = operation;
  if (verb === 'lookup') {
    return jsonRequest(settings, `${settings.url}/v1/transactions/${encodeURIComponent(idempotencyKey)}`, null);
  }
  const isCharge = verb === 'authorize' || verb === 'purchase';
  return jsonRequest(settings, `${settings.url}/v1/${verb}`, isCharge ? charge(operation) : followUp(operation), {
    // One charge can be captured, voided and refunded, each once: their keys are made of the charge's.
    'idempotency-key': isCharge ? idempotencyKey : `${idempotencyKey}-${verb}`,
  });
}

function charge({ fields, amountMinor, currency, reference, description }: GatewayOperation): Record<string, unknown> {
  return {
    ...Object.fromEntries(fields.flatMap((field) => FIELD_MEMBERS[field])),
    amount_minor: amountMinor,
    currency,
    reference: plain(reference),
    description: plain(description),
  };
}

function followUp({
  idempotencyKey,
  gatewayReference,
  amountMinor,
  currency,
}: GatewayOperation): Record<string, unknown> {
  const which = gatewayReference === undefined ? { charge_key: idempotencyKey } : { transaction_id: gatewayReference };
  return { ...which, amount_minor: amountMinor, currency };
}

function outcome({ name }: SandboxSettings, operation: GatewayOperation, given: EgressAnswer): GatewayOutcome {
  const answer = sent(name, given);
  if (answer.kind === 'noAnswer') return { outcome: 'unknown', reason: answer.reason };
  const isLookup = operation.verb === 'lookup';
  switch (answer.status) {
    case 200:
    case 402:
      return transaction(operation, answer.body);
    case 404:
      return isLookup ? { outcome: 'notFound' } : { outcome: 'unknown', reason: 'status 404' };
    case 400:
    case 401:
      if (isLookup) return { outcome: 'unknown', reason: `status ${answer.status}` };
      throw requestRefused(name, answer.status);
    default:
      // 409 too: `duplicate` and `keyReused` say that something of this key exists, not what came of it.
      return { outcome: 'unknown', reason: `status ${answer.status}` };
  }
}

function transaction({ verb, idempotencyKey }: GatewayOperation, body: string): GatewayOutcome {
  const found = objectOf(body);
  const isCharge = verb === 'authorize' || verb === 'purchase' || verb === 'lookup';
  if (found === null || typeof found.id !== 'string')
    return { outcome: 'unknown', reason: 'answer is not a transaction' };
  if (isCharge && found.idempotency_key !== idempotencyKey) {
    return { outcome: 'unknown', reason: 'answer is about another transaction' };
  }
  const gatewayReference = found.id;
  const authorizationCode = codeOf(found.authorization_code);
  const approved: GatewayOutcome = { outcome: 'approved', gatewayReference, authorizationCode };
  switch (found.status) {
    case 'authorized':
      // A capture, void or refund that leaves it as it was has done nothing.
      return isCharge ? { ...approved, outcome: 'authorized' } : { outcome: 'unknown', reason: 'still authorized' };
    case 'captured':
      return isCharge || verb === 'capture' ? approved : { outcome: 'unknown', reason: 'still charged' };
    case 'voided':
    case 'refunded':
      // Undone is not charged: what a charge or capture is asked about must not read as money taken.
      return verb === 'void' || verb === 'refund'
        ? approved
        : { outcome: 'declined', reason: 'other', gatewayReference, text: 'undone' };
    case 'declined':
      return {
        outcome: 'declined',
        reason: reasonOf(found.decline_reason),
        gatewayReference,
        text: textOf(found.text),
      };
    default:
      return { outcome: 'unknown', reason: 'answer has no known status' };
  }
}
