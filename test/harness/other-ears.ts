import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/*
 * Readers of captures and tones that are not ours: tshark, sox with multimon-ng, spandsp. `make test` installs them.
 */

const TOOL_MS_MAX = 60_000;
const LIMITS = { timeout: TOOL_MS_MAX, maxBuffer: 64 * 1024 * 1024 };
const EVENT_KEYS = '0123456789*#ABCD';
/** What captures without SDP carry events under. */
const EVENT_PAYLOAD_TYPE = 101;
const EVENT_CLOCK_KHZ = 8;

export interface ToneEvent {
  readonly digit: string;
  /** From the stream's first packet. */
  readonly onsetMs: number;
  readonly durationMs: number;
}

/** The names of those that are not installed. */
export function missingEars(): readonly string[] {
  const folders = (process.env.PATH ?? '').split(':');
  const commands = ['tshark', 'sox', 'multimon-ng', 'gcc'].filter(
    (name) => !folders.some((folder) => existsSync(join(folder, name))),
  );
  return globSync('/usr/include/{,*/}spandsp.h').length > 0 ? commands : [...commands, 'libspandsp-dev'];
}

function tshark(file: string, filter: string, ...fields: string[]): readonly string[][] {
  const preferences = [
    '--enable-heuristic',
    'rtp_udp',
    '-o',
    `rtpevent.event_payload_type_value:${EVENT_PAYLOAD_TYPE}`,
  ];
  const argv = ['-r', file, ...preferences, '-Y', filter, '-T', 'fields', ...fields.flatMap((name) => ['-e', name])];
  const output = execFileSync('tshark', argv, { ...LIMITS, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return output.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')]));
}

/** RFC 4733 as tshark reads it: one press for each timestamp. */
export function eventsByTshark(file: string): readonly ToneEvent[] {
  const first = Number(tshark(file, 'rtp', 'frame.time_relative')[0]?.[0]);
  const presses = new Map<string, ToneEvent>();
  const fields = ['rtp.timestamp', 'rtpevent.event_id', 'rtpevent.duration', 'frame.time_relative'];
  for (const [timestamp = '', event, duration, atS] of tshark(file, 'rtpevent', ...fields)) {
    const known = presses.get(timestamp);
    presses.set(timestamp, {
      digit: EVENT_KEYS[Number(event)] ?? '?',
      onsetMs: known?.onsetMs ?? (Number(atS) - first) * 1000,
      durationMs: Number(duration) / EVENT_CLOCK_KHZ,
    });
  }
  return [...presses.values()];
}

/** The keys of SIP INFO, as tshark takes the bodies apart. */
export function infosByTshark(file: string): string {
  const argv = ['-r', file, '-V', '-Y', 'sip.Method == "INFO"'];
  const text = execFileSync('tshark', argv, { ...LIMITS, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return [...text.matchAll(/Signal=(\S)\\r\\n/g)].map((match) => match[1]).join('');
}

/** 8 kHz samples of a recording, or of a capture's G.711 by tshark; decoded and written by sox. */
function samplesBySox(file: string, sampleRate: number): Buffer {
  const raw = ['-t', 'raw', '-e', 'signed', '-b', '16', '-c', '1', '-r', String(sampleRate), '-'];
  if (file.endsWith('.wav')) return execFileSync('sox', [file, ...raw], LIMITS);
  const packets = tshark(file, 'rtp.p_type == 0 || rtp.p_type == 8', 'rtp.p_type', 'rtp.payload');
  const payload = Buffer.from(packets.map(([, bytes = '']) => bytes.replaceAll(':', '')).join(''), 'hex');
  const law = packets[0]?.[0] === '8' ? 'al' : 'ul';
  return execFileSync('sox', ['-t', law, '-r', '8000', '-c', '1', '-', ...raw], { ...LIMITS, input: payload });
}

export function tonesByMultimon(file: string): string {
  // It reads raw files of 22050 Hz only.
  const path = join(mkdtempSync(join(tmpdir(), 'hushtone-multimon-')), 'tones.raw');
  writeFileSync(path, samplesBySox(file, 22_050));
  const output = execFileSync('multimon-ng', ['-a', 'DTMF', '-t', 'raw', path], {
    ...LIMITS,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return [...output.matchAll(/^DTMF: (\S)$/gm)].map((match) => match[1]).join('');
}

/** A listener of thirty lines around the library, compiled once for each test file. */
export function spandspEar(): (file: string) => string {
  const program = join(mkdtempSync(join(tmpdir(), 'hushtone-spandsp-')), 'spandsp-digits');
  const source = join(import.meta.dirname, 'spandsp-digits.c');
  execFileSync('gcc', ['-O1', '-o', program, source, '-lspandsp'], LIMITS);
  return (file) => execFileSync(program, { ...LIMITS, input: samplesBySox(file, 8_000) }).toString();
}

/** Fields of RFC 3611 §4.7 under tshark's names, in the order of the block. */
const VOIP_METRICS = [
  'burstdensity',
  'gapdensity',
  'burstduration',
  'gapduration',
  'rtdelay',
  'esdelay',
  'signallevel',
  'noiselevel',
  'rerl',
  'gmin',
  'rfactor',
  'extrfactor',
  'moslq',
  'moscq',
  'plc',
  'jba',
  'jbrate',
  'jbnominal',
  'jbmax',
  'jbabsmax',
] as const;

/** RTCP with VoIP metrics as tshark takes it apart; `port` is where the packets went. Empty where it sees none. */
export function voipMetricsByTshark(file: string, port: number): Readonly<Record<string, string>>[] {
  const fields = [
    'rtcp.ssrc.fraction',
    'rtcp.ssrc.discarded',
    ...VOIP_METRICS.map((name) => `rtcp.xr.voipmetrics.${name}`),
  ];
  const as = ['-d', `udp.port==${port},rtcp`];
  const argv = ['-r', file, ...as, '-Y', 'rtcp.xr.bt == 7', '-T', 'fields', ...fields.flatMap((name) => ['-e', name])];
  const output = execFileSync('tshark', argv, { ...LIMITS, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return output.split('\n').flatMap((line) => {
    if (line === '') return [];
    const values = line.split('\t');
    return [Object.fromEntries(fields.map((name, index) => [name.split('.').at(-1), values[index] ?? '']))];
  });
}

/** What tshark finds wrong with a capture's packets; nothing where it is content. */
export function complaintsOfTshark(file: string, port: number): string {
  const argv = ['-r', file, '-d', `udp.port==${port},rtcp`, '-Y', '_ws.malformed || _ws.expert.severity >= warning'];
  return execFileSync('tshark', argv, { ...LIMITS, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
