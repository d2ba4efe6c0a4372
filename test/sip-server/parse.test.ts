import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/sip-server/limits.ts';
import { parseDraft } from '../../src/sip-server/message/build.ts';
import type { Fault, SipMessage } from '../../src/sip-server/message/message.ts';
import { parseNameAddr, splitList } from '../../src/sip-server/message/name-addr.ts';
import { parseMessage } from '../../src/sip-server/message/parse.ts';
import { markVia, parseVia } from '../../src/sip-server/message/via.ts';
import { cases } from '../harness/fuzz.ts';

const DrachtioMessage = createRequire(import.meta.url)('drachtio-srf/lib/sip-parser/message.js');
const TORTURE = new URL('../../../shared/data/sip-torture/', import.meta.url);
const parse = (text: string): SipMessage | Fault => parseMessage(text, DEFAULT_LIMITS);

const INVITE = [
  'INVITE sip:pay@127.0.0.1 SIP/2.0',
  'Via: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK1;rport',
  'From: "Caller, A" <sip:a@127.0.0.2>;tag=f1',
  'To: <sip:pay@127.0.0.1>',
  'Call-ID: c1@127.0.0.2',
  'CSeq: 1 INVITE',
  'Contact: <sip:a@127.0.0.2:5070>',
  'Max-Forwards: 70',
];
const message = (lines: readonly string[], body = '') =>
  `${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const replaced = (start: string, line: string) => message(INVITE.map((old) => (old.startsWith(start) ? line : old)));
const statusOf = (text: string) => {
  const result = parse(text);
  return result.kind === 'fault' ? (result.answer === undefined ? 0 : result.status) : 'accepted';
};

describe('the strict check', () => {
  it('accepts an ordinary INVITE and keeps what routing needs', () => {
    const result = parse(message(INVITE, 'v=0\r\n'));
    expect(result).toMatchObject({
      kind: 'request',
      method: 'INVITE',
      cseq: 1,
      callId: 'c1@127.0.0.2',
      body: 'v=0\r\n',
    });
  });

  it.each([
    ['an unknown version', replaced('INVITE', 'INVITE sip:a@b SIP/7.0'), 505],
    ['an unknown scheme', replaced('INVITE', 'INVITE http://a/b SIP/2.0'), 416],
    ['two spaces in the request line', replaced('INVITE', 'INVITE  sip:a@b SIP/2.0'), 400],
    ['a CSeq of another method', replaced('CSeq', 'CSeq: 1 BYE'), 400],
    ['a CSeq of 2^31', replaced('CSeq', 'CSeq: 2147483648 INVITE'), 400],
    ['a missing From', message(INVITE.filter((line) => !line.startsWith('From'))), 400],
    ['two Call-IDs', message([...INVITE, 'Call-ID: other']), 400],
    ['an open quote', replaced('To', 'To: "Mr. J. User <sip:j@example.com>'), 400],
    ['a Content-Length beyond the datagram', `${INVITE.join('\r\n')}\r\nContent-Length: 9\r\n\r\nv=0`, 400],
    ['a negative Content-Length', `${INVITE.join('\r\n')}\r\nContent-Length: -9\r\n\r\n`, 400],
    ['credentials without a scheme', message([...INVITE, 'Authorization: a=<']), 400],
    ['a NUL in a header', message([...INVITE, 'Subject: a\u0000b']), 400],
    ['a Max-Forwards of 300', replaced('Max', 'Max-Forwards: 300'), 400],
    ['a bar in the Call-ID, which would split a meta line', replaced('Call-ID', 'Call-ID: a|b'), 400],
    ['a message without Via, which has no way back', message(INVITE.filter((line) => !line.startsWith('Via'))), 0],
    [
      'a malformed ACK, which is never answered',
      message(INVITE.map((l) => l.replace('INVITE', 'ACK'))).replace('To: <', 'To: '),
      0,
    ],
    ['headers beyond their limit', message([...INVITE, `X-Long: ${'x'.repeat(DEFAULT_LIMITS.headerBytesMax)}`]), 0],
  ])('refuses %s', (_name, text, status) => {
    expect(statusOf(text)).toBe(status);
  });

  it('joins folded lines and understands compact names', () => {
    const lines = INVITE.map((line) => line.replace(/^From:/, 'f:').replace(/^To: /, 't:\r\n  '));
    expect(parse(message(lines))).toMatchObject({ kind: 'request', to: { uri: 'sip:pay@127.0.0.1' } });
  });

  it('ignores bytes behind Content-Length in a datagram', () => {
    expect(parse(`${message(INVITE, 'v=0\r\n')}INVITE again`)).toMatchObject({ kind: 'request', body: 'v=0\r\n' });
  });

  it('takes linear time on addresses that drachtio-srf alone would chew on for minutes', () => {
    const started = performance.now();
    for (const value of [`<${' '.repeat(8_000)}`, 'a '.repeat(4_000), `"${'\\'.repeat(7_999)}`, 'sip:'.repeat(2_000)]) {
      parse(replaced('To', `To: ${value}`));
      parse(replaced('Via', `Via: SIP/2.0/UDP ${value}`));
      parse(replaced('Contact', `Contact: ${value}`));
    }
    parse(replaced('Max', `X: ${' '.repeat(30_000)}\r\n folded`));
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

/** Whether drachtio-srf, reading the same text, throws in the message or in a header the application asks for. */
function drachtioThrows(result: SipMessage): string | undefined {
  try {
    const read = new DrachtioMessage(`${result.head}\r\n\r\n${result.body}`);
    for (const name of [
      'www-authenticate',
      'proxy-authenticate',
      'from',
      'to',
      'via',
      'cseq',
      'contact',
      'refer-to',
      'record-route',
      'route',
      'p-asserted-identity',
    ]) {
      if (read.has(name)) read.getParsedHeader(name);
    }
    void [read.callingNumber, read.callingName, result.kind === 'request' ? read.calledNumber : ''];
    return undefined;
  } catch (error) {
    return String(error);
  }
}

const FRAGMENTS = [
  ...INVITE,
  'SIP/2.0 200 OK',
  '\r\n',
  '\r\n\r\n',
  '\r\n ',
  ';tag=',
  '<sip:',
  '>',
  '"',
  '\\',
  ',',
  'WWW-Authenticate: Digest realm="x", nonce=',
  'Proxy-Authenticate: a=<',
  'Proxy-Authenticate: Digest realm="x", nonce="y"',
  'Contact: *',
  'Refer-To: sip:a@b?Replaces=1',
  'Record-Route: <sip:p;lr>, ',
  'Content-Length: 5',
  '\u0000',
  '\u00e9',
];

describe('whatever comes from the network', () => {
  it('goes on with its version in capitals, however a peer wrote it, because drachtio-srf throws on others', () => {
    const result = parse(message(INVITE.with(0, 'INVITE sip:pay@127.0.0.1 SiP/2.0'), 'v=0\r\n'));
    expect(result.kind).toBe('request');
    if (result.kind === 'fault') return;
    expect(result.head).toMatch(/^INVITE sip:pay@127\.0\.0\.1 SIP\/2\.0\r\nVia: /);
    expect(result.head.slice(result.viaStart)).toMatch(/^SIP\/2\.0\/UDP/);
    expect(drachtioThrows(result)).toBeUndefined();
  });

  it('is a message or a named fault, and what is a message does not make drachtio-srf throw', () => {
    const part = fc.oneof(fc.constantFrom(...FRAGMENTS), fc.string({ unit: 'binary', maxLength: 20 }));
    const text = fc.oneof(
      fc.array(part, { maxLength: 25 }).map((parts) => parts.join('\r\n')),
      // A sound message with one line replaced or one character changed is where the doubtful ones are.
      fc.tuple(fc.nat(INVITE.length - 1), part).map(([at, line]) => message(INVITE.with(at, line))),
      fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })).map(([at, code]) => {
        const sound = message(INVITE, 'v=0\r\n');
        return sound.slice(0, at) + String.fromCharCode(code) + sound.slice(at + 1);
      }),
    );
    fc.assert(
      fc.property(text, (raw) => {
        const result = parse(Buffer.from(raw, 'utf8').toString('latin1'));
        if (result.kind === 'fault') expect(result.reason).not.toBe('');
        else expect(drachtioThrows(result)).toBeUndefined();
      }),
      cases(1_000),
    );
  });

  it('never makes the reading of a list, an address, a Via or a draft throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        splitList(text);
        parseNameAddr(text);
        parseDraft(text);
        const via = parseVia(text);
        if (via !== undefined) markVia(via, '127.0.0.1', 5060);
      }),
      cases(1_000),
    );
  });
});

/** RFC 4475 §3.1.1, §3.1.2 and §3.3 by file; where it allows several, what we do. */
const RFC4475: Readonly<Record<string, string>> = {
  'wsinv.dat': 'accepted',
  'intmeth.dat': '400',
  'esc01.dat': 'accepted',
  'escnull.dat': 'accepted',
  'esc02.dat': 'accepted',
  'lwsdisp.dat': 'accepted',
  'longreq.dat': 'accepted',
  'dblreq.dat': 'accepted',
  'semiuri.dat': 'accepted',
  'transports.dat': 'accepted',
  'mpart01.dat': 'accepted',
  'unreason.dat': 'accepted',
  'noreason.dat': 'accepted',
  'badinv01.dat': '400',
  'clerr.dat': '400',
  'ncl.dat': '400',
  'scalar02.dat': '400',
  'scalarlg.dat': 'dropped',
  'quotbal.dat': '400',
  'ltgtruri.dat': '400',
  'lwsruri.dat': '400',
  'lwsstart.dat': '400',
  'trws.dat': '400',
  'escruri.dat': '400',
  'regbadct.dat': '400',
  'badaspec.dat': '400',
  'badvers.dat': '505',
  'mismatch01.dat': '400',
  'bigcode.dat': 'dropped',
  'insuf.dat': '400',
  'unkscm.dat': '416',
  'novelsc.dat': '416',
  'multi01.dat': '400',
  'mcl01.dat': '400',
  'cparam01.dat': 'accepted',
  'inv2543.dat': 'accepted',
};

describe.skipIf(!existsSync(TORTURE))('the torture collection (skipped where shared/data is not there)', () => {
  const files = existsSync(TORTURE)
    ? readdirSync(TORTURE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    : [];

  it('is read file by file without a throw, and drachtio-srf reads what we accept', () => {
    expect(files.length).toBeGreaterThan(200);
    let accepted = 0;
    for (const file of files) {
      const raw = readFileSync(`${file.parentPath}/${file.name}`, 'latin1');
      for (const text of [raw, raw.replace(/\r?\n/g, '\r\n')]) {
        const result = parse(text);
        if (result.kind === 'fault') continue;
        accepted++;
        expect([file.name, drachtioThrows(result)]).toEqual([file.name, undefined]);
      }
    }
    expect(accepted).toBeGreaterThan(100);
  });

  for (const [name, expected] of Object.entries(RFC4475)) {
    it(`answers ${name} of RFC 4475 with: ${expected}`, () => {
      const status = statusOf(readFileSync(new URL(`rfc4475/${name}`, TORTURE), 'latin1'));
      expect(status === 0 ? 'dropped' : String(status)).toBe(expected);
    });
  }
});
