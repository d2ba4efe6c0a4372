import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Flow } from '../session/flow.ts';
import type { AppMetrics } from './metrics.ts';
import type { DataDipPort, GatewayAdapter, MediaPort, SipPort, StorePort } from './ports.ts';

/** What the application is made with. */
export interface AppDeps {
  readonly sip: SipPort;
  readonly media: MediaPort;
  readonly store: StorePort;
  readonly dataDip: DataDipPort;
  /** By the name under `gateways:`. */
  readonly gateways: ReadonlyMap<string, GatewayAdapter>;
  readonly flows: ReadonlyMap<string, Flow>;
  /** The flow of a call that names none. */
  readonly defaultFlow: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
  /** Calls at the same time; one more is refused with CALL_LIMIT_REACHED. */
  readonly callsMax: number;
}
