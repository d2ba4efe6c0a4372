import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DEFAULT_LIMITS } from '../../src/sip-server/limits.ts';
import { parseNameAddr } from '../../src/sip-server/message/name-addr.ts';
import { parseHostport, parseSipUri } from '../../src/sip-server/message/uri.ts';
import { StreamFraming } from '../../src/sip-server/transport/framing.ts';
import { WireFraming } from '../../src/sip-server/wire/framing.ts';
import { cases, within } from '../harness/fuzz.ts';
import { rawApplication, request, udpPeer } from './peers.ts';
import { afterwards, application, endpoint, SECRET, start } from './stand.ts';

/* Bytes from anybody: into the two framings and the address readers by themselves, and into a server that must go on. */

const LIMITS = { ...DEFAULT_LIMITS, headerBytesMax: 2_000, messageBytesMax: 4_000 };

const streamPart = fc.oneof(
  fc.constantFrom('\r\n', '\r\n\r\n', 'OPTIONS sip:a@b SIP/2.0\r\n', 'Content-Length: 5\r\n', 'l: 0\r\n', 'hello'),
  fc.constantFrom('Content-Length: 999999\r\n', 'Content-Length: -1\r\n', '\n', '\r', '\u0000'),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
const stream = fc.array(streamPart, { maxLength: 40 }).map((parts) => parts.join(''));
const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });

/** Cuts text into pieces of these lengths, over and over. */
function* cut(text: string, lengths: readonly number[]): Generator<string> {
  for (let at = 0, piece = 0; at < text.length; piece += 1) {
    const length = lengths[piece % lengths.length] ?? 1;
    yield text.slice(at, at + length);
    at += length;
  }
}

describe('any bytes on a stream', () => {
  it(
    'are messages of their stated length or a fault, the same in any pieces, and wait in a bounded place',
    () => {
      const read = (parts: Iterable<string>): { texts: string[]; isFault: boolean } => {
        const framing = new StreamFraming(LIMITS);
        const texts: string[] = [];
        for (const part of parts) {
          const framed = framing.push(part);
          if (framed.kind === 'fault') return { texts, isFault: true };
          texts.push(...framed.texts);
          expect(framing.pendingBytes).toBeLessThanOrEqual(LIMITS.messageBytesMax + part.length);
        }
        return { texts, isFault: false };
      };
      fc.assert(
        fc.property(stream, pieces, (text, lengths) => {
          const cutUp = read(cut(text, lengths));
          for (const message of cutUp.texts) expect(message).toContain('\r\n\r\n');
          const whole = read([text]);
          expect(cutUp.isFault).toBe(whole.isFault);
          if (!whole.isFault) expect(cutUp.texts).toEqual(whole.texts);
        }),
        cases(1_000),
      );
    },
    within(20_000),
  );

  it(
    'are frames of an application or a fault, the same in any pieces',
    () => {
      const part = fc.oneof(
        fc.constantFrom('3#abc', '0#', '5#', '12345#', '#', 'x', '\r\n', '99999#'),
        fc.string({ unit: 'binary', maxLength: 20 }),
      );
      const read = (parts: Iterable<string>): { payloads: string[]; isFault: boolean } => {
        const framing = new WireFraming();
        const payloads: string[] = [];
        for (const piece of parts) {
          const frames = framing.push(Buffer.from(piece, 'latin1'));
          if (frames.kind === 'fault') return { payloads, isFault: true };
          payloads.push(...frames.payloads);
        }
        return { payloads, isFault: false };
      };
      const texts = fc.array(part, { maxLength: 20 }).map((parts) => parts.join(''));
      fc.assert(
        fc.property(texts, pieces, (text, lengths) => {
          const cutUp = read(cut(text, lengths));
          const whole = read([text]);
          expect(cutUp.isFault).toBe(whole.isFault);
          if (!whole.isFault) expect(cutUp.payloads).toEqual(whole.payloads);
        }),
        cases(1_000),
      );
    },
    within(20_000),
  );
});

describe('any text where an address stands', () => {
  it(
    'is an address with a host and a port that exist, or none',
    () => {
      const part = fc.oneof(
        fc.constantFrom(
          'sip:',
          'sips:',
          'a',
          '@',
          '[',
          ']',
          ':',
          '::1',
          '5060',
          '65536',
          ';',
          'lr',
          'transport=tcp',
          '?',
          '<',
          '>',
          '"',
        ),
        fc.string({ unit: 'binary', maxLength: 6 }),
      );
      fc.assert(
        fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
          const text = parts.join('');
          parseNameAddr(text);
          parseNameAddr(text, true);
          for (const found of [parseSipUri(text), parseHostport(text)]) {
            if (found === undefined) continue;
            expect(found.host).toMatch(/^[\w.:-]+$/);
            if (found.port !== undefined) expect(found.port > 0 && found.port < 65_536).toBe(true);
          }
        }),
        cases(2_000),
      );
    },
    within(20_000),
  );
});

/** A sound request with bytes changed, or anything. */
const hostile = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  stream.map((text) => Buffer.from(text, 'latin1')).filter((bytes) => bytes.length > 0),
  fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 6 }).map((changes) => {
    const peer = { host: '127.0.0.1', port: 9, transport: 'UDP' };
    const sound = request('OPTIONS', { peer: { ...peer } as never, callId: 'hostile' });
    const bytes = Buffer.from(sound, 'latin1');
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  }),
);

const TRIALS = 150;
/** Connections that stand at the same time. */
const AT_ONCE = 50;

describe('a server that anybody sends anything to', () => {
  it(
    'goes on answering, whatever comes over UDP, TCP, WebSocket and from an application',
    async () => {
      const server = await start();
      const app = await application(server, ['options']);
      const udp = await udpPeer(endpoint(server, 'udp'));
      afterwards(() => udp.close());
      const [tcp, ws] = [endpoint(server, 'tcp'), endpoint(server, 'ws')];
      const samples = fc.sample(hostile, cases(TRIALS));
      for (let at = 0; at < samples.length; at += AT_ONCE) {
        const wave = samples.slice(at, at + AT_ONCE).map((bytes, index) => {
          udp.send(bytes.toString('latin1'));
          if (index % 3 === 0) return throwAt(tcp.port, bytes);
          return index % 3 === 1 ? throwOverWs(ws.port, bytes) : throwAt(server.adminPort, bytes);
        });
        await Promise.all(wave);
      }
      // Somebody who knows the secret and then says anything.
      const mad = await rawApplication(server.adminPort);
      afterwards(() => mad.close());
      await mad.inbox.next(`|response|${mad.send(`authenticate|${SECRET}|`)}|OK|`);
      mad.send(`sip|no-such-transaction|\r\n${samples[0]?.toString('latin1')}`);

      udp.send(request('OPTIONS', { peer: udp, callId: 'after-all-that' }));
      expect(await app.inbox.next('Call-ID: after-all-that')).toContain('|sip|network|');
      const id = app.send('ping');
      await app.inbox.next(`|response|${id}|OK|pong`);
    },
    within(20_000),
  );
});

const THROWN_MS_MAX = 1_000;

/** Sends bytes and leaves; whoever is on the other side may hang up first. */
async function throwAt(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(THROWN_MS_MAX, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.resume();
  socket.end(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
}

async function throwOverWs(port: number, bytes: Buffer): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'sip');
  socket.on('error', () => socket.terminate());
  socket.on('open', () => {
    socket.send(bytes, { binary: bytes.length % 2 === 0 });
    socket.close();
  });
  await new Promise((resolve) => socket.once('close', resolve));
}
