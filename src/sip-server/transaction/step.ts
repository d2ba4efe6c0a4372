/** What a transaction machine asks of its runner. Orders, carried out in this sequence. */
export type Output =
  | 'send' // first transmission of the request or of a response handed in
  | 'resend' // the last request (client) or response (server) again
  | 'sendAck' // ACK for a failure response, RFC 3261 §17.1.1.3
  | 'pass' // hand what came in to the transaction user
  | 'timedOut'
  | 'transportError'
  | 'startEAtT2' // timer E with T2, wherever its doubling stands, RFC 3261 §17.1.2.2
  | `start${TimerName}`
  | `stop${TimerName}`;

export type TimerName = 'A' | 'B' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M';

export interface Step<State extends string> {
  readonly state: State;
  readonly outputs: readonly Output[];
}

/** Steps are constants: a transaction allocates nothing while it runs. */
export function to<State extends string>(state: State, ...outputs: Output[]): Step<State> {
  return { state, outputs };
}

export type Table<State extends string, Input extends string> = Readonly<
  Record<Exclude<State, 'terminated'>, Partial<Readonly<Record<Input, Step<State>>>>>
>;

/** An input without a row leaves the state alone and does nothing. */
export function stepOf<State extends string, Input extends string>(
  table: Table<State, Input>,
  state: State,
  input: Input,
): Step<State> | undefined {
  if (state === 'terminated') return undefined;
  return table[state as Exclude<State, 'terminated'>][input];
}
