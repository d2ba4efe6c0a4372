import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import type { Clock, Timer } from '../lib/clock.ts';
import type { ErrorCode } from '../lib/errors.ts';
import { type Egress, HostFault } from './host.ts';
import { type EgressDestination, fieldMask, permit } from './limits.ts';
import type { Answers, Orders } from './wire.ts';

type Sent = Answers['sent'];

/** The egress part of the addon's engine; native/addon/egress_functions.cc. */
export interface NativeEgress {
  openEgress(wake: () => void): void;
  addTrust(pem: string): number;
  addSigner(rule: NativeSign): number;
  send(request: NativeRequest): [fault: number, reason: string] | null;
  takeAnswer(): NativeAnswer | null;
}

interface NativeSign {
  readonly header: string;
  readonly kind: number;
  readonly encoding: number;
  readonly prefix: string;
  readonly suffix: string;
  readonly secret: string;
}

interface NativeRequest {
  readonly id: number;
  readonly leg: number;
  readonly method: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly string[];
  readonly format: number;
  readonly body: string;
  readonly timeoutMs: number;
  readonly fields: number;
  readonly plainAnywhere: boolean;
  readonly trust: number;
  readonly signer: number;
}

interface NativeAnswer {
  readonly id: number;
  readonly kind: number;
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  readonly reason: string;
}

/** Requests that wait for one of the native places; they hold no card field yet. */
const WAITING_MAX = 256;
const TIMEOUT_MS_MIN = 100;
const TIMEOUT_MS_MAX = 120_000;
/** Past the native limit by this much without an answer, the request is given up as unknown. */
const GRACE_MS = 5_000;
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE']);
const FORMATS: readonly string[] = ['', 'json', 'form', 'xml'];
const KINDS = ['answered', 'notSent', 'noAnswer'] as const;

/** `enum EgressFault` of native/io/egress_thread.h: busy is 1 and waits. */
const BUSY = 1;
const CODES: Readonly<Record<number, ErrorCode>> = {
  2: 'TEMPLATE_INVALID',
  3: 'EGRESS_NOT_ALLOWED',
  4: 'GATEWAY_REQUEST_INVALID',
  5: 'PAYMENT_NOT_FOUND',
};

interface Pending {
  readonly request: NativeRequest;
  readonly deadlineAt: number;
  timer: Timer | null;
  isUnderWay: boolean;
  readonly resolve: (sent: Sent) => void;
  readonly reject: (fault: HostFault) => void;
}

export interface EgressOptions {
  readonly native: NativeEgress;
  readonly destinations: readonly EgressDestination[];
  readonly clock: Clock;
}

/**
 * Sends what control orders, where this worker's own list permits it. Throws at start where an authorities' file cannot
 * be read or a signature cannot be made. A promise settles within the order's time limit and GRACE_MS; it rejects with a HostFault where the order
 * itself is refused, before anything was sent.
 */
export function createEgress(options: EgressOptions): Egress & { close(): void } {
  const { native, destinations, clock } = options;
  const pending = new Map<number, Pending>();
  const waiting: number[] = [];
  let lastId = 0;
  let isClosed = false;

  native.openEgress(() => drain());
  const trusts = addTrusts(native, destinations);
  const signers = addSigners(native, destinations);

  const settle = (id: number, sent: Sent) => {
    const job = pending.get(id);
    if (job === undefined) return;
    pending.delete(id);
    job.timer?.cancel();
    job.resolve(sent);
  };

  const start = (id: number): 'started' | 'busy' | 'over' => {
    const job = pending.get(id);
    if (job === undefined) return 'over';
    const timeoutMs = job.deadlineAt - clock.now();
    const fault = timeoutMs <= 0 ? null : native.send({ ...job.request, timeoutMs });
    if (timeoutMs <= 0) {
      settle(id, notSent('waited too long for a free place'));
      return 'over';
    }
    if (fault === null) {
      job.isUnderWay = true;
      return 'started';
    }
    if (fault[0] === BUSY) return 'busy';
    pending.delete(id);
    job.timer?.cancel();
    job.reject(new HostFault(CODES[fault[0]] ?? 'INTERNAL', fault[1]));
    return 'over';
  };

  const startWaiting = () => {
    while (waiting.length > 0) {
      const id = waiting[0];
      if (id === undefined || start(id) === 'busy') return;
      waiting.shift();
    }
  };

  const drain = () => {
    if (isClosed) return;
    for (let answer = native.takeAnswer(); answer !== null; answer = native.takeAnswer()) {
      settle(answer.id, toSent(answer));
    }
    startWaiting();
  };

  return {
    async send(order, leg) {
      if (isClosed) throw new HostFault('WORKER_UNAVAILABLE', 'the worker is closing');
      const request = read(order, leg, destinations, { trusts, signers });
      if (waiting.length >= WAITING_MAX) return notSent(`${WAITING_MAX} requests wait already`);
      lastId = (lastId % 0xffff_fffe) + 1;
      const id = lastId;
      return await new Promise<Sent>((resolve, reject) => {
        const deadlineAt = clock.now() + request.timeoutMs;
        const job: Pending = {
          request: { ...request, id },
          deadlineAt,
          timer: null,
          isUnderWay: false,
          resolve,
          reject,
        };
        pending.set(id, job);
        job.timer = clock.startTimer(request.timeoutMs + GRACE_MS, () =>
          settle(id, job.isUnderWay ? noAnswer('the worker lost sight of it') : notSent('waited too long')),
        );
        if (waiting.length > 0 || start(id) === 'busy') waiting.push(id);
      });
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      waiting.length = 0;
      for (const [id, job] of [...pending]) {
        settle(id, job.isUnderWay ? noAnswer('the worker closed') : notSent('the worker closed'));
      }
    },
  };
}

/** One set of authorities for each file; the index stands in the destinations' order. */
function addTrusts(native: NativeEgress, destinations: readonly EgressDestination[]): readonly number[] {
  const known = new Map<string | null, number>();
  return destinations.map(({ tls, caFile, host }) => {
    if (!tls) return 0;
    const before = known.get(caFile);
    if (before !== undefined) return before;
    try {
      const pem = caFile === null ? getCACertificates('default').join('\n') : readFileSync(caFile, 'utf8');
      const index = native.addTrust(pem);
      known.set(caFile, index);
      return index;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`authorities for ${host} from ${caFile ?? 'Node'}: ${reason}`, { cause });
    }
  });
}

const NO_SIGNER = 0;

/** The secrets lie in locked memory from here on; what the reading of the file left is the engine's of JavaScript. */
function addSigners(native: NativeEgress, destinations: readonly EgressDestination[]): readonly number[] {
  return destinations.map(({ host, sign }) => {
    if (sign === undefined || sign === null) return NO_SIGNER;
    const { header, kind, encoding, prefix, suffix, secret } = sign;
    const numbers = { kind: kind === 'sha256' ? 0 : 1, encoding: encoding === 'hex' ? 0 : 1 };
    try {
      return native.addSigner({ header, prefix, suffix, ...numbers, secret: secret?.reveal() ?? '' });
    } catch (cause) {
      throw new Error(`signature for ${host}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  });
}

function read(
  order: Orders['send'],
  leg: number | null,
  destinations: readonly EgressDestination[],
  { trusts, signers }: { trusts: readonly number[]; signers: readonly number[] },
): NativeRequest {
  const permission = permit(destinations, order.url);
  if (!permission.ok) throw new HostFault('EGRESS_NOT_ALLOWED', permission.reason);
  const { target, destination, index } = permission;
  const format = FORMATS.indexOf(order.bodyFormat);
  if (format < 0) throw new HostFault('GATEWAY_REQUEST_INVALID', `no body format ${order.bodyFormat}`);
  if (!METHODS.has(order.method)) throw new HostFault('GATEWAY_REQUEST_INVALID', 'method is not one of ours');
  return {
    id: 0,
    leg: leg ?? 0,
    method: order.method,
    ...target,
    headers: order.headers.flatMap(({ name, value }) => [name, value]),
    format,
    body: order.bodyTemplate,
    timeoutMs: Math.min(Math.max(order.timeoutMs, TIMEOUT_MS_MIN), TIMEOUT_MS_MAX),
    fields: leg === null ? 0 : fieldMask(destination),
    plainAnywhere: destination.plainAnywhere ?? false,
    trust: trusts[index] ?? 0,
    signer: signers[index] ?? NO_SIGNER,
  };
}

function toSent(answer: NativeAnswer): Sent {
  const headers = [];
  for (let i = 0; i + 1 < answer.headers.length; i += 2) {
    headers.push({ name: answer.headers[i] ?? '', value: answer.headers[i + 1] ?? '' });
  }
  const { status, body, reason } = answer;
  return { kind: KINDS[answer.kind] ?? 'noAnswer', status, headers, body, reason };
}

const withoutAnswer = (kind: 'notSent' | 'noAnswer', reason: string): Sent => ({
  kind,
  status: 0,
  headers: [],
  body: '',
  reason,
});
const notSent = (reason: string) => withoutAnswer('notSent', reason);
const noAnswer = (reason: string) => withoutAnswer('noAnswer', reason);
