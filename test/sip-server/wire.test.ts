import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/sip-server/limits.ts';
import { StreamFraming } from '../../src/sip-server/transport/framing.ts';
import { WireFraming } from '../../src/sip-server/wire/framing.ts';
import { HOLD_MS, Pacing } from '../../src/sip-server/wire/pacing.ts';
import { VirtualClock } from '../harness/clock.ts';

/** Cuts text at the given places. */
function cut(text: string, at: readonly number[]): string[] {
  const places = [0, ...at.map((n) => n % (text.length + 1)).sort((a, b) => a - b), text.length];
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

describe('frames of an application', () => {
  it('come out whole, however the stream is cut', () => {
    const payloads = fc.array(fc.string({ unit: 'grapheme', maxLength: 60 }), { maxLength: 6 });
    fc.assert(
      fc.property(payloads, fc.array(fc.nat(), { maxLength: 8 }), (texts, places) => {
        const bytes = texts.map((text) => Buffer.from(text).toString('latin1'));
        const framing = new WireFraming();
        const read: string[] = [];
        for (const piece of cut(bytes.map((text) => `${text.length}#${text}`).join(''), places)) {
          const frames = framing.push(Buffer.from(piece, 'latin1'));
          expect(frames.kind).toBe('frames');
          if (frames.kind === 'frames') read.push(...frames.payloads);
        }
        expect(read).toEqual(bytes);
      }),
    );
  });

  it.each(['123456#x', 'x1#a', '#a', '-1#a'])('end the connection where the length is %s', (text) => {
    expect(new WireFraming().push(Buffer.from(text)).kind).toBe('fault');
  });
});

describe('messages on a stream', () => {
  const message = (body: string) => `OPTIONS sip:a@b SIP/2.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  it('come out whole, however the stream is cut, with pings between them counted', () => {
    const bodies = fc.array(fc.string({ maxLength: 40 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(), { maxLength: 8 }), (texts, places) => {
        const framing = new StreamFraming(DEFAULT_LIMITS);
        const read: string[] = [];
        for (const piece of cut(texts.map(message).join('\r\n'), places)) {
          const framed = framing.push(piece);
          expect(framed.kind).toBe('messages');
          if (framed.kind === 'messages') read.push(...framed.texts);
        }
        expect(read).toEqual(texts.map(message));
        expect(framing.pendingBytes).toBe(0);
      }),
    );
  });

  it('answer a ping of two line ends', () => {
    expect(new StreamFraming(DEFAULT_LIMITS).push('\r\n\r\n')).toMatchObject({ kind: 'messages', pings: 1 });
  });

  it.each([
    ['have no Content-Length', 'OPTIONS sip:a@b SIP/2.0\r\n\r\n'],
    ['say more than a message may have', 'OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 65536\r\n\r\n'],
    ['never end their headers', 'x'.repeat(DEFAULT_LIMITS.headerBytesMax + 1)],
  ])('end the connection when they %s', (_name, text) => {
    expect(new StreamFraming(DEFAULT_LIMITS).push(text).kind).toBe('fault');
  });
});

describe('frames towards an application', () => {
  /** A pacing whose event-loop turns take no time. */
  function paced() {
    const clock = new VirtualClock(1_000);
    const written: { at: number; frame: string }[] = [];
    const turns: (() => void)[] = [];
    const pacing = new Pacing(
      clock,
      (frame) => written.push({ at: clock.now() - 1_000, frame }),
      (then) => turns.push(then),
    );
    const run = async (ms: number) => {
      for (let i = 0; i <= ms; i++) {
        while (turns.length > 0) turns.shift()?.();
        await clock.advance(i === ms ? 0 : 1);
      }
      while (turns.length > 0) turns.shift()?.();
    };
    return { pacing, written, run, clock };
  }

  it('of one call keep their order and their distance', async () => {
    const { pacing, written, run, clock } = paced();
    for (const frame of ['echo', 'ack', 'bye']) {
      pacing.push('call', frame, frame === 'echo' ? 'echo' : frame === 'bye' ? 'end' : 'event');
    }
    await run(20);
    expect(written.map(({ frame }) => frame)).toEqual(['echo', 'ack', 'bye']);
    const times = written.map(({ at }) => at);
    expect([times[1] ?? 0, (times[2] ?? 0) - (times[1] ?? 0)]).toEqual([HOLD_MS, HOLD_MS]);
    expect([pacing.waiting, clock.pending]).toEqual([0, 0]);
  });

  it('of other calls do not wait for it', async () => {
    const { pacing, written, run } = paced();
    for (const call of ['a', 'b', 'c']) pacing.push(call, call, 'event');
    await run(1);
    expect(written.map(({ at }) => at)).toEqual([0, 0, 0]);
  });

  it('that end a call wait behind an echo of the other leg', async () => {
    const { pacing, written, run } = paced();
    pacing.push('leg a', 'echo', 'echo');
    pacing.push('leg b', 'bye', 'end');
    await run(20);
    expect(written).toEqual([
      { at: 0, frame: 'echo' },
      { at: HOLD_MS, frame: 'bye' },
    ]);
  });

  it('go at once when nothing was written lately', async () => {
    const { pacing, written, run } = paced();
    pacing.push('call', 'bye', 'end');
    await run(0);
    expect(written).toEqual([{ at: 0, frame: 'bye' }]);
  });

  it('all arrive, each call in its order, for any sequence', async () => {
    const pushes = fc.array(fc.tuple(fc.constantFrom('', 'a', 'b'), fc.boolean(), fc.nat(6)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(pushes, async (list) => {
        const { pacing, written, run } = paced();
        for (const [i, [call, ends, pauseMs]] of list.entries()) {
          pacing.push(call, `${call}/${i}`, ends ? 'end' : 'event');
          await run(pauseMs);
        }
        await run(HOLD_MS * (list.length + 2) * 2);
        for (const call of ['', 'a', 'b']) {
          const expected = list.flatMap(([of], i) => (of === call ? [`${call}/${i}`] : []));
          expect(written.map(({ frame }) => frame).filter((f) => f.startsWith(`${call}/`))).toEqual(expected);
        }
        expect(pacing.waiting).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
