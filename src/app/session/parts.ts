import type { Clock } from '../../lib/clock.ts';
import type { CallId, LegId } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import type { Flow } from '../../session/flow.ts';
import type { CallJournal } from '../journal.ts';
import type { AppMetrics } from '../metrics.ts';
import type { CallContext, DataDipPort, GatewayAdapter, MediaPort, StorePort } from '../ports.ts';

/** What a payment on a call is run with. */
export interface RunnerDeps {
  readonly media: MediaPort;
  readonly store: StorePort;
  readonly dataDip: DataDipPort;
  readonly gateway: GatewayAdapter;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
  readonly journal: CallJournal;
}

/** The call that it is on. */
export interface RunnerCall {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly flow: Flow;
  readonly context: CallContext;
}
