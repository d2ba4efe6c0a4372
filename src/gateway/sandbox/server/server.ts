import { timingSafeEqual } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import { parseAmount } from '../../../money/amount.ts';
import type { SandboxCharge, SandboxFollowUp } from '../api.ts';
import { Ledger, type LedgerAnswer, type SandboxAsk, type SandboxChange } from './ledger.ts';
import { ChargeSchema, type ConnectorCharge, ConnectorSchema, check, FollowUpSchema } from './requests.ts';

const BODY_BYTES_MAX = 16_384;
const CONNECTIONS_MAX = 1024;

export interface SandboxServerOptions {
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** PEM; without it plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Bearer key of /v1 and password of /connector; null asks for none. */
  readonly key: string | null;
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
  const key = request.headers['idempotency-key'];
  const asked: Asked = {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    key: typeof key === 'string' ? key : '',
    body,
  };
  const answer = asked.path === '/connector' ? connect(ledger, asked) : decide(ledger, asked);
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

type HttpAnswer = Omit<LedgerAnswer, 'body'> & { readonly body: object };

const invalid = (message: string): HttpAnswer => ({
  status: 400,
  body: { error: { code: 'requestInvalid', message } },
  delivery: 'now',
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
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

/**
 * The connector dialect (facts: Twilio's generic pay connector): one POST, `transaction_id` is the idempotency key, and
 * an answer is `{ charge_id | token_id, error_code, error_message }`, HTTP 200 for approved and declined alike.
 */
function connect(ledger: Ledger, asked: Asked): HttpAnswer {
  const value = check<ConnectorCharge>(ConnectorSchema, parseJson(asked.body));
  if (asked.method !== 'POST') return invalid('expected POST');
  if (!value.ok) return invalid(`wrong field: ${value.field}`);
  const request = value.value;
  const currency = (request.currency_code ?? 'USD').toUpperCase();
  const amountMinor = request.method === 'charge' ? parseAmount(request.amount ?? '', currency) : 1;
  if (amountMinor === null || amountMinor === 0) return invalid('wrong field: amount');
  const answer = ledger.charge(request.method === 'charge' ? 'purchase' : 'authorize', request.transaction_id, {
    pan: request.cardnumber,
    expiry_month: request.expiry_month,
    expiry_year: request.expiry_year,
    ...(request.cvv ? { cvc: request.cvv } : {}),
    amount_minor: amountMinor,
    currency,
    reference: request.transaction_id,
    description: request.description ?? '',
  });
  if ('error' in answer.body)
    return { ...answer, body: connectorFault(answer.body.error.code, answer.body.error.message) };
  const transaction = answer.body;
  if (transaction.status === 'declined') {
    return { ...answer, status: 200, body: connectorFault(transaction.decline_reason ?? 'other', transaction.text) };
  }
  const id = request.method === 'charge' ? { charge_id: transaction.id } : { token_id: transaction.id };
  return { ...answer, body: { ...id, error_code: null, error_message: null } };
}

const connectorFault = (code: string, message: string) => ({
  charge_id: null,
  error_code: code,
  error_message: message,
});
