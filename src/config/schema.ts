import Type, { type Static } from 'typebox';

/*
 * hushtone.yaml. Every key has a default, so an empty file (or none) starts the product on loopback with the sandbox
 * gateway. JSON Schema, so that an editor can check the file (`hushtone config schema`).
 */

const closed = { additionalProperties: false } as const;
/** With a letter: a record takes digits alone for no name. */
const NAME = '^(?=.*[a-z])[a-z0-9-]{1,32}$';
const port = (value: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: value, description });
const milliseconds = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description });

/** A secret stands in a file or in an environment variable; written out, it is for tests. */
const SecretSchema = Type.Union([
  Type.String({ minLength: 1, maxLength: 512 }),
  Type.Object({ file: Type.String({ minLength: 1 }) }, closed),
  Type.Object({ env: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$' }) }, closed),
]);

const TlsSchema = Type.Object(
  {
    port: port(5061, 'SIP over TLS.'),
    wssPort: port(7443, 'SIP over WebSocket over TLS, for browsers.'),
    certificate: Type.String({ minLength: 1, description: 'File in PEM: ours, and those that lead to its root.' }),
    key: Type.String({ minLength: 1, description: 'File in PEM, without a passphrase.' }),
    authorities: Type.Optional(
      Type.String({ minLength: 1, description: 'File in PEM: whom we believe. Without it, those that Node brings.' }),
    ),
    clients: Type.Enum(['none', 'request', 'require'], {
      default: 'none',
      description: 'Whether who connects to `port` is asked for a certificate, and must have one. Browsers are not.',
    }),
  },
  closed,
);

const SipSchema = Type.Object(
  {
    server: Type.Union(
      [
        Type.Literal('embedded'),
        Type.Object(
          {
            drachtio: Type.Object(
              { host: Type.String({ minLength: 1 }), port: port(9022, 'Admin port.'), secret: SecretSchema },
              closed,
            ),
          },
          closed,
        ),
      ],
      { default: 'embedded' },
    ),
    address: Type.String({ default: '127.0.0.1', description: 'Where the embedded server listens.' }),
    udpPort: port(5060, 'SIP over UDP.'),
    tcpPort: port(5060, 'SIP over TCP.'),
    wsPort: port(5066, 'SIP over WebSocket, RFC 7118.'),
    tls: Type.Optional(TlsSchema),
    adminPort: port(0, 'Loopback port between server and control; 0 takes a free one.'),
    profiles: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Folder of profiles. Without it `sip-profiles` beside this file where there is one, else those shipped.',
      }),
    ),
    secrets: Type.Record(Type.String({ pattern: NAME }), SecretSchema, {
      default: {},
      description: 'Secrets that profiles name.',
    }),
  },
  { ...closed, default: {} },
);

const MediaSchema = Type.Object(
  {
    address: Type.String({ default: '127.0.0.1', description: 'Local address of RTP, as the SDP says it.' }),
    portFirst: Type.Integer({ minimum: 1024, maximum: 65534, default: 20000, description: 'Even.' }),
    portLast: Type.Integer({ minimum: 1025, maximum: 65535, default: 29999 }),
    workers: Type.Integer({ minimum: 0, maximum: 64, default: 0, description: '0: one a core.' }),
    silenceMs: milliseconds(30_000, 1_000, 600_000, 'A leg without a packet for so long is given up.'),
    jitterMsMax: milliseconds(200, 40, 500, 'The longest jitter buffer.'),
  },
  { ...closed, default: {} },
);

const HttpSchema = Type.Object(
  {
    address: Type.String({ default: '127.0.0.1', description: 'Without keys a loopback address only.' }),
    port: port(8080, 'API, metrics and documentation.'),
    keys: Type.Array(SecretSchema, { default: [], maxItems: 64, description: 'API keys, at least 20 characters.' }),
    bodyBytesMax: Type.Integer({ minimum: 1024, maximum: 1_048_576, default: 65_536 }),
    requestsMax: Type.Integer({ minimum: 1, maximum: 10_000, default: 64, description: 'In flight; then 503.' }),
    pageRowsMax: Type.Integer({ minimum: 1, maximum: 1_000, default: 200 }),
  },
  { ...closed, default: {} },
);

const SandboxGatewaySchema = Type.Object(
  {
    kind: Type.Literal('sandbox'),
    url: Type.Optional(Type.String({ pattern: '^https?://' })),
    key: Type.Optional(SecretSchema),
    caFile: Type.Optional(Type.String({ description: 'Certificates that the gateway is checked against.' })),
  },
  closed,
);

/** Any visible ASCII but what ends a header; `{timestamp}` stands for the seconds since 1970. */
const affix = (description: string) => Type.String({ default: '', maxLength: 64, pattern: '^[ -~]*$', description });

const SignSchema = Type.Object(
  {
    header: Type.String({
      pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
      description: 'The header that it stands in.',
    }),
    kind: Type.Enum(['hmac-sha256', 'sha256'], {
      default: 'hmac-sha256',
      description: 'hmac-sha256: under the secret. sha256: a digest, without one.',
    }),
    encoding: Type.Enum(['hex', 'base64'], { default: 'hex' }),
    secret: Type.Optional(SecretSchema),
    prefix: affix('Before the value. With {timestamp} in it the HMAC covers the timestamp, a full stop and the body.'),
    suffix: affix('After the value.'),
  },
  closed,
);

const GenericRestSchema = Type.Object(
  {
    kind: Type.Literal('generic-rest'),
    url: Type.String({ pattern: '^https?://' }),
    dialect: Type.Enum(['connector', 'hushtone'], {
      default: 'connector',
      description: 'connector: charge and tokenize only. hushtone: also authorize, capture, void, refund, lookup.',
    }),
    username: Type.String({ default: '', maxLength: 128 }),
    password: SecretSchema,
    caFile: Type.Optional(Type.String({ description: 'Certificates that the gateway is checked against.' })),
    verbs: Type.Optional(
      Type.Array(Type.Enum(['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup']), {
        minItems: 1,
        maxItems: 6,
        description: 'What it can do, where that is less than its dialect.',
      }),
    ),
    sign: Type.Optional(SignSchema),
  },
  closed,
);

const FieldSchema = Type.Object(
  {
    confirm: Type.Boolean({ default: true }),
    retriesMax: Type.Integer({ minimum: 0, maximum: 10, default: 2 }),
  },
  closed,
);

const DestinationSchema = Type.Union([
  Type.Object({ kind: Type.Literal('bye') }, closed),
  Type.Object({ kind: Type.Enum(['refer', 'bridge']), target: Type.String({ pattern: '^sips?:.+' }) }, closed),
]);

const AmountSourceSchema = Type.Union([
  Type.Object({ kind: Type.Enum(['passed', 'keyed']) }, closed),
  Type.Object(
    {
      kind: Type.Literal('dataDip'),
      url: Type.String({ pattern: '^https?://' }),
      timeoutMs: milliseconds(3_000, 100, 30_000, 'The caller waits for it.'),
    },
    closed,
  ),
]);

const FlowSchema = Type.Object(
  {
    locale: Type.String({ default: 'en-US' }),
    currency: Type.String({ pattern: '^[A-Z]{3}$', default: 'USD' }),
    gateway: Type.String({ pattern: NAME, default: 'sandbox' }),
    identification: Type.Optional(
      Type.Object(
        {
          target: Type.String({ pattern: '^sips?:.+' }),
          timeoutMs: milliseconds(120_000, 1_000, 3_600_000, 'The whole identification.'),
          whenNot: Type.Enum(['queue', 'go-on'], { default: 'queue' }),
        },
        closed,
      ),
    ),
    amount: Type.Object(
      {
        source: Type.Union(AmountSourceSchema.anyOf, { default: { kind: 'passed' } }),
        minimumMinor: Type.Integer({ minimum: 1, default: 100 }),
        maximumMinor: Type.Integer({ minimum: 1, default: 1_000_000 }),
        offerFullAmount: Type.Boolean({ default: false }),
      },
      { ...closed, default: {} },
    ),
    brands: Type.Array(Type.String({ pattern: NAME }), {
      minItems: 1,
      default: ['visa', 'mastercard', 'amex', 'discover'],
    }),
    fields: Type.Object(
      {
        pan: Type.Optional(FieldSchema),
        expiry: Type.Optional(FieldSchema),
        cvc: Type.Optional(FieldSchema),
        postcode: Type.Optional(FieldSchema),
        startDate: Type.Optional(FieldSchema),
        issueNumber: Type.Optional(FieldSchema),
      },
      { ...closed, default: { pan: {}, expiry: {}, cvc: { confirm: false } } },
    ),
    readBackCvc: Type.Boolean({ default: false }),
    firstDigitTimeoutMs: milliseconds(10_000, 200, 120_000, 'From the end of the prompt to the first key.'),
    interDigitTimeoutMs: milliseconds(5_000, 200, 60_000, 'Between keys.'),
    completeInterDigitTimeoutMs: milliseconds(1_500, 100, 60_000, 'After a complete number that could be longer.'),
    declinesMax: Type.Integer({ minimum: 1, maximum: 10, default: 3 }),
    atDeclinesMax: Type.Enum(['queue', 'next', 'bye'], { default: 'queue' }),
    onHangUp: Type.Enum(['complete', 'void'], { default: 'complete' }),
    next: Type.Union(DestinationSchema.anyOf, { default: { kind: 'bye' } }),
    queue: Type.Union(DestinationSchema.anyOf, { default: { kind: 'bye' } }),
    outcomeHoldMsMax: milliseconds(60_000, 0, 600_000, 'How long fields are held while an outcome is unknown.'),
    gatewayTimeoutMs: milliseconds(15_000, 500, 120_000, 'One request to the gateway.'),
    paymentMsMax: milliseconds(900_000, 10_000, 3_600_000, 'The whole payment.'),
  },
  closed,
);

export const ConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    varDir: Type.String({ default: 'var', description: 'Database and sockets.' }),
    sip: SipSchema,
    media: MediaSchema,
    http: HttpSchema,
    store: Type.Object(
      {
        file: Type.Optional(Type.String({ description: 'Default: hushtone.db in varDir.' })),
        retentionDays: Type.Integer({ minimum: 1, maximum: 3650, default: 400 }),
      },
      { ...closed, default: {} },
    ),
    prompts: Type.Object(
      {
        directory: Type.Optional(
          Type.String({
            minLength: 1,
            description: 'Without it `prompts` beside this file where there is one, else those shipped.',
          }),
        ),
        overrides: Type.Optional(
          Type.String({ description: 'Recordings of your own, by name, in a folder a locale.' }),
        ),
      },
      { ...closed, default: {} },
    ),
    sandbox: Type.Object(
      { port: port(8090, 'Of the sandbox gateway, on loopback; it runs when a gateway of kind sandbox has no url.') },
      { ...closed, default: {} },
    ),
    worker: Type.Object(
      {
        egress: Type.Optional(
          Type.Array(Type.String({ pattern: '^[A-Za-z0-9.-]+:[0-9]{1,5}$' }), {
            maxItems: 64,
            description: 'host:port that a worker may reach. Default: those of the gateways, and no other.',
          }),
        ),
        legsMax: Type.Integer({ minimum: 2, maximum: 20_000, default: 2_000, description: 'Legs of one worker.' }),
      },
      { ...closed, default: {} },
    ),
    gateways: Type.Record(Type.String({ pattern: NAME }), Type.Union([SandboxGatewaySchema, GenericRestSchema]), {
      default: { sandbox: { kind: 'sandbox' } },
    }),
    flows: Type.Record(Type.String({ pattern: NAME }), FlowSchema, { default: { default: {} } }),
    limits: Type.Object(
      { callsMax: Type.Integer({ minimum: 1, maximum: 100_000, default: 1000 }) },
      { ...closed, default: {} },
    ),
    hangMs: milliseconds(
      10_000,
      0,
      600_000,
      'A process of ours without a sign of life for so long is killed and started again; 0: never. Below 2000 a busy machine looks like a process that hangs.',
    ),
    drainMs: milliseconds(30_000, 0, 3_600_000, 'How long Ctrl-C lets calls go on.'),
    log: Type.Object(
      { level: Type.Enum(['debug', 'info', 'warn', 'error'], { default: 'info' }) },
      { ...closed, default: {} },
    ),
  },
  { ...closed, title: 'hushtone.yaml' },
);

export type ConfigFile = Static<typeof ConfigSchema>;
