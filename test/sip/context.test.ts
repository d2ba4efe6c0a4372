import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { readContext, readIdentified } from '../../src/sip/context.ts';
import { contextPairs, HEADER_NAMES, resultPairs, writeHeaders } from '../../src/sip/headers.ts';
import { checkProfiles, type Profile } from '../../src/sip/profiles.ts';
import { canonicalString, SignatureVerifier, sign } from '../../src/sip/signature.ts';
import { callerOf, parseSipUri, uriOf } from '../../src/sip/uri.ts';
import { decodeUserToUser, encodeUserToUser } from '../../src/sip/user-to-user.ts';
import { profileText } from './profile-text.ts';

const SECRET = new Sensitive('sip secret', 'correct horse');
const NOW = 1_795_420_800_000;

function profile(changes: Parameters<typeof profileText>[0] = {}): Profile {
  const checked = checkProfiles([{ file: 'p.yaml', text: profileText(changes) }], null);
  if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
  const [first] = checked.profiles;
  if (first === undefined) throw new Error('no profile');
  return first;
}

function message(uri: string, headers: Record<string, string> = {}, callId = 'c1') {
  const small = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { uri, callId, header: (name: string) => small.get(name.toLowerCase()) };
}

function read(uri: string, headers: Record<string, string> = {}, by = profile()) {
  const found = readContext(message(uri, headers), by, null, NOW);
  return found.ok ? found.context : found.reason;
}

describe('what a call brings', () => {
  it('stands in URI parameters, headers or User-to-User', () => {
    const expected = { customer: 'C-1001', amountMinor: 4210, currency: 'USD', reference: 'INV 7', identified: true };
    expect(read('sip:pay@127.0.0.1;customer=C-1001;amount=4210;currency=USD;reference=INV%207;identified=yes')).toEqual(
      expected,
    );
    const pairs = contextPairs(expected);
    expect(read('sip:pay@127.0.0.1', writeHeaders(pairs, { headers: true, userToUser: false }).headers)).toEqual(
      expected,
    );
    expect(read('sip:pay@127.0.0.1', writeHeaders(pairs, { headers: false, userToUser: true }).headers)).toEqual(
      expected,
    );
  });

  it.each([
    ['4210', 'USD', 4210],
    ['42.10', 'USD', 4210],
    ['42.1', 'USD', 4210],
    ['4.210', 'KWD', 4210],
    ['90071992547.41', 'USD', 'amount is'],
    ['42.10', 'JPY', 'amount is'],
    ['42.10', '', 'amount is'],
    ['-1', 'USD', 'amount is'],
    ['1e3', 'USD', 'amount is'],
    ['1,000', 'USD', 'amount is'],
    ['0x10', 'USD', 'amount is'],
    ['4210', 'usd', 'currency is not'],
  ])('reads the amount %s %s without a float', (amount, currency, expected) => {
    const headers: Record<string, string> = { 'X-Hushtone-Amount': amount };
    if (currency !== '') headers['X-Hushtone-Currency'] = currency;
    const found = read('sip:pay@127.0.0.1', headers);
    if (typeof expected === 'number') expect(found).toMatchObject({ amountMinor: expected });
    else expect(found).toContain(expected);
  });

  it('is passed over and named where the profile does not allow it', () => {
    const by = profile({ allow: ['reference'] });
    const found = readContext(message('sip:pay@h;amount=1;reference=r'), by, null, NOW);
    expect(found).toEqual({ ok: true, context: { reference: 'r' }, passedOver: ['amount'], notBelieved: null });
    expect(read('sip:pay@h;reference=r', {}, profile({ sources: ['header'] }))).toEqual({});
  });

  it('stands in a URI that says a parameter again, and in none that says it differently', () => {
    expect(read('sip:pay@h;transport=tls;amount=1;transport=tls')).toMatchObject({ amountMinor: 1 });
    expect(read('sip:pay@h;amount=1;amount=2')).toEqual({});
  });

  it('is refused where two sources differ', () => {
    expect(read('sip:pay@h;amount=1', { 'X-Hushtone-Amount': '2' })).toBe('amount is said twice, differently');
  });

  it.each([
    ['a repeated header, joined with a comma', { 'X-Hushtone-Amount': '1,2' }],
    ['a line break in a customer', { 'X-Hushtone-Customer': 'a\r\nX-Evil: 1' }],
    ['markup', { 'X-Hushtone-Reference': '<script>' }],
    ['too long a reference', { 'X-Hushtone-Reference': 'x'.repeat(129) }],
    ['another word for yes', { 'X-Hushtone-Identified': 'maybe' }],
  ])('is refused with a reason that holds no value: %s', (_name, headers) => {
    const reason = read('sip:pay@h', headers as Record<string, string>);
    expect(typeof reason).toBe('string');
    for (const value of Object.values(headers)) expect(reason).not.toContain(value);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (uri, amount, uui) => {
        read(`sip:${uri}`, { 'X-Hushtone-Amount': amount, 'User-to-User': uui });
        callerOf(uri);
        uriOf(uri);
      }),
    );
  });
});

describe('signed context', () => {
  const signed = profile({ demandOn: ['context', 'identified'] });
  const pairs = new Map([
    ['amount', '4210'],
    ['currency', 'USD'],
    ['customer', 'C-1001'],
  ]);
  const headers = (signature: string, amount = '4210') => ({
    'X-Hushtone-Amount': amount,
    'X-Hushtone-Currency': 'USD',
    'X-Hushtone-Customer': 'C-1001',
    'X-Hushtone-Signature': signature,
  });

  it('has a canonical string that anybody can build', () => {
    expect(canonicalString(pairs, 1_795_420_800)).toBe(
      'hushtone-v1\nt=1795420800\namount=4210\ncurrency=USD\ncustomer=C-1001\n',
    );
  });

  it('has this vector, made with openssl dgst -sha256 -hmac', () => {
    expect(sign(pairs, SECRET, NOW)).toBe(VECTOR);
  });

  it('is taken once, and again only from the same call', () => {
    const verifier = new SignatureVerifier(SECRET, 300);
    const from = (callId: string) =>
      readContext(message('sip:pay@h', headers(sign(pairs, SECRET, NOW)), callId), signed, verifier, NOW + 1000);
    expect(from('c1')).toMatchObject({ ok: true, context: { amountMinor: 4210 } });
    expect(from('c1')).toMatchObject({ ok: true });
    expect(from('c2')).toEqual({
      ok: false,
      code: 'CALL_CONTEXT_UNSIGNED',
      reason: 'signature of header is used before',
    });
  });

  it.each([
    ['missing', headers(''), NOW, 'malformed'],
    ['of another amount', headers(sign(pairs, SECRET, NOW), '1'), NOW, 'wrong'],
    ['of another secret', headers(sign(pairs, new Sensitive('x', 'battery'), NOW)), NOW, 'wrong'],
    ['too old', headers(sign(pairs, SECRET, NOW)), NOW + 301_000, 'outside the window'],
    ['from the future', headers(sign(pairs, SECRET, NOW)), NOW - 301_000, 'outside the window'],
  ])('is refused where the signature is %s', (_name, given, now, fault) => {
    const found = readContext(message('sip:pay@h', given), signed, new SignatureVerifier(SECRET, 300), now);
    expect(found).toEqual({ ok: false, code: 'CALL_CONTEXT_UNSIGNED', reason: `signature of header is ${fault}` });
  });

  it('is refused where there is none, and what cannot be read though it is signed is another fault', () => {
    const take = (given: Record<string, string>) =>
      readContext(message('sip:pay@h', given), signed, new SignatureVerifier(SECRET, 300), NOW);
    expect(take({ 'X-Hushtone-Amount': '4210' })).toEqual({
      ok: false,
      code: 'CALL_CONTEXT_UNSIGNED',
      reason: 'signature of header is missing',
    });
    const unreadable = sign(new Map([['amount', 'x']]), SECRET, NOW);
    expect(take({ 'X-Hushtone-Amount': 'x', 'X-Hushtone-Signature': unreadable })).toMatchObject({
      ok: false,
      code: 'CALL_CONTEXT_INVALID',
    });
  });

  it('is refused as our limit, and not as its fault, where no more signatures can be remembered', () => {
    const full = { verify: () => 'too many in the window' } as unknown as SignatureVerifier;
    expect(readContext(message('sip:pay@h', headers(sign(pairs, SECRET, NOW))), signed, full, NOW)).toMatchObject({
      ok: false,
      code: 'CALL_LIMIT_REACHED',
    });
  });

  it('may stand in the URI and in User-to-User', () => {
    const signature = sign(pairs, SECRET, NOW);
    const uri = `sip:pay@h;amount=4210;currency=USD;customer=C-1001;signature=${encodeURIComponent(signature)}`;
    const uui = encodeUserToUser(new Map([...pairs, ['signature', signature]])) ?? '';
    for (const from of [message(uri), message('sip:pay@h', { 'User-to-User': uui })]) {
      expect(readContext(from, signed, new SignatureVerifier(SECRET, 300), NOW)).toMatchObject({ ok: true });
    }
  });

  it('binds every header of ours, so that what one server signs the next one believes, and none can be added', () => {
    const signature = sign(new Map([...pairs, ['call', 'ca_9'], ['result', 'declined']]), SECRET, NOW);
    const whole = { ...headers(signature), 'X-Hushtone-Call': 'ca_9', 'X-Hushtone-Result': 'declined' };
    const verdict = (given: Record<string, string>) =>
      readContext(message('sip:pay@h', given), signed, new SignatureVerifier(SECRET, 300), NOW).ok;
    expect(verdict(whole)).toBe(true);
    expect(verdict({ ...whole, 'X-Hushtone-Result': 'approved' })).toBe(false);
    expect(verdict({ ...whole, 'X-Hushtone-Flow': 'other' })).toBe(false);
  });

  it('is not demanded of a call that brings nothing', () => {
    expect(readContext(message('sip:pay@h'), signed, null, NOW)).toMatchObject({ ok: true, context: {} });
  });

  describe('where only the word identified must be signed', () => {
    const word = profile({ demandOn: ['identified'] });
    const said = new Map([...pairs, ['identified', 'yes']]);
    const written = (signature: string) => ({
      ...headers(signature),
      'X-Hushtone-Identified': 'yes',
    });
    const take = (given: Record<string, string>, uri = 'sip:pay@h') =>
      readContext(message(uri, given), word, new SignatureVerifier(SECRET, 300), NOW);
    const rest = { amountMinor: 4210, currency: 'USD', customer: 'C-1001' };

    it('is believed with the signature of its source', () => {
      const found = take(written(sign(said, SECRET, NOW)));
      expect(found).toEqual({ ok: true, context: { ...rest, identified: true }, passedOver: [], notBelieved: null });
    });

    it.each([
      ['no signature', { 'X-Hushtone-Identified': 'yes' }, 'missing'],
      ['a signature that is none', written('t=1,v1=ff'), 'malformed'],
      ['a signature without the word', written(sign(pairs, SECRET, NOW)), 'wrong'],
      ['a signature of another secret', written(sign(said, new Sensitive('x', 'battery'), NOW)), 'wrong'],
      ['an old signature', written(sign(said, SECRET, NOW - 301_000)), 'outside the window'],
    ])('counts as not said with %s, and the rest is taken', (_name, given, fault) => {
      const found = take(given);
      expect(found).toMatchObject({ ok: true, notBelieved: `signature of header is ${fault}` });
      expect(found.ok && found.context).toEqual(Object.keys(given).length > 1 ? rest : {});
    });

    it('lets a signed source speak where an unsigned one says otherwise', () => {
      const found = take(written(sign(said, SECRET, NOW)), 'sip:pay@h;identified=no');
      expect(found).toMatchObject({ ok: true, context: { identified: true } });
      expect(found).toMatchObject({ notBelieved: 'signature of uri is missing' });
    });

    it('is not believed where there is nothing to verify it with', () => {
      const found = readContext(message('sip:pay@h', written(sign(said, SECRET, NOW))), word, null, NOW);
      expect(found).toMatchObject({ ok: true, context: rest, notBelieved: 'signature of header is missing' });
    });

    it('asks no signature of a call that does not say it', () => {
      expect(take(headers('none'))).toEqual({ ok: true, context: rest, passedOver: [], notBelieved: null });
    });
  });

  it('binds the word identified to the call it is said about', () => {
    const said = (call: string) => ({
      'X-Hushtone-Identified': 'yes',
      'X-Hushtone-Signature': sign(
        new Map([
          ['identified', 'yes'],
          ['call', call],
        ]),
        SECRET,
        NOW,
      ),
    });
    const word = (given: Record<string, string>) =>
      readIdentified(message('', given), signed, new SignatureVerifier(SECRET, 300), { ours: 'ca_1', now: NOW });
    expect(word(said('ca_1'))).toEqual({ identified: true, fault: null });
    expect(word(said('ca_2'))).toEqual({ identified: null, fault: 'signature of header is wrong' });
    expect(word({ 'X-Hushtone-Identified': 'yes' })).toEqual({
      identified: null,
      fault: 'signature of header is missing',
    });
    expect(word({})).toEqual({ identified: null, fault: null });
  });
});

const VECTOR = 't=1795420800,v1=c1e5677bb0ea0d60ab9779e4157eff154b367667af5185f95966a595a2f2a19a';

describe('result headers', () => {
  const result = {
    result: 'approved',
    paymentId: 'pa_1',
    amountMinor: 4210,
    currency: 'USD',
    brand: 'visa',
    last4: '4242',
    gatewayReference: 'g-1',
    declines: 1,
  } as const;

  it('say how the payment ended, in the words of the table', () => {
    expect(writeHeaders(resultPairs(result), { headers: true, userToUser: false })).toEqual({
      headers: {
        'X-Hushtone-Result': 'approved',
        'X-Hushtone-Payment': 'pa_1',
        'X-Hushtone-Amount': '4210',
        'X-Hushtone-Currency': 'USD',
        'X-Hushtone-Brand': 'visa',
        'X-Hushtone-Last4': '4242',
        'X-Hushtone-Gateway-Reference': 'g-1',
        'X-Hushtone-Declines': '1',
      },
      dropped: [],
    });
  });

  it('leave out a value that would end its line, and no other', () => {
    for (const gatewayReference of ['x\r\nX-Evil: 1', 'x\ny', ' x', '', 'x'.repeat(1025)]) {
      const written = writeHeaders(resultPairs({ ...result, gatewayReference }), { headers: true, userToUser: true });
      expect(written.dropped).toEqual(['gateway-reference']);
      expect(written.headers['X-Hushtone-Gateway-Reference']).toBeUndefined();
      expect(written.headers['X-Hushtone-Result']).toBe('approved');
      for (const value of Object.values(written.headers)) expect(value).not.toMatch(/[\r\n]/);
    }
  });

  it('have a name for each key, once', () => {
    const names = Object.values(HEADER_NAMES);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
    expect(names.every((name) => /^X-Hushtone-[A-Z][A-Za-z0-9-]+$/.test(name))).toBe(true);
  });
});

describe('User-to-User', () => {
  it('gives back what was put in', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const value = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => !/[\p{C}\u2028\u2029]/u.test(text) && text.isWellFormed());
    fc.assert(
      fc.property(fc.dictionary(key, value, { minKeys: 1, maxKeys: 4 }), (pairs) => {
        const encoded = encodeUserToUser(new Map(Object.entries(pairs)));
        return (
          encoded === null ||
          JSON.stringify([...(decodeUserToUser(encoded) ?? [])]) === JSON.stringify(Object.entries(pairs))
        );
      }),
    );
  });

  it('says nothing rather than half of it where it would be too long', () => {
    expect(encodeUserToUser(new Map([['a', 'x'.repeat(600)]]))).toBeNull();
  });

  it('finds ours among the data of others', () => {
    const ours = encodeUserToUser(new Map([['result', 'approved']]));
    expect(decodeUserToUser(`00c81a;encoding=hex;purpose=isdn-uui, ${ours}`)?.get('result')).toBe('approved');
    expect(decodeUserToUser('00c81a;encoding=hex')).toBeNull();
    expect(decodeUserToUser('hello;encoding=ascii')).toBeNull();
  });
});

describe('URIs', () => {
  it.each([
    ['sip:pay@127.0.0.1:5060;transport=tcp', '127.0.0.1', 5060],
    ['sips:PBX.Example.com', 'pbx.example.com', null],
    ['sip:a;b=c@[2001:db8::1]:5061', '2001:db8::1', 5061],
  ])('are read: %s', (text, host, port) => {
    expect(parseSipUri(text)).toMatchObject({ host, port });
  });

  it.each([
    'tel:+123',
    'sip:',
    'sip:a@b:99999',
    'sip:a@b c',
    'sip:a@b;x=%0d%0a',
    'sip:a@b;x=1;x=2',
    'http://x',
    'sip:a@b?c=%zz',
  ])('are refused: %s', (text) => {
    expect(parseSipUri(text)).toBeNull();
  });

  it.each([
    ['"Ann <Lee>" <sip:+15550100@host>;tag=1', '+15550100'],
    ['sip:alice@host;tag=2', 'alice'],
    ['<tel:+1-555-0100>', '+15550100'],
    ['<sip:host>', 'host'],
    ['garbage <', ''],
  ])('give the caller of %s', (value, expected) => {
    expect(callerOf(value)).toBe(expected);
  });
});
