import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig, readConfig } from '../../src/config/read.ts';
import { ServiceError } from '../../src/lib/errors.ts';
import { Authority } from '../harness/certificates.ts';

const options = { file: '/etc/hushtone/hushtone.yaml', environment: {}, directory: '/srv' };

function faultsOf(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, { ...options, environment, judgeCertificates: true });
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    return (error as ServiceError).message.split('\n');
  }
  return [];
}

function plain(config: Config): unknown {
  return JSON.parse(
    JSON.stringify(config, (_key, value) => (value instanceof Map ? Object.fromEntries(value) : value)),
  );
}

describe('reading the configuration', () => {
  it('starts on the documented ports without a file', () => {
    const config = parseConfig('', { ...options, file: null });
    expect(config.sip.server).toMatchObject({ kind: 'embedded', udpPort: 5060, tcpPort: 5060, wsPort: 5066 });
    expect(config.media).toMatchObject({ portFirst: 20000, portLast: 29999 });
    expect(config.http).toMatchObject({ address: '127.0.0.1', port: 8080, keys: [] });
    expect(config.store.file).toBe('/srv/var/hushtone.db');
    expect(config.media.workers).toBeGreaterThan(0);
    expect(config.flows.get('default')?.fields).toEqual({
      pan: { confirm: true, retriesMax: 2 },
      expiry: { confirm: true, retriesMax: 2 },
      cvc: { confirm: false, retriesMax: 2 },
    });
  });

  it('finds in the example file exactly the defaults', () => {
    const example = readFileSync(new URL('../../docs/hushtone.yaml.example', import.meta.url), 'utf8');
    expect(plain(parseConfig(example, options))).toEqual(plain(parseConfig('', options)));
  });

  it('takes a certificate for SIP over TLS, and names what is wrong with its files', () => {
    const authority = new Authority();
    try {
      const { certificate, key } = authority.certificate({ names: ['DNS:sip.example.com'] });
      const { server } = parseConfig(`sip: { tls: { certificate: ${certificate}, key: ${key} } }`, options).sip;
      expect(server).toMatchObject({ tls: { port: 5061, wssPort: 7443, clients: 'none', certificate, key } });
      expect(faultsOf(`sip: { tls: { certificate: ${certificate}, key: nowhere.key } }`)).toEqual([
        '/etc/hushtone/hushtone.yaml:1: sip.tls.key expected a file that can be used: /etc/hushtone/nowhere.key cannot be read (ENOENT)',
      ]);
      const expired = authority.certificate({ names: ['DNS:sip.example.com'], notAfter: '20250131000000Z' });
      const late = `sip: { tls: { certificate: ${expired.certificate}, key: ${expired.key} } }`;
      expect(faultsOf(late)).toEqual([
        `/etc/hushtone/hushtone.yaml:1: sip.tls.certificate expected a file that can be used: ${expired.certificate} expired on 2025-01-31`,
      ]);
      // A worker that is started again long after.
      expect(() => parseConfig(late, options)).not.toThrow();
      expect(faultsOf(`sip: { tls: { certificate: ${certificate}, key: ${key}, port: 8080 } }`)).toEqual([
        '/etc/hushtone/hushtone.yaml:1: sip.tls.port expected a port of its own, found 8080, which http.port has too',
      ]);
    } finally {
      authority.close();
    }
  });

  it('draws a new secret for the embedded server unless the environment brings one', () => {
    const secretOf = (environment: Record<string, string>) =>
      parseConfig('', { ...options, environment }).sip.server.kind === 'embedded'
        ? parseConfig('', { ...options, environment }).sip.server
        : null;
    expect(secretOf({})?.secret.reveal()).not.toBe(secretOf({})?.secret.reveal());
    expect(secretOf({ HUSHTONE_SIP_SECRET: 'given' })?.secret.reveal()).toBe('given');
  });

  it('takes paths relative to the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-config-'));
    const file = join(folder, 'hushtone.yaml');
    expect(parseConfig('store: { file: records.db }', options).store.file).toBe('/etc/hushtone/records.db');
    expect(faultsOf('sip: { profiles: peers }')).toEqual([
      '/etc/hushtone/hushtone.yaml:1: sip.profiles expected a folder, found none at /etc/hushtone/peers',
    ]);
    mkdirSync(join(folder, 'peers'));
    expect(parseConfig('sip: { profiles: peers }', { ...options, file }).sip.profiles).toBe(join(folder, 'peers'));
    rmSync(folder, { recursive: true });
  });

  it('takes the profiles and prompts that are shipped where there are none beside the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-config-'));
    const file = join(folder, 'hushtone.yaml');
    const shipped = join(import.meta.dirname, '../..');
    const { sip, prompts } = parseConfig('', { ...options, file });
    expect([sip.profiles, prompts.directory]).toEqual([join(shipped, 'sip-profiles'), join(shipped, 'prompts')]);
    mkdirSync(join(folder, 'sip-profiles'));
    expect(parseConfig('', { ...options, file }).sip.profiles).toBe(join(folder, 'sip-profiles'));
    rmSync(folder, { recursive: true });
  });

  it('lets the environment go over the file', () => {
    const environment = { HUSHTONE_HTTP_PORT: '11080', HUSHTONE_VAR_DIR: '/tmp/x' };
    const config = parseConfig('http: { port: 9000 }', { ...options, environment });
    expect([config.http.port, config.varDir]).toEqual([11080, '/tmp/x']);
    expect(faultsOf('', { HUSHTONE_HTTP_PORT: 'many' })[0]).toContain('environment variable HUSHTONE_HTTP_PORT');
  });

  it('lets a worker reach the gateways and nothing else', () => {
    const text = 'gateways: { bank: { kind: generic-rest, url: "https://Pay.Example.com/charge", password: p } }';
    const flow = '\nflows: { default: { gateway: bank } }';
    expect(parseConfig(text + flow, options).worker.egress).toEqual([
      { host: 'pay.example.com', port: 443, tls: true, caFile: null, paths: ['/charge'], sign: null },
    ]);
    expect(faultsOf(`${text}${flow}\nworker: { egress: ['other.example.com:443'] }`)[0]).toContain(
      'pay.example.com:443',
    );
  });

  it('hands the way to sign a body to the worker’s own list and to nobody else', () => {
    const sign = 'header: X-Signature, secret: between-us, prefix: "t={timestamp},v1="';
    const bank = `kind: generic-rest, url: "https://pay.example.com/charge", password: p, sign: { ${sign} }`;
    const config = parseConfig(`gateways: { bank: { ${bank} } }\nflows: { default: { gateway: bank } }`, options);
    const [host] = config.worker.egress;
    expect(host?.sign).toMatchObject({ header: 'X-Signature', kind: 'hmac-sha256', encoding: 'hex', suffix: '' });
    expect(host?.sign?.secret?.reveal()).toBe('between-us');
    expect(config.gateways.get('bank')).not.toHaveProperty('sign');
    expect(JSON.stringify(plain(config))).not.toContain('between-us');
  });

  it('reads secrets from files and variables, and prints none of them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-config-'));
    writeFileSync(join(folder, 'key'), 'a-key-of-more-than-twenty-characters\n');
    writeFileSync(join(folder, 'c.yaml'), 'http: { keys: [{ file: key }] }\nsip: { secrets: { pbx: { env: PBX } } }');
    const environment = { PBX: 'from-the-environment' };
    const config = readConfig({ file: join(folder, 'c.yaml'), environment, directory: folder });
    expect(config.http.keys[0]?.reveal()).toBe('a-key-of-more-than-twenty-characters');
    expect(config.sip.secrets.get('pbx')?.reveal()).toBe('from-the-environment');
    expect(JSON.stringify(plain(config))).not.toMatch(/a-key-of|from-the-env/);
  });
});

const BANK = 'kind: generic-rest, url: "https://pay.example.com/charge", password: p';
const signing = (sign: string) => `gateways: { sandbox: { kind: sandbox }, bank: { ${BANK}, sign: { ${sign} } } }`;

describe('a wrong configuration', () => {
  it.each([
    ['sip: { udpport: 1 }', 'sip.udpport is not a known key; did you mean "udpPort"?'],
    ['sip: { udpPort: 70000 }', 'sip.udpPort expected a whole number 0 to 65535, found 70000'],
    ['sip: { server: embeded }', 'sip.server expected '],
    ['sip: { address: here }', 'sip.address expected an IP address, found "here"'],
    ['http: { keys: [short] }', 'http.keys[0] expected a secret of 20 to 4096 characters in the file, found one of 5'],
    ['http: { address: 0.0.0.0 }', 'http.address expected a loopback address, because http.keys is empty'],
    ['http: { address: localhost, keys: [a-key-of-twenty-characters] }', 'http.address expected an IP address, found'],
    ['media: { address: 0.0.0.0 }', 'media.address expected the address that callers reach, found "0.0.0.0"'],
    ['http: { port: 5060 }', 'sip.tcpPort expected a port of its own, found 5060, which http.port has too'],
    ['prompts: { overrides: nowhere }', 'prompts.overrides expected a folder, found none at /etc/hushtone/nowhere'],
    ['flows: { a: { locale: xx-XX } }', 'flows.a.locale expected one of en-US, found "xx-XX"'],
    ['media: { portFirst: 30000 }', 'media.portLast expected more than portFirst (30000)'],
    ['flows: { a: { brands: [vissa] } }', 'flows.a.brands[0] is not a known brand: "vissa"; did you mean "visa"?'],
    ['flows: { a: { currency: XXX } }', 'flows.a.currency expected an ISO 4217 code, found "XXX"'],
    ['flows: { a: { gateway: bank } }', 'flows.a.gateway expected a name under gateways (sandbox), found "bank"'],
    ['flows: { a: { next: { kind: refre } } }', 'flows.a.next.kind expected one of bye, refer, bridge, found "refre"'],
    ['flows: { a: { next: { kind: refer } } }', 'flows.a.next.target is missing'],
    ['flows: { a: { fields: { pan: {} } } }', 'flows.a.fields.expiry is missing'],
    ['flows: { a: { amount: { minimumMinor: 5, maximumMinor: 4 } } }', 'expected at most maximumMinor (4)'],
    ['flows: {}', 'flows expected at least one flow'],
    ['gateways: { sandbox: { kind: sandbox, url: "http://192.0.2.1" } }', 'expected https'],
    ['gateways: { sandbox: { kind: sandbox, caFile: no.pem } }', 'expected a file of certificates'],
    [signing('header: X-S'), 'gateways.bank.sign.secret is missing; hmac-sha256 needs one'],
    [signing('header: X-S, kind: sha256, secret: s'), 'gateways.bank.sign.secret expected none with kind sha256'],
    [signing('header: X-S, kind: sha256, prefix: "{timestamp}"'), 'gateways.bank.sign.prefix expected no {timestamp}'],
    [signing('header: Content-Type, secret: s'), 'expected a header that the request has not, found "Content-Type"'],
    [signing('header: "X S", secret: s'), 'gateways.bank.sign.header expected '],
    [signing('header: X-S, secret: s, kind: md5'), 'gateways.bank.sign.kind expected one of hmac-sha256, sha256'],
    [
      `${signing('header: X-S, secret: s').slice(0, -1)}, other: { ${BANK} } }`,
      'gateways.other.sign expected as gateways.bank has it, whose url is the same',
    ],
    ['sip: { secrets: { pbx: { env: NOT_SET } } }', 'environment variable NOT_SET, found none that can be read'],
    ['[]', 'the whole file expected keys'],
    ['a: b: c', 'Nested mappings are not allowed'],
  ])('%s is refused in words', (text, words) => {
    const faults = faultsOf(text);
    expect(faults.length).toBe(1);
    expect(faults[0]).toContain(words);
    expect(faults[0]).toMatch(/^\/etc\/hushtone\/hushtone\.yaml(:\d+)?: /);
  });

  it('names every fault at once, each with its line', () => {
    const faults = faultsOf('drainMs: no\nhttp:\n  port: 1\n  colour: red\n');
    expect(faults.map((fault) => fault.split(':')[1])).toEqual(['4', '1']);
  });

  it('shows no secret in a fault', () => {
    expect(faultsOf('http: { keys: [[topsecret]] }').join()).not.toContain('topsecret');
    expect(faultsOf('sip: { secrets: { pbx: { value: topsecret } } }').join()).not.toContain('topsecret');
  });

  it('is named where it cannot be read', () => {
    const read = () => readConfig({ file: '/nowhere/h.yaml', environment: {}, directory: '/' });
    expect(read).toThrow('/nowhere/h.yaml: expected a readable file, found no such file');
  });

  it('never ends in anything but a configuration or CONFIG_INVALID', () => {
    const key = fc.constantFrom(
      'sip',
      'http',
      'flows',
      'gateways',
      'kind',
      'default',
      'keys',
      'server',
      'x',
      '__proto__',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, fc.jsonValue(), fc.dictionary(key, tie('tree')), fc.array(tie('tree'))),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        try {
          parseConfig(JSON.stringify(value), options);
        } catch (error) {
          expect(error).toBeInstanceOf(ServiceError);
        }
      }),
    );
  });
});
