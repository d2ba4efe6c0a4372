import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { AppMetrics } from '../app/metrics.ts';
import type { LegStats } from '../app/ports.ts';

const CALL_SECONDS = [5, 15, 30, 60, 120, 300, 900, 3600];
const LOSS_RATIOS = [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const JITTER_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2];
const ROUND_TRIP_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2];
/** ITU-T G.107 Annex B: 4.34 is the limit of `very satisfied`, then 4.03, 3.60, 3.10 and 2.58. */
const MOS = [1.5, 2, 2.58, 3.1, 3.6, 4.03, 4.34];
const GATEWAY_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30];

/** What is read when somebody asks; each returns a number now. */
export interface Gauges {
  callsActive(): number;
  sipDialogs(): number;
  workersReady(): number;
  workersLost(): number;
  legsRecreated(): number;
  legsLost(): number;
  mediaEventsLost(): number;
  mediaTicksLate(): number;
  mediaTicksSkipped(): number;
  textsWithheld(): number;
  writesWaiting(): number;
}

export interface Metrics {
  readonly app: AppMetrics;
  countSip(counter: string): void;
  /** An answer of the API looked like it held a card number and was not sent. */
  answerWithheld(): void;
  watch(gauges: Gauges): void;
  /** Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** Names are `hushtone_…` with the unit at the end; labels are names of ours, never of a caller. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, what: string) =>
    new Counter({ name, help: `${what}, of legs that have ended.`, registers });
  collectDefaultMetrics({ register: registry });
  const calls = new Counter({ name: 'hushtone_calls_total', help: 'Calls answered.', registers });
  const refused = new Counter({
    name: 'hushtone_calls_refused_total',
    help: 'Calls refused by the application.',
    labelNames: ['code'],
    registers,
  });
  const callSeconds = new Histogram({
    name: 'hushtone_call_duration_seconds',
    help: 'Length of calls.',
    buckets: CALL_SECONDS,
    registers,
  });
  const payments = new Counter({
    name: 'hushtone_payments_total',
    help: 'Payments by result.',
    labelNames: ['result'],
    registers,
  });
  const paymentSeconds = new Histogram({
    name: 'hushtone_payment_duration_seconds',
    help: 'Length of payments.',
    buckets: CALL_SECONDS,
    registers,
  });
  const gateway = new Histogram({
    name: 'hushtone_gateway_request_duration_seconds',
    help: 'Requests to gateways by outcome.',
    labelNames: ['gateway', 'verb', 'outcome'],
    buckets: GATEWAY_SECONDS,
    registers,
  });
  const ignored = new Counter({
    name: 'hushtone_inputs_ignored_total',
    help: 'Inputs that a machine had no row for.',
    labelNames: ['state', 'input'],
    registers,
  });
  const failures = new Counter({
    name: 'hushtone_failures_total',
    help: 'Failures by code.',
    labelNames: ['code'],
    registers,
  });
  const sip = new Counter({
    name: 'hushtone_sip_events_total',
    help: 'What the SIP front end counted.',
    labelNames: ['event'],
    registers,
  });
  const answersWithheld = new Counter({
    name: 'hushtone_api_answers_withheld_total',
    help: 'Answers of the API that looked like they held a card number and were not sent.',
    registers,
  });
  const media = {
    packetsReceived: counter('hushtone_rtp_packets_received_total', 'RTP packets received'),
    packetsSent: counter('hushtone_rtp_packets_sent_total', 'RTP packets sent'),
    packetsLost: counter('hushtone_rtp_packets_lost_total', 'RTP packets that never came'),
    packetsLate: counter('hushtone_rtp_packets_late_total', 'RTP packets that came too late to be heard'),
    packetsFromElsewhere: counter('hushtone_rtp_packets_from_elsewhere_total', 'RTP packets dropped: a strange source'),
    packetsUnauthentic: counter('hushtone_srtp_packets_unauthentic_total', 'SRTP packets dropped: no key opens them'),
    packetsReplayed: counter('hushtone_srtp_packets_replayed_total', 'SRTP packets dropped: they came before'),
    packetsDuplicate: counter('hushtone_rtp_packets_duplicate_total', 'RTP packets that came again'),
    packetsMalformed: counter('hushtone_rtp_packets_malformed_total', 'RTP and RTCP packets that could not be read'),
    framesConcealed: counter('hushtone_media_frames_concealed_total', 'Frames of 20 ms put in for what did not come'),
    packetsUnprotected: counter('hushtone_srtp_packets_unprotected_total', 'Packets not sent: not to be protected'),
  };
  const quality = qualityOf(registers);
  const keys = new Counter({
    name: 'hushtone_keys_total',
    help: 'Key presses of legs that have ended, by the path they came on.',
    labelNames: ['path'],
    registers,
  });
  return {
    contentType: registry.contentType,
    app: {
      callStarted: () => calls.inc(),
      callRefused: (code) => refused.inc({ code }),
      callEnded: (durationMs) => callSeconds.observe(durationMs / 1000),
      legClosed: (stats) => {
        for (const [name, packets] of Object.entries(media)) packets.inc(stats[name as keyof typeof media]);
        keys.inc({ path: 'event' }, stats.keysByEvent);
        keys.inc({ path: 'inband' }, stats.keysInband);
        quality(stats);
      },
      paymentEnded: (result, durationMs) => {
        payments.inc({ result });
        paymentSeconds.observe(durationMs / 1000);
      },
      gatewayAsked: (name, verb, outcome, durationMs) =>
        gateway.observe({ gateway: name, verb, outcome }, durationMs / 1000),
      inputIgnored: (state, input) => ignored.inc({ state, input }),
      failure: (code) => failures.inc({ code }),
    },
    countSip: (event) => sip.inc({ event }),
    answerWithheld: () => answersWithheld.inc(),
    watch: (gauges) => {
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(read());
          },
        });
      gauge('hushtone_calls_active', 'Calls now.', gauges.callsActive);
      gauge('hushtone_sip_dialogs', 'Dialogs now.', gauges.sipDialogs);
      gauge('hushtone_workers_ready', 'Media workers connected.', gauges.workersReady);
      gauge('hushtone_workers_lost', 'Media workers that died since the start.', gauges.workersLost);
      gauge('hushtone_legs_recreated', 'Legs made again after a worker died.', gauges.legsRecreated);
      gauge('hushtone_legs_lost', 'Legs that could not be made again after a worker died.', gauges.legsLost);
      gauge('hushtone_media_events_lost', 'Events that media workers dropped; any is a bug.', gauges.mediaEventsLost);
      gauge(
        'hushtone_media_ticks_late',
        'Steps of media clocks over 5 ms late, as of ended legs.',
        gauges.mediaTicksLate,
      );
      gauge('hushtone_media_ticks_skipped', 'Steps that stops of the machine left out.', gauges.mediaTicksSkipped);
      gauge('hushtone_store_texts_withheld', 'Texts not stored: they look like card numbers.', gauges.textsWithheld);
      gauge('hushtone_store_writes_waiting', 'Writes that wait for their commit.', gauges.writesWaiting);
    },
    text: () => registry.metrics(),
  };
}

/**
 * How legs sounded, told at their end. `received`: what we heard of the peer; `sent`: what the peer reported of us, where it did.
 * A leg that heard nothing tells nothing.
 */
function qualityOf(registers: Registry[]): (stats: LegStats) => void {
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({
      name,
      help: `${help}, one figure a leg at its end.`,
      labelNames: ['direction'],
      buckets,
      registers,
    });
  const loss = histogram('hushtone_leg_loss_ratio', 'Packets lost of those expected', LOSS_RATIOS);
  const jitter = histogram('hushtone_leg_jitter_seconds', 'Interarrival jitter (RFC 3550)', JITTER_SECONDS);
  const mos = histogram('hushtone_leg_mos', 'Estimated MOS in conversation (ITU-T G.107)', MOS);
  const roundTrip = new Histogram({
    name: 'hushtone_leg_round_trip_seconds',
    help: 'Round trip by RTCP, one figure a leg at its end.',
    buckets: ROUND_TRIP_SECONDS,
    registers,
  });
  const share = (lost: number, expected: number) => (expected > 0 ? Math.min(1, Math.max(0, lost / expected)) : 0);
  return (stats) => {
    const { packetsReceived, packetsLost, packetsSent, quality, peerReport, peerQuality } = stats;
    const received = { direction: 'received' };
    const sent = { direction: 'sent' };
    if (packetsReceived > 0) {
      loss.observe(received, share(packetsLost, packetsReceived + packetsLost));
      jitter.observe(received, stats.jitterMs / 1000);
    }
    if (quality !== null && quality.mosConversation !== null) mos.observe(received, quality.mosConversation);
    if (peerReport !== null) {
      loss.observe(sent, share(peerReport.packetsLost, packetsSent));
      jitter.observe(sent, peerReport.jitterMs / 1000);
    }
    if (peerQuality !== null && peerQuality.mosConversation !== null) mos.observe(sent, peerQuality.mosConversation);
    if (stats.roundTripMs !== null) roundTrip.observe(stats.roundTripMs / 1000);
  };
}
