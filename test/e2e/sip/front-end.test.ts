import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DialedLeg, IncomingCall, LegEnd, LegListener, NegotiatedMedia, SipLeg } from '../../../src/app/ports.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Sensitive } from '../../../src/lib/sensitive.ts';
import { createSipFrontEnd, type SipFrontEnd } from '../../../src/sip/front-end.ts';
import { checkProfiles } from '../../../src/sip/profiles.ts';
import { freeMediaPort, freeUdpPort } from '../../harness/free-ports.ts';
import { until } from '../../harness/until.ts';
import { profileText } from '../../sip/profile-text.ts';
import { CALLED, CALLERS } from './scenarios.ts';

/*
 * The front end behind the embedded SIP server, called by SIPp. The application here takes every call and does what the
 * test says; there is no media worker, so no RTP flows.
 */

const ROOT = join(import.meta.dirname, '../../..');
const SIPP = '/usr/bin/sipp';
/** Where it says that it listens, once it does. */
const READY = /SIP on udp:127\.0\.0\.1:(\d+); applications on 127\.0\.0\.1:(\d+)/;
const READY_MS_MAX = 10_000;
const SECRET = 'only for this test';
const LOCAL = { address: '127.0.0.1', port: 19_500 };
const SIPP_LIMIT_S = 20;

const folder = mkdtempSync(join(tmpdir(), 'hushtone-sip-'));
let server: ChildProcess;
let frontEnd: SipFrontEnd;
let sipPort = 0;
let calledPort = 0;

interface Taken {
  readonly call: IncomingCall;
  readonly leg: SipLeg;
  readonly media: NegotiatedMedia[];
  readonly transfers: unknown[];
  readonly end: Promise<LegEnd>;
}

/** What the application does with the next call; the result is told to the test. */
let take: (call: IncomingCall) => Promise<void> = async (call) => call.reject('INTERNAL');

function listening(): { listener: LegListener; media: NegotiatedMedia[]; transfers: unknown[]; end: Promise<LegEnd> } {
  const [media, transfers]: [NegotiatedMedia[], unknown[]] = [[], []];
  let ended: (end: LegEnd) => void = () => {};
  const end = new Promise<LegEnd>((resolve) => {
    ended = resolve;
  });
  const listener: LegListener = {
    ended,
    mediaChanged: async (changed) => {
      media.push(changed);
      return LOCAL;
    },
    transferRequested: async (request) => {
      transfers.push(request);
      return 'accept';
    },
  };
  return { listener, media, transfers, end };
}

/** Takes the next call and answers it. */
function nextCall(): Promise<Taken> {
  return new Promise((resolve, reject) => {
    take = async (call) => {
      try {
        await call.ring();
        const leg = await call.accept(LOCAL);
        const { listener, ...seen } = listening();
        leg.listen(listener);
        resolve({ call, leg, ...seen });
      } catch (error) {
        reject(error);
      }
    };
  });
}

interface Run {
  readonly ok: boolean;
  readonly output: string;
}

interface Sipp {
  readonly ended: Promise<Run>;
  /** So many of its messages, sent and received, hold this line. */
  saw(line: RegExp, times: number): Promise<void>;
}

async function sipp(scenario: string, options: readonly string[], port: number): Promise<Sipp> {
  const name = join(folder, Math.random().toString(36).slice(2));
  const messages = `${name}.log`;
  writeFileSync(`${name}.xml`, scenario);
  const limits = ['-m', '1', '-nostdin', '-timeout', `${SIPP_LIMIT_S}s`, '-timeout_error', '-trace_err'];
  const trace = ['-trace_msg', '-message_file', messages];
  const own = ['-p', String(port), '-mp', String(await freeMediaPort())];
  const ended = new Promise<Run>((resolve) => {
    const argv = ['-sf', `${name}.xml`, ...limits, ...trace, ...own, ...options];
    execFile(SIPP, argv, { cwd: folder }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: `${stdout.slice(-3000)}\n${stderr.slice(-3000)}` });
    });
  });
  const count = (line: RegExp) =>
    existsSync(messages) ? [...readFileSync(messages, 'latin1').matchAll(new RegExp(line, 'gm'))].length : 0;
  return { ended, saw: (line, times) => until(`SIPp saw ${line.source}`, () => count(line) >= times) };
}

const starts = async (scenario: string, address = '127.0.0.1') =>
  sipp(scenario, [`127.0.0.1:${sipPort}`, '-i', address], await freeUdpPort());
const caller = async (scenario: string, address?: string) => (await starts(scenario, address)).ended;
const called = (scenario: string) => sipp(scenario, ['-i', '127.0.0.1'], calledPort);

function expectPassed(run: Run): void {
  expect(run.ok ? 'passed' : run.output).toBe('passed');
}

/** The SIP server is another part; without it (or SIPp) there is nothing to call. */
const isReady = existsSync(SIPP) && existsSync(join(ROOT, 'src/cli/sip-server.ts'));

describe.skipIf(!isReady)('the front end behind the embedded server', () => {
  beforeAll(async () => {
    const args = ['--admin', '127.0.0.1:0', '--secret', SECRET, '--sip', 'udp:127.0.0.1:0'];
    server = spawn(process.execPath, [join(ROOT, 'src/cli/hushtone.js'), 'sip-server', ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    server.stdout?.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    await until('the SIP server listens', () => READY.test(said), { limitMs: READY_MS_MAX });
    const [, sip, admin] = READY.exec(said) ?? [];
    sipPort = Number(sip);
    calledPort = await freeUdpPort();
    const checked = checkProfiles(
      [{ file: 'test.yaml', text: profileText({ addresses: ['127.0.0.1'], waitMs: 5000 }) }],
      null,
    );
    if (!checked.ok) throw new Error('the profile of this test has faults');
    frontEnd = createSipFrontEnd({
      server: { host: '127.0.0.1', port: Number(admin), secret: new Sensitive('admin secret', SECRET) },
      profiles: checked.profiles,
      secrets: new Map(),
      clock: systemClock,
      log: silentLog,
    });
    await frontEnd.start({ callArrived: (call) => take(call) });
  });

  afterEach(() => {
    expect(frontEnd.dialogs).toBe(0);
  });

  afterAll(async () => {
    frontEnd.stop();
    server.kill('SIGKILL');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes a call with its context and hears how it ends', async () => {
    const [taken, run] = await Promise.all([nextCall(), caller(CALLERS.basic)]);
    expectPassed(run);
    expect(taken.call.context).toEqual({ customer: 'C-1', amountMinor: 4210, currency: 'USD' });
    expect(taken.call.from).toBe('+15550100');
    expect(await taken.end).toMatchObject({ kind: 'bye', identified: true });
  });

  it('goes on hold and comes back', async () => {
    const [taken, run] = await Promise.all([nextCall(), caller(CALLERS.hold)]);
    expectPassed(run);
    expect(taken.media.map((media) => media.direction)).toEqual(['recvonly', 'sendrecv']);
  });

  it('offers where the caller did not, and takes the answer from the ACK', async () => {
    const [taken, run] = await Promise.all([nextCall(), caller(CALLERS.late)]);
    expectPassed(run);
    expect(taken.media).toMatchObject([{ direction: 'sendrecv', codec: 'PCMU', receiveEventPayloadType: 101 }]);
  });

  it('hears a CANCEL before the answer', async () => {
    let cancelled: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    take = async (call) => {
      call.onCancelled(cancelled);
      await call.ring();
    };
    expectPassed(await caller(CALLERS.cancel));
    await gone;
  });

  it('refuses a source that no profile admits with 403', async () => {
    const before = frontEnd.counters().callsRefusedByAddress ?? 0;
    expectPassed(await caller(CALLERS.refused(403), '127.0.0.2'));
    expect(frontEnd.counters().callsRefusedByAddress).toBe(before + 1);
  });

  it('refuses an offer without a codec in common with 488', async () => {
    expectPassed(await caller(CALLERS.refused(488, '18')));
  });

  it('hangs up with the result', async () => {
    const taken = nextCall();
    const run = caller(CALLERS.waitsForBye);
    await (await taken).leg.hangUp({ result: 'approved', amountMinor: 4210, currency: 'USD' });
    expectPassed(await run);
  });

  it('transfers by REFER and knows when it is done', async () => {
    const taken = nextCall();
    const run = caller(CALLERS.isReferred);
    const { leg } = await taken;
    expect(await leg.refer('sip:ivr@127.0.0.1:19079', { result: 'approved', last4: '4242' })).toBe('completed');
    await leg.hangUp();
    expectPassed(await run);
  });

  it('takes a REFER, believes its word, and sends both NOTIFYs', async () => {
    const taken = nextCall();
    const run = await starts(CALLERS.refers);
    const { leg, transfers } = await taken;
    // The first NOTIFY came, and its answer went; the second tells how it ended, and goes before the BYE.
    await run.saw(/^CSeq: \d+ NOTIFY/, 2);
    await leg.hangUp();
    expectPassed(await run.ended);
    expect(transfers).toEqual([{ target: 'sip:back@127.0.0.1:19060', identified: true }]);
  });

  it('dials nobody for a peer that REFERs to a host its profile does not list', async () => {
    const [taken, run] = await Promise.all([nextCall(), caller(CALLERS.refersElsewhere)]);
    expectPassed(run);
    expect(taken.transfers).toEqual([]);
    await taken.end;
  });

  const dial = (timeoutMs: number): Promise<DialedLeg> =>
    frontEnd.dial({
      callId: 'ca_1',
      legId: 'le_1',
      target: `sip:queue@127.0.0.1:${calledPort}`,
      from: '+15550100',
      local: LOCAL,
      context: { reference: 'INV-7' },
      timeoutMs,
    });

  /** SIPp needs a moment to listen; over UDP the INVITE is sent again until it does. */
  it('dials a target with the context and hangs up', async () => {
    const run = await called(CALLED.answers);
    const { leg, media } = await dial(10_000);
    expect(media).toMatchObject({ codec: 'PCMU', direction: 'sendrecv', sendEventPayloadType: 101 });
    await run.saw(/^ACK sip:/, 1);
    await leg.hangUp();
    expectPassed(await run.ended);
  });

  it('says how a target refused', async () => {
    const run = await called(CALLED.isBusy);
    await expect(dial(10_000)).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 486 } });
    expectPassed(await run.ended);
  });

  it('cancels a target that does not answer in time', async () => {
    const run = await called(CALLED.neverAnswers);
    await expect(dial(3_000)).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 408 } });
    expectPassed(await run.ended);
  });
});
