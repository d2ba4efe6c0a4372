import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';

const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8';

export function metricsRoute(app: Routes, { metricsText }: ApiOptions): void {
  const schema = { summary: 'Metrics in the text format of Prometheus', tags: ['operation'] };
  app.get('/metrics', { schema }, async (_request, reply) => reply.type(TEXT_FORMAT).send(await metricsText()));
}
