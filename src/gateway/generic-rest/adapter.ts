import type {
  EgressAnswer,
  EgressRequest,
  GatewayAdapter,
  GatewayOperation,
  GatewayOutcome,
  GatewayVerb,
} from '../../app/ports.ts';
import { formatAmount } from '../../money/amount.ts';
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

/**
 * The connector contract that Twilio publishes for its Generic Pay Connector: one URL, JSON by POST, `method` says
 * what is wanted, `transaction_id` is the idempotency key, and a repeat under it gets the first answer or a duplicate
 * error (https://www.twilio.com/docs/voice/twiml/pay/generic-pay-connector).
 *
 *   dialect    methods                                                unknown outcome
 *   connector  charge                                                 the same request again while the vault holds the fields
 *   hushtone   authorize, capture, charge, void, refund, lookup       lookup by transaction_id
 *
 * Answers: `{ charge_id, error_code, error_message, parameters? }`; ours may add `authorization_code`. capture, void and
 * refund name the charge by its `transaction_id` and are idempotent by it and their method. `lookup` answers
 * `{ status, … }` or 404; status is "authorized" (held, not taken), "approved" (taken), "declined", "voided" or "notFound".
 */
export interface GenericRestSettings extends JsonApi {
  readonly url: string;
  readonly dialect: 'connector' | 'hushtone';
  /** What it can do, where that is less than its dialect; null for all of it. */
  readonly verbs: readonly GatewayVerb[] | null;
}

const FIELD_MEMBERS: Readonly<Partial<Record<FieldName, readonly (readonly [string, string])[]>>> = {
  pan: [['cardnumber', '{{pan}}']],
  expiry: [
    ['expiry_month', '{{expiry|month2}}'],
    ['expiry_year', '{{expiry|year2}}'],
  ],
  cvc: [['cvv', '{{cvc}}']],
  postcode: [['postal_code', '{{postcode}}']],
};

/** Issue data has no member of its own in the contract; it travels with the parameters. */
const FIELD_PARAMETERS: Readonly<Partial<Record<FieldName, readonly (readonly [string, string])[]>>> = {
  startDate: [
    ['start_month', '{{startDate|month2}}'],
    ['start_year', '{{startDate|year2}}'],
  ],
  issueNumber: [['issue_number', '{{issueNumber}}']],
};

const METHODS: Readonly<Record<GatewayVerb, string>> = {
  authorize: 'authorize',
  capture: 'capture',
  purchase: 'charge',
  void: 'void',
  refund: 'refund',
  lookup: 'lookup',
};

export function genericRestAdapter(settings: GenericRestSettings): GatewayAdapter {
  const all: readonly GatewayVerb[] =
    settings.dialect === 'hushtone' ? ['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup'] : ['purchase'];
  const verbs = all.filter((verb) => settings.verbs === null || settings.verbs.includes(verb));
  return {
    name: settings.name,
    capabilities: { verbs, unknownOutcome: verbs.includes('lookup') ? 'lookup' : 'replay' },
    request: (operation) => request(settings, operation),
    outcome: (operation, answer) => outcome(settings, operation, answer),
  };
}

function request(settings: GenericRestSettings, operation: GatewayOperation): EgressRequest {
  const { verb, idempotencyKey, amountMinor, currency, reference, description, fields, gatewayReference } = operation;
  const isCharge = verb === 'authorize' || verb === 'purchase';
  const money = { amount: formatAmount(amountMinor, currency), currency_code: currency };
  const parameters = {
    reference: plain(reference),
    ...Object.fromEntries(isCharge ? fields.flatMap((field) => FIELD_PARAMETERS[field] ?? []) : []),
  };
  const body = {
    method: METHODS[verb],
    transaction_id: idempotencyKey,
    ...(isCharge ? Object.fromEntries(fields.flatMap((field) => FIELD_MEMBERS[field] ?? [])) : {}),
    ...(verb === 'lookup' ? {} : money),
    ...(isCharge ? { description: plain(description), parameters } : {}),
    ...(!isCharge && gatewayReference !== undefined ? { charge_id: gatewayReference } : {}),
  };
  return jsonRequest(settings, settings.url, body);
}

function outcome({ name }: GenericRestSettings, operation: GatewayOperation, given: EgressAnswer): GatewayOutcome {
  const answer = sent(name, given);
  if (answer.kind === 'noAnswer') return { outcome: 'unknown', reason: answer.reason };
  if (operation.verb === 'lookup') return lookedUp(answer.status, answer.body);
  const found = objectOf(answer.body);
  if (answer.status >= 500 || found === null) return { outcome: 'unknown', reason: `status ${answer.status}` };
  // The contract declines with 200; some connectors with 402. An error_code beside another status is a fault, not the
  // issuer's no: taking it for one would let the next card be charged too.
  const isJudged = (answer.status >= 200 && answer.status < 300) || answer.status === 402;
  if (!isJudged) {
    if ([400, 401, 403, 422].includes(answer.status)) throw requestRefused(name, answer.status);
    return { outcome: 'unknown', reason: `status ${answer.status}` };
  }
  const code = found.error_code;
  if (code !== null && code !== undefined) return refused(String(code), found);
  const outcomeMeant = operation.verb === 'authorize' ? 'authorized' : 'approved';
  return charged(found, outcomeMeant) ?? { outcome: 'unknown', reason: 'answer has neither charge_id nor error_code' };
}

function lookedUp(status: number, body: string): GatewayOutcome {
  if (status === 404) return { outcome: 'notFound' };
  const found = status === 200 ? objectOf(body) : null;
  switch (found?.status) {
    case 'authorized':
    case 'approved':
      return charged(found, found.status) ?? { outcome: 'unknown', reason: 'answer has no charge_id' };
    case 'declined':
      return refused(String(found.error_code), found);
    case 'voided':
      // Undone is not charged.
      return { outcome: 'declined', reason: 'other', gatewayReference: null, text: 'undone' };
    case 'notFound':
      return { outcome: 'notFound' };
    default:
      return { outcome: 'unknown', reason: `status ${status}` };
  }
}

function charged(found: Readonly<Record<string, unknown>>, outcome: 'approved' | 'authorized'): GatewayOutcome | null {
  const id = found.charge_id;
  if (typeof id !== 'string' || id === '') return null;
  return { outcome, gatewayReference: id, authorizationCode: codeOf(found.authorization_code) };
}

function refused(code: string, found: Readonly<Record<string, unknown>>): GatewayOutcome {
  // Seen before: nobody knows more yet, so the outcome is found by lookup or replay.
  if (/duplicate/i.test(code)) return { outcome: 'unknown', reason: 'duplicate' };
  return { outcome: 'declined', reason: reasonOf(code), gatewayReference: null, text: textOf(found.error_message) };
}
