import { isIP } from 'node:net';
import sdpTransform from 'sdp-transform';
import { type ParsedCrypto, parseCrypto } from './crypto.ts';
import { CRYPTO_LINES_MAX, SDP_BYTES_MAX, SDP_FORMATS_PER_LINE_MAX, SDP_MEDIA_LINES_MAX } from './limits.ts';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

export interface SdpFormat {
  readonly payloadType: number;
  /** Encoding name in capitals: `PCMU`, `TELEPHONE-EVENT`. */
  readonly encoding: string;
  readonly clockRate: number;
  /** The text of its `a=fmtp`, empty where there is none. */
  readonly parameters: string;
}

/** One m-line with its attributes, session-level ones included where it has none of its own. */
export interface SdpMedia {
  readonly kind: string;
  readonly port: number;
  readonly protocol: string;
  /** As written; for RTP these are payload types. */
  readonly formats: readonly string[];
  /** Formats in the order of the m-line whose encoding is known, by rtpmap or RFC 3551 table 4. */
  readonly encodings: readonly SdpFormat[];
  /** An IP address, or the host name that stands in its place, or null where there is no connection line. */
  readonly address: string | null;
  readonly direction: Direction;
  readonly ptimeMs: number | null;
  readonly maxptimeMs: number | null;
  /** From `a=rtcp` (RFC 3605); null where the default, port + 1, holds. */
  readonly rtcpPort: number | null;
  /** `a=crypto` in the order of preference; media-level only, RFC 4568 §4. */
  readonly crypto: readonly ParsedCrypto[];
  /** What `a=rtcp-xr` says (RFC 3611 §5.1), of what we know. */
  readonly rtcpXr: RtcpXr;
}

/** `voip-metrics`: send them to me. `rcvr-rtt`: the round trip is measured where one side only listens. */
export interface RtcpXr {
  readonly voipMetrics: boolean;
  readonly roundTrip: boolean;
}

export interface SessionDescription {
  /** Session id and version of the origin line as one string, to tell a refresh from a change; null without one. */
  readonly originKey: string | null;
  readonly media: readonly SdpMedia[];
}

export type SdpFault = 'empty' | 'too long' | 'not SDP' | 'bad m-line' | 'too many m-lines' | 'too many formats';

export type ParsedSdp =
  | { readonly ok: true; readonly description: SessionDescription }
  | { readonly ok: false; readonly fault: SdpFault };

/** RFC 3551 §6 table 4: the static payload types that a peer may leave without an rtpmap and that we know. */
const STATIC_ENCODINGS: ReadonlyMap<number, string> = new Map([
  [0, 'PCMU'],
  [3, 'GSM'],
  [4, 'G723'],
  [8, 'PCMA'],
  [9, 'G722'],
  [13, 'CN'],
  [18, 'G729'],
]);

/** `m=<kind> <port>[/<count>] <protocol> <format> …`, RFC 4566 §5.14; some send a blank at the end. */
const M_LINE = /^([!-~]+) (\d{1,5})(?:\/\d{1,5})? ([!-~]+)((?: +[!-~]+)*) *$/;

/**
 * Reads a session description. Never throws; a description is either understood whole as far as we need it, or
 * named as a fault. sdp-transform passes over what it does not know, so m-lines are read here, strictly.
 */
export function parseSdp(text: string): ParsedSdp {
  if (text.trim() === '') return { ok: false, fault: 'empty' };
  if (Buffer.byteLength(text) > SDP_BYTES_MAX) return { ok: false, fault: 'too long' };
  if (!/^v=0\s*$/m.test(text)) return { ok: false, fault: 'not SDP' };

  const sections = sectionsOf(text);
  const sessionLines = linesOf(text.split(/^m=/m, 1)[0] ?? '');
  const mLines = sections.map(([line = '']) => line.slice(2));
  if (mLines.length > SDP_MEDIA_LINES_MAX) return { ok: false, fault: 'too many m-lines' };

  const loose = sdpTransform.parse(text);
  // The parser's idea of an m-line and ours must be the same, or attributes would land on the wrong stream.
  if (loose.media.length !== mLines.length) return { ok: false, fault: 'bad m-line' };

  const media: SdpMedia[] = [];
  for (const [index, line] of mLines.entries()) {
    const match = M_LINE.exec(line);
    if (match === null) return { ok: false, fault: 'bad m-line' };
    const port = Number(match[2]);
    const formats = (match[4] ?? '').split(' ').filter((format) => format !== '');
    if (port > 65_535 || formats.length === 0) return { ok: false, fault: 'bad m-line' };
    if (formats.length > SDP_FORMATS_PER_LINE_MAX) return { ok: false, fault: 'too many formats' };

    const own = loose.media[index] ?? {};
    const address = own.connection?.ip ?? loose.connection?.ip;
    media.push({
      kind: match[1] ?? '',
      port,
      protocol: match[3] ?? '',
      formats,
      encodings: encodingsOf(formats, own.rtp ?? [], own.fmtp ?? []),
      address: address === undefined ? null : String(address),
      direction: asDirection(own.direction ?? loose.direction),
      ptimeMs: asMilliseconds(own.ptime ?? loose.ptime),
      maxptimeMs: asMilliseconds(own.maxptime ?? loose.maxptime),
      rtcpPort: asPort(own.rtcp?.port),
      crypto: cryptoOf(sections[index] ?? []),
      rtcpXr: rtcpXrOf(sections[index] ?? []) ?? rtcpXrOf(sessionLines) ?? { voipMetrics: false, roundTrip: false },
    });
  }
  const origin = loose.origin;
  const originKey = origin === undefined ? null : `${origin.sessionId ?? ''} ${origin.sessionVersion ?? ''}`;
  return { ok: true, description: { originKey, media } };
}

function linesOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}

/** RFC 3611 §5.1: formats with a blank between; what a stream says counts before what the session says. Null: nothing. */
function rtcpXrOf(lines: readonly string[]): RtcpXr | null {
  const found = lines.find((line) => line === 'a=rtcp-xr' || line.startsWith('a=rtcp-xr:'));
  if (found === undefined) return null;
  const formats = found.slice('a=rtcp-xr:'.length).trim().split(/ +/);
  return {
    voipMetrics: formats.includes('voip-metrics'),
    roundTrip: formats.some((format) => /^rcvr-rtt=(all|sender)(:\d+)?$/.test(format)),
  };
}

/** The lines of each m-line, itself the first. */
function sectionsOf(text: string): string[][] {
  const sections: string[][] = [];
  for (const line of linesOf(text)) {
    if (line.startsWith('m=')) sections.push([line]);
    else sections.at(-1)?.push(line);
  }
  return sections;
}

/** RFC 4568 §4.1: tags are unique; of two with one tag neither could be answered, and the second is not read. */
function cryptoOf(lines: readonly string[]): ParsedCrypto[] {
  const values = lines.filter((line) => line.startsWith('a=crypto:')).map((line) => line.slice('a=crypto:'.length));
  const read = values.slice(0, CRYPTO_LINES_MAX).map(parseCrypto);
  return read.filter(({ tag }, index) => tag === null || read.findIndex((other) => other.tag === tag) === index);
}

function encodingsOf(
  formats: readonly string[],
  rtpmaps: readonly { payload?: number | string; codec?: string | number; rate?: number | string }[],
  fmtps: readonly { payload?: number | string; config?: string | number }[],
): SdpFormat[] {
  const encodings: SdpFormat[] = [];
  for (const format of formats) {
    if (!/^\d{1,3}$/.test(format)) continue;
    const payloadType = Number(format);
    if (payloadType > 127) continue;
    const fmtp = fmtps.find((candidate) => String(candidate.payload) === format);
    const parameters = String(fmtp?.config ?? '').trim();
    const rtpmap = rtpmaps.find((candidate) => String(candidate.payload) === format);
    if (rtpmap !== undefined) {
      const clockRate = Number(rtpmap.rate);
      if (!Number.isInteger(clockRate) || clockRate <= 0) continue;
      encodings.push({ payloadType, encoding: String(rtpmap.codec ?? '').toUpperCase(), clockRate, parameters });
      continue;
    }
    const encoding = STATIC_ENCODINGS.get(payloadType);
    if (encoding !== undefined) encodings.push({ payloadType, encoding, clockRate: 8000, parameters });
  }
  return encodings;
}

/** RFC 4566 §6: sendrecv is assumed where nothing is said. */
function asDirection(value: string | undefined): Direction {
  return value === 'sendonly' || value === 'recvonly' || value === 'inactive' ? value : 'sendrecv';
}

function asMilliseconds(value: number | string | undefined): number | null {
  const ms = Number(value);
  return value !== undefined && Number.isFinite(ms) && ms > 0 ? Math.floor(ms) : null;
}

function asPort(value: number | string | undefined): number | null {
  const port = Number(value);
  return value !== undefined && Number.isInteger(port) && port > 0 && port <= 65_535 ? port : null;
}

/** The unspecified address: a stream put on hold in the manner of RFC 2543 (RFC 3264 §8.4). */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || (isIP(address) === 6 && /^[0:]+$/.test(address));
}

/** An address that a unicast stream can be sent to. */
export function isUnicast(address: string): boolean {
  const family = isIP(address);
  if (family === 4) {
    const first = Number(address.split('.')[0]);
    return first > 0 && first < 224;
  }
  return family === 6 && !/^ff/i.test(address) && !isUnspecified(address) && !address.includes('%');
}
