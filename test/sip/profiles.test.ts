import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { profilesCommand } from '../../src/cli/profiles.ts';
import { contains, parseAddress, parseNetwork } from '../../src/sip/address.ts';
import { checkProfiles, describeFault, hostIn, matchProfile, profileForTarget } from '../../src/sip/profiles.ts';

const FOLDER = join(import.meta.dirname, '../../sip-profiles');
const trunk = readFileSync(join(FOLDER, 'carrier-trunk.yaml'), 'utf8');
const pbx = readFileSync(join(FOLDER, 'agent-pbx.yaml'), 'utf8');

function faults(text: string, secrets: ReadonlySet<string> | null = null): string[] {
  const checked = checkProfiles([{ file: 'sip-profiles/x.yaml', text }], secrets);
  return checked.ok ? [] : checked.faults.map(describeFault);
}

function shipped() {
  const checked = checkProfiles(
    [
      { file: 'carrier-trunk.yaml', text: trunk },
      { file: 'agent-pbx.yaml', text: pbx },
    ],
    new Set(),
  );
  if (!checked.ok) throw new Error(checked.faults.map(describeFault).join('\n'));
  return checked.profiles;
}

describe('the profiles that are shipped', () => {
  it('are valid, and the trunk admits this machine, so that a softphone beside the server can call', () => {
    expect(matchProfile(shipped(), '127.0.0.1')?.name).toBe('carrier-trunk');
    expect(matchProfile(shipped(), '::1')?.name).toBe('carrier-trunk');
    expect(matchProfile(shipped(), '::ffff:127.0.0.1')?.name).toBe('carrier-trunk');
    expect(matchProfile(shipped(), '192.0.2.77')?.name).toBe('agent-pbx');
  });

  it('admit nobody else', () => {
    for (const source of ['198.51.100.1', '2001:db8::1', '', 'localhost', '127.1', '::', 'x'.repeat(1000)]) {
      expect(matchProfile(shipped(), source)).toBeNull();
    }
  });

  it('are listed by the command', async () => {
    const lines: string[] = [];
    expect(await profilesCommand(['check', FOLDER], { write: (line) => lines.push(line) })).toBe(0);
    expect(lines.join('')).toContain('carrier-trunk: 127.0.0.0/8, ::1');
  });
});

describe('a fault of a profile', () => {
  it.each([
    [
      'a wrong codec',
      trunk.replace('[PCMU, PCMA]', '[PCMU, G729]'),
      'media.codecs.1: expected one of PCMU, PCMA, G722, OPUS',
    ],
    [
      'a wrong ptime',
      trunk.replace('ptimeMs: 20', 'ptimeMs: 25'),
      'media.ptimeMs: expected one of 10, 20, 30, 40, 50, 60',
    ],
    ['a missing key', trunk.replace('  callsMax: 200\n', ''), 'admit.callsMax: missing; a profile must say this'],
    [
      'too many calls',
      trunk.replace('callsMax: 200', 'callsMax: 99999'),
      'admit.callsMax: expected a value that must be <= 2000',
    ],
    ['a wrong address', trunk.replace('::1', '127.0.0.1/33'), 'found 127.0.0.1/33'],
    [
      'bits past the prefix',
      trunk.replace('127.0.0.0/8', '127.0.0.1/8'),
      'admit.addresses.0: expected an address or network',
    ],
    [
      'the whole world',
      trunk.replace('127.0.0.0/8\n', '0.0.0.0/0\n'),
      'expected less than the whole world, found 0.0.0.0/0',
    ],
    ['a misspelt key', trunk.replace('callerId:', 'callerID:'), 'callerID: unknown key'],
    [
      'a bad host',
      trunk.replace(/hosts: \[127.0.0.0\/8, localhost\]/, 'hosts: ["a b"]'),
      'transfer.hosts.0: expected a host name',
    ],
    ['broken YAML', 'admit: [', 'expected YAML'],
    ['a list', '- a', 'expected a mapping'],
    ['nothing', '', 'expected a mapping'],
  ])('names file, key and what was expected: %s', (_name, text, expected) => {
    const found = faults(text);
    expect(found.join('\n')).toContain(expected);
    expect(found.every((line) => line.startsWith('sip-profiles/x.yaml: '))).toBe(true);
  });

  it('is a secret that nobody configured', () => {
    const signed = `${trunk}\nsignature: { secret: carrier, windowSeconds: 300, demandOn: [context], signResult: false }\n`;
    expect(faults(signed, new Set())).toEqual([
      'sip-profiles/x.yaml: signature.secret: expected the name of a configured secret, found carrier',
    ]);
    expect(faults(signed, new Set(['carrier']))).toEqual([]);
  });

  it('is a network that another profile admits already', () => {
    const checked = checkProfiles(
      [
        { file: 'a.yaml', text: trunk },
        { file: 'b.yaml', text: trunk },
      ],
      null,
    );
    expect(checked.ok ? '' : checked.faults.map(describeFault).join('\n')).toContain(
      'b.yaml: admit.addresses.0: expected a network of its own, 127.0.0.0/8 is admitted by a already',
    );
  });

  it('is never an exception, whatever stands in the file', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => faults(text).length > 0));
  });

  it('ends the command with status 1 and one line', async () => {
    const lines: string[] = [];
    expect(
      await profilesCommand(['check', '/nowhere'], { write: () => 0 }, { write: (line) => lines.push(line) }),
    ).toBe(1);
    expect(lines).toEqual(['/nowhere: the folder of SIP profiles cannot be read\n']);
    expect(await profilesCommand([], { write: () => 0 }, { write: () => 0 })).toBe(2);
  });
});

describe('finding a profile', () => {
  it('takes the longest match', () => {
    const narrow = trunk.replace('    - 127.0.0.0/8\n    - ::1\n', '    - 127.0.0.9\n');
    const checked = checkProfiles(
      [
        { file: 'wide.yaml', text: trunk },
        { file: 'narrow.yaml', text: narrow },
      ],
      null,
    );
    if (!checked.ok) throw new Error('invalid');
    expect(matchProfile(checked.profiles, '127.0.0.9')?.name).toBe('narrow');
    expect(matchProfile(checked.profiles, '127.0.0.8')?.name).toBe('wide');
  });

  it('dials a target by the profile that lists its host', () => {
    expect(profileForTarget(shipped(), 'localhost')?.name).toBe('carrier-trunk');
    expect(profileForTarget(shipped(), '192.0.2.5')?.name).toBe('agent-pbx');
    expect(profileForTarget(shipped(), 'example.com')).toBeNull();
  });

  it('allows transfers to the hosts listed and to no other', () => {
    expect(hostIn(['pbx.example.com', '10.0.0.0/8'], 'PBX.example.com')).toBe(true);
    expect(hostIn(['pbx.example.com', '10.0.0.0/8'], '10.9.9.9')).toBe(true);
    expect(hostIn(['pbx.example.com', '10.0.0.0/8'], 'evil.example.com')).toBe(false);
    expect(hostIn([], '10.9.9.9')).toBe(false);
  });
});

describe('networks', () => {
  it('contain the addresses made from them and not the neighbour', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 1, max: 32 }), (address, bits) => {
        const number = parseAddress(address)?.number ?? 0n;
        const low = (number >> BigInt(32 - bits)) << BigInt(32 - bits);
        const network = { family: 4 as const, prefix: low, bits };
        const neighbour = low ^ (1n << BigInt(32 - bits));
        return contains(network, { family: 4, number }) && !contains(network, { family: 4, number: neighbour });
      }),
    );
  });

  it('read every form of an IPv6 address', () => {
    fc.assert(fc.property(fc.ipV6(), (address) => parseAddress(address) !== null));
    expect(parseAddress('2001:db8::1')?.number).toBe(0x20010db8000000000000000000000001n);
    expect(parseNetwork('fe80::1%eth0')).toBeNull();
    expect(parseNetwork('1.2.3.4/8/8')).toBeNull();
  });
});
