import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FRAME_BYTES_MAX, type Frame, FrameReader, WireFault } from '../../src/worker/wire.ts';
import { cases } from '../harness/fuzz.ts';

const media = {
  remoteAddress: '127.0.0.1',
  remotePort: 4000,
  codec: 'PCMU',
  sendPayloadType: 0,
  receivePayloadType: 0,
  sendEventPayloadType: 101,
  ptimeMs: 20,
  direction: 'sendrecv',
  dtmf: 'auto',
};
const facts = { length: 16, brands: ['visa'], luhnOk: true, complete: true, full: false, last4: '4242', cvcLength: 3 };

const FRAMES: readonly Frame[] = [
  { type: 'request', requestId: 1, order: { kind: 'hello', value: { protocol: 1, secret: 's' } } },
  {
    type: 'request',
    requestId: 2,
    order: { kind: 'openLeg', value: { callId: 'c', legId: 'l', localPort: 0, media, blocked: true } },
  },
  {
    type: 'request',
    requestId: 3,
    order: { kind: 'setRoutes', value: { callId: 'c', routes: [{ from: 'a', to: 'b', masked: true }] } },
  },
  {
    type: 'request',
    requestId: 4,
    order: {
      kind: 'send',
      value: {
        paymentId: 'p',
        method: 'POST',
        url: 'http://127.0.0.1/',
        headers: [{ name: 'a', value: 'b' }],
        bodyFormat: 'json',
        bodyTemplate: '{}',
        timeoutMs: 5,
      },
    },
  },
  { type: 'answer', requestId: 4, answer: { kind: 'done', value: {} } },
  { type: 'answer', requestId: 5, answer: { kind: 'facts', value: facts } },
  { type: 'event', callId: 'c', event: { kind: 'fieldKey', value: { key: 'digit', field: 'pan', facts } } },
  { type: 'event', callId: 'c', event: { kind: 'fieldKey', value: { key: 'star' } } },
];

describe('frames between control and worker', () => {
  it('come back as they were sent, however the bytes are cut', () => {
    const bytes = Buffer.concat(FRAMES.map(encodeFrame));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 8 }), (cuts) => {
        const reader = new FrameReader();
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const frames = places.slice(1).flatMap((end, i) => reader.push(bytes.subarray(places[i] ?? 0, end)));
        // toEqual looks through the defaults that an absent message field gets.
        expect(frames).toMatchObject(FRAMES.map((frame) => ({ ...frame })));
        expect(frames).toHaveLength(FRAMES.length);
      }),
    );
  });

  it('have nothing where a part was left out: a leg whose media are not known yet', () => {
    const value = { callId: 'c', legId: 'l', localPort: 0, blocked: false };
    const [frame] = new FrameReader().push(
      encodeFrame({ type: 'request', requestId: 1, order: { kind: 'openLeg', value } }),
    );
    expect(frame).toEqual({ type: 'request', requestId: 1, order: { kind: 'openLeg', value } });
  });

  it('refuses a frame that is too long before it is there', () => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(FRAME_BYTES_MAX + 1);
    expect(() => new FrameReader().push(head)).toThrow(WireFault);
  });

  it('never throws anything but a WireFault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
        const bytes = Buffer.alloc(4 + payload.length);
        bytes.writeUInt32BE(payload.length);
        bytes.set(payload, 4);
        try {
          new FrameReader().push(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireFault);
        }
      }),
      cases(500),
    );
  });
});
