import { startApi } from './api/api.ts';
import { createApp, missingRecordings } from './app/app.ts';
import type { GatewayAdapter } from './app/ports.ts';
import { checkGateways } from './app/recovery.ts';
import type { Config, GatewayConfig } from './config/config.ts';
import { createDataDip } from './data-dip/adapter.ts';
import { basicAuthorization, bearerAuthorization } from './gateway/authorization.ts';
import { genericRestAdapter } from './gateway/generic-rest/adapter.ts';
import { sandboxAdapter } from './gateway/sandbox/adapter.ts';
import { systemClock } from './lib/clock.ts';
import { ServiceError } from './lib/errors.ts';
import type { Log } from './lib/log.ts';
import { recordingFiles } from './lib/recording-files.ts';
import type { Sensitive } from './lib/sensitive.ts';
import { createMediaClient } from './media/client.ts';
import type { WorkerAddress } from './media/connection.ts';
import { createSipFrontEnd } from './sip/front-end.ts';
import { loadProfiles } from './sip/profiles.ts';
import { openStore } from './store/store.ts';
import { createMetrics } from './telemetry/metrics.ts';

/** Where no flow says another: sessions and recovery ask within their flow's `gatewayTimeoutMs`. */
const GATEWAY_TIMEOUT_MS = 15_000;

export interface ControlOptions {
  readonly config: Config;
  readonly log: Log;
  readonly workers: readonly WorkerAddress[];
  readonly sipServer: { readonly host: string; readonly port: number; readonly secret: Sensitive<string> };
}

export interface Control {
  /** No new calls; those that are on go on for so long, then they are ended. */
  stop(drainMs: number): Promise<void>;
}

/** The composition root of the control process: configuration → parts → wiring. Throws what can't be started, in words. */
export async function startControl({ config, log, workers, sipServer }: ControlOptions): Promise<Control> {
  const clock = systemClock;
  checkRecordings(config);
  const metrics = createMetrics();
  const store = openStore({ file: config.store.file, retentionDays: config.store.retentionDays, clock, log });
  const media = createMediaClient({
    workers,
    locale: 'en-US',
    hangMs: config.hangMs === 0 ? null : config.hangMs,
    clock,
    log,
  });
  const sip = createSipFrontEnd({
    server: sipServer,
    profiles: loadProfiles(config.sip.profiles, new Set(config.sip.secrets.keys())),
    secrets: config.sip.secrets,
    clock,
    log,
    onCount: metrics.countSip,
  });
  const gateways = new Map(
    [...config.gateways].map(([name, gateway]) => [name, gatewayAdapter(name, gateway)] as const),
  );
  const defaultFlow = [...config.flows.keys()][0] ?? 'default';
  checkGateways({ flows: config.flows, gateways, defaultFlow });
  const app = createApp({
    sip,
    media,
    store,
    dataDip: createDataDip(),
    gateways,
    flows: config.flows,
    defaultFlow,
    clock,
    log,
    metrics: metrics.app,
    callsMax: config.limits.callsMax,
  });
  metrics.watch({
    callsActive: () => app.callsActive(),
    sipDialogs: () => sip.dialogs,
    workersReady: () => media.readyWorkers(),
    workersLost: () => media.counters.workersLost,
    legsRecreated: () => media.counters.legsRecreated,
    legsLost: () => media.counters.legsLost,
    mediaEventsLost: () => media.counters.eventsLost,
    mediaTicksLate: () => media.counters.ticksLate,
    mediaTicksSkipped: () => media.counters.ticksSkipped,
    textsWithheld: () => store.withheldCount,
    writesWaiting: () => store.writesWaiting,
  });
  const api = await startApi({
    address: config.http.address,
    port: config.http.port,
    keys: config.http.keys,
    records: store.queries,
    subscribe: (listener) => app.subscribe(listener),
    readiness: async () => ({
      workers: media.readyWorkers() === workers.length,
      sip: sip.connected,
      store: store.isWritable(),
    }),
    callMedia: (callId) => app.callMedia(callId),
    metricsText: () => metrics.text(),
    answerWithheld: metrics.answerWithheld,
    bodyBytesMax: config.http.bodyBytesMax,
    requestsMax: config.http.requestsMax,
    pageRowsMax: config.http.pageRowsMax,
    clock,
    log,
  });
  await workersReady(media);
  await app.recover();
  await sip.start(app);
  log.info('control ready', { port: config.http.port });
  return {
    async stop(drainMs) {
      sip.drain();
      await app.stop(drainMs);
      sip.stop();
      await api.close();
      media.close();
      store.close();
    },
  };
}

const WORKERS_READY_MS_MAX = 20_000;
const WORKERS_POLL_MS = 20;

/** A call that came before the first worker would find nobody. */
async function workersReady(media: { readyWorkers(): number }): Promise<void> {
  for (let waitedMs = 0; media.readyWorkers() === 0; waitedMs += WORKERS_POLL_MS) {
    if (waitedMs > WORKERS_READY_MS_MAX) throw new ServiceError('WORKER_UNAVAILABLE', 'no media worker came up');
    await new Promise<void>((resolve) => systemClock.startTimer(WORKERS_POLL_MS, resolve));
  }
}

/** Named at start, not in the middle of a call. */
function checkRecordings(config: Config): void {
  const files = new Map<string, ReadonlyMap<string, string>>();
  const of = (locale: string) => {
    const found = files.get(locale) ?? recordingFiles(config.prompts, locale);
    files.set(locale, found);
    return found;
  };
  const missing = missingRecordings(config.flows.values(), { has: (locale, name) => of(locale).has(name) });
  if (missing.length === 0) return;
  const lines = missing.map((name) => `${config.prompts.directory}: expected a recording ${name}.wav`);
  throw new ServiceError('PROMPT_MISSING', lines.join('\n'), { detail: { missing: missing.length } });
}

function gatewayAdapter(name: string, gateway: GatewayConfig): GatewayAdapter {
  const { url } = gateway;
  if (gateway.kind === 'sandbox') {
    return sandboxAdapter({
      name,
      url,
      authorization: bearerAuthorization(gateway.key),
      timeoutMs: GATEWAY_TIMEOUT_MS,
    });
  }
  const { dialect, verbs, username, password } = gateway;
  const authorization = basicAuthorization(username, password);
  return genericRestAdapter({ name, url, dialect, verbs, authorization, timeoutMs: GATEWAY_TIMEOUT_MS });
}
