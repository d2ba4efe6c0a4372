import Type from 'typebox';
import type { ApiOptions } from '../options.ts';
import type { Routes } from '../routes.ts';

const State = Type.Object({
  ready: Type.Boolean(),
  workers: Type.Boolean({ description: 'Every media worker is connected.' }),
  sip: Type.Boolean({ description: 'The SIP server is connected.' }),
  store: Type.Boolean({ description: 'Records can be written.' }),
});

/** Whether a call would find everything it needs. */
export function readyRoute(app: Routes, { readiness }: ApiOptions): void {
  const schema = {
    summary: 'Whether a call would find everything it needs',
    tags: ['operation'],
    response: { 200: State, 503: State },
  };
  app.get('/readyz', { schema, config: { isOpen: true } }, async (_request, reply) => {
    const state = await readiness();
    const ready = state.workers && state.sip && state.store;
    return reply.code(ready ? 200 : 503).send({ ready, ...state });
  });
}
