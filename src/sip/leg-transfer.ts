import type { SrfDialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import type { CallResult } from '../app/ports.ts';
import { resultPairs, USER_TO_USER } from './headers.ts';
import { BYE_WAIT_MS, REQUEST_WAIT_MS, TRANSFER_DECISION_WAIT_MS } from './limits.ts';
import { hostIn, type Profile } from './profiles.ts';
import { respond } from './respond.ts';
import { hasControl, parseSipUri, uriOf } from './uri.ts';
import { reasonOf, type SipWorld, within, writeSigned } from './world.ts';

/** How a REFER of ours ended: `accepted` where the peer took it and then said no more. */
export type ReferOutcome = 'accepted' | 'completed' | 'failed';

/** REFER (RFC 3515) both ways on one leg, one at a time in each direction. */
export class LegTransfer {
  readonly #world: SipWorld;
  readonly #profile: Profile;
  readonly #dialog: SrfDialog;
  /** Ours: null where none is under way. */
  #settle: ((outcome: ReferOutcome) => void) | null = null;
  #accepted = false;
  /** Theirs: accepted, and its last NOTIFY not sent yet. */
  #owesNotify = false;
  #deciding = false;

  constructor(world: SipWorld, profile: Profile, dialog: SrfDialog) {
    this.#world = world;
    this.#profile = profile;
    this.#dialog = dialog;
  }

  /** Never throws. Ends within REQUEST_WAIT_MS and then the profile's `transfer.waitMs`. */
  async refer(target: string, result: CallResult): Promise<ReferOutcome> {
    const referTo = this.#profile.transfer.refer ? this.#referTo(target, result) : null;
    if (referTo === null || this.#settle !== null) {
      this.#world.count('transfersOutFailed');
      this.#world.log.warn('a REFER was not sent', {
        profile: this.#profile.name,
        allowed: this.#profile.transfer.refer,
        busy: this.#settle !== null,
      });
      return 'failed';
    }
    this.#world.count('transfersOut');
    this.#accepted = false;
    const outcome = await this.#send({
      'Refer-To': `<${referTo}>`,
      'Referred-By': `<${contactUri(this.#dialog)}>`,
      ...writeSigned(this.#world, this.#profile, resultPairs(result)),
    });
    if (outcome === 'failed') this.#world.count('transfersOutFailed');
    return outcome;
  }

  /**
   * The target with the result as a URI header (RFC 3261 §19.1.1): a peer that knows nothing of us copies it into the
   * INVITE it sends, so that whoever gets the call next can read it.
   */
  #referTo(target: string, result: CallResult): string | null {
    const uri = parseSipUri(target);
    if (uri === null || uri.headers.size > 0) return null;
    const userToUser = writeSigned(this.#world, this.#profile, resultPairs(result))[USER_TO_USER];
    return userToUser === undefined ? target : `${target}?${USER_TO_USER}=${encodeURIComponent(userToUser)}`;
  }

  #send(headers: Record<string, string>): Promise<ReferOutcome> {
    return new Promise((resolve) => {
      const answerTimer = this.#world.clock.startTimer(REQUEST_WAIT_MS, () => this.#settle?.('failed'));
      let notifyTimer = answerTimer;
      this.#settle = (outcome) => {
        this.#settle = null;
        answerTimer.cancel();
        notifyTimer.cancel();
        resolve(outcome);
      };
      const answered = (error: unknown, response?: SrfResponse) => {
        if (this.#settle === null || (response !== undefined && response.status < 200)) return;
        if (error || response === undefined || response.status >= 300) {
          this.#world.log.warn('a REFER was refused', {
            status: response?.status,
            reason: error ? reasonOf(error) : null,
          });
          this.#settle('failed');
          return;
        }
        answerTimer.cancel();
        this.#accepted = true;
        notifyTimer = this.#world.clock.startTimer(this.#profile.transfer.waitMs, () => this.#settle?.('accepted'));
      };
      try {
        this.#dialog.request({ method: 'REFER', headers }, answered);
      } catch (error) {
        answered(error);
      }
    });
  }

  /** A NOTIFY of the peer: the sipfrag (RFC 3420) of the call it placed for us. */
  notified(req: SrfRequest, res: SrfResponse): void {
    const isRefer = /^refer\b/i.test(req.get('Event') ?? '');
    if (!isRefer || this.#settle === null) {
      respond(this.#world, res, isRefer ? 481 : 489);
      return;
    }
    respond(this.#world, res, 200);
    const status = Number(/^SIP\/2\.0 (\d{3})(?: |\r|\n|$)/.exec(req.body ?? '')?.[1] ?? 0);
    if (status >= 300) this.#settle('failed');
    else if (status >= 200) this.#settle('completed');
    else if (/^terminated/i.test(req.get('Subscription-State') ?? '')) this.#settle('accepted');
  }

  /** A REFER of the peer; `decide` asks the application, which sees only targets that the profile allows. */
  async requested(
    req: SrfRequest,
    res: SrfResponse,
    decide: (target: string) => Promise<'accept' | 'refuse'>,
  ): Promise<void> {
    const refuse = (status: number, why: string) => {
      this.#world.count('transfersInRefused');
      this.#world.log.warn('a REFER of the peer is refused', { profile: this.#profile.name, status, why });
      respond(this.#world, res, status);
    };
    if (this.#deciding || this.#owesNotify) return refuse(491, 'one is under way');
    const target = uriOf(req.get('Refer-To') ?? '');
    const uri = parseSipUri(target);
    if (uri === null || hasControl(target)) return refuse(400, 'Refer-To is no SIP URI');
    if (!hostIn(this.#profile.transfer.hosts, uri.host)) return refuse(403, 'the profile does not list the host');
    if ([...uri.headers.keys()].some((name) => name.toLowerCase() === 'replaces')) {
      return refuse(501, 'Replaces is not supported');
    }
    this.#deciding = true;
    const decision = await within(
      this.#world.clock,
      TRANSFER_DECISION_WAIT_MS,
      'a transfer decision',
      decide(target.split('?')[0] ?? ''),
    ).catch(() => 'refuse' as const);
    this.#deciding = false;
    if (decision === 'refuse') return refuse(603, 'the application says no');

    this.#world.count('transfersIn');
    // RFC 4488: a peer that wants no NOTIFYs says Refer-Sub: false.
    const isSilent = /^\s*false/i.test(req.get('Refer-Sub') ?? '');
    respond(this.#world, res, 202, isSilent ? { headers: { 'Refer-Sub': 'false' } } : {});
    if (isSilent) return;
    this.#owesNotify = true;
    await this.#notify('active;expires=60', '100 Trying');
  }

  /** Before our BYE: a transfer that was taken counts as carried out once the application lets the leg go. */
  async finish(): Promise<void> {
    if (!this.#owesNotify) return;
    this.#owesNotify = false;
    await this.#notify('terminated;reason=noresource', '200 OK');
  }

  async #notify(state: string, fragment: string): Promise<void> {
    const headers = { Event: 'refer', 'Subscription-State': state, 'Content-Type': 'message/sipfrag;version=2.0' };
    const answered = new Promise<void>((resolve) => {
      this.#dialog.request({ method: 'NOTIFY', headers, body: `SIP/2.0 ${fragment}\r\n` }, () => resolve());
    });
    await within(this.#world.clock, BYE_WAIT_MS, 'a NOTIFY', answered).catch(() => {
      this.#world.log.debug('a NOTIFY was not answered');
    });
  }

  /** The leg has ended. A peer that hangs up after its 202 has gone to do what it was asked. */
  close(): void {
    this.#owesNotify = false;
    this.#settle?.(this.#accepted ? 'accepted' : 'failed');
  }
}

function contactUri(dialog: SrfDialog): string {
  return uriOf(dialog.local.contact) || dialog.local.uri;
}
