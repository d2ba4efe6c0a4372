import { isIP } from 'node:net';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { holdsPan } from '../card/pan-guard.ts';
import { ServiceError } from '../lib/errors.ts';
import { authorizer } from './auth.ts';
import { errorHandler } from './errors.ts';
import { leakIn } from './leak-guard.ts';
import {
  type ApiOptions,
  BODY_BYTES_MAX,
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  REQUEST_TIMEOUT_MS,
  REQUESTS_MAX,
} from './options.ts';
import { callMediaRoute } from './routes/call-media.ts';
import { conversationRoute } from './routes/conversation.ts';
import { conversationsRoute } from './routes/conversations.ts';
import { DOCS_POLICY, docsRoute } from './routes/docs.ts';
import { eventsRoute, paymentEventsRoute } from './routes/events.ts';
import { healthRoute } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';
import { paymentRoute } from './routes/payment.ts';
import { readyRoute } from './routes/ready.ts';
import type { Routes } from './routes.ts';

const LOOPBACK = /^(127(?:\.\d{1,3}){3}|::1)$/;
const STATIC_PREFIX = '/docs';

export interface Api {
  /** `http://127.0.0.1:8080`, one for each address it listens on. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/**
 * Listens, and serves until closed.
 * Throws ServiceError PORT_IN_USE, or CONFIG_INVALID for an address that others could reach while there is no key.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { address, port, keys } = options;
  if (isIP(address) === 0) throw new ServiceError('CONFIG_INVALID', `http.address expected an IP address: ${address}`);
  if (keys.length === 0 && !LOOPBACK.test(address)) {
    const message = `http.address expected a loopback address, because http.keys is empty, found ${address}`;
    throw new ServiceError('CONFIG_INVALID', message);
  }
  const servers: Routes[] = [];
  const urls: string[] = [];
  const listen = async (host: string, on: number): Promise<void> => {
    const server = await createApi(options);
    try {
      urls.push(await server.listen({ host, port: on }));
      servers.push(server);
    } catch (error) {
      await server.close();
      throw error;
    }
  };
  try {
    await listen(address, port);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') {
      throw new ServiceError('PORT_IN_USE', `HTTP port ${port} on ${address} is in use; http.port sets another`);
    }
    throw new ServiceError('CONFIG_INVALID', `http: cannot listen on ${address} port ${port} (${code})`);
  }
  if (address === '127.0.0.1') {
    // A machine without IPv6, or with its ::1 taken, is served all the same.
    const taken = Number(new URL(urls[0] ?? '').port);
    await listen('::1', taken).catch(() => options.log.debug('api does not listen on ::1', { port: taken }));
  }
  return {
    urls,
    async close() {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

/** The server, not listening: what tests inject requests into. */
export async function createApi(options: ApiOptions): Promise<Routes> {
  const app = fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax ?? BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 2 * REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    http: { maxHeaderSize: HEADER_BYTES_MAX },
    routerOptions: { maxParamLength: 128 },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, useDefaults: true, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = CONNECTIONS_MAX;
  app.setErrorHandler(errorHandler(options.log));
  app.setNotFoundHandler(() => {
    throw new ServiceError('NOT_FOUND', 'there is no such address; /docs lists them all');
  });
  limitRequests(app, options);
  askForKey(app, options);
  guardAgainstLeaks(app, options);
  await app.register(swagger, {
    openapi: {
      info: {
        title: 'Hushtone',
        description: 'Conversations and payments. Nothing here holds a card number, expiry or code.',
        version: '1',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    },
  });
  // Behind swagger, so that it sees each of them.
  conversationsRoute(app, options);
  conversationRoute(app, options);
  callMediaRoute(app, options);
  paymentRoute(app, options);
  eventsRoute(app, options);
  paymentEventsRoute(app, options);
  healthRoute(app);
  readyRoute(app, options);
  metricsRoute(app, options);
  await docsRoute(app);
  return app;
}

function limitRequests(app: Routes, { requestsMax = REQUESTS_MAX }: ApiOptions): void {
  let inFlight = 0;
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.isStream) return;
    inFlight++;
    let counted = true;
    // `close` comes once for every answer, also for one whose client went away.
    reply.raw.once('close', () => {
      if (counted) inFlight--;
      counted = false;
    });
    if (inFlight <= requestsMax || request.routeOptions.config.isOpen) return;
    reply.header('retry-after', '1');
    throw new ServiceError('REQUEST_LIMIT_REACHED', `more than ${requestsMax} requests are in flight`);
  });
}

function askForKey(app: Routes, { keys }: ApiOptions): void {
  const authorize = authorizer(keys);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.isOpen || isStatic(request.routeOptions.url)) return;
    authorize(request.headers.authorization, request.headers.host);
  });
}

/** Fails closed: an answer that seems to hold a card number is not given, and counted. */
function guardAgainstLeaks(app: Routes, { log, answerWithheld }: ApiOptions): void {
  const withhold = (route: string | undefined, path: string): never => {
    answerWithheld?.();
    log.error('answer withheld: it looks like it holds a card number', { route: route ?? 'unknown', path });
    throw new ServiceError('INTERNAL', 'answer withheld');
  };
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    if (isStatic(request.routeOptions.url)) reply.header('content-security-policy', DOCS_POLICY);
    for (const [name, value] of Object.entries({ ...(request.query as object), ...(request.params as object) })) {
      if (!holdsPan(String(value))) continue;
      const message = `${name} looks like a card number; none is kept here`;
      throw new ServiceError('REQUEST_INVALID', message, { detail: { field: name } });
    }
  });
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const path = isStatic(request.routeOptions.url) ? null : leakIn(payload);
    return path === null ? payload : withhold(request.routeOptions.url, path);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const isText = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/plain');
    // Behind a decimal point stand seconds, not cards.
    if (isText && holdsPan(payload.replace(/\.\d+/g, ''))) withhold(request.routeOptions.url, 'text');
    return payload;
  });
}

/** The documentation and its script: the same bytes for everybody. */
function isStatic(route: string | undefined): boolean {
  return route === STATIC_PREFIX || (route?.startsWith(`${STATIC_PREFIX}/`) ?? false);
}
