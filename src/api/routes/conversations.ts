import Type from 'typebox';
import { ServiceError } from '../../lib/errors.ts';
import { ErrorBody } from '../errors.ts';
import { type ApiOptions, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, type PageEnd } from '../options.ts';
import type { Routes } from '../routes.ts';
import { ConversationPage, conversationBody, PAYMENT_RESULTS } from '../schemas.ts';

const CURSOR = /^(\d{1,15}):([A-Za-z0-9_-]{1,64})$/;

function queryOf(pageRowsMax: number) {
  const text = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }));
  return Type.Object(
    {
      customer: text,
      reference: text,
      profile: text,
      result: Type.Optional(Type.Enum([...PAYMENT_RESULTS], { description: 'Of one of its payments.' })),
      active: Type.Optional(Type.Boolean({ description: 'true: still going on. false: ended.' })),
      startedFrom: Type.Optional(Type.String({ format: 'date-time', description: 'Started then or later.' })),
      startedBefore: Type.Optional(Type.String({ format: 'date-time', description: 'Started earlier.' })),
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: pageRowsMax, default: Math.min(PAGE_ROWS_DEFAULT, pageRowsMax) }),
      ),
      cursor: Type.Optional(Type.String({ maxLength: 128, description: '`next` of the page before.' })),
    },
    { additionalProperties: false },
  );
}

/** Newest first; pages hold still while new calls come in. */
export function conversationsRoute(app: Routes, { records, pageRowsMax = PAGE_ROWS_MAX }: ApiOptions): void {
  const schema = {
    summary: 'List conversations, newest first',
    tags: ['conversations'],
    querystring: queryOf(pageRowsMax),
    response: { 200: ConversationPage, 400: ErrorBody, 401: ErrorBody },
  };
  app.get('/v1/conversations', { schema }, async ({ query }) => {
    const { cursor, limit, startedFrom, startedBefore, ...same } = query;
    const filter = {
      ...same,
      ...(startedFrom === undefined ? {} : { startedFrom: Date.parse(startedFrom) }),
      ...(startedBefore === undefined ? {} : { startedBefore: Date.parse(startedBefore) }),
    };
    const after = cursor === undefined ? null : parseCursor(cursor);
    const page = await records.conversations(filter, limit ?? PAGE_ROWS_DEFAULT, after);
    return {
      conversations: page.conversations.map(conversationBody),
      next: page.next === null ? null : cursorOf(page.next),
    };
  });
}

function cursorOf({ startedAt, callId }: PageEnd): string {
  return Buffer.from(`${startedAt}:${callId}`).toString('base64url');
}

function parseCursor(cursor: string): PageEnd {
  const [, startedAt, callId] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (startedAt === undefined || callId === undefined) {
    const detail = { field: 'cursor' };
    throw new ServiceError('REQUEST_INVALID', 'query parameter cursor is not one that a page gave', { detail });
  }
  return { startedAt: Number(startedAt), callId };
}
