import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type ErrorCode, ServiceError, VERDICTS } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'Stable; src/lib/errors.ts has the table.' }),
      message: Type.String(),
      retry: Type.String({ description: 'never, safe, or sameKey.' }),
      field: Type.Optional(Type.String({ description: 'Which field of the request it is about.' })),
    }),
  },
  { description: 'What went wrong.' },
);

interface Failure {
  readonly code: ErrorCode;
  readonly status: number;
  readonly message: string;
  readonly field?: string;
}

/** The one place where a failure becomes an HTTP answer. Nothing of what was sent is said back. */
export function errorHandler(log: Log) {
  return (error: FastifyError | ServiceError, request: FastifyRequest, reply: FastifyReply) => {
    const failure = failureOf(error);
    const route = request.routeOptions.url ?? 'unknown';
    if (failure.status >= 500) log.error('request failed', { code: failure.code, route, reason: error.message });
    const { code, message, field } = failure;
    const body = { code, message, retry: VERDICTS[code].retry, ...(field === undefined ? {} : { field }) };
    if (failure.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.code(failure.status).type('application/json').send({ error: body });
  };
}

function failureOf(error: FastifyError | ServiceError): Failure {
  if (error instanceof ServiceError) {
    const { httpStatus } = error.verdict;
    const message = error.code === 'INTERNAL' ? 'internal error' : error.message;
    const { field } = error.detail;
    const base = { code: error.code, status: httpStatus, message };
    return field === undefined ? base : { ...base, field: String(field) };
  }
  const [first] = error.validation ?? [];
  if (first !== undefined) {
    const { additionalProperty: unknown, missingProperty: missing } = first.params as Readonly<Record<string, string>>;
    const field = unknown ?? missing ?? first.instancePath.replace(/^\//, '').replaceAll('/', '.');
    const place =
      error.validationContext === 'querystring' ? 'query parameter' : (error.validationContext ?? 'request');
    const what = unknown === undefined ? (first.message ?? 'is not valid') : 'is not known';
    return { code: 'REQUEST_INVALID', status: 400, message: `${place} ${field} ${what}`, field };
  }
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) return { code: 'REQUEST_INVALID', status, message: error.message };
  return { code: 'INTERNAL', status: 500, message: 'internal error' };
}
