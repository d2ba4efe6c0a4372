import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeMediaPort, freeUdpPort } from './free-ports.ts';

const SIPP = '/usr/bin/sipp';
/** A target that is never hung up on ends by itself. */
const CALL_S_MAX = 60;

/** SIPp binds sockets for media of its own. */
export const canAnswer = existsSync(SIPP);

export interface SipTarget {
  readonly uri: string;
  /** Its answer was acknowledged: the call stands. */
  hasAnswered(): boolean;
  /** True once its one call was answered and hung up by the other side; false where it ended otherwise. */
  readonly hungUpOn: Promise<boolean>;
}

/** SIPp as whoever a call is given to: it answers one INVITE and waits for the BYE. */
export async function answeringTarget(): Promise<SipTarget> {
  const [port, mediaPort] = [await freeUdpPort(), await freeMediaPort()];
  const own = ['-i', '127.0.0.1', '-p', String(port), '-mp', String(mediaPort)];
  const limits = ['-m', '1', '-nostdin', '-timeout', `${CALL_S_MAX}s`, '-timeout_error'];
  const messages = join(mkdtempSync(join(tmpdir(), 'hushtone-target-')), 'messages.log');
  const trace = ['-trace_msg', '-message_file', messages];
  const target = spawn(SIPP, ['-sn', 'uas', ...own, ...limits, ...trace], { stdio: 'ignore', env: { TERM: 'dumb' } });
  const hungUpOn = new Promise<boolean>((resolve) => target.once('exit', (status) => resolve(status === 0)));
  const hasAnswered = () => existsSync(messages) && /^ACK sip:/m.test(readFileSync(messages, 'utf8'));
  return { uri: `sip:target@127.0.0.1:${port}`, hasAnswered, hungUpOn };
}
