import { randomBytes } from 'node:crypto';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { brandLabel } from '../card/brands.ts';
import { readConfig } from '../config/read.ts';
import { systemClock } from '../lib/clock.ts';
import { formatAmount } from '../money/amount.ts';
import { type CallReport, runCall, STORIES } from './demo/calls.ts';
import { Screen } from './demo/screen.ts';
import { type DemoServer, findServer, startServer } from './demo/server.ts';
import { paint, TimeLine } from './demo/time-line.ts';

const USAGE = `usage: hushtone demo [--config FILE] [--own]

Places three real SIP calls over loopback, at the same time, with test cards: one is approved, one is declined and then
approved with another card, one hangs up in the middle of the card number. Prints what the callers do, what the server
records and what the gateway answers, and checks how each call ended. Takes about two minutes.

It calls the server that runs by the same configuration, where that is ready and pays at the sandbox gateway; otherwise
it starts one on free ports and ends it again. Each call is recorded as the caller heard it (left) and keyed it (right).

  --config FILE   of the server that runs; without it hushtone.yaml of this folder, or the defaults
  --own           start a server even where one runs

Exit status: 0 all three calls ended as they should, 1 one did not, 2 wrong arguments, 130 ended by Ctrl-C.

examples:
  npx hushtone demo
  npx hushtone demo --own
  NO_COLOR=1 npx hushtone demo > demo.txt
`;

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
/** Of each call, in minor units: none that makes the sandbox behave in a special way. */
const AMOUNT_MINOR = 4_210;
/** Between the beginnings of two calls, so that their time lines can be told apart. */
const STAGGER_MS = 1_500;
const TAG_LETTERS = 'abcdefghjkmnpqrstuvwxyz';
const TAG_LENGTH = 8;

/** Narrower than this, lines would wrap, and could not change in place. */
const COLUMNS_MIN = 90;

const screen = new Screen((text) => void process.stdout.write(text));
const print = (line: string) => screen.show([line]);

export async function demoCommand(argv: readonly string[]): Promise<number> {
  let values: { config?: string; own: boolean; help: boolean };
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string' },
        own: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`hushtone demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_USAGE;
  }
  if (values.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const config = readConfig({ file: values.config ?? null, environment: process.env, directory: process.cwd() });
  const interrupted = onInterrupt();
  const running = values.own ? null : await findServer(config, print);
  if (running === null) print('Starting a server for the demo, which takes some seconds …');
  const server = running ?? (await startServer(systemClock));
  const calls = callAll(server, join(config.varDir, 'demo'), interrupted);
  const reports = await Promise.race([calls, interrupted]);
  if (reports === null) {
    print('Interrupted: hanging up …');
    await calls;
    await server.stop(false);
    return EXIT_INTERRUPTED;
  }
  const isGood = reports.every(({ faults }) => faults.length === 0);
  const log = await server.stop(!isGood);
  if (log !== null) print(`The server's log is kept: ${log}`);
  return isGood ? EXIT_OK : EXIT_FAILED;
}

/** Null once somebody pressed Ctrl-C. */
function onInterrupt(): Promise<null> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(null));
  });
}

async function callAll(server: DemoServer, folder: string, interrupted: Promise<null>): Promise<readonly CallReport[]> {
  const { wsUrl, api, flow } = server;
  const colours = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const startedAt = systemClock.now();
  const isTerminal = process.stdout.isTTY === true && process.stdout.columns >= COLUMNS_MIN;
  const look = { startedAt, calls: STORIES.map(({ name }) => name), colours, isTerminal };
  const timeLine = new TimeLine(look, systemClock, screen);
  const amount = `${formatAmount(AMOUNT_MINOR, flow.currency)} ${flow.currency}`;
  print(`Three callers phone the server, which ${server.is}, to pay ${amount} each with a test card.`);
  print(`  calls    ${wsUrl}  (SIP over WebSocket; the audio is real too, on loopback)`);
  print(`  records  ${api.url}/v1/conversations`);
  print('');
  const tag = randomTag();
  let isInterrupted = false;
  void interrupted.then(() => {
    isInterrupted = true;
  });
  const reports = await Promise.all(
    STORIES.map(async (story, i) => {
      await new Promise<void>((resolve) => systemClock.startTimer(i * STAGGER_MS, resolve));
      const customer = `demo-${tag}-${story.name}`;
      const order = { story, flow, api, wsUrl, amountMinor: AMOUNT_MINOR, customer, folder };
      return runCall({ ...order, clock: systemClock, timeLine, isTerminal, interrupted });
    }),
  );
  timeLine.close();
  if (isInterrupted) return reports;
  const seconds = ((systemClock.now() - startedAt) / 1000).toFixed(0);
  print('');
  for (const report of reports) for (const line of summaryOf(report, colours)) print(line);
  print('');
  const good = reports.filter(({ faults }) => faults.length === 0).length;
  print(`${good} of ${reports.length} calls ended as they should, in ${seconds} s.`);
  return reports;
}

/** Letters, so that no digit of it could be taken for a card's. */
function randomTag(): string {
  return [...randomBytes(TAG_LENGTH)].map((byte) => TAG_LETTERS[byte % TAG_LETTERS.length]).join('');
}

function summaryOf({ story, found, faults, recording }: CallReport, colours: boolean): readonly string[] {
  const mark = faults.length === 0 ? paint('ok   ', 32, colours) : paint('FAULT', 31, colours);
  const card = found.last4 === null ? '' : `, ${brandLabel(found.brand ?? '')} •••• ${found.last4}`;
  const said = `the gateway said ${found.attempts.join(', then ')}`;
  const tries = found.attempts.length === 0 ? 'the gateway was never asked' : said;
  const heard = recording === null ? [] : [`       ${relative(process.cwd(), recording)}  (left: heard, right: keyed)`];
  return [
    `${mark}  ${story.name.padEnd(9)}  ${found.result ?? 'no result'}${card}; ${tries}`,
    ...faults.map((fault) => `       ${fault}`),
    ...heard,
  ];
}
