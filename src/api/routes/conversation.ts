import Type from 'typebox';
import { ServiceError } from '../../lib/errors.ts';
import { ErrorBody } from '../errors.ts';
import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';
import { ConversationDetails, conversationBody, legBody, segmentBody } from '../schemas.ts';

export function conversationRoute(app: Routes, { records }: ApiOptions): void {
  const schema = {
    summary: 'One conversation with its segments, its payments, and what its legs came to',
    tags: ['conversations'],
    params: Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) }),
    response: { 200: ConversationDetails, 400: ErrorBody, 401: ErrorBody, 404: ErrorBody },
  };
  app.get('/v1/conversations/:id', { schema }, async ({ params }) => {
    const row = await records.conversation(params.id);
    if (row === null) throw new ServiceError('CALL_NOT_FOUND', 'there is no conversation with this id');
    return { ...conversationBody(row), segments: row.segments.map(segmentBody), legs: row.legs.map(legBody) };
  });
}
