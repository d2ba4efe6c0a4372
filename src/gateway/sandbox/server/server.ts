import { timingSafeEqual } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import type { SandboxCharge, SandboxFollowUp } from '../api.ts';
import { type Dialect, type HttpAnswer, invalid, parseJson, speakConnector } from './connector.ts';
import { Ledger, type SandboxAsk, type SandboxChange } from './ledger.ts';
import { ChargeSchema, check, FollowUpSchema } from './requests.ts';
import { isSigned, type SignatureRule } from './signature.ts';

const BODY_BYTES_MAX = 16_384;
const CONNECTIONS_MAX = 1024;

export interface SandboxServerOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM; without it plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Bearer key of /v1, password of /connector and /hushtone; null asks for none. */
  readonly key: string | null;
  /** How every POST must be signed; null where none need be. */
  readonly sign?: SignatureRule | null;
  readonly slowMs: number;
  /** Answers with the request's body in it, as careless gateways do: to prove that our side scrubs. */
  readonly echo: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SandboxServer {
  readonly port: number;
  readonly ledger: Ledger;
  close(): Promise<void>;
}

/** The gateway simulator. Throws where it cannot listen. It holds card digits as a gateway does, and logs none. */
export async function startSandboxServer(options: SandboxServerOptions): Promise<SandboxServer> {
  const ledger = new Ledger();
  const handle = (request: IncomingMessage, response: ServerResponse) => void serve(options, ledger, request, response);
  const server = options.tls === null ? createHttpServer(handle) : createHttpsServer({ ...options.tls }, handle);
  server.maxConnections = CONNECTIONS_MAX;
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    ledger,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Paths of the connector contract: as Twilio has it, and with what ours adds. */
const DIALECTS: ReadonlyMap<string, Dialect> = new Map<string, Dialect>([
  ['/connector', 'connector'],
  ['/hushtone', 'hushtone'],
]);

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly key: string;
  readonly body: string;
}

async function serve(
  options: SandboxServerOptions,
  ledger: Ledger,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const url = new URL(request.url ?? '/', 'http://sandbox');
  const body = await readBody(request);
  if (body === null) return send(response, 413, { error: { code: 'requestInvalid', message: 'body too long' } });
  if (!isAllowed(options.key, request.headers.authorization)) {
    return send(response, 401, { error: { code: 'unauthorized', message: 'wrong key' } });
  }
  const rule = options.sign ?? null;
  if (rule !== null && request.method === 'POST' && !isSigned(rule, request.headers, body, options.clock.now())) {
    return send(response, 401, { error: { code: 'unauthorized', message: 'wrong signature' } });
  }
  const key = request.headers['idempotency-key'];
  const asked: Asked = {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    key: typeof key === 'string' ? key : '',
    body,
  };
  const dialect = DIALECTS.get(asked.path);
  const answer = dialect === undefined ? decide(ledger, asked) : speakConnector(ledger, dialect, asked);
  options.log.info('answered', { method: asked.method, path: asked.path, status: answer.status });
  if (answer.delivery === 'lost') {
    request.socket.destroy();
    return;
  }
  const finish = () => send(response, answer.status, options.echo ? { ...answer.body, echo: body } : answer.body);
  if (answer.delivery === 'slow') options.clock.startTimer(options.slowMs, finish);
  else finish();
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request) {
      bytes += (part as Buffer).length;
      if (bytes > BODY_BYTES_MAX) return null;
      parts.push(part as Buffer);
    }
  } catch {
    return null;
  }
  return Buffer.concat(parts).toString('utf8');
}

function isAllowed(key: string | null, header: string | undefined): boolean {
  if (key === null) return true;
  const [scheme, value = ''] = (header ?? '').split(' ');
  const given =
    scheme === 'Basic' ? Buffer.from(value, 'base64').toString('utf8').split(':').slice(1).join(':') : value;
  const [a, b] = [Buffer.from(given), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function decide(ledger: Ledger, asked: Asked): HttpAnswer {
  const [, version, noun = '', key = ''] = asked.path.split('/');
  if (version !== 'v1')
    return { status: 404, body: { error: { code: 'notFound', message: 'no such path' } }, delivery: 'now' };
  if (asked.method === 'GET' && noun === 'transactions') {
    if (key !== '') return ledger.lookup(decodeURIComponent(key));
    return { status: 200, body: { transactions: ledger.list(asked.query.get('reference')) }, delivery: 'now' };
  }
  if (asked.method !== 'POST') return invalid('expected POST');
  if (asked.key === '' || asked.key.length > 128) return invalid('expected an Idempotency-Key of 1 to 128 characters');
  const value = parseJson(asked.body);
  switch (noun) {
    case 'authorize':
    case 'purchase': {
      const charge = check<SandboxCharge>(ChargeSchema, value);
      return charge.ok
        ? ledger.charge(noun as SandboxAsk, asked.key, charge.value)
        : invalid(`wrong field: ${charge.field}`);
    }
    case 'capture':
    case 'void':
    case 'refund': {
      const change = check<SandboxFollowUp>(FollowUpSchema, value);
      return change.ok
        ? ledger.change(noun as SandboxChange, asked.key, change.value)
        : invalid(`wrong field: ${change.field}`);
    }
    default:
      return { status: 404, body: { error: { code: 'notFound', message: 'no such path' } }, delivery: 'now' };
  }
}
