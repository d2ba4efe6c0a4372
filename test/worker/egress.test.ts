import { describe, expect, it } from 'vitest';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createEgress, type NativeEgress } from '../../src/worker/egress.ts';
import type { EgressDestination } from '../../src/worker/limits.ts';
import { VirtualClock } from '../harness/clock.ts';

type Request = Parameters<NativeEgress['send']>[0];
type Answer = NonNullable<ReturnType<NativeEgress['takeAnswer']>>;

/** Native egress with a number of places, whose answers the test gives. */
class Places implements NativeEgress {
  readonly sent: Request[] = [];
  readonly #answers: Answer[] = [];
  #wake: () => void = () => {};
  free: number;
  refuse: [number, string] | null = null;

  constructor(free: number) {
    this.free = free;
  }
  openEgress(wake: () => void) {
    this.#wake = wake;
  }
  addTrust() {
    return 0;
  }
  readonly signs: Parameters<NativeEgress['addSigner']>[0][] = [];
  addSigner(sign: Parameters<NativeEgress['addSigner']>[0]) {
    if (sign.header === 'Host') throw new Error('header Host is not the request’s to set');
    return this.signs.push(sign);
  }
  send(request: Request) {
    if (this.refuse !== null) return this.refuse;
    if (this.free === 0) return [1, 'all places are taken'] as [number, string];
    this.free -= 1;
    this.sent.push(request);
    return null;
  }
  takeAnswer() {
    return this.#answers.shift() ?? null;
  }
  answer(id: number, kind = 0) {
    this.free += 1;
    this.#answers.push({ id, kind, status: 200, headers: ['a', 'b'], body: `for ${id}`, reason: '' });
    this.#wake();
  }
}

const DESTINATIONS: readonly EgressDestination[] = [
  { host: '127.0.0.1', port: 80, tls: false, caFile: null, fields: ['pan'] },
];

const order = (url = 'http://127.0.0.1/a') => ({
  method: 'POST',
  url,
  headers: [{ name: 'X-A', value: 'b' }],
  bodyFormat: 'json',
  bodyTemplate: '{"n":"{{pan}}"}',
  timeoutMs: 1000,
});

function make(free: number) {
  const native = new Places(free);
  const clock = new VirtualClock();
  return { native, clock, egress: createEgress({ native, destinations: DESTINATIONS, clock }) };
}

describe('sending for control', () => {
  it('hands the parts to native code with the fields that may go there', async () => {
    const { native, egress } = make(1);
    const sent = egress.send(order(), 7);
    expect(native.sent[0]).toMatchObject({
      leg: 7,
      host: '127.0.0.1',
      port: 80,
      path: '/a',
      fields: 2,
      format: 1,
      headers: ['X-A', 'b'],
    });
    native.answer(native.sent[0]?.id ?? 0);
    expect(await sent).toEqual({
      kind: 'answered',
      status: 200,
      headers: [{ name: 'a', value: 'b' }],
      body: 'for 1',
      reason: '',
    });
  });

  it('lets no field go without a payment', async () => {
    const { native, egress } = make(1);
    void egress.send(order(), null);
    expect(native.sent[0]).toMatchObject({ leg: 0, fields: 0 });
  });

  it('refuses a place that is not listed, before native code hears of it', async () => {
    const { native, egress } = make(1);
    await expect(egress.send(order('http://127.0.0.1:81/'), 7)).rejects.toMatchObject({ code: 'EGRESS_NOT_ALLOWED' });
    await expect(egress.send({ ...order(), bodyFormat: 'yaml' }, 7)).rejects.toMatchObject({
      code: 'GATEWAY_REQUEST_INVALID',
    });
    await expect(egress.send({ ...order(), method: 'BREW' }, 7)).rejects.toMatchObject({
      code: 'GATEWAY_REQUEST_INVALID',
    });
    expect(native.sent).toEqual([]);
  });

  it('passes a native refusal on with its code', async () => {
    const { native, egress } = make(1);
    native.refuse = [2, 'template has {{pan}} twice'];
    await expect(egress.send(order(), 7)).rejects.toMatchObject({ code: 'TEMPLATE_INVALID' });
  });

  it('waits for a place, in order, and takes the waiting off the time limit', async () => {
    const { native, clock, egress } = make(1);
    const all = [1, 2, 3].map(() => egress.send(order(), 7));
    await clock.advance(400);
    expect(native.sent.map((r) => r.id)).toEqual([1]);
    native.answer(1);
    expect(native.sent.map((r) => [r.id, r.timeoutMs])).toEqual([
      [1, 1000],
      [2, 600],
    ]);
    await clock.advance(700);
    native.answer(2);
    expect((await Promise.all(all)).map((sent) => sent.kind)).toEqual(['answered', 'answered', 'notSent']);
    expect(native.free).toBe(1);
  });

  it('calls a request that native code lost unknown, and one that never began not sent', async () => {
    const { clock, egress } = make(1);
    const [lost, waited] = [egress.send(order(), 7), egress.send(order(), 7)];
    await clock.advance(7000);
    expect((await lost).kind).toBe('noAnswer');
    expect((await waited).kind).toBe('notSent');
  });

  it('lets no more wait than its limit', async () => {
    const { egress } = make(0);
    const sends = Array.from({ length: 257 }, () => egress.send(order(), 7));
    expect((await sends.at(-1))?.kind).toBe('notSent');
    egress.close();
    expect((await Promise.all(sends)).every((sent) => sent.kind === 'notSent')).toBe(true);
  });

  it('settles everything when it closes: what was under way is unknown', async () => {
    const { egress } = make(1);
    const [underWay, waiting] = [egress.send(order(), 7), egress.send(order(), 7)];
    egress.close();
    expect((await underWay).kind).toBe('noAnswer');
    expect((await waiting).kind).toBe('notSent');
    await expect(egress.send(order(), 7)).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
  });

  it('has bodies signed where their destination says so, and leaves the secret out of every request', async () => {
    const sign = { header: 'X-S', kind: 'hmac-sha256', encoding: 'base64', prefix: 'v1=', suffix: '' } as const;
    const secret = new Sensitive('secret', 'between gateway and worker');
    const place = { host: '127.0.0.1', port: 80, tls: false, caFile: null };
    const destinations: EgressDestination[] = [
      { ...place, paths: ['/'] },
      { ...place, paths: ['/signed'], sign: { ...sign, secret } },
    ];
    const native = new Places(2);
    const egress = createEgress({ native, destinations, clock: new VirtualClock() });
    expect(native.signs).toEqual([{ ...sign, kind: 1, encoding: 1, secret: 'between gateway and worker' }]);
    void egress.send(order('http://127.0.0.1/a'), 7);
    void egress.send(order('http://127.0.0.1/signed'), 7);
    expect(native.sent.map(({ signer }) => signer)).toEqual([0, 1]);
    expect(JSON.stringify(native.sent)).not.toContain('between');
    const wrong = () =>
      createEgress({
        native: new Places(1),
        destinations: [{ ...place, sign: { ...sign, secret, header: 'Host' } }],
        clock: new VirtualClock(),
      });
    expect(wrong).toThrow('signature for 127.0.0.1: header Host');
  });

  it('names the file of authorities that it cannot read, at start', () => {
    const destinations = [{ host: 'a', port: 1, tls: true, caFile: '/nowhere/ca.pem' }];
    const start = () => createEgress({ native: new Places(1), destinations, clock: new VirtualClock() });
    expect(start).toThrow('/nowhere/ca.pem');
  });
});
