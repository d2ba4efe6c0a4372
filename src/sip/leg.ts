import type { SrfDialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import type { CallResult, LegEnd, LegListener, LocalMedia, NegotiatedMedia, SipLeg } from '../app/ports.ts';
import { assert } from '../lib/assert.ts';
import { readIdentified } from './context.ts';
import type { SecureOffer } from './crypto.ts';
import { HEADER_NAMES, resultPairs, USER_TO_USER } from './headers.ts';
import { LegMedia } from './leg-media.ts';
import { LegTransfer, type ReferOutcome } from './leg-transfer.ts';
import { BYE_WAIT_MS, HEADER_VALUE_CHARS_MAX } from './limits.ts';
import type { Origin } from './offer-answer.ts';
import type { Profile } from './profiles.ts';
import { respond } from './respond.ts';
import { type LegNames, reasonOf, type SipWorld, within, writeSigned } from './world.ts';

export interface LegParts {
  readonly world: SipWorld;
  readonly names: LegNames;
  readonly profile: Profile;
  readonly dialog: SrfDialog;
  readonly media: NegotiatedMedia | null;
  readonly local: LocalMedia;
  readonly origin: Origin;
  readonly sdp: string;
  /** What our own offer had of keys, while its answer is still to come. */
  readonly secure: SecureOffer | null;
  readonly ownsCallId: boolean;
  /** Called once, however the leg ends. */
  readonly closed: () => void;
}

/**
 * One established dialog. What the peer does before the application listens waits for it: a re-INVITE or REFER is not
 * answered, an end is told as soon as `listen` is called.
 */
export class Leg implements SipLeg {
  readonly legId: string;
  readonly media: LegMedia;
  readonly #parts: LegParts;
  readonly #transfer: LegTransfer;
  readonly #listener: Promise<LegListener>;
  #listen: (listener: LegListener) => void = () => {};
  #listened = false;
  #ended = false;
  #stopWatching: () => void = () => {};

  /** Must run in the very turn in which the library hands over the dialog: later, a BYE may have passed already. */
  constructor(parts: LegParts) {
    const { world, dialog, profile } = parts;
    this.legId = parts.names.legId;
    this.#parts = parts;
    this.#listener = new Promise((resolve) => {
      this.#listen = resolve;
    });
    this.#transfer = new LegTransfer(world, profile, dialog);
    this.media = new LegMedia({ ...parts, change: async (media) => (await this.#listener).mediaChanged(media) });
    this.#stopWatching = world.onLost(() => {
      world.count('dialogsLost');
      this.#end({ kind: 'lost' });
    });
    this.#attach(dialog);
  }

  #attach(dialog: SrfDialog): void {
    const { world } = this.#parts;
    // The library reads `remote.sdp` and `body` as strings, and throws in the socket's handler where one is missing.
    dialog.remote.sdp ??= '';
    const handle = dialog.handle.bind(dialog);
    dialog.handle = (req, res) => {
      req.body ??= '';
      try {
        handle(req, res);
      } catch (error) {
        this.#fault(res, error);
      }
    };
    const guarded = (work: (req: SrfRequest, res: SrfResponse) => void | Promise<void>) => {
      return (req: SrfRequest, res: SrfResponse) => {
        const run = async () => work(req, res);
        run().catch((error: unknown) => this.#fault(res, error));
      };
    };
    dialog.on('destroy', (req: SrfRequest, reason?: string) => this.#destroyed(req, reason ?? ''));
    dialog.on(
      'modify',
      guarded((req, res) => this.media.offered(req, res)),
    );
    dialog.on(
      'update',
      guarded((req, res) => this.media.offered(req, res)),
    );
    dialog.on(
      'refer',
      guarded((req, res) => this.#referred(req, res)),
    );
    dialog.on(
      'notify',
      guarded((req, res) => this.#transfer.notified(req, res)),
    );
    dialog.on(
      'options',
      guarded((_req, res) => respond(world, res, 200)),
    );
    dialog.on(
      'message',
      guarded((_req, res) => respond(world, res, 405)),
    );
    dialog.on(
      'publish',
      guarded((_req, res) => respond(world, res, 405)),
    );
    // Digits in INFO are not taken: their text would stand in this process. An empty INFO only asks if we are alive.
    dialog.on(
      'info',
      guarded((req, res) => {
        if ((req.body ?? '') === '') return respond(world, res, 200);
        world.count('infoRefused');
        return respond(world, res, 415, { headers: { Accept: 'application/sdp' } });
      }),
    );
  }

  #fault(res: SrfResponse, error: unknown): void {
    this.#parts.world.count('faults');
    this.#parts.world.log.error('a request within a dialog failed', { ...this.#parts.names, reason: reasonOf(error) });
    if (!res.finalResponseSent) respond(this.#parts.world, res, 500);
  }

  listen(listener: LegListener): void {
    assert(!this.#listened, 'a leg has one listener');
    this.#listened = true;
    this.#listen(listener);
  }

  /**
   * Tells the listener of media that were agreed before it listened: the answer to a late offer. It went with the ACK, so
   * nothing can refuse it but a BYE.
   */
  announce(media: NegotiatedMedia): void {
    this.#listener
      .then((listener) => listener.mediaChanged(media))
      .catch((error: unknown) => {
        this.#parts.world.log.warn('media of a late answer were not taken', { reason: reasonOf(error) });
        if (this.#ended) return;
        this.#end({ kind: 'lost' });
        this.#parts.dialog.destroy({}, () => {});
      });
  }

  get ended(): boolean {
    return this.#ended;
  }

  async hangUp(result?: CallResult): Promise<void> {
    if (this.#ended) return;
    const { world, profile, dialog, names } = this.#parts;
    this.#close();
    const headers = result === undefined ? {} : writeSigned(world, profile, resultPairs(result));
    await this.#transfer.finish();
    this.#transfer.close();
    const gone = new Promise<void>((resolve, reject) => {
      dialog.destroy({ headers }, (error) => (error ? reject(new Error(reasonOf(error))) : resolve()));
    });
    await within(world.clock, BYE_WAIT_MS, 'a BYE', gone).catch((error: unknown) => {
      world.log.info('a BYE was not answered', { ...names, reason: reasonOf(error) });
    });
  }

  async refer(target: string, result: CallResult): Promise<ReferOutcome> {
    return this.#ended ? 'failed' : this.#transfer.refer(target, result);
  }

  /** Moves our side of the media by a re-INVITE of ours. */
  async reoffer(local: LocalMedia): Promise<'moved' | 'refused'> {
    return this.#ended ? 'refused' : this.media.reoffer(local);
  }

  async renewKeys(): Promise<'renewed' | 'refused' | 'plain'> {
    return this.#ended ? 'refused' : this.media.renewKeys();
  }

  #identified(req: SrfRequest): boolean | null {
    const { world, profile, names } = this.#parts;
    const message = { uri: '', callId: req.get('Call-ID') ?? '', header: (name: string) => req.get(name) };
    const options = { ours: names.callId, now: world.clock.now() };
    const word = readIdentified(message, profile, world.verifierOf(profile), options);
    if (word.fault !== null) {
      world.count('identifiedNotBelieved');
      world.log.warn('the word of a peer on who the customer is does not count', { ...names, reason: word.fault });
    }
    return word.identified;
  }

  #destroyed(req: SrfRequest, reason: string): void {
    if (req.source === 'application') {
      const isRace = /cancel/i.test(reason);
      this.#end(isRace ? { kind: 'cancelled' } : { kind: 'timeout' });
      return;
    }
    this.#end({ kind: 'bye', headers: knownHeaders(req), identified: this.#identified(req) });
  }

  #end(end: LegEnd): void {
    if (this.#ended) return;
    this.#close();
    this.#transfer.close();
    this.#listener
      .then((listener) => listener.ended(end))
      .catch((error: unknown) => {
        this.#parts.world.count('faults');
        this.#parts.world.log.error('the end of a leg was not taken', {
          ...this.#parts.names,
          reason: reasonOf(error),
        });
      });
  }

  #close(): void {
    this.#ended = true;
    this.#stopWatching();
    this.media.close();
    this.#parts.closed();
  }

  async #referred(req: SrfRequest, res: SrfResponse): Promise<void> {
    await this.#transfer.requested(req, res, async (target) => {
      const listener = await this.#listener;
      return listener.transferRequested({ target, identified: this.#identified(req) });
    });
  }
}

/** Of a BYE, what the application may want to see: our own headers, User-to-User and Reason. */
function knownHeaders(req: SrfRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of [...Object.values(HEADER_NAMES), USER_TO_USER, 'Reason']) {
    const value = req.get(name);
    if (value !== undefined && value.length <= HEADER_VALUE_CHARS_MAX) headers[name] = value;
  }
  return headers;
}
