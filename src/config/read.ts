import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineCounter, parseDocument } from 'yaml';
import type { GatewayVerb } from '../app/ports.ts';
import { systemClock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import { Sensitive } from '../lib/sensitive.ts';
import { loadTlsFiles, outOfTime, TlsFileFault } from '../lib/tls-files.ts';
import type { Flow } from '../session/flow.ts';
import { check, type Fault } from './check.ts';
import type { Config, EgressHost, EgressSign, GatewayConfig, SipConfig, SipTls } from './config.ts';
import { applyEnvironment, type Environment } from './environment.ts';
import { readFlow } from './flows.ts';
import { type ConfigFile, ConfigSchema } from './schema.ts';

const FILE_BYTES_MAX = 1_048_576;
const FAULTS_SHOWN_MAX = 50;
const SECRET_CHARS_MAX = 4_096;
const API_KEY_CHARS_MIN = 20;
const ALL_VERBS: readonly GatewayVerb[] = ['authorize', 'capture', 'purchase', 'void', 'refund', 'lookup'];
const DIALECT_VERBS = { connector: ['purchase'], hushtone: ALL_VERBS } as const;
/** Headers that requests have without a signature: the adapters' and those of native/egress/http.cc. */
const HEADERS_TAKEN: ReadonlySet<string> = new Set(
  'accept content-type authorization host content-length connection transfer-encoding accept-encoding expect te trailer upgrade keep-alive'.split(
    ' ',
  ),
);
/** Where this program lies, with profiles and prompts. */
const SHIPPED = fileURLToPath(new URL('../..', import.meta.url));
const UNSPECIFIED = /^(0\.0\.0\.0|[0:]+)$/;
const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;

export interface ReadOptions {
  /** The file's path; null reads `hushtone.yaml` of the working directory where there is one, else the defaults. */
  readonly file: string | null;
  readonly environment: Environment;
  /** Relative paths of the defaults stand in this folder; those of a file, in the file's folder. */
  readonly directory: string;
  /**
   * Whether certificates are looked into: where somebody starts or checks. A process that is started again must not fail
   * over one that has expired meanwhile, and needs no key of TLS.
   */
  readonly judgeCertificates?: boolean;
}

/**
 * Reads, checks and completes the configuration.
 * Throws ServiceError CONFIG_INVALID; its message has one line for each fault: file, line, key path, what was expected.
 */
export function readConfig(options: ReadOptions): Config {
  const found = resolve(options.directory, options.file ?? 'hushtone.yaml');
  const file = options.file !== null || existsSync(found) ? found : null;
  const text = file === null ? '' : readText(file);
  return parseConfig(text, { ...options, file });
}

function readText(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message;
    throw new ServiceError('CONFIG_INVALID', `${file}: expected a readable file, found ${reason}`);
  }
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    throw new ServiceError('CONFIG_INVALID', `${file}: expected at most ${FILE_BYTES_MAX} bytes`);
  }
  return text;
}

/** As readConfig, on the file's text. */
export function parseConfig(text: string, options: ReadOptions): Config {
  const label = options.file ?? 'embedded defaults';
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    const messages = document.errors.map((error) => `${label}:${lines.linePos(error.pos[0]).line}: ${error.message}`);
    throw new ServiceError('CONFIG_INVALID', messages.slice(0, FAULTS_SHOWN_MAX).join('\n'));
  }
  const faults: Fault[] = [];
  let tree: unknown;
  try {
    tree = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new ServiceError('CONFIG_INVALID', `${label}: ${(error as Error).message}`);
  }
  const checked = check(ConfigSchema, applyEnvironment(tree, options.environment, faults), faults);
  const config = faults.length === 0 ? complete(checked as ConfigFile, options, faults) : null;
  if (config !== null && faults.length === 0) return config;
  const lineOf = (path: string) => {
    const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
    for (; keys.length > 0; keys.pop()) {
      const node = document.getIn(keys, true) as { range?: [number, number, number] } | undefined;
      if (node?.range) return `:${lines.linePos(node.range[0]).line}`;
    }
    return '';
  };
  const messages = faults.slice(0, FAULTS_SHOWN_MAX).map(({ path, message }) => {
    return `${label}${lineOf(path)}: ${path === '' ? 'the whole file' : path} ${message}`;
  });
  if (faults.length > FAULTS_SHOWN_MAX) messages.push(`${label}: and ${faults.length - FAULTS_SHOWN_MAX} more`);
  throw new ServiceError('CONFIG_INVALID', messages.join('\n'), { detail: { faults: faults.length } });
}

function complete(file: ConfigFile, options: ReadOptions, faults: Fault[]): Config {
  const base = options.file === null ? options.directory : dirname(options.file);
  const path = (name: string) => resolve(base, name);
  const pathOrNull = (name: string | undefined) => (name === undefined ? null : path(name));
  const secret: ReadSecret = (key, value, charsMin = 1) =>
    readSecret(key, value, { base, charsMin, environment: options.environment }, faults);
  const varDir = path(file.varDir);
  const gateways = new Map<string, GatewayConfig>();
  const signs = new Map<string, EgressSign>();
  for (const [name, gateway] of Object.entries(file.gateways)) {
    const at = `gateways.${name}`;
    const url = gateway.url ?? `http://127.0.0.1:${file.sandbox.port}`;
    if (!URL.canParse(url)) faults.push({ path: `${at}.url`, message: `expected a URL, found "${url}"` });
    else if (/^http:/.test(url) && !LOOPBACK.test(new URL(url).hostname.replace(/^\[|\]$/g, ''))) {
      faults.push({ path: `${at}.url`, message: 'expected https (http only towards loopback)' });
    }
    const caFile = pathOrNull(gateway.caFile);
    if (caFile !== null && !existsSync(caFile)) {
      faults.push({ path: `${at}.caFile`, message: `expected a file of certificates, found none at ${caFile}` });
    }
    if (gateway.kind === 'sandbox') {
      const key = gateway.key === undefined ? null : secret(`${at}.key`, gateway.key);
      gateways.set(name, { kind: 'sandbox', url, key, caFile });
      continue;
    }
    const possible: readonly GatewayVerb[] = DIALECT_VERBS[gateway.dialect];
    for (const verb of gateway.verbs ?? []) {
      if (!possible.includes(verb))
        faults.push({ path: `${at}.verbs`, message: `expected only ${possible.join(', ')}` });
    }
    if (gateway.sign !== undefined) signs.set(name, readSign(`${at}.sign`, gateway.sign, secret, faults));
    const { dialect, username } = gateway;
    const password = secret(`${at}.password`, gateway.password);
    gateways.set(name, {
      kind: 'generic-rest',
      url,
      dialect,
      username,
      password,
      caFile,
      verbs: gateway.verbs ?? possible,
    });
  }
  const flows = new Map<string, Flow>();
  for (const [name, flow] of Object.entries(file.flows)) {
    flows.set(name, readFlow(name, flow, [...gateways.keys()], faults));
  }
  if (flows.size === 0) faults.push({ path: 'flows', message: 'expected at least one flow' });
  if (file.media.portLast - file.media.portFirst < 1) {
    faults.push({ path: 'media.portLast', message: `expected more than portFirst (${file.media.portFirst})` });
  }
  const keys = file.http.keys.map((key, index) => secret(`http.keys[${index}]`, key, API_KEY_CHARS_MIN));
  if (keys.length === 0 && !LOOPBACK.test(file.http.address)) {
    faults.push({ path: 'http.address', message: 'expected a loopback address, because http.keys is empty' });
  }
  const addresses = {
    'sip.address': file.sip.address,
    'media.address': file.media.address,
    'http.address': file.http.address,
  };
  for (const [key, address] of Object.entries(addresses)) {
    if (isIP(address) === 0) faults.push({ path: key, message: `expected an IP address, found "${address}"` });
  }
  // RFC 3264 §5.1 and RFC 2543: a session at 0.0.0.0 is on hold; nobody could answer to it.
  if (UNSPECIFIED.test(file.media.address)) {
    const message = `expected the address that callers reach, found "${file.media.address}", which no SDP may say`;
    faults.push({ path: 'media.address', message });
  }
  const overrides = pathOrNull(file.prompts.overrides);
  if (overrides !== null && !existsSync(overrides)) {
    faults.push({ path: 'prompts.overrides', message: `expected a folder, found none at ${overrides}` });
  }
  const folder = (key: string, given: string | undefined, shipped: string) => {
    const found = path(given ?? shipped);
    if (existsSync(found)) return found;
    if (given !== undefined) faults.push({ path: key, message: `expected a folder, found none at ${found}` });
    return resolve(SHIPPED, shipped);
  };
  for (const message of sharedPorts(file)) faults.push(message);
  const tls = readTls(file, path);
  if (tls !== null && options.judgeCertificates === true) judgeCertificate(tls, faults);
  const run = Object.values(file.gateways).some((gateway) => gateway.kind === 'sandbox' && gateway.url === undefined);
  return {
    file: options.file,
    varDir,
    sip: readSip(file, {
      profiles: folder('sip.profiles', file.sip.profiles, 'sip-profiles'),
      tls,
      secret,
      environment: options.environment,
    }),
    media: { ...file.media, workers: file.media.workers === 0 ? availableParallelism() : file.media.workers },
    http: { ...file.http, keys },
    store: {
      file: file.store.file === undefined ? resolve(varDir, 'hushtone.db') : path(file.store.file),
      retentionDays: file.store.retentionDays,
    },
    prompts: { directory: folder('prompts.directory', file.prompts.directory, 'prompts'), overrides },
    sandbox: { run, port: file.sandbox.port },
    gateways,
    flows,
    worker: { egress: readEgress(file, gateways, signs, faults), legsMax: file.worker.legsMax },
    limits: file.limits,
    hangMs: file.hangMs,
    drainMs: file.drainMs,
    log: file.log,
  };
}

/** Two keys that ask for the same TCP port: each is free by itself, so only here it can be seen. */
function sharedPorts(file: ConfigFile): Fault[] {
  const ports: [key: string, port: number][] = [
    ['http.port', file.http.port],
    ['sandbox.port', file.sandbox.port],
  ];
  if (file.sip.server === 'embedded') {
    ports.push(
      ['sip.tcpPort', file.sip.tcpPort],
      ['sip.wsPort', file.sip.wsPort],
      ...(file.sip.tls === undefined ? [] : tlsPorts(file.sip.tls)),
      ['sip.adminPort', file.sip.adminPort],
    );
  }
  return ports.flatMap(([key, port], index) => {
    const earlier = ports.slice(0, index).find(([, other]) => other === port && port !== 0);
    return earlier === undefined
      ? []
      : [{ path: key, message: `expected a port of its own, found ${port}, which ${earlier[0]} has too` }];
  });
}

function tlsPorts({ port, wssPort }: { port: number; wssPort: number }): [key: string, port: number][] {
  return [
    ['sip.tls.port', port],
    ['sip.tls.wssPort', wssPort],
  ];
}

/** With absolute paths. */
function readTls(file: ConfigFile, path: (name: string) => string): SipTls | null {
  const given = file.sip.tls;
  if (given === undefined) return null;
  const { authorities, ...rest } = given;
  return {
    ...rest,
    certificate: path(given.certificate),
    key: path(given.key),
    ...(authorities === undefined ? {} : { authorities: path(authorities) }),
  };
}

/** A certificate that cannot be used is told now, not by the SIP server when it starts. */
function judgeCertificate(tls: SipTls, faults: Fault[]): void {
  try {
    const late = outOfTime(loadTlsFiles(tls), tls, systemClock.now());
    if (late !== null) throw late;
  } catch (error) {
    if (!(error instanceof TlsFileFault)) throw error;
    faults.push({ path: `sip.tls.${error.which}`, message: `expected a file that can be used: ${error.message}` });
  }
}

type SecretText = string | { file: string } | { env: string };
type ReadSecret = (key: string, value: SecretText, charsMin?: number) => Sensitive<string>;

/**
 * The supervisor draws the embedded server's secret and port and hands both to its children in these variables, so that
 * each can read the file by itself.
 */
export const SIP_SECRET_VARIABLE = 'HUSHTONE_SIP_SECRET';

function readSip(
  file: ConfigFile,
  parts: { profiles: string; tls: SipTls | null; secret: ReadSecret; environment: Environment },
): SipConfig {
  const { profiles, tls, secret, environment } = parts;
  const { server, address, udpPort, tcpPort, wsPort, adminPort } = file.sip;
  const secrets = new Map(
    Object.entries(file.sip.secrets).map(([name, value]) => [name, secret(`sip.secrets.${name}`, value)] as const),
  );
  if (server !== 'embedded') {
    const { host, port } = server.drachtio;
    const password = secret('sip.server.drachtio.secret', server.drachtio.secret);
    return { server: { kind: 'drachtio', host, port, secret: password }, profiles, secrets };
  }
  const given = environment[SIP_SECRET_VARIABLE];
  const random = new Sensitive('SIP server secret', given || randomBytes(24).toString('base64url'));
  const ports = { udpPort, tcpPort, wsPort, adminPort };
  const embedded = { kind: 'embedded', address, ...ports, tls, secret: random } as const;
  return { server: embedded, profiles, secrets };
}

function readSecret(
  key: string,
  value: SecretText,
  options: { base: string; environment: Environment; charsMin: number },
  faults: Fault[],
): Sensitive<string> {
  const label = key.replace(/^.*\.(?=[^.]+\.[^.]+$)/, '');
  let text: string | undefined;
  let place = 'the file';
  if (typeof value === 'string') text = value;
  else if ('env' in value) {
    text = options.environment[value.env];
    place = `environment variable ${value.env}`;
  } else {
    const name = resolve(options.base, value.file);
    place = `file ${name}`;
    try {
      text = readFileSync(name, 'utf8').trim();
    } catch {
      text = undefined;
    }
  }
  if (text === undefined || text.length < options.charsMin || text.length > SECRET_CHARS_MAX) {
    const size = `${options.charsMin} to ${SECRET_CHARS_MAX} characters`;
    const state = text === undefined ? 'none that can be read' : `one of ${text.length}`;
    faults.push({ path: key, message: `expected a secret of ${size} in ${place}, found ${state}` });
  }
  return new Sensitive(label, text ?? '');
}

type SignFile = NonNullable<Extract<ConfigFile['gateways'][string], { kind: 'generic-rest' }>['sign']>;

function readSign(at: string, sign: SignFile, secret: ReadSecret, faults: Fault[]): EgressSign {
  if (HEADERS_TAKEN.has(sign.header.toLowerCase())) {
    faults.push({
      path: `${at}.header`,
      message: `expected a header that the request has not, found "${sign.header}"`,
    });
  }
  const isKeyed = sign.kind === 'hmac-sha256';
  if (isKeyed && sign.secret === undefined)
    faults.push({ path: `${at}.secret`, message: 'is missing; hmac-sha256 needs one' });
  if (!isKeyed && sign.secret !== undefined)
    faults.push({ path: `${at}.secret`, message: 'expected none with kind sha256' });
  if (!isKeyed && sign.prefix.includes('{timestamp}')) {
    faults.push({ path: `${at}.prefix`, message: 'expected no {timestamp} with kind sha256, which does not cover it' });
  }
  const key = isKeyed && sign.secret !== undefined ? secret(`${at}.secret`, sign.secret) : null;
  const { header, kind, encoding, prefix, suffix } = sign;
  return { header, kind, encoding, prefix, suffix, secret: key };
}

/**
 * The worker may reach what is listed, or else the gateways, and nothing besides; below each gateway's own path only,
 * which also says how a body is signed.
 */
function readEgress(
  file: ConfigFile,
  gateways: ReadonlyMap<string, GatewayConfig>,
  signs: ReadonlyMap<string, EgressSign>,
  faults: Fault[],
): readonly EgressHost[] {
  const signOf = new Map<string, { name: string; text: string }>();
  const derived = [...gateways].flatMap(([name, { url, caFile }]) => {
    if (!URL.canParse(url)) return [];
    const parsed = new URL(url);
    const tls = parsed.protocol === 'https:';
    const sign = signs.get(name) ?? null;
    const place = parsed.origin + parsed.pathname;
    const given = file.gateways[name];
    const text = JSON.stringify((given?.kind === 'generic-rest' && given.sign) || null);
    const other = signOf.get(place);
    if (other !== undefined && other.text !== text) {
      const message = `expected as gateways.${other.name} has it, whose url is the same`;
      faults.push({ path: `gateways.${name}.sign`, message });
    }
    signOf.set(place, { name, text });
    const port = Number(parsed.port || (tls ? 443 : 80));
    return [{ host: parsed.hostname.toLowerCase(), port, tls, caFile, paths: [parsed.pathname], sign }];
  });
  if (file.worker.egress === undefined) return derived;
  const allowed = file.worker.egress.map((entry) => entry.toLowerCase());
  for (const { host, port } of derived) {
    if (allowed.includes(`${host}:${port}`)) continue;
    faults.push({
      path: 'worker.egress',
      message: `expected ${host}:${port} in the list, which a gateway's url names`,
    });
  }
  return derived.filter(({ host, port }) => allowed.includes(`${host}:${port}`));
}
