/** Identifiers, numbers and facts; never a card field, so that a line may be kept for ever. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Handed down as an argument; `telemetry/` makes the real one over pino. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
