import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EgressDestination, fieldMask, permit } from '../../src/worker/limits.ts';

const LIST: readonly EgressDestination[] = [
  { host: 'pay.example', port: 443, tls: true, caFile: null, paths: ['/v1/pay'], fields: ['pan', 'expiry'] },
  { host: '127.0.0.1', port: 8090, tls: false, caFile: null },
  { host: '::1', port: 8443, tls: true, caFile: null },
];

describe('where a worker lets requests go', () => {
  it('gives the parts of an address that is in its list', () => {
    expect(permit(LIST, 'https://pay.example/v1/pay?x=1')).toMatchObject({
      ok: true,
      index: 0,
      target: { tls: true, host: 'pay.example', port: 443, path: '/v1/pay?x=1' },
    });
    expect(permit(LIST, 'https://PAY.example:443/v1/pay/more')).toMatchObject({ ok: true });
    expect(permit(LIST, 'http://127.0.0.1:8090/a')).toMatchObject({ ok: true, index: 1 });
    expect(permit(LIST, 'https://[::1]:8443/a')).toMatchObject({ ok: true, target: { host: '::1' } });
  });

  it('holds to the nearer one of two destinations on one host, whichever is listed first', () => {
    const place = { host: '127.0.0.1', port: 80, tls: false, caFile: null };
    const [wide, near] = [
      { ...place, paths: ['/'] },
      { ...place, paths: ['/connector'] },
    ];
    for (const list of [
      [wide, near],
      [near, wide],
    ]) {
      const at = (path: string) => permit(list, `http://127.0.0.1${path}`);
      expect(at('/connector')).toMatchObject({ ok: true, destination: near });
      expect(at('/v1/purchase')).toMatchObject({ ok: true, destination: wide });
    }
  });

  it.each([
    ['another host', 'https://evil.example/v1/pay'],
    ['another port', 'https://pay.example:8443/v1/pay'],
    ['plain http where tls is listed', 'http://pay.example:443/v1/pay'],
    ['a path that is not listed', 'https://pay.example/v2'],
    ['a path that only begins alike', 'https://pay.example/v1/payees'],
    ['a path that climbs out', 'https://pay.example/v1/pay/../../admin'],
    ['a user name that looks like the host', 'https://pay.example@evil.example/v1/pay'],
    ['a user name', 'https://user:word@pay.example/v1/pay'],
    ['a host that only ends alike', 'https://notpay.example/v1/pay'],
    ['another scheme', 'ftp://pay.example/v1/pay'],
    ['a file', 'file:///etc/passwd'],
    ['no address at all', 'pay.example'],
    ['a very long address', `https://pay.example/v1/pay?${'a'.repeat(3000)}`],
  ])('refuses %s', (_, url) => {
    expect(permit(LIST, url)).toMatchObject({ ok: false });
  });

  it('reaches nothing outside the list, whatever the address looks like', () => {
    const part = fc.constantFrom(
      'https://',
      'http://',
      'pay.example',
      '127.0.0.1',
      '@',
      ':',
      '/',
      '8090',
      '\\',
      '#',
      '?',
      '%2e',
      '.',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), (parts) => {
        const permission = permit(LIST, parts.join(''));
        if (!permission.ok) return;
        const { host, port, tls } = permission.target;
        expect(LIST.some((d) => d.host === host && d.port === port && d.tls === tls)).toBe(true);
        expect(permission.target.path.startsWith('/')).toBe(true);
      }),
    );
  });

  it('counts the fields that may go as native code does', () => {
    expect(fieldMask(LIST[0] as EgressDestination)).toBe((1 << 1) | (1 << 2));
    expect(fieldMask(LIST[1] as EgressDestination)).toBe(0b1111110);
  });
});
