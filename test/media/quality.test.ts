import type { Socket } from 'node:dgram';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompoundPacket,
  ReceiverReportPacket,
  ReceptionReport,
  SdesPacket,
  VmExtendedReport,
  XrPacket,
} from 'rtp.js/packets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LegStats } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import type { Worker } from '../../src/worker/process.ts';
import { ethernet, ipv4, pcapFile, rtp, udp } from '../data/packets.ts';
import { MEDIA } from '../harness/fake-ports.ts';
import { bindUdp } from '../harness/free-ports.ts';
import { clientOf, workerHere, workerSocket } from '../harness/media.ts';
import { complaintsOfTshark, missingEars, voipMetricsByTshark } from '../harness/other-ears.ts';
import { until as untilNamed } from '../harness/until.ts';

/*
 * A leg that loses packets, asked while it lives: control's client, a worker and the native engine over real sockets. What we
 * report is read by tshark, and what the peer reports is written by rtp.js.
 */

const PORT_FIRST = 17_700;
const PORTS = 100;
const PACKET_MS = 20;
/** Of each hundred packets ten in a row are lost, and one by itself. */
const isLost = (number: number) => (number % 100 >= 40 && number % 100 < 50) || number % 100 === 80;
const lostUntil = (number: number) => Array.from({ length: number }, (_, i) => i + 1).filter(isLost).length;
const PEER_SSRC = 0xa1b2c3d4;
const RTCP_VOIP_METRICS = 7;
/** 12 s: the first report comes within 2.5. */
const PACKETS_MAX = 600;

let worker: Worker;
let client: MediaClient;
let phone: { readonly rtp: Socket; readonly rtcp: Socket; readonly port: number };

beforeAll(async () => {
  const socketPath = workerSocket();
  worker = await workerHere(socketPath, PORT_FIRST, PORTS);
  client = await clientOf(socketPath);
  phone = await portPair();
});

afterAll(async () => {
  client?.close();
  await worker?.close();
  phone?.rtp.close();
  phone?.rtcp.close();
});

const wait = (durationMs: number) => new Promise<void>((resolve) => systemClock.startTimer(durationMs, resolve));

const until = (holds: () => Promise<boolean>) => untilNamed('it comes', holds, { limitMs: 12_000, pollMs: 10 });

/** RTP and, on the next port, RTCP. */
async function portPair(): Promise<typeof phone> {
  for (let tries = 0; tries < 50; tries += 1) {
    const first = await bindUdp(0);
    const { port } = first.address();
    const second = await bindUdp(port + 1).catch(() => null);
    if (second !== null) return { rtp: first, rtcp: second, port };
    first.close();
  }
  throw new Error('no two ports beside each other');
}

/** A call's stream in its own time, from packet 1 until the number before `isOver`; what `isLost` names is not sent. */
async function speak(
  to: number,
  { isLost, isOver }: { isLost: (number: number) => boolean; isOver: (number: number) => Promise<boolean> },
): Promise<number> {
  const startedAt = systemClock.now();
  for (let number = 1; ; number += 1) {
    if (await isOver(number)) return number - 1;
    if (number > PACKETS_MAX) throw new Error(`no report came within ${PACKETS_MAX} packets`);
    const fields = { payloadType: 0, sequenceNumber: number, timestamp: number * 160, ssrc: PEER_SSRC };
    if (!isLost(number)) phone.rtp.send(rtp(fields, new Uint8Array(160).fill(0xff)), to, '127.0.0.1');
    await wait(Math.max(0, startedAt + number * PACKET_MS - systemClock.now()));
  }
}

/** Our SSRC, and the middle of the NTP time of our sender report: RFC 3550 §6.4.1. */
function senderOf(report: Buffer): { readonly ssrc: number; readonly lastSr: number } {
  expect(report.readUInt8(1)).toBe(200);
  return { ssrc: report.readUInt32BE(4), lastSr: report.readUInt32BE(10) };
}

/** What a peer says that lost a quarter of the last packets, and hears us badly. */
function peersReport(to: { readonly ssrc: number; readonly lastSr: number; readonly keptMs: number }): Uint8Array {
  const block = new ReceptionReport();
  block.setSsrc(to.ssrc);
  block.setFractionLost(64);
  block.setTotalLost(17);
  block.setJitter(80);
  block.setLastSRTimestamp(to.lastSr);
  block.setDelaySinceLastSR(Math.round((to.keptMs * 65_536) / 1000));
  const reception = new ReceiverReportPacket();
  reception.setSsrc(PEER_SSRC);
  reception.addReport(block);
  const metrics = new VmExtendedReport();
  metrics.setSsrc(to.ssrc);
  metrics.setLossRate(51);
  metrics.setDiscardRate(2);
  metrics.setRFactor(50);
  metrics.setMosLQ(30);
  metrics.setMosCQ(26);
  metrics.setEndSystemDelay(90);
  const extended = new XrPacket();
  extended.setSsrc(PEER_SSRC);
  extended.addReport(metrics);
  const compound = new CompoundPacket();
  for (const packet of [reception, new SdesPacket(), extended]) compound.addPacket(packet);
  compound.serialize();
  const view = compound.getView();
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

describe.skipIf(missingEars().length > 0)('the quality of a leg', () => {
  it('is told while the leg lives, reported to the peer that asked, and heard from it', async () => {
    const media = { ...MEDIA, remotePort: phone.port, sendVoipMetrics: true };
    const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media });
    const reports: Buffer[] = [];
    let cameAt = 0;
    phone.rtcp.on('message', (report) => {
      if (reports.length === 0) cameAt = systemClock.now();
      reports.push(report);
    });
    const before = await client.legStats('le_1');
    expect(before).toMatchObject({
      packetsReceived: 0,
      remote: null,
      quality: null,
      peerReport: null,
      peerQuality: null,
    });

    // Until our first report, 2.5 s in, and on to a packet that is heard, with nothing lost before it.
    let live: LegStats | null = null;
    const last = await speak(local.port, {
      isLost,
      isOver: async (number) => {
        if (number === 61) live = await client.legStats('le_1');
        return reports.length > 0 && number % 100 === 61;
      },
    });
    expect(live).toMatchObject({
      packetsLost: 10,
      packetsDuplicate: 0,
      remote: { address: '127.0.0.1', port: phone.port },
    });
    await until(async () => (await client.legStats('le_1')).packetsLost === lostUntil(last));
    const stats = await client.legStats('le_1');
    expect(stats.packetsReceived).toBe(last - lostUntil(last));
    expect(stats.jitterMs).toBeLessThan(20);
    expect(stats.framesConcealed).toBeGreaterThan(0);
    expect(stats.packetsSent).toBeGreaterThan(100);

    const report = reports[0] as Buffer;
    const file = join(mkdtempSync(join(tmpdir(), 'hushtone-xr-')), 'report.pcap');
    const ends = {
      source: '127.0.0.1',
      sourcePort: local.port + 1,
      destination: '127.0.0.1',
      destinationPort: phone.port + 1,
    };
    const bytes = ethernet(ipv4(ends, 17, udp(ends, report)));
    writeFileSync(file, pcapFile([{ atMs: 0, bytes }]));
    expect(complaintsOfTshark(file, ends.destinationPort)).toBe('');
    const [seen] = voipMetricsByTshark(file, ends.destinationPort);
    const { quality } = stats;
    if (seen === undefined || quality === null) throw new Error('no VoIP metrics');
    // The compound has two figures of this name: the reception report's and the block's.
    expect(Number(seen.fraction?.split(',').at(-1))).toBe(quality.lossRatio * 256);
    expect(Number(seen.discarded)).toBe(quality.discardRatio * 256);
    expect(Number(seen.burstdensity)).toBe(quality.burstDensity * 256);
    expect(Number(seen.gapdensity)).toBe(quality.gapDensity * 256);
    expect([Number(seen.burstduration), Number(seen.gapduration)]).toEqual([quality.burstMs, quality.gapMs]);
    expect(seen).toMatchObject({ gmin: '16', rtdelay: '0' });
    expect(Number(seen.esdelay)).toBe(20 + Number(seen.jbnominal));
    // One burst of ten packets in each hundred: 200 ms, and nothing but losses in it. A busy machine adds late packets.
    if (stats.packetsLate === 0)
      expect(seen).toMatchObject({ burstduration: '200', burstdensity: '255', jbnominal: '40' });
    expect(seen).toMatchObject({ signallevel: '127', noiselevel: '127', rerl: '127', extrfactor: '127' });
    expect(seen).toMatchObject({ rfactor: String(quality.rFactor), plc: '3', jba: '3', jbrate: '4' });
    expect(Number(seen.moslq)).toBeCloseTo(quality.mosListening ?? 0, 5);
    expect(Number(seen.moscq)).toBeCloseTo(quality.mosConversation ?? 0, 5);
    expect([Number(seen.jbmax) - Number(seen.jbnominal), seen.jbabsmax]).toEqual([60, '188']);
    expect(quality.lossRatio).toBeGreaterThan(0.05);
    expect(quality.lossRatio).toBeLessThan(0.15);
    // Ten percent in bursts: G.107 with 11 percent and BurstR 4.9 gives 55, and less where packets came late.
    expect(quality.rFactor).toBeGreaterThan(20);
    expect(quality.rFactor).toBeLessThan(75);

    // The peer's word, from its RTCP port, as another implementation writes it.
    const to = { ...senderOf(report), keptMs: systemClock.now() - cameAt - 5 };
    phone.rtcp.send(peersReport(to), local.port + 1, '127.0.0.1');
    await until(async () => (await client.legStats('le_1')).peerQuality !== null);
    const told = await client.closeLeg('le_1');
    expect(told.peerReport).toEqual({ lossRatio: 0.25, packetsLost: 17, jitterMs: 10 });
    expect(told.peerQuality).toEqual({
      lossRatio: 51 / 256,
      discardRatio: 2 / 256,
      endSystemDelayMs: 90,
      rFactor: 50,
      mosListening: 3,
      mosConversation: 2.6,
    });
    // On one machine: what is left once the time is taken off for which the peer kept our report.
    expect(told.roundTripMs).toBeLessThan(100);
    await expect(client.legStats('le_1')).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  }, 30_000);

  it('is measured for who asks us, and not reported to a peer that did not ask', async () => {
    const media = { ...MEDIA, remotePort: phone.port };
    const local = await client.openLeg({ callId: 'ca_2', legId: 'le_2', media });
    const reports: Buffer[] = [];
    phone.rtcp.on('message', (report) => reports.push(report));
    await speak(local.port, { isLost: () => false, isOver: async () => reports.length > 0 });
    const report = reports[0] as Buffer;
    expect(report.readUInt8(1)).toBe(200);
    expect(report.includes(Buffer.of(RTCP_VOIP_METRICS, 0, 0, 8))).toBe(false);
    const { quality, packetsLate } = await client.closeLeg('le_2');
    expect(quality?.lossRatio).toBe(0);
    expect(quality?.rFactor).toBeGreaterThan(packetsLate === 0 ? 92 : 20);
  }, 30_000);
});
