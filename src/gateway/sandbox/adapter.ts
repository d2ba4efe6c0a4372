import type {
  DeclineReason,
  EgressAnswer,
  EgressRequest,
  GatewayAdapter,
  GatewayOperation,
  GatewayOutcome,
} from '../../app/ports.ts';
import { ServiceError } from '../../lib/errors.ts';
import type { Sensitive } from '../../lib/sensitive.ts';
import type { FieldName } from '../../session/flow.ts';

export interface SandboxSettings {
  /** `http://127.0.0.1:8090`, without a slash at the end. */
  readonly url: string;
  readonly name: string;
  /** The whole header, `Bearer …`. */
  readonly authorization: Sensitive<string> | null;
  readonly timeoutMs: number;
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

const REASONS: readonly DeclineReason[] = [
  'do-not-honor',
  'insufficient-funds',
  'expired-card',
  'incorrect-cvc',
  'lost-or-stolen',
  'not-supported',
  'invalid-card',
];

/** Our words and the sandbox's (api.ts). Pure: it neither sends nor waits. */
export function sandboxAdapter(settings: SandboxSettings): GatewayAdapter {
  return {
    name: settings.name,
    capabilities: {
      verbs: ['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup'],
      unknownOutcome: 'lookup',
    },
    request: (operation) => request(settings, operation),
    outcome,
  };
}

function request(settings: SandboxSettings, operation: GatewayOperation): EgressRequest {
  const { url, timeoutMs } = settings;
  const { verb, idempotencyKey } = operation;
  const authorization = settings.authorization === null ? {} : { authorization: settings.authorization };
  if (verb === 'lookup') {
    const path = `/v1/transactions/${encodeURIComponent(idempotencyKey)}`;
    return {
      method: 'GET',
      url: url + path,
      headers: { accept: 'application/json', ...authorization },
      body: null,
      timeoutMs,
    };
  }
  const isCharge = verb === 'authorize' || verb === 'purchase';
  return {
    method: 'POST',
    url: `${url}/v1/${verb}`,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      // One charge can be captured, voided and refunded, each once: their keys are made of the charge's.
      'idempotency-key': isCharge ? idempotencyKey : `${idempotencyKey}-${verb}`,
      ...authorization,
    },
    body: { format: 'json', template: JSON.stringify(isCharge ? charge(operation) : followUp(operation)) },
    timeoutMs,
  };
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

/** What a caller or carrier sent must not read as a field of the template. */
function plain(text: string): string {
  return text.replaceAll('{{', '{ {');
}

function outcome(operation: GatewayOperation, answer: EgressAnswer): GatewayOutcome {
  if (answer.kind === 'notSent') {
    throw new ServiceError('GATEWAY_UNREACHABLE', `sandbox not reached: ${answer.reason}`);
  }
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
      throw new ServiceError('GATEWAY_REQUEST_INVALID', `sandbox refused the request: status ${answer.status}`);
    default:
      // 409 too: `duplicate` and `keyReused` say that something of this key exists, not what came of it.
      return { outcome: 'unknown', reason: `status ${answer.status}` };
  }
}

function transaction({ verb, idempotencyKey }: GatewayOperation, body: string): GatewayOutcome {
  const found = parse(body);
  const isCharge = verb === 'authorize' || verb === 'purchase' || verb === 'lookup';
  if (found === null || typeof found.id !== 'string')
    return { outcome: 'unknown', reason: 'answer is not a transaction' };
  if (isCharge && found.idempotency_key !== idempotencyKey) {
    return { outcome: 'unknown', reason: 'answer is about another transaction' };
  }
  const gatewayReference = found.id;
  const code = found.authorization_code;
  const authorizationCode = typeof code === 'string' ? code : null;
  const approved: GatewayOutcome = { outcome: 'approved', gatewayReference, authorizationCode };
  switch (found.status) {
    case 'authorized':
    case 'captured':
      // A void that leaves it standing has not undone it.
      return verb === 'void' || verb === 'refund' ? { outcome: 'unknown', reason: 'still charged' } : approved;
    case 'voided':
    case 'refunded':
      // Undone is not charged: what a charge is asked about must not read as money taken.
      return isCharge ? { outcome: 'declined', reason: 'other', gatewayReference, text: 'undone' } : approved;
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

function parse(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function reasonOf(value: unknown): DeclineReason {
  return REASONS.find((reason) => reason === value) ?? 'other';
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 200) : '');
