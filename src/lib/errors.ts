/** Every failure the product names. Adding a code without a row in VERDICTS does not compile. */
export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'PROFILE_INVALID'
  | 'PROMPT_MISSING'
  | 'PORT_IN_USE'
  | 'STORE_UNUSABLE'
  | 'CALL_NOT_ADMITTED'
  | 'CALL_CONTEXT_INVALID'
  | 'CALL_CONTEXT_UNSIGNED'
  | 'CALL_LIMIT_REACHED'
  | 'CALL_NOT_FOUND'
  | 'PAYMENT_NOT_FOUND'
  | 'PAYMENT_IN_PROGRESS'
  | 'FLOW_UNKNOWN'
  | 'SDP_INVALID'
  | 'SDP_NO_COMMON_CODEC'
  | 'RTP_PORTS_EXHAUSTED'
  | 'WORKER_UNAVAILABLE'
  | 'WORKER_TIMEOUT'
  | 'VAULT_FULL'
  | 'MASK_NOT_ARMED'
  | 'TEMPLATE_INVALID'
  | 'EGRESS_NOT_ALLOWED'
  | 'GATEWAY_UNREACHABLE'
  | 'GATEWAY_OUTCOME_UNKNOWN'
  | 'GATEWAY_CAPTURE_FAILED'
  | 'GATEWAY_REQUEST_INVALID'
  | 'DATA_DIP_FAILED'
  | 'TRANSFER_FAILED'
  | 'SIP_SERVER_UNAVAILABLE'
  | 'REQUEST_INVALID'
  | 'REQUEST_LIMIT_REACHED'
  | 'UNAUTHORIZED'
  | 'NOT_FOUND'
  | 'INTERNAL';

export interface Verdict {
  readonly fault: 'caller' | 'client' | 'operator' | 'server' | 'upstream';
  readonly retry: 'never' | 'safe' | 'sameKey';
  readonly sipStatus: number;
  readonly httpStatus: number;
  /** Name of the recording the caller hears, or null where the caller hears nothing of it. */
  readonly prompt: 'try-again-later' | 'agent-will-check' | null;
}

/** What each failure means to each audience. */
export const VERDICTS: Readonly<Record<ErrorCode, Verdict>> = {
  CONFIG_INVALID: { fault: 'operator', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: null },
  PROFILE_INVALID: { fault: 'operator', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: null },
  PROMPT_MISSING: { fault: 'operator', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: null },
  PORT_IN_USE: { fault: 'operator', retry: 'safe', sipStatus: 500, httpStatus: 500, prompt: null },
  STORE_UNUSABLE: { fault: 'operator', retry: 'never', sipStatus: 503, httpStatus: 503, prompt: null },
  CALL_NOT_ADMITTED: { fault: 'client', retry: 'never', sipStatus: 403, httpStatus: 403, prompt: null },
  CALL_CONTEXT_INVALID: { fault: 'client', retry: 'never', sipStatus: 400, httpStatus: 400, prompt: null },
  // Understood, and refused (RFC 3261 §21.4.4): the pairs are not signed, or not so that they may be believed.
  CALL_CONTEXT_UNSIGNED: { fault: 'client', retry: 'never', sipStatus: 403, httpStatus: 403, prompt: null },
  CALL_LIMIT_REACHED: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: null },
  CALL_NOT_FOUND: { fault: 'client', retry: 'never', sipStatus: 481, httpStatus: 404, prompt: null },
  PAYMENT_NOT_FOUND: { fault: 'client', retry: 'never', sipStatus: 404, httpStatus: 404, prompt: null },
  PAYMENT_IN_PROGRESS: { fault: 'client', retry: 'never', sipStatus: 486, httpStatus: 409, prompt: null },
  FLOW_UNKNOWN: { fault: 'client', retry: 'never', sipStatus: 404, httpStatus: 404, prompt: null },
  SDP_INVALID: { fault: 'caller', retry: 'never', sipStatus: 400, httpStatus: 422, prompt: null },
  SDP_NO_COMMON_CODEC: { fault: 'caller', retry: 'never', sipStatus: 488, httpStatus: 422, prompt: null },
  RTP_PORTS_EXHAUSTED: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: null },
  WORKER_UNAVAILABLE: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: 'try-again-later' },
  WORKER_TIMEOUT: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: 'try-again-later' },
  VAULT_FULL: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: 'try-again-later' },
  MASK_NOT_ARMED: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: null },
  TEMPLATE_INVALID: { fault: 'operator', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: 'try-again-later' },
  EGRESS_NOT_ALLOWED: { fault: 'operator', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: 'try-again-later' },
  GATEWAY_UNREACHABLE: { fault: 'upstream', retry: 'safe', sipStatus: 503, httpStatus: 502, prompt: 'try-again-later' },
  GATEWAY_OUTCOME_UNKNOWN: {
    fault: 'upstream',
    retry: 'sameKey',
    sipStatus: 504,
    httpStatus: 504,
    prompt: 'agent-will-check',
  },
  // Authorized, not captured, and voided: nothing was charged.
  GATEWAY_CAPTURE_FAILED: {
    fault: 'upstream',
    retry: 'safe',
    sipStatus: 503,
    httpStatus: 502,
    prompt: 'try-again-later',
  },
  GATEWAY_REQUEST_INVALID: {
    fault: 'operator',
    retry: 'never',
    sipStatus: 500,
    httpStatus: 502,
    prompt: 'try-again-later',
  },
  DATA_DIP_FAILED: { fault: 'upstream', retry: 'safe', sipStatus: 503, httpStatus: 502, prompt: 'try-again-later' },
  TRANSFER_FAILED: { fault: 'upstream', retry: 'safe', sipStatus: 503, httpStatus: 502, prompt: 'try-again-later' },
  SIP_SERVER_UNAVAILABLE: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: null },
  REQUEST_INVALID: { fault: 'client', retry: 'never', sipStatus: 400, httpStatus: 400, prompt: null },
  REQUEST_LIMIT_REACHED: { fault: 'server', retry: 'safe', sipStatus: 503, httpStatus: 503, prompt: null },
  UNAUTHORIZED: { fault: 'client', retry: 'never', sipStatus: 403, httpStatus: 401, prompt: null },
  NOT_FOUND: { fault: 'client', retry: 'never', sipStatus: 404, httpStatus: 404, prompt: null },
  INTERNAL: { fault: 'server', retry: 'never', sipStatus: 500, httpStatus: 500, prompt: 'try-again-later' },
};

/** Identifiers and numbers only: a card object does not fit. */
export type ErrorDetail = Readonly<Record<string, string | number>>;

/** Message: what happened, with numbers, small letter, no advice: `offer has no PCMU or PCMA`. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, message: string, options: { detail?: ErrorDetail; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
  }

  get verdict(): Verdict {
    return VERDICTS[this.code];
  }
}
