import { ServiceError } from '../lib/errors.ts';
import type { CallId, LegId } from '../lib/ids.ts';
import type { EventDetail } from './journal.ts';
import type { LegStats, MediaPort, NegotiatedMedia } from './ports.ts';

export type LegRole = 'caller' | 'target';

/** One leg of a live call: what was agreed, without keys, and its figures as of now. */
export interface LegShown {
  readonly legId: LegId;
  readonly role: LegRole;
  /** Null for a target that has not answered yet. */
  readonly agreed: (Omit<NegotiatedMedia, 'security'> & { readonly srtp: string | null }) | null;
  readonly stats: LegStats;
}

export interface CallMedia {
  readonly callId: CallId;
  readonly legs: readonly LegShown[];
}

/** Which legs a call has, and what was agreed for each. */
export class LegBook {
  readonly #legs = new Map<LegId, { readonly role: LegRole; agreed: NegotiatedMedia | null }>();

  add(legId: LegId, role: LegRole, agreed: NegotiatedMedia | null): void {
    this.#legs.set(legId, { role, agreed });
  }

  changed(legId: LegId, agreed: NegotiatedMedia): void {
    const leg = this.#legs.get(legId);
    if (leg !== undefined) leg.agreed = agreed;
  }

  /** Its role, of what is recorded when it is gone. */
  remove(legId: LegId): LegRole {
    const role = this.#legs.get(legId)?.role ?? 'target';
    this.#legs.delete(legId);
    return role;
  }

  /** Throws ServiceError where a worker does not say; a leg that ends meanwhile is left out. */
  async show(media: MediaPort): Promise<LegShown[]> {
    const shown = [...this.#legs].map(async ([legId, { role, agreed }]) => {
      const stats = await media.legStats(legId).catch((error: unknown) => {
        if (error instanceof ServiceError && error.code === 'CALL_NOT_FOUND') return null;
        throw error;
      });
      return stats === null ? null : { legId, role, agreed: agreed === null ? null : withoutKeys(agreed), stats };
    });
    return (await Promise.all(shown)).filter((leg) => leg !== null);
  }
}

function withoutKeys({ security, ...agreed }: NegotiatedMedia): NonNullable<LegShown['agreed']> {
  return { ...agreed, srtp: security?.suite ?? null };
}

/** What is recorded of a leg that has ended; `GET /v1/conversations/{id}` shows it. */
export function legTotals(role: LegRole, stats: LegStats): EventDetail {
  const { quality, peerReport, peerQuality } = stats;
  return {
    role,
    packetsReceived: stats.packetsReceived,
    packetsSent: stats.packetsSent,
    packetsLost: stats.packetsLost,
    packetsLate: stats.packetsLate,
    framesConcealed: stats.framesConcealed,
    jitterMs: stats.jitterMs,
    roundTripMs: stats.roundTripMs,
    rFactor: quality?.rFactor ?? null,
    mosConversation: quality?.mosConversation ?? null,
    peerPacketsLost: peerReport?.packetsLost ?? null,
    peerJitterMs: peerReport?.jitterMs ?? null,
    peerMosConversation: peerQuality?.mosConversation ?? null,
  };
}
