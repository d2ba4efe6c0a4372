import type { CallResult, GatewayVerb, LegStats } from './ports.ts';

/** What `telemetry/` counts of the application; names and numbers only. */
export interface AppMetrics {
  callStarted(): void;
  callRefused(code: string): void;
  callEnded(durationMs: number): void;
  /** What the media of a leg came to; told once, when it is closed. */
  legClosed(stats: LegStats): void;
  paymentEnded(result: CallResult['result'], durationMs: number): void;
  gatewayAsked(gateway: string, verb: GatewayVerb, outcome: string, durationMs: number): void;
  /** A machine had no row for an input. */
  inputIgnored(state: string, input: string): void;
  failure(code: string): void;
}

export const noMetrics: AppMetrics = {
  callStarted() {},
  callRefused() {},
  callEnded() {},
  legClosed() {},
  paymentEnded() {},
  gatewayAsked() {},
  inputIgnored() {},
  failure() {},
};
