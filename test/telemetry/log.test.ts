import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { NO_STATS } from '../harness/fake-ports.ts';

describe('the log', () => {
  it('writes one JSON line with process, fields of its parents and its own', () => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', process: 'control', stream: { write: (text: string) => lines.push(text) } });
    log.debug('not asked for');
    log.child({ callId: 'ca_1' }).warn('slow', { durationMs: 12 });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      process: 'control',
      callId: 'ca_1',
      durationMs: 12,
      msg: 'slow',
    });
  });

  it('never lets a card number out, plain or grouped', () => {
    const lines: string[] = [];
    const write = (text: string) => lines.push(text);
    const logs = [false, true].map((isTTY) => createLog({ level: 'info', process: 'x', stream: { isTTY, write } }));
    for (const text of ['4242424242424242', '4242 4242 4242 4242', 'x3782-822463-10005y']) {
      for (const log of logs) {
        log.info(`in a message ${text}`);
        log.info('in a field', { text });
        log.child({ text }).info('in a parent');
      }
    }
    expect(lines).toHaveLength(18);
    for (const line of lines) {
      expect(line).toContain('[digits]');
      expect(line).not.toMatch(/4242|822463|10005/);
    }
    logs[0]?.info('4242424242424241 ca_0mb2k');
    expect(lines.at(-1)).toContain('4242424242424241 ca_0mb2k');
  });

  it('holds no key of SDP, whoever put it there', () => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', process: 'control', stream: { write: (text: string) => lines.push(text) } });
    log.info('odd', {
      reason: 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PwAXvAoLjjrgf3+085FMPUDjxC3GLEE2OXs64YYa|2^20',
    });
    expect(lines[0]).toContain('inline:[key]|2^20');
    expect(lines[0]).not.toContain('PwAX');
  });

  it('is in words and colours on a terminal', () => {
    const lines: string[] = [];
    const stream = { isTTY: true, write: (text: string) => lines.push(text) };
    createLog({ level: 'info', process: 'control', stream }).info('ready', { port: 5060 });
    expect(lines[0]).toContain('ready \x1b[90mport=5060');
  });
});

describe('the metrics', () => {
  it('are told in Prometheus text with units in their names', async () => {
    const metrics = createMetrics();
    metrics.app.callStarted();
    metrics.app.paymentEnded('approved', 30_000);
    metrics.app.gatewayAsked('sandbox', 'purchase', 'approved', 120);
    const leg = { packetsReceived: 100, packetsSent: 90, packetsLost: 3, packetsLate: 2, packetsFromElsewhere: 7 };
    const srtp = { packetsUnauthentic: 5, packetsReplayed: 4, packetsUnprotected: 0 };
    metrics.app.legClosed({ ...NO_STATS, ...leg, ...srtp, jitterMs: 1, keysByEvent: 16, keysInband: 4 });
    metrics.app.legClosed({ ...NO_STATS, ...leg, ...srtp, jitterMs: 1, keysByEvent: 1 });
    metrics.watch({
      callsActive: () => 3,
      sipDialogs: () => 4,
      workersReady: () => 2,
      workersLost: () => 0,
      legsRecreated: () => 0,
      legsLost: () => 0,
      mediaEventsLost: () => 5,
      mediaTicksLate: () => 8,
      mediaTicksSkipped: () => 9,
      textsWithheld: () => 6,
      writesWaiting: () => 7,
    });
    metrics.answerWithheld();
    const text = await metrics.text();
    expect(text).toContain('hushtone_calls_total 1');
    expect(text).toContain('hushtone_payments_total{result="approved"} 1');
    expect(text).toContain('hushtone_calls_active 3');
    expect(text).toContain('hushtone_srtp_packets_unauthentic_total 10');
    expect(text).toContain('hushtone_srtp_packets_replayed_total 8');
    expect(text).toContain('hushtone_api_answers_withheld_total 1');
    expect(text).toContain('hushtone_media_events_lost 5');
    expect(text).toContain('hushtone_media_ticks_late 8');
    expect(text).toContain('hushtone_media_ticks_skipped 9');
    expect(text).toContain('hushtone_store_texts_withheld 6');
    expect(text).toContain('hushtone_store_writes_waiting 7');
    expect(text).toContain('hushtone_rtp_packets_received_total 200');
    expect(text).toContain('hushtone_rtp_packets_sent_total 180');
    expect(text).toContain('hushtone_rtp_packets_lost_total 6');
    expect(text).toContain('hushtone_rtp_packets_late_total 4');
    expect(text).toContain('hushtone_rtp_packets_from_elsewhere_total 14');
    expect(text).toContain('hushtone_keys_total{path="event"} 17');
    expect(text).toContain('hushtone_keys_total{path="inband"} 4');
    expect(text).toContain(
      'hushtone_gateway_request_duration_seconds_sum{gateway="sandbox",verb="purchase",outcome="approved"} 0.12',
    );
  });

  it('tell how legs sounded at their end, by direction, and nothing of a leg that heard nothing', async () => {
    const { app, text } = createMetrics();
    const rated = { lossRatio: 0.03125, discardRatio: 0, endSystemDelayMs: 60, rFactor: 83, mosListening: 4.2 };
    const bursts = { burstDensity: 0.5, gapDensity: 0, burstMs: 200, gapMs: 5000 };
    app.legClosed(NO_STATS);
    app.legClosed({
      ...NO_STATS,
      packetsReceived: 970,
      packetsLost: 30,
      packetsSent: 500,
      packetsDuplicate: 2,
      packetsMalformed: 1,
      framesConcealed: 30,
      jitterMs: 4,
      roundTripMs: 45,
      quality: { ...rated, ...bursts, mosConversation: 4.1 },
      peerReport: { lossRatio: 0.25, packetsLost: 50, jitterMs: 25 },
      peerQuality: { ...rated, mosConversation: 2.7 },
    });
    const lines = (await text()).split('\n');
    const line = (start: string) =>
      lines
        .find((one) => one.startsWith(start))
        ?.split(' ')
        .at(-1);
    expect(line('hushtone_leg_loss_ratio_sum{direction="received"}')).toBe('0.03');
    expect(line('hushtone_leg_loss_ratio_count{direction="received"}')).toBe('1');
    expect(line('hushtone_leg_loss_ratio_sum{direction="sent"}')).toBe('0.1');
    expect(line('hushtone_leg_jitter_seconds_bucket{le="0.005",direction="received"}')).toBe('1');
    expect(line('hushtone_leg_jitter_seconds_sum{direction="sent"}')).toBe('0.025');
    expect(line('hushtone_leg_mos_sum{direction="received"}')).toBe('4.1');
    expect(line('hushtone_leg_mos_bucket{le="2.58",direction="sent"}')).toBe('0');
    expect(line('hushtone_leg_mos_bucket{le="3.1",direction="sent"}')).toBe('1');
    expect(line('hushtone_leg_round_trip_seconds_sum')).toBe('0.045');
    expect(line('hushtone_rtp_packets_duplicate_total')).toBe('2');
    expect(line('hushtone_rtp_packets_malformed_total')).toBe('1');
    expect(line('hushtone_media_frames_concealed_total')).toBe('30');
  });
});
