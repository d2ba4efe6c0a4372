import { describe, expect, it } from 'vitest';
import { type LogFields, silentLog } from '../../src/lib/log.ts';
import { CounterReport, REPORT_MS } from '../../src/sip-server/counter-report.ts';
import { VirtualClock } from '../harness/clock.ts';
import { request } from './peers.ts';
import { stand } from './stand.ts';

function reporting(read: () => Readonly<Record<string, number>>) {
  const clock = new VirtualClock(0);
  const lines: { at: number; fields: LogFields | undefined }[] = [];
  const info = (_message: string, fields?: LogFields) => void lines.push({ at: clock.now(), fields });
  const report = new CounterReport({ read, clock, log: { ...silentLog, info } });
  return { clock, lines, report };
}

describe('the counters of the SIP server', () => {
  it('are written when they changed, once a minute', async () => {
    let faults = 0;
    const { clock, lines } = reporting(() => ({ faults }));
    await clock.advance(REPORT_MS);
    expect(lines).toEqual([]);
    faults = 1;
    await clock.advance(REPORT_MS / 2);
    faults = 2;
    await clock.advance(3 * REPORT_MS);
    expect(lines).toEqual([{ at: 2 * REPORT_MS, fields: { faults: 2 } }]);
  });

  it('are written at the end where they changed since, and no timer stays', () => {
    let faults = 0;
    const { clock, lines, report } = reporting(() => ({ faults }));
    faults = 3;
    report.end();
    report.end();
    expect(lines).toEqual([{ at: 0, fields: { faults: 3 } }]);
    expect(clock.pending).toBe(0);
  });

  it('show a datagram that is no SIP, short or long, and none that only keeps a NAT open', async () => {
    const { server, udp } = await stand();
    const { lines, report } = reporting(() => server.counters());
    for (const keepAlive of ['', '\r\n\r\n', '\u0000\u0000\u0000\u0000']) udp.send(keepAlive);
    for (const garbage of ['x', '\u0000garbage', 'garbage'.repeat(100)]) udp.send(garbage);
    // On one socket and in order: when this is answered, that has been seen.
    udp.send(request('BYE', { peer: udp, callId: 'after' }));
    await udp.inbox.next('SIP/2.0 481');
    report.end();
    expect(lines[0]?.fields).toMatchObject({ malformed_dropped: 3, malformed_answered: 0, requests_received: 1 });
  });
});
