import { get, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startApi } from '../../src/api/api.ts';
import { KEEP_ALIVE_MS } from '../../src/api/event-stream.ts';
import type { ApiOptions } from '../../src/api/options.ts';
import { type LiveEvent, LiveEvents } from '../../src/app/journal.ts';
import type { RecordedEvent } from '../../src/app/ports.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { VirtualClock } from '../harness/clock.ts';
import { EventListener } from '../harness/event-stream.ts';
import { event, payment, START } from '../store/rows.ts';

const PAN = '4242424242424242';
const KEY = 'a-key-of-more-than-twenty-characters';
const SLOW_WAIT = { timeout: 15_000, interval: 100 };
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An API over events that the test records and tells. */
async function started(over: Partial<ApiOptions> = {}) {
  const live = new LiveEvents();
  const recorded: RecordedEvent[] = [];
  const clock = new VirtualClock(START);
  let endedAt: number | null = null;
  let rowsAsked = 0;
  const answerWithheld = vi.fn();
  const api = await startApi({
    address: '127.0.0.1',
    port: 0,
    keys: [],
    records: {
      conversations: async () => ({ conversations: [], next: null }),
      conversation: async () => null,
      payment: async (id) => (id === 'pa_1' ? { ...payment({ endedAt }), attempts: [], events: [] } : null),
      events: async (paymentId, after, limit) => {
        const isWanted = (row: RecordedEvent) => paymentId === null || row.paymentId === paymentId;
        const rows = recorded.slice(after).filter(isWanted).slice(0, limit);
        rowsAsked += rows.length;
        return rows;
      },
      newestEvent: async () => recorded.at(-1)?.ordinal ?? 0,
    },
    subscribe: (listener) => live.subscribe(listener),
    readiness: async () => ({ workers: true, sip: true, store: true }),
    callMedia: async () => null,
    metricsText: async () => '',
    answerWithheld,
    clock,
    log: silentLog,
    ...over,
  });
  closers.push(() => api.close());
  const url = api.urls[0] ?? '';
  return {
    url,
    clock,
    recorded,
    answerWithheld,
    live,
    rowsAsked: () => rowsAsked,
    endPayment: () => {
      endedAt = START + 1;
    },
    /** As the journal does: recorded, then told. */
    record(detail: RecordedEvent['detail'] = {}, over: Partial<RecordedEvent> = {}) {
      const ordinal = recorded.length + 1;
      const row: RecordedEvent = { ...event({ sequence: ordinal, kind: 'field', detail }), ordinal, ...over };
      recorded.push(row);
      live.emit({ type: 'recorded', event: row, ordinal });
    },
    async listen(path: string, from: { after?: number; key?: string } = {}) {
      const listener = await EventListener.open(`${url}${path}`, from);
      closers.push(() => listener.close());
      return listener;
    },
  };
}

const progress = (over: object = {}): LiveEvent => ({
  type: 'progress',
  progress: {
    callId: 'ca_1',
    paymentId: 'pa_1',
    at: START,
    field: 'pan',
    masked: '•••• ••',
    length: 6,
    brands: ['visa'],
    valid: false,
    ended: false,
    ...over,
  },
});

describe('listening to all calls', () => {
  it('tells what happens from now on, with ids', async () => {
    const api = await started();
    api.record();
    const listener = await api.listen('/v1/events');
    expect(listener.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(listener.headers.get('cache-control')).toBe('no-store');
    await vi.waitFor(() => expect(listener.text).toContain('retry:'));
    api.record({ state: 'collecting' });
    await vi.waitFor(() => expect(listener.events).toHaveLength(1));
    expect(listener.events[0]).toEqual({
      id: 2,
      name: 'message',
      data: {
        callId: 'ca_1',
        paymentId: 'pa_1',
        sequence: 2,
        at: '2026-11-23T09:51:36.000Z',
        kind: 'field',
        detail: { state: 'collecting' },
      },
    });
  });

  it('tells first what was recorded behind the last event that the listener had', async () => {
    const api = await started();
    for (let count = 0; count < 1_200; count++) api.record();
    const listener = await api.listen('/v1/events', { after: 3 });
    await vi.waitFor(() => expect(listener.ids).toHaveLength(1_197));
    api.record();
    await vi.waitFor(() => expect(listener.ids).toHaveLength(1_198));
    expect(listener.ids).toEqual(Array.from({ length: 1_198 }, (_, at) => at + 4));
  });

  it('is not silent to a listener whose last event is of another database', async () => {
    const api = await started();
    api.record();
    const listener = await api.listen('/v1/events', { after: 9_999 });
    await vi.waitFor(() => expect(listener.text).toContain('retry:'));
    api.record();
    await vi.waitFor(() => expect(listener.ids).toEqual([2]));
  });

  it('tells progress after each key, without an id', async () => {
    const api = await started();
    const listener = await api.listen('/v1/events');
    await vi.waitFor(() => expect(listener.text).toContain('retry:'));
    api.live.emit(progress());
    await vi.waitFor(() => expect(listener.progress).toHaveLength(1));
    expect(listener.progress[0]).toMatchObject({ masked: '•••• ••', length: 6, brands: ['visa'], valid: false });
    expect(listener.ids).toEqual([]);
  });

  it('says something when nothing happens, so that nobody takes the line for dead', async () => {
    const api = await started();
    const listener = await api.listen('/v1/events');
    await vi.waitFor(() => expect(listener.text).toContain('retry:'));
    await api.clock.advance(2 * KEEP_ALIVE_MS);
    await vi.waitFor(() => expect(listener.text.match(/^: keep-alive$/gm)).toHaveLength(2));
    await listener.close();
    await vi.waitFor(() => expect(api.clock.pending).toBe(0));
  });
});

describe('listening to one payment', () => {
  it('tells it from its beginning, nothing of others, and ends with it', async () => {
    const api = await started();
    api.record();
    api.record({}, { paymentId: 'pa_2' });
    const listener = await api.listen('/v1/payments/pa_1/events');
    await vi.waitFor(() => expect(listener.ids).toEqual([1]));
    api.live.emit(progress({ paymentId: 'pa_2' }));
    api.live.emit(progress());
    api.record({ result: 'approved' }, { kind: 'paymentEnded' });
    await listener.over;
    expect(listener.ids).toEqual([1, 3]);
    expect(listener.progress).toHaveLength(1);
  });

  it('tells a payment that is over whole, and then tells who comes again not to', async () => {
    const api = await started();
    api.record();
    api.record({ result: 'approved' }, { kind: 'paymentEnded' });
    api.endPayment();
    const listener = await api.listen('/v1/payments/pa_1/events');
    await listener.over;
    expect(listener.ids).toEqual([1, 2]);
    expect((await api.listen('/v1/payments/pa_1/events', { after: 2 })).status).toBe(204);
  });

  it('answers 404 for a payment that is not there', async () => {
    const api = await started();
    expect((await api.listen('/v1/payments/pa_9/events')).status).toBe(404);
  });
});

describe('a listener', () => {
  it('needs a key as everybody does', async () => {
    const api = await started({ keys: [new Sensitive('key', KEY)] });
    for (const path of ['/v1/events', '/v1/payments/pa_1/events']) {
      expect((await api.listen(path)).status).toBe(401);
      expect((await api.listen(path, { key: KEY })).status).toBe(200);
    }
  });

  it('is refused where too many listen already', async () => {
    const api = await started({ subscribe: () => null });
    const refused = await api.listen('/v1/events');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
  });

  it('names its last event as a number, or is told 400', async () => {
    const api = await started();
    const answer = await fetch(`${api.url}/v1/events`, { headers: { 'last-event-id': 'yesterday' } });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'REQUEST_INVALID', field: 'last-event-id' } });
  });

  it('does not count as a request in flight, and ends with the server', async () => {
    const api = await started({ requestsMax: 1 });
    const listeners = await Promise.all([1, 2, 3].map(() => api.listen('/v1/events')));
    expect(listeners.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await fetch(`${api.url}/v1/conversations`)).status).toBe(200);
    await closers.shift()?.();
    await Promise.all(listeners.map(({ over }) => over));
  });

  it('that takes nothing for a while fills no memory, and then misses no recorded event', async () => {
    const api = await started();
    const slow = await new Promise<IncomingMessage>((resolve) => get(`${api.url}/v1/events`, resolve));
    closers.push(async () => slow.destroy());
    slow.pause();
    // Far more than the sockets' own buffers hold.
    const text = 'x'.repeat(3_000);
    for (let at = 0; at < 10_000; at++) api.record({ text });
    const last = api.recorded.length;
    let before = 0;
    await vi.waitFor(() => {
      const [was, now] = [before, api.rowsAsked()];
      before = now;
      expect(now, 'it waits').toBe(was);
    }, SLOW_WAIT);
    expect(api.rowsAsked()).toBeLessThan(last / 2);
    let read = '';
    slow.setEncoding('utf8').on('data', (part: string) => {
      read += part;
    });
    slow.resume();
    await vi.waitFor(() => expect(read.slice(-5_000)).toContain(`id: ${last}\n`), SLOW_WAIT);
    const ids = [...read.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    expect(ids).toEqual(Array.from({ length: last }, (_, at) => at + 1));
  });

  it('is not told what looks like a card number, and that is counted', async () => {
    const api = await started();
    const listener = await api.listen('/v1/events');
    await vi.waitFor(() => expect(listener.text).toContain('retry:'));
    api.record({ text: `card ${PAN}` });
    api.live.emit(progress({ masked: PAN }));
    api.record({ text: 'fine' });
    await vi.waitFor(() => expect(listener.ids).toEqual([2]));
    expect(listener.text).not.toContain(PAN);
    expect(api.answerWithheld).toHaveBeenCalledTimes(2);
  });
});
