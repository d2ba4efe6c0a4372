import type {
  DeclineReason,
  EgressAnswer,
  EgressRequest,
  GatewayAdapter,
  GatewayOperation,
  GatewayOutcome,
  GatewayVerb,
} from '../../app/ports.ts';
import { ServiceError } from '../../lib/errors.ts';
import type { Sensitive } from '../../lib/sensitive.ts';
import { formatAmount } from '../../money/amount.ts';
import type { FieldName } from '../../session/flow.ts';

/**
 * The connector contract that Twilio publishes for its Generic Pay Connector: one URL, JSON by POST, `method` says
 * what is wanted, `transaction_id` is the idempotency key, and a repeat under it gets the first answer or a duplicate
 * error (https://www.twilio.com/docs/voice/twiml/pay/generic-pay-connector).
 *
 *   dialect    methods                                                unknown outcome
 *   charge     charge                                                 the same request again while the vault holds the fields
 *   hushtone   authorize, capture, charge, void, refund, lookup       lookup by transaction_id
 *
 * Answers: `{ charge_id, error_code, error_message, parameters? }`; ours may add `authorization_code`, and `lookup`
 * answers `{ status: "approved" | "declined" | "voided" | "notFound", … }` or 404.
 */
export interface GenericRestSettings {
  readonly name: string;
  readonly url: string;
  readonly dialect: 'charge' | 'hushtone';
  /** The whole header, `Basic …`; null where the connector asks for none. */
  readonly authorization: Sensitive<string> | null;
  readonly timeoutMs: number;
  /** `error_code` of the connector to our reasons; a code that is not here is `other`. */
  readonly declineReasons: ReadonlyMap<string, DeclineReason>;
  /** `error_code`s that mean "seen before": nobody knows more, so the outcome is found by lookup or replay. */
  readonly duplicateCodes: readonly string[];
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
  const isOurs = settings.dialect === 'hushtone';
  return {
    name: settings.name,
    capabilities: {
      verbs: isOurs ? ['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup'] : ['purchase'],
      unknownOutcome: isOurs ? 'lookup' : 'replay',
    },
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
  return {
    method: 'POST',
    url: settings.url,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      ...(settings.authorization === null ? {} : { authorization: settings.authorization }),
    },
    body: { format: 'json', template: JSON.stringify(body) },
    timeoutMs: settings.timeoutMs,
  };
}

/** What a caller or carrier sent must not read as a field of the template. */
function plain(text: string): string {
  return text.replaceAll('{{', '{ {');
}

function outcome(settings: GenericRestSettings, operation: GatewayOperation, answer: EgressAnswer): GatewayOutcome {
  if (answer.kind === 'notSent') {
    throw new ServiceError('GATEWAY_UNREACHABLE', `${settings.name} not reached: ${answer.reason}`);
  }
  if (answer.kind === 'noAnswer') return { outcome: 'unknown', reason: answer.reason };
  if (operation.verb === 'lookup') return lookedUp(settings, answer.status, answer.body);
  const found = parse(answer.body);
  if (answer.status >= 500 || found === null) return { outcome: 'unknown', reason: `status ${answer.status}` };
  const code = found.error_code;
  if (code !== null && code !== undefined) return refused(settings, String(code), found);
  if (answer.status >= 300) {
    if ([400, 401, 403, 422].includes(answer.status)) {
      throw new ServiceError(
        'GATEWAY_REQUEST_INVALID',
        `${settings.name} refused the request: status ${answer.status}`,
      );
    }
    return { outcome: 'unknown', reason: `status ${answer.status}` };
  }
  return charged(found) ?? { outcome: 'unknown', reason: 'answer has neither charge_id nor error_code' };
}

function lookedUp(settings: GenericRestSettings, status: number, body: string): GatewayOutcome {
  if (status === 404) return { outcome: 'notFound' };
  const found = status === 200 ? parse(body) : null;
  switch (found?.status) {
    case 'approved':
      return charged(found) ?? { outcome: 'unknown', reason: 'answer has no charge_id' };
    case 'declined':
      return refused(settings, String(found.error_code), found);
    case 'voided':
      // Undone is not charged.
      return { outcome: 'declined', reason: 'other', gatewayReference: null, text: 'undone' };
    case 'notFound':
      return { outcome: 'notFound' };
    default:
      return { outcome: 'unknown', reason: `status ${status}` };
  }
}

function charged(found: Readonly<Record<string, unknown>>): GatewayOutcome | null {
  const id = found.charge_id;
  const code = found.authorization_code;
  if (typeof id !== 'string' || id === '') return null;
  return { outcome: 'approved', gatewayReference: id, authorizationCode: typeof code === 'string' ? code : null };
}

function refused(
  settings: GenericRestSettings,
  code: string,
  found: Readonly<Record<string, unknown>>,
): GatewayOutcome {
  if (settings.duplicateCodes.includes(code)) return { outcome: 'unknown', reason: 'duplicate' };
  const text = typeof found.error_message === 'string' ? found.error_message.slice(0, 200) : '';
  return { outcome: 'declined', reason: settings.declineReasons.get(code) ?? 'other', gatewayReference: null, text };
}

function parse(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
