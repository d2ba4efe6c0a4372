import type { Clock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import type { CallId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import { type HeaderKey, writeHeaders } from './headers.ts';
import type { Profile } from './profiles.ts';
import { type SignatureVerifier, sign } from './signature.ts';

/** What the front end counts; each goes up by one at a time. */
export type SipCounter =
  | 'callsAdmitted'
  | 'callsRefusedByAddress'
  | 'callsRefusedByLimit'
  | 'callsRefusedByContext'
  | 'callsRefusedBySignature'
  | 'callsRefusedByMedia'
  | 'callsRefusedMalformed'
  | 'callsRefusedDraining'
  | 'callsRefusedByApplication'
  | 'callsCancelled'
  | 'contextKeysPassedOver'
  | 'headersDropped'
  | 'mediaChanges'
  | 'mediaChangesRefused'
  | 'dials'
  | 'dialsFailed'
  | 'transfersOut'
  | 'transfersOutFailed'
  | 'transfersIn'
  | 'transfersInRefused'
  | 'identifiedNotBelieved'
  | 'infoRefused'
  | 'dialogsLost'
  | 'faults';

/** What every part of the front end shares. */
export interface SipWorld {
  readonly clock: Clock;
  readonly log: Log;
  count(counter: SipCounter): void;
  verifierOf(profile: Profile): SignatureVerifier | null;
  secretOf(profile: Profile): Sensitive<string> | null;
  /** Calls back when the connection to the SIP server is gone; the returned function takes that back. */
  onLost(lost: () => void): () => void;
}

export const ALLOW = 'INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, REFER, NOTIFY, INFO';

/** Settles with the work, or throws WORKER_TIMEOUT when the limit is over first. The work itself goes on. */
export function within<T>(clock: Clock, limitMs: number, what: string, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.startTimer(limitMs, () =>
      reject(new ServiceError('WORKER_TIMEOUT', `${what} took more than ${limitMs} ms`, { detail: { limitMs } })),
    );
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Pairs as headers in the profile's style, signed where it says so. */
export function writeSigned(
  world: SipWorld,
  profile: Profile,
  pairs: ReadonlyMap<HeaderKey, string>,
): Record<string, string> {
  const secret = profile.signature?.signResult === true ? world.secretOf(profile) : null;
  const writable = writeHeaders(pairs, { headers: true, userToUser: false });
  const safe = new Map([...pairs].filter(([key]) => !writable.dropped.includes(key)));
  for (const key of writable.dropped) {
    world.count('headersDropped');
    world.log.warn('a value cannot stand in a SIP header and is left out', { key });
  }
  if (secret !== null && safe.size > 0) safe.set('signature', sign(safe, secret, world.clock.now()));
  return writeHeaders(safe, profile.result).headers;
}

/** The reason of a library error, which may be a string, an error or nothing. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : 'no reason given';
}

export interface LegNames {
  readonly callId: CallId;
  readonly legId: string;
}
