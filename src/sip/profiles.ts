import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Value } from 'typebox/value';
import { parseDocument } from 'yaml';
import { ServiceError } from '../lib/errors.ts';
import { contains, type Network, parseAddress, parseNetwork } from './address.ts';
import { PROFILE_BYTES_MAX, PROFILES_MAX } from './limits.ts';
import { type ProfileFile, ProfileSchema } from './profile-schema.ts';

export interface Profile extends ProfileFile {
  /** The file's name without its ending. */
  readonly name: string;
  readonly admitted: readonly Network[];
}

export interface ProfileFault {
  readonly file: string;
  /** `admit.addresses.2`, or empty for the whole file. */
  readonly key: string;
  readonly expected: string;
}

export type CheckedProfiles =
  | { readonly ok: true; readonly profiles: readonly Profile[] }
  | { readonly ok: false; readonly faults: readonly ProfileFault[] };

export interface ProfileText {
  readonly file: string;
  readonly text: string;
}

/** Every `*.yaml` of a folder. Throws PROFILE_INVALID where the folder cannot be read or holds too many. */
export function readProfileFolder(folder: string): ProfileText[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  } catch (cause) {
    throw new ServiceError('PROFILE_INVALID', `${folder}: the folder of SIP profiles cannot be read`, { cause });
  }
  if (names.length > PROFILES_MAX) {
    throw new ServiceError('PROFILE_INVALID', `${folder}: ${names.length} profiles, at most ${PROFILES_MAX} are read`);
  }
  return names.sort().map((name) => ({ file: join(folder, name), text: readFileSync(join(folder, name), 'utf8') }));
}

/** Throws PROFILE_INVALID with one line per fault: file, key and what was expected. */
export function loadProfiles(folder: string, secretNames: ReadonlySet<string>): readonly Profile[] {
  const checked = checkProfiles(readProfileFolder(folder), secretNames);
  if (checked.ok) return checked.profiles;
  const lines = checked.faults.map(describeFault);
  throw new ServiceError('PROFILE_INVALID', lines.join('\n'), { detail: { faults: lines.length } });
}

export function describeFault(fault: ProfileFault): string {
  return fault.key === '' ? `${fault.file}: ${fault.expected}` : `${fault.file}: ${fault.key}: ${fault.expected}`;
}

/** Pure. `secretNames` null leaves unchecked whether a named secret is configured. */
export function checkProfiles(texts: readonly ProfileText[], secretNames: ReadonlySet<string> | null): CheckedProfiles {
  const faults: ProfileFault[] = [];
  const profiles: Profile[] = [];
  for (const text of texts) {
    const checked = checkProfile(text, secretNames);
    if (checked.ok) profiles.push(...checked.profiles);
    else faults.push(...checked.faults);
  }
  faults.push(...checkOverlaps(profiles, texts));
  return faults.length > 0 ? { ok: false, faults } : { ok: true, profiles };
}

function checkProfile({ file, text }: ProfileText, secretNames: ReadonlySet<string> | null): CheckedProfiles {
  const one = (key: string, expected: string): CheckedProfiles => ({ ok: false, faults: [{ file, key, expected }] });
  const name = basename(file).replace(/\.ya?ml$/, '');
  if (!/^[a-z0-9-]{1,32}$/.test(name)) {
    return one('', 'expected a file name of 1 to 32 small letters, digits and hyphens: it is the name of the profile');
  }
  if (text.length > PROFILE_BYTES_MAX) return one('', `expected at most ${PROFILE_BYTES_MAX} characters`);

  const document = parseDocument(text, { prettyErrors: true });
  const broken = document.errors[0];
  if (broken !== undefined) return one('', `expected YAML, ${broken.message.split('\n')[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 10 });
  } catch {
    return one('', 'expected YAML without aliases that multiply');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return one('', 'expected a mapping with the keys admit, media, callerId, context, result and transfer');
  }
  const faults = schemaFaults(file, value);
  if (faults.length > 0) return { ok: false, faults };

  const profile = value as ProfileFile;
  faults.push(
    ...checkNetworks(file, profile),
    ...checkHosts(file, profile),
    ...checkSecret(file, profile, secretNames),
  );
  if (faults.length > 0) return { ok: false, faults };
  const admitted = profile.admit.addresses.map(parseNetwork).filter((network) => network !== null);
  return { ok: true, profiles: [{ ...profile, name, admitted }] };
}

/** One fault a place: the first that JSON Schema finds there, in words. */
function schemaFaults(file: string, value: object): ProfileFault[] {
  const faults = new Map<string, ProfileFault>();
  for (const error of Value.Errors(ProfileSchema, value)) {
    const path = error.instancePath.split('/').slice(1);
    const params = error.params as Record<string, unknown>;
    const add = (key: string, expected: string) => {
      if (!faults.has(key)) faults.set(key, { file, key, expected });
    };
    if (error.keyword === 'required') {
      for (const missing of params.requiredProperties as string[]) {
        add([...path, missing].join('.'), 'missing; a profile must say this');
      }
    } else if (error.keyword === 'additionalProperties') {
      for (const extra of params.additionalProperties as string[]) {
        add([...path, extra].join('.'), 'unknown key; expected one of the keys that `hushtone profiles schema` lists');
      }
    } else if (error.keyword === 'enum') {
      add(path.join('.'), `expected one of ${(params.allowedValues as unknown[]).join(', ')}`);
    } else if (error.keyword !== 'boolean') {
      add(path.join('.'), `expected a value that ${error.message}`);
    }
  }
  return [...faults.values()];
}

function checkNetworks(file: string, profile: ProfileFile): ProfileFault[] {
  return profile.admit.addresses.flatMap((text, index) => {
    const key = `admit.addresses.${index}`;
    const network = parseNetwork(text);
    if (network === null) {
      return [
        { file, key, expected: `expected an address or network such as 192.0.2.0/24 or 2001:db8::/32, found ${text}` },
      ];
    }
    return network.bits === 0 ? [{ file, key, expected: `expected less than the whole world, found ${text}` }] : [];
  });
}

const HOST_NAME = /^(?=.{1,255}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

function checkHosts(file: string, profile: ProfileFile): ProfileFault[] {
  const check = (key: string, hosts: readonly string[]) =>
    hosts.flatMap((host, index) =>
      parseNetwork(host) !== null || HOST_NAME.test(host)
        ? []
        : [
            {
              file,
              key: `${key}.${index}`,
              expected: `expected a host name in small letters, an address or a network, found ${host}`,
            },
          ],
    );
  return [...check('transfer.hosts', profile.transfer.hosts), ...check('dial.hosts', profile.dial?.hosts ?? [])];
}

function checkSecret(file: string, profile: ProfileFile, secretNames: ReadonlySet<string> | null): ProfileFault[] {
  const secret = profile.signature?.secret;
  if (secret === undefined || secretNames === null || secretNames.has(secret)) return [];
  return [{ file, key: 'signature.secret', expected: `expected the name of a configured secret, found ${secret}` }];
}

/** The same network in two profiles leaves open which of them a call gets. */
function checkOverlaps(profiles: readonly Profile[], texts: readonly ProfileText[]): ProfileFault[] {
  const owners = new Map<string, string>();
  const faults: ProfileFault[] = [];
  for (const profile of profiles) {
    const file =
      texts.find((text) => basename(text.file).replace(/\.ya?ml$/, '') === profile.name)?.file ?? profile.name;
    for (const [index, network] of profile.admitted.entries()) {
      const id = `${network.family} ${network.prefix}/${network.bits}`;
      const owner = owners.get(id);
      if (owner !== undefined) {
        const text = profile.admit.addresses[index];
        const expected = `expected a network of its own, ${text} is admitted by ${owner} already`;
        faults.push({ file, key: `admit.addresses.${index}`, expected });
      }
      owners.set(id, profile.name);
    }
  }
  return faults;
}

/** The profile that admits this source address: the longest match. Null admits nothing. */
export function matchProfile(profiles: readonly Profile[], sourceAddress: string): Profile | null {
  const address = parseAddress(sourceAddress);
  if (address === null) return null;
  let best: { profile: Profile; bits: number } | null = null;
  for (const profile of profiles) {
    for (const network of profile.admitted) {
      if (contains(network, address) && (best === null || network.bits > best.bits)) {
        best = { profile, bits: network.bits };
      }
    }
  }
  return best?.profile ?? null;
}

/** The profile by which a target of the configuration is dialed: `dial.hosts` first, then who admits its address. */
export function profileForTarget(profiles: readonly Profile[], host: string): Profile | null {
  return profiles.find((profile) => hostIn(profile.dial?.hosts ?? [], host)) ?? matchProfile(profiles, host);
}

/** Whether a host of a URI is one of those listed; an address is also looked for in listed networks. */
export function hostIn(hosts: readonly string[], host: string): boolean {
  const address = parseAddress(host);
  return hosts.some((listed) => {
    if (address === null) return listed === host.toLowerCase();
    const network = parseNetwork(listed);
    return network !== null && contains(network, address);
  });
}
