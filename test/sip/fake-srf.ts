import { EventEmitter } from 'node:events';
import type Srf from 'drachtio-srf';
import type { SrfDialog, SrfRequest, SrfResponse } from 'drachtio-srf';

/*
 * Stands in for drachtio-srf: records what the front end asks, and lets a test play the peer. Dialogs dispatch as the
 * library's do (dialog.js): 'modify' for a re-INVITE, 'destroy' for a BYE, the method's name otherwise.
 */

export interface Sent {
  readonly status: number;
  readonly reason: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

type Headers = Record<string, string>;

function reader(headers: Headers) {
  const small = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return (name: string) => small.get(name.toLowerCase());
}

export class FakeRequest extends EventEmitter {
  readonly source: 'network' | 'application';
  readonly source_address: string;
  readonly source_port = 5062;
  readonly protocol = 'udp';
  readonly stackDialogId = '';
  socket: unknown = null;
  readonly payload: SrfRequest['payload'] = [];
  cancelled = 0;
  readonly method: string;
  readonly uri: string;
  readonly get: (name: string) => string | undefined;
  body: string | undefined;

  constructor(
    method: string,
    parts: { uri?: string; headers?: Headers; body?: string; from?: string; source?: 'application' },
  ) {
    super();
    this.method = method;
    this.uri = parts.uri ?? 'sip:pay@127.0.0.1';
    this.source = parts.source ?? 'network';
    this.source_address = parts.from ?? '127.0.0.1';
    this.body = parts.body;
    this.get = reader({
      'Call-ID': 'call-1',
      From: '<sip:+15550100@peer>;tag=a',
      To: '<sip:pay@127.0.0.1>',
      Contact: '<sip:peer@127.0.0.1:5062>',
      ...parts.headers,
    });
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  cancel(_options: object, callback: (error: unknown) => void): void {
    this.cancelled += 1;
    callback(null);
  }
}

export class FakeResponse {
  readonly sent: Sent[] = [];
  status = 0;
  reason = '';
  body: string | undefined = '';
  readonly payload: SrfResponse['payload'] = [];
  get: (name: string) => string | undefined = () => undefined;

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  get finalResponseSent(): boolean {
    return this.sent.some((one) => one.status >= 200);
  }

  send(status: number, ...rest: unknown[]): void {
    if (this.finalResponseSent) throw new Error('a second final response');
    const reason = typeof rest[0] === 'string' ? (rest.shift() as string) : undefined;
    const options = (rest[0] ?? {}) as { headers?: Headers; body?: string };
    this.sent.push({ status, reason, headers: options.headers ?? {}, body: options.body });
    const callback = rest[1] as ((error: unknown) => void) | undefined;
    callback?.(null);
  }

  get last(): Sent | undefined {
    return this.sent.at(-1);
  }
}

/** An answer of the peer, for requests that we send. */
export function answer(status: number, parts: { headers?: Headers; body?: string } = {}): FakeResponse {
  const response = new FakeResponse();
  response.status = status;
  response.body = parts.body ?? '';
  response.get = reader(parts.headers ?? {});
  return response;
}

export interface OwnRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  answer(response: FakeResponse): void;
}

export class FakeDialog extends EventEmitter {
  readonly id = 'call-1;from-tag=a';
  readonly sip = { callId: 'call-1', localTag: 'b', remoteTag: 'a' };
  readonly local = { uri: 'sip:127.0.0.1', sdp: '', contact: '<sip:127.0.0.1:5060>' };
  readonly remote: { uri: string; sdp: string | undefined } = { uri: 'sip:peer@127.0.0.1:5062', sdp: undefined };
  readonly requests: OwnRequest[] = [];
  readonly byes: Headers[] = [];
  answerBye: (() => void) | null = null;
  autoBye = true;

  handle(req: FakeRequest, res: FakeResponse): void {
    const name = req.method === 'INVITE' ? 'modify' : req.method.toLowerCase();
    if (req.method === 'BYE') {
      res.send(200);
      this.emit('destroy', req, req.get('Reason') ?? 'normal release');
    } else if (req.method === 'ACK') this.emit('ack', req);
    else this.emit(name, req, res);
  }

  destroy(options: { headers?: Headers }, callback: (error: unknown) => void): void {
    this.byes.push(options.headers ?? {});
    this.answerBye = () => callback(null);
    if (this.autoBye) callback(null);
  }

  request(
    options: { method: string; headers?: Headers; body?: string },
    callback: (error: unknown, response?: FakeResponse) => void,
  ): void {
    const { method, headers = {}, body } = options;
    this.requests.push({ method, headers, body, answer: (response) => callback(null, response) });
  }

  /** The peer sends a request within the dialog. */
  peer(method: string, parts: { headers?: Headers; body?: string; source?: 'application' } = {}): FakeResponse {
    const res = new FakeResponse();
    this.handle(new FakeRequest(method, parts), res);
    return res;
  }
}

export interface OwnInvite {
  readonly uri: string;
  readonly sdp: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly req: FakeRequest;
  /** The echo, by which a request becomes one that can be cancelled. */
  echo(): void;
  answered(sdp: string): FakeDialog;
  refused(status: number, headers?: Headers): void;
}

export class FakeSrf extends EventEmitter {
  readonly handlers: [string, (req: FakeRequest, res: FakeResponse) => void][] = [];
  readonly invites: OwnInvite[] = [];
  /** Dialogs that came of calls we answered. */
  readonly dialogs: FakeDialog[] = [];
  /** Holds the echo of a 200 back, so that a CANCEL can cross it. */
  holdEcho = false;
  releaseEcho: () => void = () => {};
  readonly app = { client: { wp: { closing: false } } };

  asSrf(): Srf {
    return this as unknown as Srf;
  }

  use(method: unknown, handler?: unknown): void {
    const isNamed = typeof method === 'string';
    const fn = (isNamed ? handler : method) as (req: FakeRequest, res: FakeResponse) => void;
    this.handlers.push([isNamed ? method : '*', fn]);
  }

  connect(): void {
    this.emit('connect', null, 'udp/127.0.0.1:5060');
  }

  disconnect(): void {}

  /** A request from the network that belongs to no dialog. */
  receive(
    method: string,
    parts: ConstructorParameters<typeof FakeRequest>[1] = {},
  ): { req: FakeRequest; res: FakeResponse } {
    const [req, res] = [new FakeRequest(method, parts), new FakeResponse()];
    const found = this.handlers.find(([name]) => name === method.toLowerCase() || name === '*');
    found?.[1](req, res);
    return { req, res };
  }

  createUAS(
    req: FakeRequest,
    res: FakeResponse,
    options: { localSdp: string; headers: Headers },
    callback: (error: unknown, dialog?: SrfDialog) => void,
  ): void {
    const echo = () => {
      const dialog = new FakeDialog();
      dialog.local.sdp = options.localSdp;
      dialog.remote.sdp = req.body;
      this.dialogs.push(dialog);
      callback(null, dialog as unknown as SrfDialog);
    };
    res.send(200, { headers: options.headers, body: options.localSdp });
    if (this.holdEcho) this.releaseEcho = echo;
    else echo();
  }

  createUAC(
    uri: string,
    options: { localSdp: string; headers: Headers },
    progress: { cbRequest?: (error: unknown, req?: SrfRequest) => void },
    callback: (error: unknown, dialog?: SrfDialog) => void,
  ): void {
    const req = new FakeRequest('INVITE', { uri, source: 'application' });
    this.invites.push({
      uri,
      sdp: options.localSdp,
      headers: options.headers,
      req,
      echo: () => progress.cbRequest?.(null, req as unknown as SrfRequest),
      answered: (sdp) => {
        const dialog = new FakeDialog();
        dialog.remote.sdp = sdp;
        callback(null, dialog as unknown as SrfDialog);
        return dialog;
      },
      refused: (status, headers = {}) => {
        callback(Object.assign(new Error(`status ${status}`), { status, res: answer(status, { headers }) }));
      },
    });
  }
}
