import { encodeAlaw, encodeUlaw } from '../../src/lib/g711.ts';
import { type Captured, type Ends, ethernet, ipv4, rtp, tcp, telephoneEvent, udp } from './packets.ts';

/** What test calls are made of. Card numbers are test cards only. */
export const CALLER: Ends = {
  source: '192.0.2.10',
  sourcePort: 40000,
  destination: '198.51.100.5',
  destinationPort: 20000,
};
export const STREAM = '192.0.2.10:40000>198.51.100.5:20000/0badcafe';
export const SSRC = 0x0badcafe;
const PACKET_MS = 20;
const PACKET_SAMPLES = 160;
const UDP = 17;
const TCP = 6;

const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477, 1633];
const KEYPAD = ['123A', '456B', '789C', '*0#D'];
export const KEYS = '0123456789*#ABCD';

/** Tones of −10 dBm0 together, 80 ms on, 80 ms off, after 200 ms of quiet, over a faint hum. */
export function keyedAudio(digits: string, { onMs = 80, offMs = 80, sampleRate = 8000 } = {}): Int16Array {
  const perMs = sampleRate / 1000;
  const lead = 200 * perMs;
  const step = (onMs + offMs) * perMs;
  return Int16Array.from({ length: lead + digits.length * step + lead }, (_, index) => {
    const hum = 20 * Math.sin((2 * Math.PI * 150 * index) / sampleRate);
    const key = digits[Math.floor((index - lead) / step)];
    if (index < lead || key === undefined || (index - lead) % step >= onMs * perMs) return Math.round(hum);
    const row = KEYPAD.findIndex((keys) => keys.includes(key));
    const angle = (2 * Math.PI * index) / sampleRate;
    const low = Math.sin(angle * (ROWS[row] ?? 0));
    const high = Math.sin(angle * (COLUMNS[KEYPAD[row]?.indexOf(key) ?? 0] ?? 0));
    return Math.round(3600 * (low + high) + hum);
  });
}

export const framed = (payload: Uint8Array, ends: Ends = CALLER): Uint8Array =>
  ethernet(ipv4(ends, UDP, udp(ends, payload)));

/** Audio in 20 ms packets. */
export function audioPackets(samples: Int16Array, codec: 'PCMU' | 'PCMA', ends: Ends = CALLER): Captured[] {
  const coded = codec === 'PCMU' ? encodeUlaw(samples) : encodeAlaw(samples);
  return Array.from({ length: Math.floor(coded.length / PACKET_SAMPLES) }, (_, index) => {
    const payload = coded.subarray(index * PACKET_SAMPLES, (index + 1) * PACKET_SAMPLES);
    const payloadType = codec === 'PCMU' ? 0 : 8;
    const fields = { payloadType, sequenceNumber: 65_500 + index, timestamp: 4_294_960_000 + index * 160, ssrc: SSRC };
    return { atMs: index * PACKET_MS, bytes: framed(rtp(fields, payload), ends) };
  });
}

/** Each key held 100 ms, every 200 ms: five updates and three ends, as RFC 4733 §2.5.1.4 asks. */
export function eventPackets(digits: string, payloadType: number, ends: Ends = CALLER): Captured[] {
  let sequenceNumber = 100;
  return [...digits].flatMap((digit, index) =>
    [160, 320, 480, 640, 800, 800, 800].map((durationTs, packet) => {
      const fields = {
        payloadType,
        sequenceNumber: sequenceNumber++,
        timestamp: 8000 + index * 1600,
        ssrc: SSRC,
        marker: packet === 0,
      };
      const payload = telephoneEvent(KEYS.indexOf(digit), packet >= 4, durationTs);
      return { atMs: index * 200 + packet * PACKET_MS, bytes: framed(rtp(fields, payload), ends) };
    }),
  );
}

/**
 * One side of a whole call: quiet µ-law, a packet each 20 ms, with keys as events in its place, each held for 100 ms. Times
 * are in milliseconds and multiples of 20.
 */
export function keyedCall(keys: readonly { atMs: number; digits: string }[], durationMs: number): Captured[] {
  const presses = keys.flatMap(({ atMs, digits }) =>
    [...digits].map((digit, index) => ({ digit, onsetMs: atMs + index * 200 })),
  );
  const quiet = new Uint8Array(PACKET_SAMPLES).fill(0xff);
  return Array.from({ length: durationMs / PACKET_MS }, (_, index) => {
    const atMs = index * PACKET_MS;
    const press = presses.find(({ onsetMs }) => atMs >= onsetMs && atMs < onsetMs + 100 + 3 * PACKET_MS);
    const timestamp = ((press?.onsetMs ?? atMs) / PACKET_MS) * PACKET_SAMPLES;
    const fields = { sequenceNumber: 1000 + index, timestamp, ssrc: SSRC, marker: press?.onsetMs === atMs };
    if (press === undefined) return { atMs, bytes: framed(rtp({ ...fields, payloadType: 0 }, quiet)) };
    const durationTs = Math.min(atMs - press.onsetMs + PACKET_MS, 100) * 8;
    const event = telephoneEvent(KEYS.indexOf(press.digit), atMs - press.onsetMs >= 100, durationTs);
    return { atMs, bytes: framed(rtp({ ...fields, payloadType: 101 }, event)) };
  });
}

const SIP: Ends = { source: '192.0.2.10', sourcePort: 5060, destination: '198.51.100.5', destinationPort: 5060 };
export const REVERSED = (ends: Ends): Ends => ({
  source: ends.destination,
  sourcePort: ends.destinationPort,
  destination: ends.source,
  destinationPort: ends.sourcePort,
});

export function sip(startLine: string, cseq: string, contentType = '', body = ''): Buffer {
  const head = [
    startLine,
    'Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1',
    'From: <sip:caller@192.0.2.10>;tag=a',
    'To: <sip:pay@198.51.100.5>;tag=b',
    'Call-ID: one@192.0.2.10',
    `CSeq: ${cseq}`,
    ...(contentType === '' ? [] : [`Content-Type: ${contentType}`]),
    `Content-Length: ${body.length}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
}

const sdp = (address: string, port: number, eventType: number): string =>
  [
    'v=0',
    `o=- 1 1 IN IP4 ${address}`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0 ${eventType}`,
    'a=rtpmap:0 PCMU/8000',
    `a=rtpmap:${eventType} telephone-event/8000`,
    '',
  ].join('\r\n');

/** Offer and answer with these media lines: `m=` without its port, as `audio RTP/AVP 0`, then attributes. */
export function setUpWith(offered: readonly string[], answered: readonly string[]): { offer: Buffer; answer: Buffer } {
  const described = (address: string, port: number, [medium = '', ...attributes]: readonly string[]): string => {
    const media = `m=${medium.replace(' ', ` ${port} `)}`;
    return ['v=0', `o=- 1 1 IN IP4 ${address}`, 's=-', `c=IN IP4 ${address}`, 't=0 0', media, ...attributes, ''].join('\r\n');
  };
  const offer = described('192.0.2.10', 40000, offered);
  const answer = described('198.51.100.5', 20000, answered);
  return {
    offer: sip('INVITE sip:pay@198.51.100.5 SIP/2.0', '1 INVITE', 'application/sdp', offer),
    answer: sip('SIP/2.0 200 OK', '1 INVITE', 'application/sdp', answer),
  };
}

/** Payloads of 20 ms each; `clock`: RTP timestamp units in them. */
export function payloadPackets(
  payloads: readonly Uint8Array[],
  payloadType: number,
  clock: number,
  first = { atMs: 0, sequenceNumber: 65_530, timestamp: 4_294_900_000 },
): Captured[] {
  return payloads.map((payload, index) => {
    const timestamp = first.timestamp + index * clock;
    const fields = { payloadType, sequenceNumber: first.sequenceNumber + index, timestamp, ssrc: SSRC };
    return { atMs: first.atMs + index * PACKET_MS, bytes: framed(rtp(fields, payload)) };
  });
}

/** RFC 2198 §3: blocks of earlier packets with their offset, then the packet's own. */
export function red(blocks: readonly { type: number; offset: number; payload: Uint8Array }[]): Uint8Array {
  const heads = blocks.slice(0, -1).map(({ type, offset, payload }) => {
    const head = Buffer.alloc(4);
    head.writeUInt8(0x80 | type);
    head.writeUIntBE((offset << 10) | payload.length, 1, 3);
    return head;
  });
  const own = Buffer.from([blocks.at(-1)?.type ?? 0]);
  return Buffer.concat([...heads, own, ...blocks.map(({ payload }) => payload)]);
}

/** Each key as one packet of events that says the key before again, and that press's end. */
export function redPackets(digits: string, redType: number, eventType: number): Captured[] {
  const presses = [...digits].map((digit) => telephoneEvent(KEYS.indexOf(digit), true, 800));
  return presses.map((payload, index) => {
    const before = presses[index - 1] ?? new Uint8Array();
    const blocks = [
      { type: eventType, offset: index === 0 ? 0 : 1600, payload: before },
      { type: eventType, offset: 0, payload },
    ];
    const fields = { payloadType: redType, sequenceNumber: 100 + index, timestamp: 8000 + index * 1600, ssrc: SSRC };
    return { atMs: index * 200, bytes: framed(rtp({ ...fields, marker: true }, red(blocks))) };
  });
}

/** What `protect` makes of each RTP packet in a capture of `framed` packets. */
export function changed(packets: readonly Captured[], protect: (packet: Buffer, index: number) => Buffer): Captured[] {
  const headers = ethernet(ipv4(CALLER, UDP, udp(CALLER, new Uint8Array()))).length;
  return packets.map(({ atMs, bytes }, index) => ({
    atMs,
    bytes: framed(protect(Buffer.from(bytes.subarray(headers)), index)),
  }));
}

/** Offer and answer whose event types differ: the caller sends with the answer's. */
export function setUp(offeredType: number, answeredType: number): { offer: Buffer; answer: Buffer } {
  return {
    offer: sip(
      'INVITE sip:pay@198.51.100.5 SIP/2.0',
      '1 INVITE',
      'application/sdp',
      sdp('192.0.2.10', 40000, offeredType),
    ),
    answer: sip('SIP/2.0 200 OK', '1 INVITE', 'application/sdp', sdp('198.51.100.5', 20000, answeredType)),
  };
}

export const overUdp = (atMs: number, message: Buffer, ends: Ends = SIP): Captured => ({
  atMs,
  bytes: ethernet(ipv4(ends, UDP, udp(ends, message))),
});

export const overTcp = (atMs: number, sequence: number, part: Buffer): Captured => ({
  atMs,
  bytes: ethernet(ipv4(SIP, TCP, tcp(SIP, sequence, part))),
});

export const infoKey = (cseq: number, key: string): Buffer =>
  sip(
    'INFO sip:pay@198.51.100.5 SIP/2.0',
    `${cseq} INFO`,
    'application/dtmf-relay',
    `Signal=${key}\r\nDuration=160\r\n`,
  );

export const SIP_ENDS = SIP;
