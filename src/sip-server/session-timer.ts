import { headerOf, listHas, type SipMessage, type SipRequest } from './message/message.ts';

/*
 * Session timers (RFC 4028): who refreshes a call and when it is over if nobody does. Values only; the clock is in
 * core/sessions.ts.
 *
 * Who refreshes, by what the request says (§9, table 2); we let the caller do it where it may be either:
 *
 *   Supported: timer   refresher in the request   our 2xx says
 *   -----------------  -------------------------  ------------------------------
 *   no                 none, uas                  refresher=uas
 *   no                 uac                        (not allowed) refresher=uas
 *   yes                none, uac                  refresher=uac, Require: timer
 *   yes                uas                        refresher=uas, Require: timer
 */

/** §5: what nobody may refuse. We refuse what is shorter. */
export const MIN_SE_SECONDS = 90;
/** Of a header from the network; longer is as good as never. */
const SECONDS_MAX = 2 ** 31 - 1;
/** §10: who does not refresh ends the call by so much before its end, or a third of it where that is less. */
const END_EARLY_MS = 32_000;
/** Of what one timer can wait for. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;

/** §3: methods that agree on a timer, and refresh it. */
export const refreshesSession = (method: string): boolean => method === 'INVITE' || method === 'UPDATE';

export type Refresher = 'uac' | 'uas';

export interface SessionExpires {
  readonly seconds: number;
  readonly refresher: Refresher | undefined;
}

/** What both sides of a dialog have agreed on. */
export interface SessionTerms {
  readonly seconds: number;
  readonly weRefresh: boolean;
}

/** §4: `Session-Expires: 1800;refresher=uac`; undefined where it is absent or cannot be read, which is the same to us. */
export function sessionExpiresOf(message: SipMessage): SessionExpires | undefined {
  return parseSessionExpires(headerOf(message, 'session-expires') ?? '');
}

export function parseSessionExpires(value: string): SessionExpires | undefined {
  const match = /^[ \t]*(\d{1,10})[ \t]*(?:;(.*))?$/.exec(value);
  if (match === null) return undefined;
  const seconds = Math.min(Number(match[1]), SECONDS_MAX);
  const refresher = /(?:^|;)[ \t]*refresher[ \t]*=[ \t]*(uac|uas)[ \t]*(?:;|$)/i.exec(match[2] ?? '')?.[1];
  return { seconds, refresher: refresher?.toLowerCase() as Refresher | undefined };
}

/** §6 and §9: refused with 422 where the caller can ask again with more. */
export function isTooShort(request: SipRequest): boolean {
  const asked = sessionExpiresOf(request);
  return asked !== undefined && asked.seconds < MIN_SE_SECONDS && listHas(request, 'supported', 'timer');
}

/** Header lines of our 2xx to a request that asked for a timer, the table above; empty for one that did not. */
export function answerLines(request: SipRequest): string {
  const asked = sessionExpiresOf(request);
  if (asked === undefined) return '';
  // §8.1 and errata 1687: one that cannot be refused gets the shortest that we take.
  const seconds = Math.max(asked.seconds, MIN_SE_SECONDS);
  if (!listHas(request, 'supported', 'timer')) return `Session-Expires: ${seconds};refresher=uas\r\n`;
  return `Require: timer\r\nSession-Expires: ${seconds};refresher=${asked.refresher ?? 'uac'}\r\n`;
}

/** Header lines of a request of ours in a dialog that has a timer: who refreshes stays who it is (§7.4). */
export function requestLines({ seconds, weRefresh }: SessionTerms): string {
  return `Supported: timer\r\nSession-Expires: ${seconds};refresher=${weRefresh ? 'uac' : 'uas'}\r\n`;
}

/**
 * What the 2xx of an INVITE or UPDATE agreed on; undefined: no timer from here on (§7.2). `sent`: the request was ours.
 * A 2xx that names nobody is as good as one that names its sender.
 */
export function termsOf(agreed: SessionExpires | undefined, sent: boolean): SessionTerms | undefined {
  if (agreed === undefined || agreed.seconds === 0) return undefined;
  return { seconds: agreed.seconds, weRefresh: (agreed.refresher ?? 'uas') === (sent ? 'uac' : 'uas') };
}

const intervalMs = ({ seconds }: SessionTerms): number => Math.min(seconds * 1000, INTERVAL_MS_MAX);

/** §10: at half of the interval. */
export const refreshAfterMs = (terms: SessionTerms): number => Math.floor(intervalMs(terms) / 2);

/** From the last refresh to the BYE. */
export function endAfterMs(terms: SessionTerms): number {
  const whole = intervalMs(terms);
  return whole - Math.min(END_EARLY_MS, Math.floor(whole / 3));
}
