import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { request, udpPeer } from '../sip-server/peers.ts';

const ENTRY = fileURLToPath(new URL('../../src/cli/hushtone.js', import.meta.url));

describe('hushtone sip-server', () => {
  it('ends on SIGTERM with a line of JSON that counts what was malformed', async () => {
    const argv = ['sip-server', '--admin', '127.0.0.1:0', '--sip', 'udp:127.0.0.1:0'];
    const child = spawn(process.execPath, [ENTRY, ...argv], {
      env: { ...process.env, HUSHTONE_SIP_SECRET: 'only for this test' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    const exited = once(child, 'exit');
    const [ready] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(/udp:127\.0\.0\.1:(\d+)/.exec(ready.toString())?.[1]);
    const peer = await udpPeer({ protocol: 'udp', address: '127.0.0.1', port });
    peer.send('not a word of SIP');
    peer.send(request('OPTIONS', { peer, callId: 'after' }));
    await peer.inbox.next('SIP/2.0 503');
    peer.close();
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    const lines = errors.trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      process: 'sip-server',
      msg: 'sip counters',
      malformed_dropped: 1,
      requests_received: 1,
      requests_without_application: 1,
    });
  });
});
