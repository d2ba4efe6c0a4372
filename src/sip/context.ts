import type { CallContext } from '../app/ports.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { parseAmount } from '../money/amount.ts';
import { minorUnits } from '../money/minor-units.ts';
import { readHeaderPairs, USER_TO_USER } from './headers.ts';
import { CONTEXT_VALUE_CHARS_MAX, HEADER_VALUE_CHARS_MAX } from './limits.ts';
import { CONTEXT_KEYS, type ContextKey } from './profile-schema.ts';
import type { Profile } from './profiles.ts';
import type { SignatureFault, SignatureVerifier } from './signature.ts';
import { hasControl, parseSipUri } from './uri.ts';
import { decodeUserToUser } from './user-to-user.ts';

/** The parts of a SIP message that may bring context. */
export interface ContextMessage {
  readonly uri: string;
  readonly callId: string;
  header(name: string): string | undefined;
}

export type ReadContext =
  | {
      readonly ok: true;
      readonly context: CallContext;
      readonly passedOver: readonly ContextKey[];
      /** Why `identified` does not count where the profile wants it signed; null where nothing was wrong with it. */
      readonly notBelieved: string | null;
    }
  /** `reason` names keys, never values: they may be anything. */
  | { readonly ok: false; readonly code: ErrorCode; readonly reason: string };

type Pairs = ReadonlyMap<string, string>;
type Source = Profile['context']['sources'][number];

/**
 * What a call may set by its profile. The sources must agree where they say the same thing twice; where the profile
 * demands a signature of context, each source that says anything must carry its own. Where it demands one of
 * `identified` alone, only that word of a source without one counts as not said.
 */
export function readContext(
  message: ContextMessage,
  profile: Profile,
  verifier: SignatureVerifier | null,
  now: number,
): ReadContext {
  const texts = new Map<ContextKey, string>();
  const passedOver = new Set<ContextKey>();
  const demands = profile.signature?.demandOn ?? [];
  let notBelieved: string | null = null;
  for (const source of profile.context.sources) {
    const pairs = readSource(message, source);
    let keys = CONTEXT_KEYS.filter((key) => pairs.has(key));
    if (keys.length === 0) continue;
    if (demands.includes('context') || (demands.includes('identified') && pairs.has('identified'))) {
      const fault = verifier === null ? 'missing' : verifier.verify(pairs, message.callId, now);
      const reason = `signature of ${source} is ${fault}`;
      if (fault !== null && demands.includes('context')) return { ok: false, code: codeOf(fault), reason };
      if (fault !== null) {
        notBelieved = reason;
        keys = keys.filter((key) => key !== 'identified');
      }
    }
    for (const key of keys) {
      const text = pairs.get(key) ?? '';
      if (!profile.context.allow.includes(key)) passedOver.add(key);
      else if (texts.has(key) && texts.get(key) !== text) return invalid(`${key} is said twice, differently`);
      else texts.set(key, text);
    }
  }
  return parseContext(texts, { passedOver: [...passedOver], notBelieved });
}

/**
 * What cannot be read is 400; what reads well and nobody vouches for is 403, with the reason in words as a Warning (RFC
 * 3261 §21.4.4: understood and refused, not to be repeated). Lost: 400 for both, which sends people to look for a fault of
 * syntax (§21.4.1); 401 or 407, whose challenge would be answered with Digest; 428 or 438, which speak of the Identity
 * header (RFC 8224). That our memory of signatures is full is our limit, and passes: 503.
 */
const codeOf = (fault: SignatureFault): ErrorCode =>
  fault === 'too many in the window' ? 'CALL_LIMIT_REACHED' : 'CALL_CONTEXT_UNSIGNED';

const invalid = (reason: string): ReadContext => ({ ok: false, code: 'CALL_CONTEXT_INVALID', reason });

function readSource(message: ContextMessage, source: Source): Pairs {
  if (source === 'header') return readHeaderPairs((name) => message.header(name));
  if (source === 'user-to-user') return decodeUserToUser(message.header(USER_TO_USER) ?? '') ?? new Map();
  const parameters = parseSipUri(message.uri)?.parameters ?? new Map<string, string>();
  return new Map([...parameters].filter(([key]) => key === 'signature' || CONTEXT_KEYS.some((known) => known === key)));
}

/** An account number, order number or name: what people write, and nothing a header or log line would stumble over. */
const IDENTIFIER = /^[\p{L}\p{N}][\p{L}\p{N} ._~@:+/#=-]*$/u;

function parseContext(
  texts: ReadonlyMap<ContextKey, string>,
  found: { readonly passedOver: readonly ContextKey[]; readonly notBelieved: string | null },
): ReadContext {
  for (const [key, text] of texts) {
    if (text.length > HEADER_VALUE_CHARS_MAX || hasControl(text)) return invalid(`${key} is malformed`);
  }
  for (const key of ['customer', 'reference', 'flow'] as const) {
    const text = texts.get(key);
    if (text !== undefined && (text.length > CONTEXT_VALUE_CHARS_MAX || !IDENTIFIER.test(text))) {
      return invalid(`${key} is not 1 to ${CONTEXT_VALUE_CHARS_MAX} letters, digits and ._~@:+/#=-`);
    }
  }
  const currency = texts.get('currency');
  if (currency !== undefined && minorUnits(currency) === null) {
    return invalid('currency is not an ISO 4217 code in capitals');
  }
  const amountMinor = parseContextAmount(texts.get('amount'), currency);
  if (amountMinor === null) {
    return invalid('amount is neither minor units (4210) nor, with a currency, decimal (42.10)');
  }
  const identified = parseIdentified(texts.get('identified'));
  if (identified === null) return invalid('identified is neither yes nor no');

  const given = {
    customer: texts.get('customer'),
    currency,
    reference: texts.get('reference'),
    flow: texts.get('flow'),
  };
  const context = { ...given, amountMinor, identified };
  const present = Object.fromEntries(Object.entries(context).filter(([, value]) => value !== undefined));
  return { ok: true, context: present as CallContext, ...found };
}

/**
 * `4210` is minor units whatever the currency; `42.10` needs a currency that has decimals. Never through a float.
 * Undefined stays undefined; null is a fault.
 */
function parseContextAmount(text: string | undefined, currency: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  return currency !== undefined && /^\d{1,12}\.\d{1,4}$/.test(text) ? parseAmount(text, currency) : null;
}

function parseIdentified(text: string | undefined): boolean | null | undefined {
  if (text === undefined) return undefined;
  if (/^(yes|true|1)$/i.test(text)) return true;
  return /^(no|false|0)$/i.test(text) ? false : null;
}

/**
 * What a BYE or REFER of a leg says about its customer: true, false, or null where nothing (or nothing valid) is said;
 * the application takes null for no. `ours` is the id we sent as X-Hushtone-Call; where the profile demands a signature
 * the signer must have added it as the pair `call`, which binds the word to this call.
 */
export function readIdentified(
  message: ContextMessage,
  profile: Profile,
  verifier: SignatureVerifier | null,
  options: { readonly ours: string; readonly now: number },
): { readonly identified: boolean | null; readonly fault: string | null } {
  for (const source of ['header', 'user-to-user'] as const) {
    const pairs = new Map(readSource(message, source));
    const said = pairs.get('identified');
    if (said === undefined) continue;
    if (profile.signature?.demandOn.includes('identified')) {
      pairs.set('call', options.ours);
      const fault = verifier === null ? 'missing' : verifier.verify(pairs, message.callId, options.now);
      if (fault !== null) return { identified: null, fault: `signature of ${source} is ${fault}` };
    }
    const identified = parseIdentified(said);
    if (identified === null) return { identified: null, fault: 'identified is neither yes nor no' };
    return { identified: identified ?? null, fault: null };
  }
  return { identified: null, fault: null };
}
