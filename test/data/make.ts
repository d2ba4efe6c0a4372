/**
 * Makes the captures and recordings in this folder: `node test/data/make.ts`. The same bytes each time, so that a test
 * can compare. Keys are of test cards.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWav } from '../../src/lib/wav.ts';
import {
  audioPackets,
  eventPackets,
  infoKey,
  keyedAudio,
  overTcp,
  overUdp,
  REVERSED,
  setUp,
  SIP_ENDS,
} from './calls.ts';
import { type Captured, pcapFile, pcapngFile } from './packets.ts';

const byTime = (packets: readonly Captured[]): Captured[] => [...packets].sort((a, b) => a.atMs - b.atMs);
const later = (packets: readonly Captured[], ms: number): Captured[] =>
  packets.map((packet) => ({ ...packet, atMs: packet.atMs + ms }));

/** Files by name, with the digits a decoder must find in each. */
export function testFiles(): ReadonlyMap<string, { readonly bytes: Buffer; readonly digits: string }> {
  const { offer, answer } = setUp(96, 117);
  const calling = [overUdp(0, offer), overUdp(40, answer, REVERSED(SIP_ENDS))];
  const card = '4242424242424242#';
  // One INFO in three TCP segments, one whole.
  const [first, second] = [infoKey(2, '1'), infoKey(3, '#')];
  const infos = [
    overTcp(0, 1000, first.subarray(0, 30)),
    overTcp(5, 1030, first.subarray(30, 200)),
    overTcp(9, 1200, first.subarray(200)),
    overTcp(300, 1000 + first.length, second),
  ];
  const ethernet = [{ linkType: 1, resolution: 6 }];
  return new Map([
    ['events-with-sip.pcap', { bytes: pcapFile([...calling, ...later(eventPackets(card, 117), 100)]), digits: card }],
    ['events-alone.pcapng', { bytes: pcapngFile(eventPackets('0*9#', 101), { interfaces: ethernet }), digits: '0*9#' }],
    ['tones-pcmu.pcap', { bytes: pcapFile(audioPackets(keyedAudio('1234567890*#'), 'PCMU')), digits: '1234567890*#' }],
    [
      'tones-pcma.pcapng',
      { bytes: pcapngFile(audioPackets(keyedAudio('ABCD'), 'PCMA'), { interfaces: ethernet }), digits: 'ABCD' },
    ],
    ['info-over-tcp.pcap', { bytes: pcapFile(byTime(infos)), digits: '1#' }],
    ['tones.wav', { bytes: writeWav([keyedAudio('5105#')], 8000), digits: '5105#' }],
  ]);
}

if (process.argv[1] === import.meta.filename) {
  for (const [name, { bytes }] of testFiles()) writeFileSync(join(import.meta.dirname, name), bytes);
}
