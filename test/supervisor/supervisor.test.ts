import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/lib/log.ts';
import { RESTART_DELAY_MS_MAX, restartDelayMs, STABLE_MS, STOP_MS_MAX } from '../../src/supervisor/child.ts';
import { checkPorts, freeTcpPort } from '../../src/supervisor/ports.ts';
import { GOODBYE_MS_MAX, Supervisor } from '../../src/supervisor/supervisor.ts';
import { turns, VirtualClock } from '../harness/clock.ts';
import { PaperMachine } from '../harness/paper-machine.ts';

function setUp(isReady: () => Promise<boolean> = async () => true) {
  const clock = new VirtualClock(0, turns);
  const machine = new PaperMachine();
  const children = ['sip', 'worker', 'control'].map((name) => ({ name, argv: [name], environment: {}, hangMs: null }));
  const parts = { clock, log: silentLog, start: machine.start, cpuWaits: machine.cpuWaits, isReady };
  return { clock, machine, supervisor: new Supervisor({ children, drains: 'control', drainMs: 30_000 }, parts) };
}

describe('keeping processes running', () => {
  it('starts them in order and says that it is ready once they are', async () => {
    let ready = false;
    const { clock, machine, supervisor } = setUp(async () => ready);
    let started = false;
    const start = supervisor.start().then(() => {
      started = true;
    });
    await clock.advance(500);
    expect(machine.starts).toEqual(['sip', 'worker', 'control']);
    expect(started).toBe(false);
    ready = true;
    await clock.advance(200);
    await start;
    expect(started).toBe(true);
  });

  it('restarts one that was killed at once', async () => {
    const { clock, machine, supervisor } = setUp();
    await supervisor.start();
    await clock.advance(STABLE_MS);
    machine.end('worker', 'SIGKILL');
    await clock.advance(0);
    expect(machine.starts.slice(3)).toEqual(['worker']);
  });

  it('waits longer and longer for one that keeps ending, up to the limit', () => {
    expect([1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([0, 100, 200, 400, RESTART_DELAY_MS_MAX]);
  });

  it('gives up and stops everything when one says that it cannot start', async () => {
    const { clock, machine, supervisor } = setUp(async () => false);
    machine.broken.set('control', null);
    const start = expect(supervisor.start()).rejects.toThrow(/control ended with status 1 before everything was ready/);
    await clock.advance(0);
    await start;
    expect(machine.starts).toHaveLength(3);
    expect(machine.running.size).toBe(0);
  });

  it('gives up and stops everything when one keeps crashing', async () => {
    const { clock, machine, supervisor } = setUp(async () => false);
    machine.broken.set('worker', 'SIGSEGV');
    const start = expect(supervisor.start()).rejects.toThrow(/worker crashed 4 times before everything was ready/);
    await clock.advance(2_000);
    await start;
    expect(machine.running.size).toBe(0);
  });

  it('gives up when nothing is ready within the limit', async () => {
    const { clock, machine, supervisor } = setUp(async () => false);
    const start = expect(supervisor.start()).rejects.toThrow(/not ready after 30000 ms/);
    await clock.advance(31_000);
    await start;
    expect(machine.running.size).toBe(0);
  });
});

describe('stopping', () => {
  it('lets the process with the calls end first, and restarts none', async () => {
    const { clock, machine, supervisor } = setUp();
    await supervisor.start();
    const stopped = supervisor.drain();
    await clock.advance(100);
    await stopped;
    expect(machine.signals).toEqual(['SIGTERM control', 'SIGTERM worker', 'SIGTERM sip']);
    expect(machine.starts).toHaveLength(3);
  });

  it('restarts a worker that dies while calls are still going on', async () => {
    const { clock, machine, supervisor } = setUp();
    await supervisor.start();
    machine.stubborn.add('control');
    const stopped = supervisor.drain();
    machine.end('worker', 'SIGKILL');
    await clock.advance(10);
    expect(machine.starts.slice(3)).toEqual(['worker']);
    await clock.advance(30_000 + GOODBYE_MS_MAX);
    await stopped;
    expect(machine.running.size).toBe(0);
  });

  it('kills what does not end within its limit', async () => {
    const { clock, machine, supervisor } = setUp();
    await supervisor.start();
    machine.stubborn.add('sip');
    const stopped = supervisor.drain();
    await clock.advance(STOP_MS_MAX + 10);
    await stopped;
    expect(machine.signals.at(-1)).toBe('SIGKILL sip');
  });

  it('kills everything at once when asked twice', async () => {
    const { clock, machine, supervisor } = setUp();
    await supervisor.start();
    machine.stubborn.add('control');
    const drained = supervisor.drain();
    await supervisor.kill();
    await clock.advance(0);
    await drained;
    expect(machine.running.size).toBe(0);
  });
});

describe('checking ports before the start', () => {
  it('names port, protocol and configuration key of one that is in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expect(checkPorts([{ protocol: 'tcp', address: '127.0.0.1', port, key: 'http.port' }])).rejects.toThrow(
      `127.0.0.1 port ${port} (tcp), which http.port asks for, is in use by another process`,
    );
    await new Promise((resolve) => server.close(resolve));
  });

  it('tells a UDP port in use from the TCP port of the same number', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    const claim = { address: '127.0.0.1', port, key: 'sip.udpPort' };
    await expect(checkPorts([{ ...claim, protocol: 'udp' }])).rejects.toThrow(/udp/);
    socket.close();
  });

  it('passes ports that are free, and 0', async () => {
    const port = await freeTcpPort('127.0.0.1');
    await checkPorts([
      { protocol: 'tcp', address: '127.0.0.1', port, key: 'a' },
      { protocol: 'udp', address: '127.0.0.1', port: 0, key: 'b' },
    ]);
  });
});
