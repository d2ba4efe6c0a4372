import Type from 'typebox';
import type { CallMedia, LegShown } from '../app/call-media.ts';

/*
 * What `/v1/calls/{id}/media` answers. Milliseconds and ratios from 0 to 1; null where nobody has measured it.
 */
const count = Type.Integer();
const number = Type.Number();
const orNull = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const payloadType = orNull(Type.Integer({ minimum: 0, maximum: 127 }));

const rating = {
  lossRatio: Type.Number({ description: 'Of the packets expected since the beginning.' }),
  discardRatio: Type.Number({ description: 'Came too late to be heard.' }),
  endSystemDelayMs: count,
  rFactor: orNull(Type.Integer({ description: 'ITU-T G.107, 0 to 100.' })),
  mosListening: orNull(number),
  mosConversation: orNull(number),
};
const Agreed = Type.Object({
  codec: Type.String(),
  direction: Type.String({ description: 'Ours.' }),
  ptimeMs: Type.Integer({ description: 'What we send.' }),
  payloadTypes: Type.Object({
    send: payloadType,
    receive: payloadType,
    sendEvent: payloadType,
    receiveEvent: payloadType,
    sendRed: payloadType,
    receiveRed: payloadType,
  }),
  dtmf: Type.String(),
  srtp: orNull(Type.String({ description: 'The suite; null: in clear.' })),
  sendsVoipMetrics: Type.Boolean({ description: 'The peer asked for RTCP XR.' }),
  remote: Type.Object({ address: Type.String(), port: count }, { description: 'As its description has it.' }),
});
const Received = Type.Object({
  packets: count,
  lost: count,
  late: count,
  duplicate: count,
  fromElsewhere: count,
  malformed: count,
  unauthentic: count,
  replayed: count,
  jitterMs: number,
  playoutDelayMs: count,
  framesConcealed: Type.Integer({ description: '20 ms each.' }),
  quality: orNull(Type.Object({ ...rating, burstDensity: number, gapDensity: number, burstMs: count, gapMs: count })),
});
const Sent = Type.Object({
  packets: count,
  unprotected: Type.Integer({ description: 'Could not be encrypted and were not sent.' }),
  peerReport: orNull(
    Type.Object(
      {
        lossRatio: Type.Number({ description: 'Since its report before.' }),
        packetsLost: count,
        jitterMs: number,
      },
      { description: "By the peer's SR or RR." },
    ),
  ),
  peerQuality: orNull(Type.Object(rating, { description: "By the peer's RTCP XR." })),
});

export const CallMediaBody = Type.Object({
  callId: Type.String(),
  legs: Type.Array(
    Type.Object({
      legId: Type.String(),
      role: Type.Enum(['caller', 'target']),
      agreed: orNull(Agreed),
      remote: orNull(
        Type.Object(
          { address: Type.String(), port: count },
          { description: 'Where it sends from; null until it has.' },
        ),
      ),
      roundTripMs: orNull(number),
      received: Received,
      sent: Sent,
      keys: Type.Object({ event: count, inband: count }, { description: 'How many, never which.' }),
    }),
  ),
});

export function callMediaBody({ callId, legs }: CallMedia) {
  return { callId, legs: legs.map(legBody) };
}

function legBody({ legId, role, agreed, stats }: LegShown) {
  return {
    legId,
    role,
    agreed: agreed === null ? null : agreedBody(agreed),
    remote: stats.remote,
    roundTripMs: stats.roundTripMs,
    received: {
      packets: stats.packetsReceived,
      lost: stats.packetsLost,
      late: stats.packetsLate,
      duplicate: stats.packetsDuplicate,
      fromElsewhere: stats.packetsFromElsewhere,
      malformed: stats.packetsMalformed,
      unauthentic: stats.packetsUnauthentic,
      replayed: stats.packetsReplayed,
      jitterMs: stats.jitterMs,
      playoutDelayMs: stats.playoutDelayMs,
      framesConcealed: stats.framesConcealed,
      quality: stats.quality,
    },
    sent: {
      packets: stats.packetsSent,
      unprotected: stats.packetsUnprotected,
      peerReport: stats.peerReport,
      peerQuality: stats.peerQuality,
    },
    keys: { event: stats.keysByEvent, inband: stats.keysInband },
  };
}

function agreedBody(agreed: NonNullable<LegShown['agreed']>) {
  return {
    codec: agreed.codec,
    direction: agreed.direction,
    ptimeMs: agreed.ptimeMs,
    payloadTypes: {
      send: agreed.sendPayloadType,
      receive: agreed.receivePayloadType,
      sendEvent: agreed.sendEventPayloadType,
      receiveEvent: agreed.receiveEventPayloadType,
      sendRed: agreed.sendRedPayloadType ?? null,
      receiveRed: agreed.receiveRedPayloadType ?? null,
    },
    dtmf: agreed.dtmf,
    srtp: agreed.srtp,
    sendsVoipMetrics: agreed.sendVoipMetrics === true,
    remote: { address: agreed.remoteAddress, port: agreed.remotePort },
  };
}
