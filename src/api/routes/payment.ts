import Type from 'typebox';
import { ServiceError } from '../../lib/errors.ts';
import { ErrorBody } from '../errors.ts';
import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';
import { attemptBody, PaymentDetails, paymentBody, recordedBody } from '../schemas.ts';

export function paymentRoute(app: Routes, { records }: ApiOptions): void {
  const schema = {
    summary: 'One payment with its attempts at the gateway and its events in order',
    tags: ['payments'],
    params: Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) }),
    response: { 200: PaymentDetails, 400: ErrorBody, 401: ErrorBody, 404: ErrorBody },
  };
  app.get('/v1/payments/:id', { schema }, async ({ params }) => {
    const row = await records.payment(params.id);
    if (row === null) throw new ServiceError('PAYMENT_NOT_FOUND', 'there is no payment with this id');
    return { ...paymentBody(row), attempts: row.attempts.map(attemptBody), events: row.events.map(recordedBody) };
  });
}
