import { Capture, frameReaderFor } from '../../pcap/capture.ts';
import type { RtpView } from '../../pcap/reorder.ts';
import { type CodecName, STATIC_CODECS } from '../../pcap/sip.ts';
import { looksLikeEvent } from '../decode/event-track.ts';

/** Packets of one stream that are kept: five and a half hours at 50 a second. */
export const PACKETS_MAX = 1_000_000;
const DYNAMIC_TYPE_MIN = 96;
const EVENT: CodecName = { name: 'TELEPHONE-EVENT', clockRate: 8_000 };

export interface ReplayPacket {
  /** From the stream's first packet. */
  readonly atMs: number;
  readonly payloadType: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payload: Uint8Array;
}

export interface StreamSummary {
  readonly name: string;
  readonly packets: number;
  readonly durationMs: number;
}

export interface ReplayStream {
  /** As they were captured: repeated, late and lost packets too. */
  readonly packets: readonly ReplayPacket[];
  /** What each payload type means, where SDP, RFC 3551 or the packets themselves tell. */
  readonly codecs: ReadonlyMap<number, CodecName>;
  /** Packets past `PACKETS_MAX`. */
  readonly leftOut: number;
}

export interface CaptureSummary {
  readonly streams: readonly StreamSummary[];
  /** Why reading stopped before the end of the file, for a person; what stands before it is there. */
  readonly fault: string | null;
}

/** Reads a capture's RTP streams and says how much is in each. */
export function summarize(chunks: Iterable<Uint8Array>): CaptureSummary {
  const found: { name: string; packets: number; beganAtMs: number; durationMs: number }[] = [];
  const fault = readCapture(chunks, (name) => {
    const summary = { name, packets: 0, beganAtMs: Number.NaN, durationMs: 0 };
    found.push(summary);
    return (packet) => {
      if (summary.packets === 0) summary.beganAtMs = packet.atMs;
      summary.packets += 1;
      summary.durationMs = Math.max(summary.durationMs, packet.atMs - summary.beganAtMs);
    };
  });
  return { streams: found.map(({ name, packets, durationMs }) => ({ name, packets, durationMs })), fault };
}

/** Reads one stream whole. */
export function readStream(chunks: Iterable<Uint8Array>, wanted: string): ReplayStream {
  const packets: ReplayPacket[] = [];
  const codecs = new Map<number, CodecName>();
  const spoiled = new Set<number>();
  let beganAtMs = Number.NaN;
  let leftOut = 0;
  readCapture(chunks, (name) => (packet, codec) => {
    if (name !== wanted) return;
    if (packets.length >= PACKETS_MAX) {
      leftOut += 1;
      return;
    }
    if (packets.length === 0) beganAtMs = packet.atMs;
    const { payloadType, sequenceNumber, timestamp, marker, bytes, from, to } = packet;
    const atMs = packet.atMs - beganAtMs;
    packets.push({ atMs, payloadType, sequenceNumber, timestamp, marker, payload: bytes.slice(from, to) });
    const known = codec ?? STATIC_CODECS.get(payloadType);
    if (known !== undefined) codecs.set(payloadType, known);
    else if (payloadType < DYNAMIC_TYPE_MIN || !looksLikeEvent(packet)) spoiled.add(payloadType);
    else if (!codecs.has(payloadType)) codecs.set(payloadType, EVENT);
  });
  // Nobody said that this type carries events, and it does not always look so.
  for (const payloadType of spoiled) if (codecs.get(payloadType) === EVENT) codecs.delete(payloadType);
  return { packets, codecs, leftOut };
}

function readCapture(
  chunks: Iterable<Uint8Array>,
  begin: (stream: string) => (packet: RtpView, codec: CodecName | null) => void,
): string | null {
  const capture = new Capture({ stream: ({ name }) => begin(name), info: () => {} }, 'arrival');
  let reader: ReturnType<typeof frameReaderFor> = null;
  for (const chunk of chunks) {
    reader ??= frameReaderFor(chunk);
    reader?.push(chunk, (frame) => capture.frame(frame));
    if (reader === null || reader.fault !== null) break;
  }
  capture.finish();
  return reader?.fault ?? null;
}
