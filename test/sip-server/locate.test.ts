import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { locate, orderSrv, Penalties, type Resolver, type SrvRecord } from '../../src/sip-server/core/locate.ts';
import type { Endpoint } from '../../src/sip-server/transport/flow.ts';
import { VirtualClock } from '../harness/clock.ts';
import { type Peer, response, streamPeer, udpPeer } from './peers.ts';
import { afterwards, application, endpoint, start } from './stand.ts';

const record = (name: string, priority: number, weight: number, port = 5060): SrvRecord => ({
  name,
  priority,
  weight,
  port,
});

/** DNS of one domain. */
function zone(srv: Record<string, SrvRecord[]>, addresses: Record<string, string[]>): Resolver & { asked: string[] } {
  const asked: string[] = [];
  const find = async <T>(table: Record<string, T[]>, name: string) => {
    asked.push(name);
    const found = table[name];
    if (found === undefined) throw new Error('ENOTFOUND');
    return found;
  };
  return { asked, srv: (name) => find(srv, name), addresses: (host, family) => find(addresses, `${host}/${family}`) };
}

describe('where a domain’s requests go (RFC 3263)', () => {
  const dns = zone(
    {
      '_sip._udp.carrier.test': [record('b.test', 20, 0, 5070), record('a.test', 10, 0, 5080)],
      '_sips._tcp.carrier.test': [record('t.test', 1, 1, 5061)],
    },
    {
      'a.test/4': ['192.0.2.1', '192.0.2.2'],
      'b.test/4': ['192.0.2.3'],
      't.test/4': ['192.0.2.4'],
      'carrier.test/4': ['192.0.2.9'],
      'carrier.test/6': ['2001:db8::9'],
    },
  );
  it.each([
    ['an address', { host: '192.0.2.7', port: undefined, protocol: 'udp', family: 4 }, ['192.0.2.7:5060']],
    ['an address, over TLS', { host: '192.0.2.7', port: undefined, protocol: 'tls', family: 4 }, ['192.0.2.7:5061']],
    [
      'SRV, the lowest priority first',
      { host: 'carrier.test', port: undefined, protocol: 'udp', family: 4 },
      ['192.0.2.1:5080', '192.0.2.2:5080', '192.0.2.3:5070'],
    ],
    ['SRV of sips', { host: 'carrier.test', port: undefined, protocol: 'tls', family: 4 }, ['192.0.2.4:5061']],
    ['no SRV with a port', { host: 'carrier.test', port: 5090, protocol: 'udp', family: 4 }, ['192.0.2.9:5090']],
    [
      'the domain itself where there is no SRV',
      { host: 'carrier.test', port: undefined, protocol: 'tcp', family: 4 },
      ['192.0.2.9:5060'],
    ],
    [
      'IPv6 for an endpoint of IPv6',
      { host: 'carrier.test', port: 5060, protocol: 'udp', family: 6 },
      ['2001:db8::9:5060'],
    ],
    ['nowhere', { host: 'nobody.test', port: undefined, protocol: 'udp', family: 4 }, []],
  ] as const)('%s', async (_, wanted, expected) => {
    const ways = await locate(dns, wanted, () => 0);
    expect(ways.map(({ address, port }) => `${address}:${port}`)).toEqual(expected);
  });

  it('takes no more than eight of them', async () => {
    const many = Array.from({ length: 40 }, (_, i) => record(`h${i}.test`, i, 0));
    const addresses = Object.fromEntries(many.map(({ name }) => [`${name}/4`, ['192.0.2.1', '192.0.2.2']]));
    const big = zone({ '_sip._udp.big.test': many }, addresses);
    expect(await locate(big, { host: 'big.test', port: undefined, protocol: 'udp', family: 4 })).toHaveLength(8);
    expect(big.asked).toHaveLength(5);
  });

  // RFC 2782: of weights 0, 1 and 3 a number up to 4 is drawn; then of what is left.
  it.each([
    [
      [0, 0, 0],
      ['none', 'one', 'three'],
    ],
    [
      [0.25, 0, 0],
      ['one', 'none', 'three'],
    ],
    [
      [0.26, 0, 0],
      ['three', 'none', 'one'],
    ],
    [
      [1, 1, 0],
      ['three', 'one', 'none'],
    ],
  ])('draws by weight: %j', (draws, expected) => {
    const records = [record('three', 1, 3), record('none', 1, 0), record('one', 1, 1)];
    let next = 0;
    expect(orderSrv(records, () => draws[next++] ?? 0).map(({ name }) => name)).toEqual(expected);
  });

  it('asks who failed last for a minute', async () => {
    const clock = new VirtualClock();
    const penalties = new Penalties(clock);
    const [a, b] = [
      { address: '192.0.2.1', port: 5060 },
      { address: '192.0.2.2', port: 5060 },
    ] as const;
    penalties.give('udp', a);
    expect(penalties.sort('udp', [a, b])).toEqual([b, a]);
    expect(penalties.sort('tcp', [a, b])).toEqual([a, b]);
    await clock.advance(60_000);
    expect(penalties.sort('udp', [a, b])).toEqual([a, b]);
  });
});

describe('a request to a domain of two hosts', () => {
  async function twoHosts(ports: { first: number; second: number }, clock?: VirtualClock) {
    const srv = [record('one.test', 1, 0, ports.first), record('two.test', 2, 0, ports.second)];
    const dns = zone(
      { '_sip._udp.carrier.test': srv, '_sip._tcp.carrier.test': srv },
      { 'one.test/4': ['127.0.0.1'], 'two.test/4': ['127.0.0.1'] },
    );
    const server = await start({ resolver: dns, ...(clock === undefined ? {} : { clock }) });
    answersTo.port = endpoint(server, 'udp').port;
    return { server, app: await application(server) };
  }
  /** The server, once it is there: its DNS must know the peers first. */
  const answersTo = { protocol: 'udp', address: '127.0.0.1', port: 0 } satisfies Endpoint;
  const peerOf = async (): Promise<Peer> => {
    const peer = await udpPeer(answersTo);
    afterwards(() => peer.close());
    return peer;
  };
  const invite = (uri: string) => `sip|||\r\nINVITE ${uri} SIP/2.0\r\nTo: <${uri}>\r\n\r\n`;
  const branchOf = (text: string) => /branch=([^;\r]+)/.exec(text)?.[1];

  it('goes to the second where the first is not there, at once the next time', async () => {
    const second = await tcpHost();
    const { server, app } = await twoHosts({ first: await freePort(), second: second.port });
    app.send(invite('sip:they@carrier.test;transport=tcp'));
    const peer = await second.connected;
    peer.send(response('486 Busy Here', await peer.inbox.next('INVITE sip:they@')));
    await app.inbox.next('SIP/2.0 486');
    expect(server.counters().failed_over).toBe(1);
    app.send(invite('sip:others@carrier.test;transport=tcp'));
    await peer.inbox.next('INVITE sip:others@');
    expect(server.counters().failed_over).toBe(1);
  });

  it('goes to the second where the first answers 503, which is acknowledged, under a branch of its own', async () => {
    const [first, second] = [await peerOf(), await peerOf()];
    const { server, app } = await twoHosts({ first: first.port, second: second.port });
    app.send(invite('sip:they@carrier.test'));
    const refused = await first.inbox.next('INVITE ');
    first.send(response('503 Service Unavailable', refused));
    expect(branchOf(await first.inbox.next('ACK '))).toBe(branchOf(refused));
    const came = await second.inbox.next('INVITE ');
    expect(branchOf(came)).not.toBe(branchOf(refused));
    second.send(response('200 OK', came, { lines: [`Contact: <sip:they@127.0.0.1:${second.port}>`] }));
    await app.inbox.next('SIP/2.0 200 OK');
    expect([app.inbox.count('SIP/2.0 503'), server.counters().failed_over]).toEqual([0, 1]);
  });

  it('goes to the second where the first says nothing', async () => {
    const clock = new VirtualClock();
    const [first, second] = [await peerOf(), await peerOf()];
    const { app } = await twoHosts({ first: first.port, second: second.port }, clock);
    app.send(invite('sip:they@carrier.test'));
    await first.inbox.next('INVITE ');
    await clock.advance(32_000);
    await second.inbox.next('INVITE ');
  });

  it('stays where it began to be answered', async () => {
    const [first, second] = [await peerOf(), await peerOf()];
    const { server, app } = await twoHosts({ first: first.port, second: second.port });
    app.send(invite('sip:they@carrier.test'));
    const came = await first.inbox.next('INVITE ');
    first.send(response('180 Ringing', came));
    await app.inbox.next('SIP/2.0 180');
    first.send(response('503 Service Unavailable', came));
    await app.inbox.next('SIP/2.0 503');
    expect([server.counters().failed_over, second.inbox.count('INVITE ')]).toEqual([0, 0]);
  });

  it('fails once where nobody is there', async () => {
    const { server, app } = await twoHosts({ first: await freePort(), second: await freePort() });
    app.send(invite('sip:they@carrier.test;transport=tcp'));
    await app.inbox.next('SIP/2.0 503');
    expect([app.inbox.count('SIP/2.0 503'), server.counters().failed_over]).toEqual([1, 1]);
    expect(server.gauges().transactions).toBe(0);
  });
});

/** Takes one connection. */
async function tcpHost(): Promise<{ port: number; connected: Promise<Peer> }> {
  const connected = Promise.withResolvers<Peer>();
  const server = createServer((socket) => {
    connected.resolve(streamPeer(socket, 'TCP'));
    afterwards(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connected: connected.promise };
}

/** Nobody listens there. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
