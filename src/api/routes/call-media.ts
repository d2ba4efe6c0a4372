import Type from 'typebox';
import { ServiceError } from '../../lib/errors.ts';
import { ErrorBody } from '../errors.ts';
import { CallMediaBody, callMediaBody } from '../media-schema.ts';
import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';

/** How the legs of a live call sound now. What they came to is in the conversation once they have ended. */
export function callMediaRoute(app: Routes, { callMedia, records }: ApiOptions): void {
  const schema = {
    summary: 'The media of a live call, leg by leg',
    description:
      'Counters are as of now, quality as of the last RTCP report. docs/quality.md says what each figure means.',
    tags: ['calls'],
    params: Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) }),
    response: { 200: CallMediaBody, 400: ErrorBody, 401: ErrorBody, 404: ErrorBody, 503: ErrorBody },
  };
  app.get('/v1/calls/:id/media', { schema }, async ({ params }) => {
    const media = await callMedia(params.id);
    if (media !== null) return callMediaBody(media);
    const isKnown = (await records.conversation(params.id)) !== null;
    const message = isKnown
      ? 'this call is over; what its legs came to is in /v1/conversations/{id}'
      : 'there is no call with this id';
    throw new ServiceError('CALL_NOT_FOUND', message);
  });
}
