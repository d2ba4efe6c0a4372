import { writeFileSync } from 'node:fs';
import { writeWav } from '../../lib/wav.ts';
import type { CodecName } from '../../pcap/sip.ts';
import { systemReason } from '../decode/read-file.ts';
import type { Outcome } from './call.ts';
import { EXIT_FAILED, ReplayError } from './error.ts';
import type { Heard } from './heard.ts';
import type { Played } from './media.ts';
import type { Schedule } from './schedule.ts';
import type { ReplayStream } from './stream-source.ts';

const SAMPLE_RATE = 8_000;

/** Why there was no call. */
export function failureOf(outcome: Outcome, to: string, offered: readonly CodecName[]): string {
  const names = offered.map(nameOf).join(', ');
  if (outcome.kind === 'answered') return `no common codec with ${to}: offered ${names}`;
  if (outcome.kind === 'failed') return `${to}: ${outcome.reason}`;
  // RFC 3261 §21.4.26: 488 is what a codec that nobody has is refused with.
  const why = outcome.status === 488 ? `; offered ${names}` : '';
  return `${to} refused the call: ${outcome.status} ${outcome.reason}${why}`;
}

/** What went out, and why the rest did not. */
export function describeSent(stream: ReplayStream, schedule: Schedule, played: Played): string {
  const parts = [`sent ${played.sent} of ${stream.packets.length} packets`];
  if (schedule.lost > 0) parts.push(`${schedule.lost} lost on purpose`);
  for (const [payloadType, count] of played.notAgreed) {
    const codec = stream.codecs.get(payloadType);
    const why =
      codec === undefined
        ? `of payload type ${payloadType}, which nothing explains`
        : `${nameOf(codec)}, not agreed on`;
    parts.push(`${count} left out (${why})`);
  }
  if (played.unsent > 0) parts.push(`${played.unsent} not yet due`);
  return parts.join(', ');
}

/** Returns what it did. */
export function record(file: string, heard: Heard): string {
  const samples = heard.recording();
  try {
    writeFileSync(file, writeWav([samples], SAMPLE_RATE), { mode: 0o600 });
  } catch (error) {
    throw new ReplayError(`${file} was not written: ${systemReason(error, 'written')}`, EXIT_FAILED);
  }
  return `recorded ${seconds((samples.length / SAMPLE_RATE) * 1000)} s to ${file}`;
}

export const seconds = (ms: number): string => (ms / 1000).toFixed(1);
export const nameOf = ({ name }: CodecName): string => (name === 'TELEPHONE-EVENT' ? 'telephone-event' : name);

export function nameAt(codecs: ReadonlyMap<number, CodecName>, payloadType: number): string {
  const codec = codecs.get(payloadType);
  return codec === undefined ? `of payload type ${payloadType}` : nameOf(codec);
}
