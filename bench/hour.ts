/** Captures of an hour of one side of a call, for `decode`: made by the bench, deterministic, test cards only. */
import { closeSync, openSync, writeSync } from 'node:fs';

/** How long the made call is. */
export const HOUR_MS = 3_600_000;
const PACKET_MS = 20;
const PACKET_SAMPLES = 160;
const SAMPLE_RATE = 8_000;
/** A test card, keyed once a minute. */
const CARD = '4242424242424242';
const CARD_EACH_MS = 60_000;
const KEY_ON_MS = 100;
const KEY_EACH_MS = 200;
const KEYS = '0123456789*#ABCD';
const ROWS_HZ = [697, 770, 852, 941];
const COLUMNS_HZ = [1209, 1336, 1477, 1633];
const PAD = '123A456B789C*0#D';
/** Amplitude of each tone: -10 dBm0. */
const TONE_AMPLITUDE = 7_053;
/** Of the noise below the tones; its envelope moves as speech does, so that no detector rests. */
const NOISE_AMPLITUDE = 1_500;
const ENVELOPE_HZ = 3;

const EPOCH_SECONDS = 1_767_225_600;
const RECORD_BYTES = 16;
const HEADERS_BYTES = 14 + 20 + 8 + 12;
const G729_BYTES = 20;
const G729_TYPE = 18;
const EVENT_TYPE = 101;

export interface Hour {
  /** Keys in it, in order. */
  readonly digits: string;
  readonly packets: number;
}

/** The key that is down in this packet, and how far into it we are; null between keys. */
function keyAt(atMs: number): { readonly key: string; readonly intoMs: number; readonly onsetMs: number } | null {
  const intoMinute = atMs % CARD_EACH_MS;
  const key = CARD[Math.floor(intoMinute / KEY_EACH_MS)];
  const intoMs = intoMinute % KEY_EACH_MS;
  return key === undefined ? null : { key, intoMs, onsetMs: atMs - intoMs };
}

const DIGITS = CARD.repeat(HOUR_MS / CARD_EACH_MS);

/** Audio in a codec that nobody listens into (G.729), keys as events: five updates and three ends each. */
export function writeEventHour(file: string): Hour {
  const voice = new Uint8Array(G729_BYTES).fill(0x5a);
  return writeHour(file, (atMs) => {
    const now = keyAt(atMs);
    if (now === null || now.intoMs >= KEY_ON_MS + 3 * PACKET_MS)
      return { payloadType: G729_TYPE, atMs, payload: voice };
    const isEnd = now.intoMs >= KEY_ON_MS;
    const durationTs = (Math.min(now.intoMs + PACKET_MS, KEY_ON_MS) * SAMPLE_RATE) / 1000;
    const bytes = [KEYS.indexOf(now.key), (isEnd ? 0x80 : 0) | 10, durationTs >> 8, durationTs & 0xff];
    return { payloadType: EVENT_TYPE, atMs: now.onsetMs, payload: Uint8Array.from(bytes) };
  });
}

/** G.711 µ-law: noise with a moving envelope, keys as tones. `raw`, where given, gets the same samples as s16le. */
export function writeToneHour(file: string, raw: string | null, encode: (samples: Int16Array) => Uint8Array): Hour {
  const output = raw === null ? null : openSync(raw, 'w');
  let noise = 1;
  const hour = writeHour(file, (atMs) => {
    const now = keyAt(atMs);
    const first = (atMs * SAMPLE_RATE) / 1000;
    const place = now === null || now.intoMs >= KEY_ON_MS ? -1 : PAD.indexOf(now.key);
    const row = (2 * Math.PI * (ROWS_HZ[Math.floor(place / 4)] ?? 0)) / SAMPLE_RATE;
    const column = (2 * Math.PI * (COLUMNS_HZ[place % 4] ?? 0)) / SAMPLE_RATE;
    const loud = place < 0 ? NOISE_AMPLITUDE * (1 + Math.sin((2 * Math.PI * ENVELOPE_HZ * atMs) / 1000)) : 100;
    const samples = new Int16Array(PACKET_SAMPLES);
    for (let i = 0; i < PACKET_SAMPLES; i += 1) {
      noise = (Math.imul(noise, 1_103_515_245) + 12_345) | 0;
      const tone = TONE_AMPLITUDE * (Math.sin(row * (first + i)) + Math.sin(column * (first + i)));
      samples[i] = Math.round(tone + loud * (noise / 2 ** 31));
    }
    if (output !== null) writeSync(output, samples);
    return { payloadType: 0, atMs, payload: encode(samples) };
  });
  if (output !== null) closeSync(output);
  return hour;
}

interface Made {
  readonly payloadType: number;
  /** What the RTP timestamp says. */
  readonly atMs: number;
  readonly payload: Uint8Array;
}

function writeHour(file: string, packetAt: (atMs: number) => Made): Hour {
  const output = openSync(file, 'w');
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(262_144, 16);
  head.writeUInt32LE(1, 20);
  writeSync(output, head);
  let minute: Buffer[] = [];
  for (let atMs = 0, sequence = 0; atMs < HOUR_MS; atMs += PACKET_MS, sequence += 1) {
    minute.push(record(atMs, sequence, packetAt(atMs)));
    if (minute.length === CARD_EACH_MS / PACKET_MS) {
      writeSync(output, Buffer.concat(minute));
      minute = [];
    }
  }
  closeSync(output);
  return { digits: DIGITS, packets: HOUR_MS / PACKET_MS };
}

/** Ethernet, IPv4, UDP, RTP; checksums are left zero, as a sending card fills them in. */
function record(capturedAtMs: number, sequence: number, { payloadType, atMs, payload }: Made): Buffer {
  const frameBytes = HEADERS_BYTES + payload.length;
  const bytes = Buffer.alloc(RECORD_BYTES + frameBytes);
  bytes.writeUInt32LE(EPOCH_SECONDS + Math.floor(capturedAtMs / 1000), 0);
  bytes.writeUInt32LE((capturedAtMs % 1000) * 1000, 4);
  bytes.writeUInt32LE(frameBytes, 8);
  bytes.writeUInt32LE(frameBytes, 12);
  const ip = RECORD_BYTES + 14;
  bytes.writeUInt16BE(0x0800, ip - 2);
  bytes.writeUInt8(0x45, ip);
  bytes.writeUInt16BE(frameBytes - 14, ip + 2);
  bytes.writeUInt8(64, ip + 8);
  bytes.writeUInt8(17, ip + 9);
  bytes.set([192, 0, 2, 10, 198, 51, 100, 5], ip + 12);
  bytes.writeUInt16BE(40_000, ip + 20);
  bytes.writeUInt16BE(20_000, ip + 22);
  bytes.writeUInt16BE(8 + 12 + payload.length, ip + 24);
  const rtp = ip + 28;
  bytes.writeUInt8(0x80, rtp);
  bytes.writeUInt8(payloadType, rtp + 1);
  bytes.writeUInt16BE(sequence & 0xffff, rtp + 2);
  bytes.writeUInt32BE(((atMs * SAMPLE_RATE) / 1000) >>> 0, rtp + 4);
  bytes.writeUInt32BE(0x0badcafe, rtp + 8);
  bytes.set(payload, rtp + 12);
  return bytes;
}
