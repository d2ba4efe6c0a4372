import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import type { LiveEvent } from '../../app/journal.ts';
import { ServiceError } from '../../lib/errors.ts';
import { ErrorBody } from '../errors.ts';
import { streamEvents } from '../event-stream.ts';
import { leakIn } from '../leak-guard.ts';
import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';
import { iso, Progress, StreamedEvent, streamedBody } from '../schemas.ts';

const TEXT = 'text/event-stream; charset=utf-8';
const HOW =
  'Server-sent events: recorded ones with an id, and, as `event: progress`, what a field looks like after each key. Send ' +
  'the last id as `Last-Event-ID` to go on from there; none is then missed. Progress is not kept, and a listener that ' +
  'is too slow misses it. A comment comes when nothing else does.';

const headers = Type.Object({
  'last-event-id': Type.Optional(
    Type.Integer({ minimum: 0, description: 'The last event that was received; what came behind it is told first.' }),
  ),
});
const stream = {
  description: 'Until the listener leaves.',
  content: { 'text/event-stream': { schema: Type.Union([StreamedEvent, Progress]) } },
};
const failures = { 400: ErrorBody, 401: ErrorBody, 503: ErrorBody };
/** A stream lasts, so it counts as a listener and not as a request in flight. */
const route = { config: { isStream: true }, exposeHeadRoute: false } as const;

/** What happens on all calls, from now on or from where the listener was. */
export function eventsRoute(app: Routes, options: ApiOptions): void {
  const schema = {
    summary: 'What happens on all calls, as it happens',
    description: `${HOW} Without Last-Event-ID it begins now.`,
    tags: ['events'],
    headers,
    response: { 200: stream, ...failures },
  };
  app.get('/v1/events', { schema, ...route }, async ({ headers }, reply) => {
    const newest = await options.records.newestEvent();
    // An id that no event had yet is of another database: it must not make us silent until that many have happened.
    const after = Math.min(headers['last-event-id'] ?? newest, newest);
    return listen(options, reply, { paymentId: null, after, hasEnded: false });
  });
}

/** One payment from its beginning. */
export function paymentEventsRoute(app: Routes, options: ApiOptions): void {
  const schema = {
    summary: 'One payment from its beginning, as it happens',
    description: `${HOW} It ends with the payment; who comes again after that is answered 204.`,
    tags: ['events'],
    params: Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) }),
    headers,
    response: { 200: stream, 204: Type.Null({ description: 'The payment is over.' }), 404: ErrorBody, ...failures },
  };
  app.get('/v1/payments/:id/events', { schema, ...route }, async ({ headers, params }, reply) => {
    const { records } = options;
    const payment = await records.payment(params.id);
    if (payment === null) throw new ServiceError('PAYMENT_NOT_FOUND', 'there is no payment with this id');
    const after = Math.min(headers['last-event-id'] ?? 0, await records.newestEvent());
    const hasEnded = payment.endedAt !== null;
    if (hasEnded && (await records.events(params.id, after, 1)).length === 0) return reply.code(204).send(null);
    return listen(options, reply, { paymentId: params.id, after, hasEnded });
  });
}

interface Wanted {
  /** Null: of all calls. */
  readonly paymentId: string | null;
  readonly after: number;
  readonly hasEnded: boolean;
}

async function listen(options: ApiOptions, reply: FastifyReply, wanted: Wanted): Promise<FastifyReply> {
  const { records, log, clock, answerWithheld } = options;
  let told: (event: LiveEvent) => void = () => {};
  const leave = options.subscribe((event) => told(event));
  if (leave === null) {
    reply.header('retry-after', '1');
    throw new ServiceError('REQUEST_LIMIT_REACHED', 'too many listen to events already');
  }
  const { paymentId } = wanted;
  const isWanted = (event: LiveEvent) => paymentId === null || paymentId === paymentOf(event);
  reply.hijack();
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': TEXT,
    'x-accel-buffering': 'no',
  });
  await streamEvents({
    response: reply.raw,
    after: wanted.after,
    replay: (after, limit) => records.events(paymentId, after, limit),
    subscribe: (listener) => {
      told = (event) => {
        if (isWanted(event)) listener(event);
      };
      return leave;
    },
    write: (event) => {
      const text = textOf(event);
      if (text !== null) return text;
      answerWithheld?.();
      log.error('event withheld: it looks like it holds a card number', { type: event.type });
      return null;
    },
    isLast: (event) => paymentId !== null && event.type === 'recorded' && event.event.kind === 'paymentEnded',
    endsAfterReplay: wanted.hasEnded,
    clock,
  }).catch((error: unknown) => log.error('event stream failed', { reason: String(error) }));
  return reply;
}

function paymentOf(event: LiveEvent): string | null {
  return event.type === 'progress' ? event.progress.paymentId : event.event.paymentId;
}

/** As the stream has it; null where it seems to hold a card number. */
function textOf(live: LiveEvent): string | null {
  const body = live.type === 'progress' ? { ...live.progress, at: iso(live.progress.at) } : streamedBody(live.event);
  if (leakIn(body) !== null) return null;
  const lines = [
    ...(live.type === 'progress' ? ['event: progress'] : []),
    ...(live.type === 'recorded' && live.ordinal !== null ? [`id: ${live.ordinal}`] : []),
    `data: ${JSON.stringify(body)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}
