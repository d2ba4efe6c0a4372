import Type from 'typebox';
import type { Routes } from '../routes.ts';

/** The process runs and answers; says nothing of the others. */
export function healthRoute(app: Routes): void {
  const schema = {
    summary: 'Whether this process answers',
    tags: ['operation'],
    response: { 200: Type.Object({ status: Type.Literal('ok') }) },
  };
  app.get('/healthz', { schema, config: { isOpen: true } }, async () => ({ status: 'ok' as const }));
}
