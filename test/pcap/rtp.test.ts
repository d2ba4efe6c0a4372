import fc from 'fast-check';
import { RtpPacket } from 'rtp.js/packets';
import { describe, expect, it } from 'vitest';
import { FlowTable } from '../../src/pcap/flow-table.ts';
import { emptyView } from '../../src/pcap/reorder.ts';
import { readRtp, ssrcAt } from '../../src/pcap/rtp.ts';
import { RtpStreams, STREAMS_MAX } from '../../src/pcap/rtp-streams.ts';
import { emptyTransport, type Transport } from '../../src/pcap/transport.ts';
import { rtp } from '../data/packets.ts';

/** What rtp.js reads of it; null where it refuses. */
function byRtpJs(bytes: Uint8Array): unknown {
  try {
    const packet = new RtpPacket(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const payload = packet.getPayload();
    return {
      payloadType: packet.getPayloadType(),
      marker: packet.getMarker(),
      sequenceNumber: packet.getSequenceNumber(),
      timestamp: packet.getTimestamp(),
      ssrc: packet.getSsrc(),
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('hex'),
    };
  } catch {
    return null;
  }
}

function byUs(bytes: Uint8Array): unknown {
  const view = emptyView();
  const framed = Buffer.concat([Buffer.alloc(7, 0xee), bytes, Buffer.alloc(9, 0xee)]);
  if (!readRtp(framed, 7, 7 + bytes.length, view)) return null;
  const { payloadType, marker, sequenceNumber, timestamp } = view;
  const payload = framed.subarray(view.from, view.to).toString('hex');
  return { payloadType, marker, sequenceNumber, timestamp, ssrc: ssrcAt(framed, 7), payload };
}

describe('the RTP header', () => {
  it('is read as rtp.js reads it: contributing sources, extensions and padding too', () => {
    let read = 0;
    fc.assert(
      fc.property(
        fc.record({ csrcs: fc.nat(15), extension: fc.option(fc.nat(6)), padding: fc.option(fc.nat(40)) }),
        fc.constantFrom(0, 8, 9, 18, 96, 101, 127),
        fc.boolean(),
        fc.uint8Array({ minLength: 10, maxLength: 10 }),
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        ({ csrcs, extension, padding }, payloadType, marker, head, payload) => {
          const first = 0x80 | csrcs | (extension === null ? 0 : 0x10) | (padding === null ? 0 : 0x20);
          const extended = extension === null ? [] : [0x12, 0x34, 0, extension, ...Array(extension * 4).fill(0x11)];
          const tail = padding === null ? [] : [...Array(Math.max(0, padding - 1)).fill(0), padding];
          const bytes = Uint8Array.from([
            first,
            payloadType | (marker ? 0x80 : 0),
            ...head,
            ...Array(csrcs * 4).fill(0x22),
            ...extended,
            ...payload,
            ...tail,
          ]);
          const ours = byUs(bytes);
          if (ours !== null) read += 1;
          expect(ours).toEqual(byRtpJs(bytes));
        },
      ),
      { numRuns: 1000 },
    );
    expect(read).toBeGreaterThan(500);
  });

  it('is never read past the packet’s end, whatever it claims', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        const bytes = Uint8Array.from([0x80 | ((noise[0] ?? 0) & 0x3f), 96, ...noise]);
        const view = emptyView();
        if (!readRtp(bytes, 0, bytes.length, view)) return;
        expect(view.from).toBeGreaterThanOrEqual(12);
        expect(view.from).toBeLessThanOrEqual(view.to);
        expect(view.to).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

/** A datagram from 10.a.b.c, as Capture would bring it. */
function datagram(address: number, port: number, payload: Uint8Array): Transport {
  const addresses = [10, (address >> 16) & 255, (address >> 8) & 255, address & 255, 192, 0, 2, 1];
  const bytes = Buffer.concat([Buffer.from(addresses), payload]);
  return { ...emptyTransport(), bytes, sourcePort: port, destinationPort: 4000, from: 8, to: bytes.length };
}

describe('the table of flows', () => {
  it('finds what was added and not what was deleted, as a plain map does', () => {
    const keys = fc.record({ address: fc.nat(3), port: fc.nat(3), ssrc: fc.constantFrom(0, 1, 0xffffffff) });
    fc.assert(
      fc.property(fc.array(fc.record({ key: keys, isAdded: fc.boolean() }), { maxLength: 60 }), (steps) => {
        const table = new FlowTable<string>();
        const plain = new Set<string>();
        for (const { key, isAdded } of steps) {
          const packet = datagram(key.address, key.port, Buffer.alloc(0));
          const name = `${key.address} ${key.port} ${key.ssrc}`;
          expect(table.find(packet, key.ssrc)).toBe(plain.has(name) ? name : null);
          if (isAdded && !plain.has(name)) table.add(packet, key.ssrc, name);
          if (!isAdded) table.delete(name);
          if (isAdded) plain.add(name);
          else plain.delete(name);
          expect(table.size).toBe(plain.size);
        }
        expect(new Set(table.values())).toEqual(plain);
      }),
    );
  });
});

describe('many RTP streams', () => {
  const packet = (sequenceNumber: number) =>
    rtp({ payloadType: 0, sequenceNumber, timestamp: sequenceNumber * 160, ssrc: 1 }, Buffer.alloc(20));

  it('stay within their limit: one that nobody believed gives way, those that were believed stay', () => {
    const begun: string[] = [];
    const streams = new RtpStreams({
      isNamed: () => false,
      order: 'sequence',
      begin: (stream) => {
        begun.push(stream.source);
        return () => {};
      },
    });
    for (const one of [1, 2, 3]) streams.push(datagram(0, 5000, packet(one)), 0);
    // Strangers, one packet each: ten times what fits.
    for (let stranger = 1; stranger <= 10 * STREAMS_MAX; stranger += 1) {
      streams.push(datagram(stranger, 5000, packet(1)), 0);
    }
    for (const one of [1, 2, 3]) streams.push(datagram(9_999_999, 5000, packet(one)), 0);
    expect(begun).toEqual(['10.0.0.0:5000', '10.152.150.127:5000']);
    expect(streams.ignored).toBe(0);
  });

  it('past the limit are left out and counted where all are believed', () => {
    const streams = new RtpStreams({ isNamed: () => true, begin: () => () => {}, order: 'sequence' });
    for (let stranger = 0; stranger < STREAMS_MAX + 5; stranger += 1) {
      streams.push(datagram(stranger, 5000, packet(1)), 0);
    }
    expect(streams.ignored).toBe(5);
  });
});
