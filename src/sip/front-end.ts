import { randomBytes } from 'node:crypto';
import type { SrfRequest, SrfResponse } from 'drachtio-srf';
import Srf from 'drachtio-srf';
import type { CallHandler, DialedLeg, DialRequest, SipPort } from '../app/ports.ts';
import type { Clock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import { readContext } from './context.ts';
import { type CryptoAttribute, ownKeyFor } from './crypto.ts';
import { DEFAULT_DIAL_PROFILE, dial } from './dial.ts';
import { IncomingInvite } from './incoming-call.ts';
import { DIALOGS_MAX, PING_INTERVAL_MS, RECONNECT_DELAY_MS_MAX, START_MS_MAX } from './limits.ts';
import { type AgreedAnswer, settleOffer } from './offer-answer.ts';
import { matchProfile, type Profile, profileForTarget } from './profiles.ts';
import { bodyOf, refuse, respond } from './respond.ts';
import { parseSdp } from './sdp.ts';
import { SignatureVerifier } from './signature.ts';
import { callerOf, parseSipUri } from './uri.ts';
import { ALLOW, reasonOf, type SipCounter, type SipWorld } from './world.ts';

export type { SipCounter } from './world.ts';

export interface SipFrontEndOptions {
  /** The embedded server's admin port, or a drachtio-server. */
  readonly server: { readonly host: string; readonly port: number; readonly secret: Sensitive<string> };
  readonly profiles: readonly Profile[];
  /** By name; a profile that signs or demands signatures names one of them. */
  readonly secrets: ReadonlyMap<string, Sensitive<string>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of every count as it happens; for metrics. */
  readonly onCount?: (counter: SipCounter) => void;
  /** Only tests give another. */
  readonly srf?: Srf;
}

export interface SipFrontEnd extends SipPort {
  /**
   * Connects, and again after each loss. Settles at the first connection; calls then reach the handler. Rejects with
   * SIP_SERVER_UNAVAILABLE where there is none within START_MS_MAX, and tries no more.
   */
  start(handler: CallHandler): Promise<void>;
  readonly connected: boolean;
  /** Calls and dialed legs that have not ended. */
  readonly dialogs: number;
  /** From now on new calls get 503; those that stand go on. */
  drain(): void;
  /** Ends the connection. Legs that still stand are told that they are lost, so hang them up first. */
  stop(): void;
  counters(): Readonly<Partial<Record<SipCounter, number>>>;
}

/** RFC 3261 §8.2.2.3: what a peer may demand of us; the SIP server does both. */
const SUPPORTED_EXTENSIONS: ReadonlySet<string> = new Set(['100rel', 'timer']);
const REFUSED_METHODS = ['register', 'subscribe', 'publish', 'message', 'info', 'notify', 'refer'] as const;

const freshKey = (offered: CryptoAttribute) => ownKeyFor(offered, undefined, randomBytes);

export function createSipFrontEnd(options: SipFrontEndOptions): SipFrontEnd {
  return new FrontEnd(options);
}

class FrontEnd implements SipFrontEnd, SipWorld {
  readonly clock: Clock;
  readonly log: Log;
  readonly #options: SipFrontEndOptions;
  readonly #srf: Srf;
  readonly #counts = new Map<SipCounter, number>();
  readonly #verifiers = new Map<string, SignatureVerifier>();
  readonly #callsOf = new Map<string, number>();
  readonly #watchers = new Set<() => void>();
  #handler: CallHandler | null = null;
  #connected = false;
  #draining = false;
  #stopped = false;
  #dialogs = 0;

  constructor(options: SipFrontEndOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.log = options.log.child({ part: 'sip' });
    this.#srf = options.srf ?? new Srf();
    for (const profile of options.profiles) {
      if (profile.signature === undefined) continue;
      const secret = this.secretOf(profile);
      if (secret === null) {
        throw new ServiceError('PROFILE_INVALID', `profile ${profile.name} names a secret that is not configured`);
      }
      this.#verifiers.set(profile.name, new SignatureVerifier(secret, profile.signature.windowSeconds));
    }
    this.#route();
  }

  // ---- what the parts share

  count(counter: SipCounter): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + 1);
    this.#options.onCount?.(counter);
  }

  verifierOf(profile: Profile): SignatureVerifier | null {
    return this.#verifiers.get(profile.name) ?? null;
  }

  secretOf(profile: Profile): Sensitive<string> | null {
    return this.#options.secrets.get(profile.signature?.secret ?? '') ?? null;
  }

  onLost(lost: () => void): () => void {
    this.#watchers.add(lost);
    return () => this.#watchers.delete(lost);
  }

  // ---- the connection

  get connected(): boolean {
    return this.#connected;
  }

  get dialogs(): number {
    return this.#dialogs;
  }

  counters(): Readonly<Partial<Record<SipCounter, number>>> {
    return Object.fromEntries(this.#counts);
  }

  start(handler: CallHandler): Promise<void> {
    this.#handler = handler;
    const { host, port, secret } = this.#options.server;
    return new Promise((resolve, reject) => {
      let reason = 'no answer';
      const limit = this.clock.startTimer(START_MS_MAX, () => {
        this.stop();
        const line = `the SIP server at ${host}:${port} did not take us within ${START_MS_MAX} ms: ${reason}`;
        reject(new ServiceError('SIP_SERVER_UNAVAILABLE', line));
      });
      this.#srf.on('connect', (error: unknown, hostports?: string) => {
        if (error) {
          reason = reasonOf(error);
          this.log.error('the SIP server refused us', { host, port, reason });
          return;
        }
        this.#connected = true;
        this.log.info('connected to the SIP server', { host, port, listens: String(hostports ?? '') });
        limit.cancel();
        resolve();
      });
      this.#srf.on('error', (error: unknown) => {
        reason = reasonOf(error);
        this.log.warn('the SIP server cannot be reached', { host, port, reason });
      });
      this.#srf.on('close', () => this.#lost());
      void this.#srf.connect({
        host,
        port,
        secret: secret.reveal(),
        enablePing: true,
        pingInterval: PING_INTERVAL_MS,
        reconnect: { retryMaxDelay: RECONNECT_DELAY_MS_MAX },
      });
    });
  }

  /** The server no longer knows whose our dialogs are, so every leg is lost with the connection. */
  #lost(): void {
    if (this.#connected && !this.#stopped) this.log.error('the connection to the SIP server is lost');
    this.#connected = false;
    for (const lost of [...this.#watchers]) lost();
  }

  drain(): void {
    this.#draining = true;
  }

  stop(): void {
    this.#stopped = true;
    this.#draining = true;
    // Without a connection the library would go on dialing for ever; this flag is its only way to stop.
    const wire = this.#srf.app.client?.wp;
    if (wire !== undefined) wire.closing = true;
    try {
      this.#srf.disconnect();
    } catch {
      // There is no connection to end.
    }
    this.#lost();
  }

  // ---- requests

  #route(): void {
    const guard = (work: (req: SrfRequest, res: SrfResponse) => void) => (req: SrfRequest, res: SrfResponse) => {
      try {
        work(req, res);
      } catch (error) {
        this.count('faults');
        this.log.error('a SIP request failed', { method: req.method, reason: reasonOf(error) });
        if (!res.finalResponseSent) refuse(this, res, 'INTERNAL', 'internal fault');
      }
    };
    this.#srf.use(
      'invite',
      guard((req, res) => this.#invited(req, res)),
    );
    this.#srf.use(
      'options',
      guard((req, res) => this.#asked(req, res)),
    );
    const refused = guard((req, res) => this.#unexpected(req, res));
    for (const method of REFUSED_METHODS) this.#srf.use(method, refused);
    this.#srf.use(refused);
  }

  #unexpected(req: SrfRequest, res: SrfResponse): void {
    if (req.method === 'ACK') return;
    const isInDialog = /;\s*tag=/i.test(req.get('To') ?? '');
    if (isInDialog) respond(this, res, 481);
    else respond(this, res, 405, { headers: { Allow: ALLOW } });
  }

  /** RFC 3261 §11.2: an OPTIONS gets the status that an INVITE would. */
  #asked(req: SrfRequest, res: SrfResponse): void {
    if (matchProfile(this.#options.profiles, req.source_address) === null) respond(this, res, 403);
    else if (this.#draining) refuse(this, res, 'SIP_SERVER_UNAVAILABLE', 'going down');
    else respond(this, res, 200, { headers: { Allow: ALLOW, Accept: 'application/sdp' } });
  }

  #invited(req: SrfRequest, res: SrfResponse): void {
    if (/;\s*tag=/i.test(req.get('To') ?? '')) {
      respond(this, res, 481);
      return;
    }
    const profile = matchProfile(this.#options.profiles, req.source_address);
    if (profile === null) {
      this.count('callsRefusedByAddress');
      this.log.warn('no profile admits this address', { source: req.source_address });
      respond(this, res, 403);
      return;
    }
    if (this.#draining || this.#handler === null) {
      this.count('callsRefusedDraining');
      refuse(this, res, 'SIP_SERVER_UNAVAILABLE', 'going down');
      return;
    }
    if (this.#dialogs >= DIALOGS_MAX || (this.#callsOf.get(profile.name) ?? 0) >= profile.admit.callsMax) {
      this.count('callsRefusedByLimit');
      this.log.warn('too many calls at once', { profile: profile.name, dialogs: this.#dialogs });
      refuse(this, res, 'CALL_LIMIT_REACHED', 'too many calls at once');
      return;
    }
    if (this.#checkShape(req, res)) this.#admit(req, res, profile, this.#handler);
  }

  /** What the library or a dialog would stumble over later. */
  #checkShape(req: SrfRequest, res: SrfResponse): boolean {
    const unknown = (req.get('Require') ?? '')
      .split(',')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== '' && !SUPPORTED_EXTENSIONS.has(tag.toLowerCase()));
    if (unknown.length > 0) {
      respond(this, res, 420, { headers: { Unsupported: unknown.join(', ').slice(0, 200) } });
    } else if (!/^[^<]*<?sips?:/i.test(req.get('Contact') ?? '')) {
      refuse(this, res, 'REQUEST_INVALID', 'INVITE without a Contact');
    } else {
      return true;
    }
    this.count('callsRefusedMalformed');
    return false;
  }

  #admit(req: SrfRequest, res: SrfResponse, profile: Profile, handler: CallHandler): void {
    const media = this.#readOffer(req, res, profile);
    if (media === 'refused') return;
    const message = { uri: req.uri, callId: req.get('Call-ID') ?? '', header: (name: string) => req.get(name) };
    const read = readContext(message, profile, this.verifierOf(profile), this.clock.now());
    if (!read.ok) {
      this.count(read.code === 'CALL_CONTEXT_INVALID' ? 'callsRefusedByContext' : 'callsRefusedBySignature');
      this.log.warn('the context of a call is not taken', { profile: profile.name, reason: read.reason });
      refuse(this, res, read.code, read.reason);
      return;
    }
    if (read.notBelieved !== null) {
      this.count('identifiedNotBelieved');
      this.log.warn('the word of a call on who the customer is does not count', {
        profile: profile.name,
        reason: read.notBelieved,
      });
    }
    for (const key of read.passedOver) {
      this.count('contextKeysPassedOver');
      this.log.info('a call may not set this', { profile: profile.name, key });
    }
    const now = this.clock.now();
    const names = { callId: newId('call', now), legId: newId('leg', now) };
    this.count('callsAdmitted');
    this.log.info('a call arrives', { ...names, profile: profile.name, sipCallId: message.callId.slice(0, 128) });
    const call = new IncomingInvite({
      world: this,
      srf: this.#srf,
      req,
      res,
      names,
      profile,
      context: read.context,
      from: this.#callerOf(req, profile),
      to: parseSipUri(req.uri)?.user ?? '',
      agreed: media,
      closed: this.#occupy(profile.name),
    });
    handler.callArrived(call).catch((error: unknown) => {
      this.count('faults');
      const code = error instanceof ServiceError ? error.code : 'INTERNAL';
      this.log.error('a call could not be taken', { ...names, code, reason: reasonOf(error) });
      void call.reject(code);
    });
  }

  /** The agreed media, null for an INVITE without offer, or `refused` once the response has gone out. */
  #readOffer(req: SrfRequest, res: SrfResponse, profile: Profile): AgreedAnswer | null | 'refused' {
    const body = bodyOf(req);
    if (body.kind === 'none') return null;
    if (body.kind === 'other') {
      this.count('callsRefusedByMedia');
      respond(this, res, 415, { headers: { Accept: 'application/sdp' } });
      return 'refused';
    }
    const parsed = parseSdp(body.text);
    const settled = parsed.ok ? settleOffer(parsed.description, profile.media, freshKey) : null;
    if (settled?.ok) return settled.agreed;
    const fault = parsed.ok ? (settled?.fault ?? '') : `session description: ${parsed.fault}`;
    this.count('callsRefusedByMedia');
    this.log.warn('an offer is refused', { profile: profile.name, fault });
    refuse(this, res, parsed.ok ? 'SDP_NO_COMMON_CODEC' : 'SDP_INVALID', fault);
    return 'refused';
  }

  #callerOf(req: SrfRequest, profile: Profile): string {
    const asserted = profile.callerId === 'p-asserted-identity' ? req.get('P-Asserted-Identity') : undefined;
    return callerOf(asserted ?? req.get('From') ?? '');
  }

  /** Takes a place among the dialogs, and a call of the profile's where it has one; the result gives both back, once. */
  #occupy(profileName: string | null): () => void {
    const add = (count: 1 | -1) => {
      this.#dialogs += count;
      if (profileName !== null) this.#callsOf.set(profileName, (this.#callsOf.get(profileName) ?? 0) + count);
    };
    add(1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      add(-1);
    };
  }

  // ---- SipPort

  async dial(request: DialRequest): Promise<DialedLeg> {
    const target = parseSipUri(request.target);
    if (target === null || target.headers.size > 0) {
      throw new ServiceError('TRANSFER_FAILED', 'the target is not a SIP URI without headers');
    }
    if (!this.#connected) throw new ServiceError('SIP_SERVER_UNAVAILABLE', 'not connected to the SIP server');
    if (this.#dialogs >= DIALOGS_MAX) throw new ServiceError('CALL_LIMIT_REACHED', `${DIALOGS_MAX} dialogs stand`);
    const profile = profileForTarget(this.#options.profiles, target.host) ?? DEFAULT_DIAL_PROFILE;
    return dial({ world: this, srf: this.#srf, profile, request, closed: this.#occupy(null) });
  }
}
