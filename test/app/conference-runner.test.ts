import { describe, expect, it } from 'vitest';
import { CHANGES_MAX, ConferenceRunner } from '../../src/app/conference-runner.ts';
import { noMetrics } from '../../src/app/metrics.ts';
import type { MediaPort } from '../../src/app/ports.ts';
import { silentLog } from '../../src/lib/log.ts';
import type { CaptureMode, ConferenceRequest } from '../../src/session/conference.ts';
import { settle, VirtualClock } from '../harness/clock.ts';
import { FakeWorld } from '../harness/fake-ports.ts';

/* What is ordered of a worker when who hears whom changes, in which order, and what is left where an order fails. */

interface Room {
  readonly world: FakeWorld;
  readonly runner: ConferenceRunner;
  readonly media: MediaPort;
  readonly failures: string[];
}

function roomOf(arrange: (media: MediaPort) => MediaPort = (media) => media): Room {
  const world = new FakeWorld(new VirtualClock());
  const media = arrange(world.deps().media);
  const failures: string[] = [];
  const metrics = { ...noMetrics, failure: (code: string) => void failures.push(code) };
  const runner = new ConferenceRunner({ media, clock: world.clock, log: silentLog, metrics }, 'ca_1');
  return { world, runner, media, failures };
}

const JOINS: readonly ConferenceRequest[] = [
  { kind: 'joined', id: 'caller', role: 'caller' },
  { kind: 'joined', id: 'agent', role: 'agent' },
  { kind: 'joined', id: 'supervisor', role: 'supervisor' },
  { kind: 'joined', id: 'recorder', role: 'recorder' },
];
const capture = (mode: CaptureMode): ConferenceRequest => ({ kind: 'captureStarted', payer: 'caller', mode });

/** Caller, agent, a supervisor who listens masked, and a recorder; what was ordered until then is forgotten. */
async function four(arrange?: (media: MediaPort) => MediaPort): Promise<Room> {
  const room = roomOf(arrange);
  for (const input of JOINS) await room.runner.request(input);
  room.world.calls.length = 0;
  return room;
}

const heard = ({ world }: Room) =>
  (world.routes.at(-1) ?? []).map(({ from, to, mode }) => `${from}>${to} ${mode}`).sort();
const ofCaller = (room: Room) => heard(room).filter((route) => route.startsWith('caller'));
const MASKED = ['caller>recorder masked', 'caller>supervisor masked'];

describe('who hears whom on a call', () => {
  it('is ordered once for each change, and not at all where nothing changes', async () => {
    const { world, runner } = roomOf();
    await runner.request({ kind: 'joined', id: 'caller', role: 'caller' });
    expect(world.calls).toEqual([]);
    await runner.request({ kind: 'joined', id: 'ivr', role: 'application' });
    expect(world.calls).toEqual(['setRoutes']);
    await runner.tell({ kind: 'held', id: 'caller' });
    await runner.tell({ kind: 'left', id: 'ivr' });
    expect(world.calls).toEqual(['setRoutes', 'setRoutes']);
    expect(world.routes.at(-1)).toEqual([]);
  });

  it('takes the agent out first, proves the mask, and then lets the listeners on', async () => {
    const room = await four();
    await room.runner.request(capture('removed'));
    expect(room.world.calls).toEqual(['setRoutes', 'armMask', 'play']);
    expect(heard(room)).toEqual(MASKED);
    expect([...room.world.armed]).toEqual(['caller']);
    expect(room.world.looped.get('agent')?.recordings).toContain('caller-is-paying');
  });

  it('leaves every route as it is where the agent stays on the line: the mask alone is new', async () => {
    const room = await four();
    await room.runner.request(capture('masked'));
    expect(room.world.calls).toEqual(['armMask']);
    expect(ofCaller(room)).toEqual(['caller>agent masked', ...MASKED]);
  });

  it('gives the agent back when the payment has ended, takes the mask off and stops the music', async () => {
    const room = await four();
    const before = heard(room);
    await room.runner.request(capture('removed'));
    room.world.calls.length = 0;
    await room.runner.tell({ kind: 'captureEnded' });
    expect(room.world.calls).toEqual(['setRoutes', 'disarmMask', 'stopPlay']);
    expect(heard(room)).toEqual(before);
    expect(room.world.armed.size + room.world.looped.size).toBe(0);
  });

  it('arms no mask where nobody hears the caller', async () => {
    const room = roomOf();
    for (const input of JOINS.slice(0, 2)) await room.runner.request(input);
    await room.runner.request(capture('removed'));
    expect(room.world.calls).not.toContain('armMask');
    expect(heard(room)).toEqual([]);
  });

  it('proves the mask before a supervisor who comes during a payment hears anything', async () => {
    const room = roomOf();
    for (const input of JOINS.slice(0, 2)) await room.runner.request(input);
    await room.runner.request(capture('removed'));
    room.world.calls.length = 0;
    await room.runner.request({ kind: 'joined', id: 'supervisor', role: 'supervisor' });
    expect(room.world.calls).toEqual(['armMask', 'setRoutes']);
  });

  it('carries out one change at a time, in their order, and refuses too many', async () => {
    const room = roomOf();
    const changes = JOINS.map((input) => room.runner.request(input));
    await Promise.all(changes);
    expect(heard(room)).toHaveLength(6);
    const many = Array.from({ length: CHANGES_MAX + 1 }, (_, i) =>
      room.runner.request({ kind: 'modeChanged', id: 'supervisor', mode: { kind: i % 2 ? 'listening' : 'talking' } }),
    );
    const left = room.runner.tell({ kind: 'left', id: 'recorder' });
    const outcomes = await Promise.allSettled(many);
    await left;
    expect(room.runner.state.parties.map(({ id }) => id)).not.toContain('recorder');
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(outcomes.at(-1)).toMatchObject({ reason: { code: 'REQUEST_LIMIT_REACHED' } });
  });

  it('says in words why a change is refused, and orders nothing', async () => {
    const room = await four();
    await expect(room.runner.request(capture('conference'))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('agent is an agent with a leg of its own'),
    });
    expect(room.world.calls).toEqual([]);
  });
});

describe('a mask that is not proven', () => {
  it('lets no capture start, says what the proof found, and leaves the call as it was', async () => {
    const room = await four();
    const before = heard(room);
    room.world.maskFault = 'the proof heard a key behind the mask';
    await expect(room.runner.request(capture('removed'))).rejects.toMatchObject({
      code: 'MASK_NOT_ARMED',
      message: 'the proof heard a key behind the mask',
    });
    expect(room.runner.state.capture).toBeNull();
    expect(heard(room)).toEqual(before);
    expect(room.world.looped.size).toBe(0);
    room.world.maskFault = null;
    await room.runner.request(capture('removed'));
    expect(heard(room)).toEqual(MASKED);
  });

  it('keeps out whoever comes to listen during a payment', async () => {
    const room = roomOf();
    for (const input of JOINS.slice(0, 2)) await room.runner.request(input);
    await room.runner.request(capture('removed'));
    room.world.maskFault = 'the proof measured a tone behind the mask';
    await expect(room.runner.request({ kind: 'joined', id: 'supervisor', role: 'supervisor' })).rejects.toMatchObject({
      code: 'MASK_NOT_ARMED',
    });
    expect(heard(room)).toEqual([]);
    expect(room.runner.state.capture).not.toBeNull();
  });
});

describe('an order that fails', () => {
  /** Every order of every step, one after the other: at no moment anybody hears more of the caller than the mask allows. */
  for (let failAt = 0; failAt < 8; failAt += 1) {
    it(`leaves nobody hearing the payer openly, and the call whole after the next change (order ${failAt})`, async () => {
      const room = await four();
      room.world.failAt = failAt;
      const started = await room.runner.request(capture('removed')).then(
        () => true,
        () => false,
      );
      expect(room.runner.state.capture !== null).toBe(started);
      expect(ofCaller(room).every((route) => route.endsWith('masked'))).toBe(true);
      if (started) {
        expect(ofCaller(room)).toEqual(MASKED);
        expect([...room.world.armed]).toEqual(['caller']);
      }
      await room.runner.tell({ kind: 'captureEnded' });
      // Whatever failed is made good by what comes next.
      await room.runner.tell({ kind: 'resumed', id: 'agent' });
      expect(room.runner.state.capture).toBeNull();
      expect(heard(room)).toHaveLength(6);
      expect([...room.world.armed]).toEqual([]);
      expect(room.world.looped.size).toBe(0);
    });
  }

  it('blocks first: the routes that both states have are all that is left where nothing more can be ordered', async () => {
    let isDead = false;
    const room = await four((media) => ({
      ...media,
      armMask: async () => {
        isDead = true;
        throw new Error('gone');
      },
      setRoutes: (callId, routes) => (isDead ? Promise.reject(new Error('gone')) : media.setRoutes(callId, routes)),
    }));
    await expect(room.runner.request(capture('removed'))).rejects.toThrow('gone');
    expect(heard(room)).toEqual(MASKED);
    expect(room.failures).toEqual(['INTERNAL']);
  });

  it('does not give up a capture for music', async () => {
    const room = await four((media) => ({ ...media, play: () => Promise.reject(new Error('no such recording')) }));
    await room.runner.request(capture('removed'));
    expect(room.runner.state.capture).not.toBeNull();
    expect(room.failures).toEqual(['INTERNAL']);
  });

  it('keeps a mask that the worker will not take off yet, and takes it off with the next change', async () => {
    const room = await four();
    await room.runner.request(capture('masked'));
    room.world.held.set('pa_1', new Set());
    await room.runner.tell({ kind: 'captureEnded' });
    expect(room.failures).toEqual(['PAYMENT_IN_PROGRESS']);
    expect([...room.world.armed]).toEqual(['caller']);
    room.world.held.clear();
    await room.runner.tell({ kind: 'resumed', id: 'agent' });
    expect(room.world.armed.size).toBe(0);
  });
});

describe('a worker that died', () => {
  it('has the mask proven again before the routes from the payer are back, and the music plays on', async () => {
    const room = await four();
    await room.runner.request(capture('removed'));
    room.world.calls.length = 0;
    room.world.routes.length = 0;
    // One event a leg; the routes are restored once or twice, never four times.
    await Promise.all([1, 2, 3, 4].map(() => room.runner.legRecreated()));
    expect(room.world.calls.slice(0, 4)).toEqual(['setRoutes', 'armMask', 'setRoutes', 'play']);
    expect(room.world.calls.length).toBeLessThanOrEqual(8);
    expect(room.world.routes[0]).toEqual([]);
    expect(heard(room)).toEqual(MASKED);
  });

  it('leaves the payer blocked where the mask is not proven again, and tells', async () => {
    const room = await four();
    await room.runner.request(capture('masked'));
    room.world.maskFault = 'the proof heard a key behind the mask';
    await expect(room.runner.legRecreated()).rejects.toMatchObject({ code: 'MASK_NOT_ARMED' });
    expect(ofCaller(room)).toEqual([]);
    expect(heard(room)).toContain('agent>caller open');
  });
});

describe('music on hold', () => {
  it('begins again when the engine has ended it after an hour, and not when it was stopped', async () => {
    const room = await four();
    await room.runner.request({ kind: 'modeChanged', id: 'agent', mode: { kind: 'removed', hears: 'music' } });
    const first = room.world.looped.get('agent');
    expect(first?.recordings).toEqual(['hold-music']);
    room.runner.mediaEvent({ kind: 'playEnded', playId: first?.playId ?? '', reason: 'finished' });
    await settle();
    expect(room.world.looped.get('agent')?.playId).not.toBe(first?.playId);
    await room.runner.request({ kind: 'modeChanged', id: 'agent', mode: { kind: 'talking' } });
    room.runner.mediaEvent({ kind: 'playEnded', playId: first?.playId ?? '', reason: 'stopped' });
    await settle();
    expect(room.world.looped.size).toBe(0);
  });

  it('changes to what is said to somebody reserved when a payment begins', async () => {
    const room = await four();
    await room.runner.request({ kind: 'modeChanged', id: 'agent', mode: { kind: 'removed', hears: 'silence' } });
    expect(room.world.looped.size).toBe(0);
    await room.runner.request({ kind: 'modeChanged', id: 'agent', mode: { kind: 'talking' } });
    await room.runner.request(capture('removed'));
    expect(room.world.looped.get('agent')?.recordings[0]).toBe('caller-is-paying');
  });
});
