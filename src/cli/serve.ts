import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Config, SipTls } from '../config/config.ts';
import { readConfig, SIP_SECRET_VARIABLE } from '../config/read.ts';
import { systemClock } from '../lib/clock.ts';
import { type ChildPlan, spawnCommand } from '../supervisor/child.ts';
import { cpuWaitsOf } from '../supervisor/cpu-waits.ts';
import { checkPorts, freeTcpPort, type PortClaim } from '../supervisor/ports.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { createLog } from '../telemetry/log.ts';

const USAGE = `usage: hushtone serve [--config FILE]

Starts SIP server, control, media workers and, where a flow uses it, the sandbox gateway; restarts what ends or hangs.
Without --config it reads hushtone.yaml of this folder where there is one; without that, the defaults stand.
Ctrl-C lets calls finish for drainMs; a second Ctrl-C ends everything at once.

examples:
  npx hushtone serve
  npx hushtone serve --config /etc/hushtone/hushtone.yaml
  HUSHTONE_HTTP_PORT=8180 npx hushtone serve
`;

const EXIT_OK = 0;
const EXIT_KILLED = 130;
/** One press of Ctrl-C may arrive twice: from the terminal and from the process that started us. */
const SAME_PRESS_MS = 300;
const SECRET_BYTES = 24;
const READY_ASK_MS_MAX = 2_000;

/** Runs until SIGINT or SIGTERM. Exit status: 0 drained, 1 could not start, 2 wrong arguments, 130 ended by force. */
export async function serveCommand(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const file = values.config ?? null;
  const config = readConfig({ file, environment: process.env, directory: process.cwd(), judgeCertificates: true });
  await checkPorts(claimsOf(config));
  mkdirSync(join(config.varDir, 'run'), { recursive: true, mode: 0o700 });

  const log = createLog({ level: config.log.level, process: 'supervisor', stream: process.stderr });
  const supervisor = new Supervisor(
    { children: await childrenOf(config, file), drains: 'control', drainMs: config.drainMs },
    {
      clock: systemClock,
      log,
      start: spawnCommand(fileURLToPath(new URL('hushtone.js', import.meta.url))),
      cpuWaits: cpuWaitsOf,
      isReady: () => isReady(config),
    },
  );
  const ended = onSignals(supervisor, config.drainMs);
  const started = supervisor.start().then((ready) => {
    if (ready) process.stdout.write(readyText(config));
  });
  return await Promise.race([ended, started.then(() => ended)]);
}

/** Every port that a part will ask for, with the key that says so. */
export function claimsOf(config: Config): PortClaim[] {
  const { server } = config.sip;
  const claims: PortClaim[] = [
    { protocol: 'tcp', address: config.http.address, port: config.http.port, key: 'http.port' },
  ];
  if (server.kind === 'embedded') {
    const { address } = server;
    claims.push(
      { protocol: 'udp', address, port: server.udpPort, key: 'sip.udpPort' },
      { protocol: 'tcp', address, port: server.tcpPort, key: 'sip.tcpPort' },
      { protocol: 'tcp', address, port: server.wsPort, key: 'sip.wsPort' },
      { protocol: 'tcp', address: '127.0.0.1', port: server.adminPort, key: 'sip.adminPort' },
    );
    if (server.tls !== null) {
      claims.push(
        { protocol: 'tcp', address, port: server.tls.port, key: 'sip.tls.port' },
        { protocol: 'tcp', address, port: server.tls.wssPort, key: 'sip.tls.wssPort' },
      );
    }
  }
  if (config.sandbox.run) {
    claims.push({ protocol: 'tcp', address: '127.0.0.1', port: config.sandbox.port, key: 'sandbox.port' });
  }
  return claims;
}

async function childrenOf(config: Config, file: string | null): Promise<ChildPlan[]> {
  const configArgs = file === null ? [] : ['--config', file];
  const secrets = { HUSHTONE_WORKER_SECRET: randomSecret() };
  const hangMs = config.hangMs === 0 ? null : config.hangMs;
  const children: ChildPlan[] = [];
  const control: string[] = ['control', ...configArgs];
  const environment: Record<string, string> = { ...secrets };

  const { server } = config.sip;
  if (server.kind === 'embedded') {
    const address = hostOf(server.address);
    const adminPort = server.adminPort === 0 ? await freeTcpPort('127.0.0.1') : server.adminPort;
    const sip = [
      `udp:${address}:${server.udpPort}`,
      `tcp:${address}:${server.tcpPort}`,
      `ws:${address}:${server.wsPort}`,
      ...(server.tls === null ? [] : [`tls:${address}:${server.tls.port}`, `wss:${address}:${server.tls.wssPort}`]),
    ];
    const sipSecret = randomSecret();
    environment[SIP_SECRET_VARIABLE] = sipSecret;
    control.push('--admin', String(adminPort));
    children.push({
      name: 'sip-server',
      argv: ['sip-server', '--admin', `127.0.0.1:${adminPort}`, '--sip', sip.join(','), ...tlsArguments(server.tls)],
      environment: { [SIP_SECRET_VARIABLE]: sipSecret },
      hangMs,
    });
  }
  if (config.sandbox.run) {
    const argv = ['sandbox-gateway', '--listen', `127.0.0.1:${config.sandbox.port}`];
    children.push({ name: 'sandbox-gateway', argv, environment: {}, hangMs });
  }
  for (let index = 0; index < config.media.workers; index++) {
    const argv = ['worker', '--index', String(index), ...configArgs];
    children.push({ name: `worker-${index}`, argv, environment: secrets, hangMs });
  }
  children.push({ name: 'control', argv: control, environment, hangMs });
  return children;
}

function tlsArguments(tls: SipTls | null): string[] {
  if (tls === null) return [];
  const { certificate, key, authorities, clients } = tls;
  const ours = ['--tls-certificate', certificate, '--tls-key', key, '--tls-clients', clients];
  return authorities === undefined ? ours : [...ours, '--tls-authorities', authorities];
}

function randomSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

async function isReady(config: Config): Promise<boolean> {
  const answer = await fetch(`${httpUrl(config)}/readyz`, { signal: AbortSignal.timeout(READY_ASK_MS_MAX) });
  await answer.arrayBuffer();
  return answer.ok;
}

/** The first signal drains, the second kills. Settles with the exit status when everything has ended. */
function onSignals(supervisor: Supervisor, drainMs: number): Promise<number> {
  return new Promise((resolve) => {
    let firstAt: number | null = null;
    // What was killed has drained too, in a way.
    let isKilled = false;
    const onSignal = () => {
      const now = systemClock.now();
      if (firstAt === null) {
        firstAt = now;
        process.stdout.write(`Ending: calls may go on for ${drainMs / 1000} s. Ctrl-C again ends at once.\n`);
        void supervisor.drain().then(() => resolve(isKilled ? EXIT_KILLED : EXIT_OK));
      } else if (now - firstAt > SAME_PRESS_MS) {
        isKilled = true;
        void supervisor.kill().then(() => resolve(EXIT_KILLED));
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    process.on('SIGHUP', onSignal);
  });
}

function httpUrl(config: Config): string {
  return `http://${hostOf(reachable(config.http.address))}:${config.http.port}`;
}

/** As it stands in a URI. */
function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Where a process of this machine finds what listens on every address. */
function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return /^[0:]+$/.test(address) ? '::1' : address;
}

function readyText(config: Config): string {
  const { server } = config.sip;
  const host = server.kind === 'embedded' ? hostOf(reachable(server.address)) : server.host;
  const call =
    server.kind === 'embedded'
      ? [
          `  call   sip:pay@${host}:${server.udpPort}      (SIP over UDP, and over TCP on ${server.tcpPort})`,
          `         ws://${host}:${server.wsPort}           (SIP over WebSocket)`,
          ...(server.tls === null
            ? []
            : [
                `         sips:pay@${host}:${server.tls.port}     (SIP over TLS, and over WSS on ${server.tls.wssPort})`,
              ]),
        ]
      : [`  call   through the drachtio-server on ${host}:${server.port}`];
  return [
    'Hushtone is ready.',
    ...call,
    `  open   ${httpUrl(config)}/docs`,
    `  keep   ${config.store.file}`,
    '  stop   Ctrl-C',
    '',
  ].join('\n');
}
