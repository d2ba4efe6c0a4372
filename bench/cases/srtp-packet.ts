import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { BenchCase } from '../case.ts';
import { buildNativeBench } from '../native-build.ts';

/** Each of five rounds has a fifth of them; the quickest counts. */
const PACKETS = 500_000;

interface SuiteCost {
  readonly suite: string;
  readonly protectNs: number;
  readonly openNs: number;
  readonly allocations: number;
  readonly asBuiltProtectNs: number;
  readonly asBuiltOpenNs: number;
  readonly asBuiltAllocations: number;
  readonly bytes: number;
}

/** Our sender and receiver beside libsrtp2 as Debian builds it. */
export const bench: BenchCase = {
  name: 'srtp-packet',
  question: 'what does SRTP add to a packet of G.711, in each direction?',
  target: 'under 500 ns a packet and direction, and no allocation',
  async run(report) {
    const program = join(buildNativeBench(), 'srtp_bench');
    const lines = execFileSync(program, [String(PACKETS)], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const peer = 'libsrtp2 as built (NSS)';
    for (const line of lines) {
      const cost = JSON.parse(line) as SuiteCost;
      const { suite } = cost;
      report({
        metric: `${suite}, protect`,
        value: cost.protectNs,
        unit: 'ns',
        peer,
        peerValue: cost.asBuiltProtectNs,
      });
      report({ metric: `${suite}, open`, value: cost.openNs, unit: 'ns', peer, peerValue: cost.asBuiltOpenNs });
      const allocations = { value: cost.allocations, unit: 'per packet', peer, peerValue: cost.asBuiltAllocations };
      report({ metric: `${suite}, allocations there and back`, ...allocations });
      report({ metric: `${suite}, memory of a leg's sender and receiver`, value: cost.bytes, unit: 'bytes' });
    }
  },
};
