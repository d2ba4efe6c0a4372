/**
 * Makes the captures and recordings in this folder: `node test/data/make.ts`. The same bytes each time, so that a test
 * can compare. Keys are of test cards.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWav } from '../../src/lib/wav.ts';
import { SrtpDirection } from '../harness/srtp-peer.ts';
import {
  audioPackets,
  CALLER,
  changed,
  eventPackets,
  infoKey,
  keyedAudio,
  overTcp,
  overUdp,
  payloadPackets,
  REVERSED,
  redPackets,
  setUp,
  setUpWith,
  SIP_ENDS,
} from './calls.ts';
import { CODED_KEYS, codedPayloads } from './coded.ts';
import {
  type Captured,
  cooked,
  ethernet,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  pcapFile,
  pcapngFile,
  udp,
} from './packets.ts';

const UDP = 17;
const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const IPV6_ENDS = ['20010db8000000000000000000000001', '20010db8000000000000000000000002'] as const;
const OTHER_PORT = { ...CALLER, sourcePort: 40_002 };

const byTime = (packets: readonly Captured[]): Captured[] => [...packets].sort((a, b) => a.atMs - b.atMs);
const later = (packets: readonly Captured[], ms: number): Captured[] =>
  packets.map((packet) => ({ ...packet, atMs: packet.atMs + ms }));

interface TestFile {
  readonly bytes: Buffer;
  /** What a decoder must find. */
  readonly digits: string;
  /** What it must say of the file. */
  readonly note?: string;
}

/** Each packet as another interface of the machine saw it: QinQ, Linux cooked v1 and v2, loopback. */
function onManyInterfaces(packets: readonly Captured[]): Captured[] {
  const wraps = [
    (bytes: Uint8Array) => ethernet(bytes, [100, 7]),
    (bytes: Uint8Array) => cooked(bytes, 1, 12),
    (bytes: Uint8Array) => cooked(bytes, 2),
    (bytes: Uint8Array) => Buffer.concat([Buffer.from([2, 0, 0, 0]), bytes]),
  ];
  return packets.map(({ atMs, bytes }, index) => {
    const interfaceId = index % wraps.length;
    return { atMs, interfaceId, bytes: wraps[interfaceId]?.(bytes.subarray(ETHERNET_BYTES)) ?? bytes };
  });
}

/** The same datagrams from and to IPv6 addresses of RFC 3849. */
function overIpv6(packets: readonly Captured[]): Captured[] {
  return packets.map(({ atMs, bytes }) => ({
    atMs,
    bytes: ipv6(...IPV6_ENDS, UDP, bytes.subarray(ETHERNET_BYTES + IPV4_BYTES)),
  }));
}

/** INFO requests over UDP, each in fragments: the first over IPv4, the second over IPv6. */
function fragmented(): Captured[] {
  const [first, second] = [udp(SIP_ENDS, infoKey(2, '8')), udp(SIP_ENDS, infoKey(3, 'D'))];
  const parts = [
    ...ipv4Fragments(SIP_ENDS, { protocol: UDP, id: 7 }, first, 200),
    ...ipv6Fragments(...IPV6_ENDS, { protocol: UDP, id: 70_000 }, second, 200).reverse(),
  ];
  return parts.map((part, index) => ({ atMs: index * 100, bytes: ethernet(part) }));
}

/** SIP that says this of both sides, then the packets, 100 ms later. */
function withSip(packets: readonly Captured[], offered: readonly string[], answered = offered): Captured[] {
  const { offer, answer } = setUpWith(offered, answered);
  return [overUdp(0, offer), overUdp(40, answer, REVERSED(SIP_ENDS)), ...later(packets, 100)];
}

/** Of nobody: counted up. */
export const CALLER_KEY = Buffer.from(Array.from({ length: 30 }, (_, index) => index));
const ANSWER_KEY = Buffer.from(Array.from({ length: 30 }, (_, index) => 0x80 + index));
const SUITE = 'AES_CM_128_HMAC_SHA1_80';
export const secureMedia = (key: Buffer): string[] => [
  'audio RTP/SAVP 0 101',
  `a=crypto:1 ${SUITE} inline:${key.toString('base64')}`,
  'a=rtpmap:101 telephone-event/8000',
];

/** Files by name. */
export function testFiles(): ReadonlyMap<string, TestFile> {
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
  return new Map<string, TestFile>([
    ['events-with-sip.pcap', { bytes: pcapFile([...calling, ...later(eventPackets(card, 117), 100)]), digits: card }],
    ['events-alone.pcapng', { bytes: pcapngFile(eventPackets('0*9#', 101), { interfaces: ethernet }), digits: '0*9#' }],
    ['tones-pcmu.pcap', { bytes: pcapFile(audioPackets(keyedAudio('1234567890*#'), 'PCMU')), digits: '1234567890*#' }],
    [
      'tones-pcma.pcapng',
      { bytes: pcapngFile(audioPackets(keyedAudio('ABCD'), 'PCMA'), { interfaces: ethernet }), digits: 'ABCD' },
    ],
    ['info-over-tcp.pcap', { bytes: pcapFile(byTime(infos)), digits: '1#' }],
    [
      'many-interfaces.pcapng',
      {
        bytes: pcapngFile(onManyInterfaces(eventPackets('147*', 101)), {
          bigEndian: true,
          foreignBlocks: true,
          interfaces: [
            { linkType: 1, resolution: 9 },
            { linkType: 113, resolution: 6, offsetSeconds: 1_700_000_000 },
            { linkType: 276, resolution: 0x94 },
            { linkType: 0, resolution: 6 },
          ],
        }),
        digits: '147*',
      },
    ],
    [
      'ipv6-nanoseconds.pcap',
      {
        bytes: pcapFile(overIpv6(eventPackets('258', 101)), { linkType: 229, bigEndian: true, nanoseconds: true }),
        digits: '258',
      },
    ],
    ['info-in-fragments.pcap', { bytes: pcapFile(fragmented()), digits: '8D' }],
    [
      // Audio is cut and left out; event packets fit, which is what snap lengths of 64 and 96 bytes keep.
      'cut.pcap',
      {
        bytes: pcapFile(byTime([...audioPackets(keyedAudio('3'), 'PCMU'), ...eventPackets('369', 101, OTHER_PORT)]), {
          snapLength: 64,
        }),
        digits: '369',
        note: '28 of 49 packets were cut by the capture',
      },
    ],
    ['tones-g722.pcap', { bytes: pcapFile(payloadPackets(codedPayloads('g722'), 9, 160)), digits: CODED_KEYS }],
    [
      'tones-opus.pcap',
      {
        bytes: pcapFile(
          withSip(payloadPackets(codedPayloads('opus'), 111, 960), ['audio RTP/AVP 111', 'a=rtpmap:111 opus/48000/2']),
        ),
        digits: CODED_KEYS,
      },
    ],
    [
      // Every second packet was lost: its key comes again with the next.
      'events-in-red.pcap',
      {
        bytes: pcapFile(
          withSip(
            redPackets('1234567890#', 120, 101).filter((_, index) => index % 2 === 1 || index === 10),
            ['audio RTP/AVP 0 120', 'a=rtpmap:120 red/8000', 'a=fmtp:120 101/101', 'a=rtpmap:101 telephone-event/8000'],
          ),
        ),
        digits: '1234567890#',
      },
    ],
    [
      'events-srtp.pcap',
      {
        bytes: pcapFile(
          withSip(
            changed(eventPackets('4242#', 101), (packet) => new SrtpDirection(SUITE, CALLER_KEY).protectRtp(packet, 0)),
            secureMedia(CALLER_KEY),
            secureMedia(ANSWER_KEY),
          ),
        ),
        digits: '4242#',
      },
    ],
    ['tones.wav', { bytes: writeWav([keyedAudio('5105#')], 8000), digits: '5105#' }],
  ]);
}

if (process.argv[1] === import.meta.filename) {
  for (const [name, { bytes }] of testFiles()) writeFileSync(join(import.meta.dirname, name), bytes);
}
