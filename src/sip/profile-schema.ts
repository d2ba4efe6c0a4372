import Type, { type Static } from 'typebox';
import { ADDRESSES_PER_PROFILE_MAX, DIALOGS_MAX, TRANSFER_HOSTS_MAX } from './limits.ts';

/*
 * A file of sip-profiles/: what one kind of peer may do. The schema is JSON Schema, so an editor can check the file
 * (`hushtone profiles schema` prints it); the texts below are what it shows.
 */

export const CONTEXT_KEYS = ['customer', 'amount', 'currency', 'reference', 'flow', 'identified'] as const;
export type ContextKey = (typeof CONTEXT_KEYS)[number];

export const ProfileSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors only.' })),
    description: Type.Optional(Type.String({ maxLength: 500 })),
    admit: Type.Object(
      {
        addresses: Type.Array(Type.String({ maxLength: 64 }), {
          minItems: 1,
          maxItems: ADDRESSES_PER_PROFILE_MAX,
          description: 'IPv4 and IPv6 addresses or networks whose calls this profile admits. The longest match wins.',
        }),
        callsMax: Type.Integer({
          minimum: 1,
          maximum: DIALOGS_MAX,
          description: 'Calls at once; the next one gets 503.',
        }),
      },
      { additionalProperties: false },
    ),
    media: Type.Object(
      {
        codecs: Type.Array(Type.Enum(['PCMU', 'PCMA', 'G722', 'OPUS']), {
          minItems: 1,
          maxItems: 4,
          description: 'The first that the peer also has is taken. All are heard and sent at 8 kHz.',
        }),
        ptimeMs: Type.Enum([10, 20, 30, 40, 50, 60], { description: 'What we ask for; a peer may ask for another.' }),
        dtmf: Type.Enum(['auto', 'event', 'inband'], {
          description:
            'auto: telephone-events and tones in the audio, each press counted once. event: telephone-events only, and ' +
            'a call without them is refused. inband: tones only.',
        }),
        srtp: Type.Optional(
          Type.Enum(['require', 'prefer', 'off'], {
            description:
              'Encrypted media by keys in SDP (RFC 4568). require: nothing else is taken or offered. prefer: encrypted ' +
              'where the peer can, otherwise in clear. off, as without this key: in clear only. The keys are as secret ' +
              'as the SIP that carries them.',
          }),
        ),
        redundantEvents: Type.Optional(
          Type.Boolean({
            description:
              'RFC 2198 for telephone-events: true offers it, false refuses it; without this it is taken if offered.',
          }),
        ),
        comfortNoise: Type.Optional(
          Type.Boolean({ description: 'Whether silence of ours is announced (RFC 3389) to a peer that takes it.' }),
        ),
        rtcpXr: Type.Optional(
          Type.Boolean({
            description:
              "RTCP XR (RFC 3611): true asks for the peer's VoIP metrics, false sends none; without this they are sent " +
              'and asked for where the peer asks.',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    callerId: Type.Enum(['from', 'p-asserted-identity'], {
      description:
        "Whose word the caller's number is: the From header, or P-Asserted-Identity (RFC 3325) with From after it.",
    }),
    context: Type.Object(
      {
        allow: Type.Array(Type.Enum([...CONTEXT_KEYS]), {
          maxItems: CONTEXT_KEYS.length,
          description: 'What a call may bring with it. Anything else is passed over and counted.',
        }),
        sources: Type.Array(Type.Enum(['uri', 'header', 'user-to-user']), {
          maxItems: 3,
          description: 'Where it may stand: URI parameters, X-Hushtone-* headers, User-to-User.',
        }),
      },
      { additionalProperties: false },
    ),
    signature: Type.Optional(
      Type.Object(
        {
          secret: Type.String({
            pattern: '^[a-z0-9-]{1,32}$',
            description: 'Name of a secret under sip.secrets of hushtone.yaml.',
          }),
          windowSeconds: Type.Integer({
            minimum: 10,
            maximum: 3600,
            description: 'How far the timestamp of a signature may be from our clock; inside, each is taken once.',
          }),
          demandOn: Type.Array(Type.Enum(['context', 'identified']), {
            maxItems: 2,
            description:
              'context: what a call brings. identified: that word of an INVITE, BYE or REFER; unsigned it is not said.',
          }),
          signResult: Type.Boolean({ description: 'Whether the result headers that we send carry a signature.' }),
        },
        { additionalProperties: false },
      ),
    ),
    result: Type.Object(
      {
        headers: Type.Boolean({ description: 'Result as X-Hushtone-* headers on BYE, REFER and INVITE.' }),
        userToUser: Type.Boolean({ description: 'Result as User-to-User (RFC 7433).' }),
      },
      { additionalProperties: false },
    ),
    transfer: Type.Object(
      {
        refer: Type.Boolean({ description: 'Whether we may send REFER to this peer.' }),
        waitMs: Type.Integer({
          minimum: 1_000,
          maximum: 120_000,
          description: 'How long the NOTIFYs of our REFER may take to say how it ended.',
        }),
        hosts: Type.Array(Type.String({ maxLength: 255 }), {
          maxItems: TRANSFER_HOSTS_MAX,
          description: 'Hosts or networks that a REFER or 3xx of this peer may name. Any other is refused.',
        }),
      },
      { additionalProperties: false },
    ),
    dial: Type.Optional(
      Type.Object(
        {
          hosts: Type.Array(Type.String({ maxLength: 255 }), {
            maxItems: TRANSFER_HOSTS_MAX,
            description: 'Targets at these hosts or networks are dialed by this profile.',
          }),
          sessionSeconds: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 86_400,
              description:
                'Session timer that our INVITEs ask for (RFC 4028); without this 1800. 0 asks for none; below 90 nobody must agree.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false, title: 'Hushtone SIP profile' },
);

export type ProfileFile = Static<typeof ProfileSchema>;
