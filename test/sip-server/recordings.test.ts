import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/sip-server/limits.ts';
import { parseDraft } from '../../src/sip-server/message/build.ts';
import { parseMessage } from '../../src/sip-server/message/parse.ts';
import type { Flow } from '../../src/sip-server/transport/flow.ts';
import {
  networkFrame,
  proxyProgress,
  requestEcho,
  responseEcho,
  unsolicitedFrame,
} from '../../src/sip-server/wire/meta.ts';

const FOLDER = new URL('../../../shared/data/drachtio-wire/', import.meta.url);

interface Recorded {
  readonly file: string;
  readonly fromServer: boolean;
  readonly tokens: readonly string[];
  readonly message: string;
}

function recordings(): Recorded[] {
  const frames: Recorded[] = [];
  // Outbound mode, where the server dials, is not ours: there the marks are the other way round.
  for (const file of readdirSync(FOLDER).filter((name) => name !== 'listen.wire')) {
    const text = readFileSync(new URL(file, FOLDER), 'latin1');
    for (const mark of text.matchAll(/^@@ [\d.]+ conn\d+ (client->server|server->client)\r?\n(\d{1,5})#/gm)) {
      const from = mark.index + mark[0].length;
      const payload = text.slice(from, from + Number(mark[2]));
      const end = payload.indexOf('\r\n');
      const tokens = (end < 0 ? payload : payload.slice(0, end)).split('|');
      frames.push({
        file,
        fromServer: mark[1] === 'server->client',
        tokens,
        message: end < 0 ? '' : payload.slice(end + 2),
      });
    }
  }
  return frames;
}

const flow = {
  protocol: 'udp',
  local: { protocol: 'udp', address: '127.0.0.1', port: 5060 },
  remoteAddress: '127.0.0.2',
  remotePort: 5070,
} as Flow;
const metaOf = (frame: string) => frame.slice(0, frame.indexOf('\r\n')).split('|');
/** Where the named words stand, and how many tokens there are: what drachtio-srf reads by position. */
const shape = (tokens: readonly string[]) => [
  tokens.length,
  ...['sip', 'response', 'OK', 'network', 'application', 'unsolicited', 'Msg sent:', 'continue'].map((word) =>
    tokens.indexOf(word),
  ),
];

describe.skipIf(!existsSync(FOLDER))('recordings of drachtio-server (skipped where shared/data is not there)', () => {
  const frames = existsSync(FOLDER) ? recordings() : [];
  const withSip = frames.filter(({ message }) => message !== '');

  it('hold messages that our check accepts and drafts that we can read', () => {
    expect(withSip.length).toBeGreaterThan(200);
    for (const { file, fromServer, message } of withSip) {
      if (fromServer) expect([file, message, parseMessage(message, DEFAULT_LIMITS).kind]).not.toContain('fault');
      else expect([file, message, parseDraft(message)]).not.toContain(undefined);
    }
  });

  it('have their words where our frames have them', () => {
    const parts = { bytes: 1, flow, nowMs: 0, transactionId: 't', dialogId: 'd', isNew: false };
    const ours = new Set(
      [
        networkFrame(parts, ''),
        networkFrame({ ...parts, isNew: true }, ''),
        networkFrame({ ...parts, flow: undefined }, ''),
        unsolicitedFrame(flow, 0, 'd', ''),
        requestEcho('i', flow.local, 0, 't', ''),
        responseEcho({ id: 'i', flow, nowMs: 0, transactionId: 't', dialogId: 'd' }, ''),
        proxyProgress('i', flow, 0, ''),
      ].map((frame) => shape(metaOf(frame)).join()),
    );
    const theirs = withSip.filter(({ fromServer, tokens }) => fromServer && !tokens[1]?.startsWith('cdr:'));
    for (const { file, tokens } of theirs)
      expect([file, tokens.join('|'), ours.has(shape(tokens).join())]).toContain(true);
    expect(new Set(theirs.map(({ tokens }) => shape(tokens).join())).size).toBeGreaterThan(4);
  });
});
