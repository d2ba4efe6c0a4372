import { randomBytes } from 'node:crypto';
import type Srf from 'drachtio-srf';
import type { SrfDialog, SrfRequest } from 'drachtio-srf';
import type { DialedLeg, DialRequest, NegotiatedMedia } from '../app/ports.ts';
import { ServiceError } from '../lib/errors.ts';
import type { SecureOffer } from './crypto.ts';
import { callPair, contextPairs, type HeaderKey, resultPairs } from './headers.ts';
import { Leg } from './leg.ts';
import { CANCEL_WAIT_MS, REDIRECTS_MAX } from './limits.ts';
import { type Origin, secureOffersFor, settleAnswer, writeOffer } from './offer-answer.ts';
import { hostIn, type Profile } from './profiles.ts';
import { parseSdp } from './sdp.ts';
import { parseSipUri, uriOf } from './uri.ts';
import { ALLOW, reasonOf, type SipWorld, writeSigned } from './world.ts';

/** What RFC 4028 §4 recommends: half an hour. */
const SESSION_SECONDS = 1_800;

/** How we speak to a target of the configuration that no profile lists: nothing signed, no transfer on its word. */
export const DEFAULT_DIAL_PROFILE: Profile = {
  name: 'default',
  admitted: [],
  admit: { addresses: [], callsMax: 1 },
  media: { codecs: ['PCMU', 'PCMA'], ptimeMs: 20, dtmf: 'auto' },
  callerId: 'from',
  context: { allow: [], sources: [] },
  result: { headers: true, userToUser: true },
  transfer: { refer: false, waitMs: 30_000, hosts: [] },
};

interface DialParts {
  readonly world: SipWorld;
  readonly srf: Srf;
  readonly profile: Profile;
  readonly request: DialRequest;
  readonly closed: () => void;
}

type Answer =
  | { readonly kind: 'answered'; readonly dialog: SrfDialog; readonly leg: Leg; readonly media: NegotiatedMedia }
  | { readonly kind: 'redirected'; readonly contact: string }
  /** `minSeSeconds`: of a 422, which wants a longer session timer. */
  | { readonly kind: 'failed'; readonly status: number; readonly reason: string; readonly minSeSeconds?: number };

/** Throws TRANSFER_FAILED within the request's time limit and CANCEL_WAIT_MS. The caller has checked the target. */
export async function dial(parts: DialParts): Promise<DialedLeg> {
  const { world, request } = parts;
  const deadline = world.clock.now() + request.timeoutMs;
  world.count('dials');
  let target = request.target;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await inviteInTurn(parts, target, deadline);
    if (answer.kind === 'answered') return { leg: answer.leg, media: answer.media };
    const isWanted = request.unwanted?.aborted !== true;
    const next = isWanted && answer.kind === 'redirected' ? allowedRedirect(parts, answer.contact, redirects) : null;
    if (next === null) {
      world.count('dialsFailed');
      parts.closed();
      const why = answer.kind === 'failed' ? answer : { status: 302, reason: 'redirect refused' };
      throw new ServiceError('TRANSFER_FAILED', `the target did not answer: ${why.reason}`, {
        detail: { status: why.status },
      });
    }
    target = next;
  }
}

/** A 3xx may name the host that was dialed or one that its profile lists; anything else could be toll fraud. */
function allowedRedirect(parts: DialParts, contact: string, redirects: number): string | null {
  const uri = parseSipUri(contact);
  const first = parseSipUri(parts.request.target);
  if (uri === null || uri.headers.size > 0 || redirects >= REDIRECTS_MAX) return null;
  return uri.host === first?.host || hostIn(parts.profile.transfer.hosts, uri.host) ? contact : null;
}

/** 488, or 606 of a proxy that forked (RFC 3261 §21.4.26, §21.6.4): another description might be taken. */
const REFUSED_DESCRIPTION: ReadonlySet<number> = new Set([488, 606]);

async function inviteInTurn(parts: DialParts, target: string, deadline: number): Promise<Answer> {
  let answer: Answer = { kind: 'failed', status: 488, reason: 'nothing to offer' };
  let sessionSeconds = parts.profile.dial?.sessionSeconds ?? SESSION_SECONDS;
  for (const secure of secureOffersFor(parts.profile.media, randomBytes)) {
    const how = { target, deadline, secure };
    answer = await inviteOnce(parts, { ...how, sessionSeconds });
    if (answer.kind === 'failed' && (answer.minSeSeconds ?? 0) > sessionSeconds) {
      // RFC 4028 §7.3: once more with what it wants, and that is kept.
      sessionSeconds = answer.minSeSeconds ?? sessionSeconds;
      answer = await inviteOnce(parts, { ...how, sessionSeconds });
    }
    if (answer.kind !== 'failed' || !REFUSED_DESCRIPTION.has(answer.status)) return answer;
    if (parts.request.unwanted?.aborted === true) return answer;
  }
  return answer;
}

interface InviteOnce {
  readonly target: string;
  readonly deadline: number;
  readonly secure: SecureOffer | null;
  readonly sessionSeconds: number;
}

function inviteOnce(parts: DialParts, { target, deadline, secure, sessionSeconds }: InviteOnce): Promise<Answer> {
  const { world, srf, profile, request } = parts;
  const origin: Origin = { sessionId: String(world.clock.now()), version: 1 };
  const sdp = writeOffer(profile.media, request.local, origin, secure);
  return new Promise((resolve) => {
    let sent: SrfRequest | null = null;
    let givenUp: string | null = null;
    let settled = false;
    const settle = (answer: Answer) => {
      if (settled) return;
      settled = true;
      timer.cancel();
      stopWatching();
      request.unwanted?.removeEventListener('abort', unwanted);
      resolve(answer);
    };
    const fail = (status: number, reason: string) => settle({ kind: 'failed', status, reason });
    const stopWatching = world.onLost(() => fail(503, 'the connection to the SIP server is lost'));
    const giveUp = (reason: string) => {
      if (givenUp !== null) return;
      givenUp = reason;
      timer.cancel();
      // Without a provisional response the server holds the CANCEL back (RFC 3261 §9.1), so this wait has a limit too.
      timer = world.clock.startTimer(CANCEL_WAIT_MS, () => fail(408, reason));
      if (sent !== null) cancel(world, sent);
    };
    const unwanted = () => giveUp('the caller has left');
    let timer = world.clock.startTimer(Math.max(0, deadline - world.clock.now()), () => giveUp('no answer in time'));
    request.unwanted?.addEventListener('abort', unwanted);

    const answered = (error: unknown, dialog?: SrfDialog) => {
      if (dialog === undefined) {
        if (givenUp !== null) fail(408, givenUp);
        else settle(notAnswered(error));
        return;
      }
      // A 200 that crossed our CANCEL, or came when nobody waits any more, made a dialog that must be ended.
      const parsed = givenUp === null && !settled ? parseSdp(dialog.remote.sdp ?? '') : null;
      const agreed = parsed?.ok ? settleAnswer(parsed.description, profile.media, secure) : null;
      if (!agreed?.ok) {
        dialog.destroy({}, () => {});
        fail(givenUp === null ? 488 : 408, givenUp ?? agreed?.fault ?? 'its answer cannot be read');
        return;
      }
      const { media } = agreed.agreed;
      const { callId, legId, local } = request;
      const names = { callId, legId };
      const leg = new Leg({
        world,
        names,
        profile,
        dialog,
        media,
        local,
        origin,
        sdp,
        secure: null,
        ownsCallId: true,
        closed: parts.closed,
      });
      settle({ kind: 'answered', dialog, leg, media });
    };
    try {
      srf.createUAC(
        target,
        { localSdp: sdp, headers: inviteHeaders(parts, sessionSeconds) },
        {
          cbRequest: (_error, req) => {
            sent = req ?? null;
            if (sent !== null && givenUp !== null) cancel(world, sent);
          },
        },
        answered,
      );
    } catch (error) {
      fail(503, reasonOf(error));
    }
  });
}

function notAnswered(error: unknown): Answer {
  const failure = error as { status?: unknown; res?: { get(name: string): string | undefined } };
  const status = typeof failure?.status === 'number' ? failure.status : 503;
  const contact = status >= 300 && status < 400 ? failure.res?.get('Contact') : undefined;
  if (contact !== undefined) return { kind: 'redirected', contact: uriOf(contact) };
  const minSe = status === 422 ? failure.res?.get('Min-SE')?.trim() : undefined;
  const asked = minSe !== undefined && /^\d{1,5}$/.test(minSe) ? { minSeSeconds: Number(minSe) } : {};
  return { kind: 'failed', status, reason: status === 503 ? reasonOf(error) : `SIP status ${status}`, ...asked };
}

function cancel(world: SipWorld, req: SrfRequest): void {
  try {
    req.cancel({}, (error) => {
      if (error) world.log.debug('a CANCEL did not go out', { reason: reasonOf(error) });
    });
  } catch (error) {
    world.log.debug('a CANCEL could not be made', { reason: reasonOf(error) });
  }
}

function inviteHeaders(parts: DialParts, sessionSeconds: number): Record<string, string> {
  const { world, profile, request } = parts;
  const pairs = new Map<HeaderKey, string>([...contextPairs(request.context), callPair(request.callId)]);
  if (request.result !== undefined) for (const [key, value] of resultPairs(request.result)) pairs.set(key, value);
  // The server puts its own address in the place of localhost.
  const user = /^[\w+.~*-]{1,64}$/.test(request.from) ? request.from : 'anonymous';
  return {
    from: `<sip:${user}@localhost>`,
    contact: `<sip:${user}@localhost>`,
    Allow: ALLOW,
    'Content-Type': 'application/sdp',
    ...(sessionSeconds === 0 ? {} : { Supported: 'timer', 'Session-Expires': String(sessionSeconds) }),
    ...writeSigned(world, profile, pairs),
  };
}
