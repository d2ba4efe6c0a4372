import { describe, expect, it } from 'vitest';
import { type Log, silentLog } from '../../src/lib/log.ts';
import { cpuWaitsOf, longestWaitMs } from '../../src/supervisor/cpu-waits.ts';
import { BORN, BUSY_FACTOR, isHung, LOOK_EVERY_MS, START_MS_MAX, stepSilence } from '../../src/supervisor/silence.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { turns, VirtualClock } from '../harness/clock.ts';
import { PaperMachine } from '../harness/paper-machine.ts';

const HANG_MS = 10_000;

async function setUp() {
  const clock = new VirtualClock(0, turns);
  const machine = new PaperMachine();
  const hung: unknown[] = [];
  const log: Log = { ...silentLog, error: (message, fields) => void hung.push({ message, ...fields }) };
  const children = ['worker', 'control'].map((name) => ({ name, argv: [name], environment: {}, hangMs: HANG_MS }));
  const parts = { clock, log, start: machine.start, cpuWaits: machine.cpuWaits, isReady: async () => true };
  const supervisor = new Supervisor({ children, drains: 'control', drainMs: 30_000 }, parts);
  await supervisor.start();
  /** Time passes, and these live meanwhile. */
  const live = async (ms: number, ...names: string[]) => {
    for (let passed = 0; passed < ms; passed += LOOK_EVERY_MS) {
      for (const name of names) machine.beat(name);
      await clock.advance(LOOK_EVERY_MS);
    }
  };
  await live(2_000, 'worker', 'control');
  return { clock, machine, supervisor, hung, live };
}

const kills = (machine: PaperMachine) => machine.signals.filter((signal) => signal.startsWith('SIGKILL'));

describe('a process that hangs', () => {
  it('is killed when it has said nothing for the limit, and started again; the others are left alone', async () => {
    const { machine, hung, live } = await setUp();
    await live(HANG_MS - LOOK_EVERY_MS, 'control');
    expect(kills(machine)).toEqual([]);
    await live(LOOK_EVERY_MS, 'control');
    expect(kills(machine)).toEqual(['SIGKILL worker']);
    expect(machine.starts).toEqual(['worker', 'control', 'worker']);
    expect(hung).toEqual([{ message: 'process hangs', process: 'worker', pid: 1, silentMs: HANG_MS }]);
    await live(60_000, 'worker', 'control');
    expect(machine.starts).toHaveLength(3);
  });

  it('may take longer to start, and is killed where it never speaks', async () => {
    const { clock, machine, live } = await setUp();
    machine.end('worker', 'SIGKILL');
    await clock.advance(0);
    await live(START_MS_MAX - LOOK_EVERY_MS, 'control');
    expect(kills(machine)).toEqual([]);
    await live(2 * LOOK_EVERY_MS, 'control');
    expect(kills(machine)).toEqual(['SIGKILL worker']);
  });

  it('is not waited for as long as calls may go on, when everything is ended', async () => {
    const { machine, supervisor, live } = await setUp();
    machine.stubborn.add('control');
    const stopped = supervisor.drain();
    await live(HANG_MS + LOOK_EVERY_MS, 'worker');
    await stopped;
    expect(kills(machine)).toEqual(['SIGKILL control']);
    expect(machine.starts).toHaveLength(2);
  });
});

describe('a process that does not hang', () => {
  it('speaks now and then, and is left alone', async () => {
    const { machine, live } = await setUp();
    for (let time = 0; time < 10; time += 1) {
      await live(HANG_MS - LOOK_EVERY_MS, 'control');
      await live(LOOK_EVERY_MS, 'worker', 'control');
    }
    expect(kills(machine)).toEqual([]);
  });

  it('was suspended with its machine: nobody looked, so nobody is blamed', async () => {
    const { clock, machine, live } = await setUp();
    // Hours, and one look short of the limit.
    for (let looks = 2; looks < HANG_MS / LOOK_EVERY_MS; looks += 2) {
      await clock.sleep(3_600_000);
      await live(LOOK_EVERY_MS, 'control');
    }
    await live(60_000, 'worker', 'control');
    expect(kills(machine)).toEqual([]);
  });

  it('gets no CPU on a busy machine, for three times the limit', async () => {
    const { machine, live } = await setUp();
    for (let passed = 0; passed < 3 * HANG_MS; passed += 2_000) {
      await live(2_000, 'control');
      // The kernel tells of a wait when it is over.
      machine.waitedMs.set('worker', passed + 1_900);
    }
    expect(kills(machine)).toEqual([]);
    await live(2_000, 'worker', 'control');
    expect(kills(machine)).toEqual([]);
  });
});

describe('the count of silence', () => {
  const waiting = (looks: number, waitedMs: number) => {
    let silence = stepSilence(BORN, { beaten: true, waitedMs: 0 });
    for (let look = 0; look < looks; look += 1) silence = stepSilence(silence, { beaten: false, waitedMs });
    return silence;
  };

  it('takes off what was waited for a CPU, but not for ever', () => {
    const looks = (HANG_MS * BUSY_FACTOR) / LOOK_EVERY_MS;
    expect(isHung(waiting(looks - 1, LOOK_EVERY_MS), HANG_MS)).toBe(false);
    expect(isHung(waiting(looks, LOOK_EVERY_MS), HANG_MS)).toBe(true);
    expect(isHung(waiting(HANG_MS / LOOK_EVERY_MS, 0), HANG_MS)).toBe(true);
  });

  it('never stores up what was waited before', () => {
    const silence = stepSilence(waiting(1, 60_000), { beaten: false, waitedMs: 0 });
    expect(silence.countedMs).toBe(LOOK_EVERY_MS);
  });
});

describe('what threads wait for a CPU', () => {
  it('is read from the kernel, and the longest counts', () => {
    const now = cpuWaitsOf(process.pid);
    expect(now.has(String(process.pid))).toBe(true);
    expect([...now.values()].every((waitedMs) => waitedMs >= 0)).toBe(true);
    const before = new Map([
      ['1', 100],
      ['2', 50],
    ]);
    const after = new Map([
      ['1', 130],
      ['2', 90],
      ['3', 5_000],
    ]);
    expect(longestWaitMs(before, after)).toBe(40);
    expect(cpuWaitsOf(0x7fff_ffff).size).toBe(0);
  });
});
