/*
 * SIPp scenarios, written from steps: the XML of SIPp says the same eight header lines in each message.
 */

const SDP = (direction: string, version: number) =>
  [
    'v=0',
    `o=sipp 1 ${version} IN IP4 [local_ip]`,
    's=-',
    'c=IN IP4 [local_ip]',
    't=0 0',
    'm=audio [media_port] RTP/AVP 0 8 101',
    'a=rtpmap:101 telephone-event/8000',
    `a=${direction}`,
  ].join('\n');

interface Parts {
  readonly headers?: string;
  readonly body?: string;
  readonly type?: string;
}

function message(first: string, lines: readonly string[], parts: Parts, attributes = ''): string {
  const body = parts.body ?? '';
  const headers = [
    ...lines,
    ...(parts.headers === undefined ? [] : [parts.headers]),
    ...(body === '' ? [] : [`Content-Type: ${parts.type ?? 'application/sdp'}`]),
    'Content-Length: [len]',
  ];
  return `<send${attributes}><![CDATA[\n${[first, ...headers].join('\n')}\n\n${body}${body === '' ? '' : '\n'}]]></send>`;
}

/** A request of the calling side. `peerTag` within the dialog. */
function request(method: string, cseq: number, parts: Parts & { peerTag?: boolean; branch?: number } = {}): string {
  const branch = parts.branch === undefined ? '[branch]' : `[branch-${parts.branch}]`;
  return message(
    `${method} sip:pay@[remote_ip]:[remote_port] SIP/2.0`,
    [
      `Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=${branch}`,
      'From: <sip:+15550100@[local_ip]:[local_port]>;tag=[pid]a[call_number]',
      `To: <sip:pay@[remote_ip]:[remote_port]>${parts.peerTag === false ? '' : '[peer_tag_param]'}`,
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Contact: <sip:sipp@[local_ip]:[local_port]>',
      'Max-Forwards: 70',
    ],
    parts,
  );
}

/** A response to the last request received. */
function response(status: string, parts: Parts & { tag?: boolean } = {}): string {
  return message(
    `SIP/2.0 ${status}`,
    [
      '[last_Via:]',
      '[last_From:]',
      parts.tag === true ? '[last_To:];tag=[pid]b[call_number]' : '[last_To:]',
      '[last_Call-ID:]',
      '[last_CSeq:]',
      'Contact: <sip:sipp@[local_ip]:[local_port]>',
    ],
    parts,
  );
}

const status = (code: number, more = '') => `<recv response="${code}"${more}></recv>`;
const provisional = status(100, ' optional="true"') + status(180, ' optional="true"');
const received = (method: string, more = '') => `<recv request="${method}"${more}></recv>`;
/** The last message must hold this, or SIPp fails the call. */
const holding = (method: string, what: string) =>
  `<recv ${method}><action><ereg regexp="${what}" search_in="msg" check_it="true" assign_to="seen"/></action></recv>`;
const pause = (ms: number) => `<pause milliseconds="${ms}"/>`;

function scenario(name: string, steps: readonly string[]): string {
  const body = steps.join('\n');
  const names = new Set([...body.matchAll(/assign_to="(\w+)"/g)].map((match) => match[1]));
  const uses = names.size === 0 ? '' : `<Reference variables="${[...names].join(',')}"/>`;
  return `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="${name}">\n${body}\n${uses}\n</scenario>\n`;
}

const calls = (parts: Parts = {}) => [request('INVITE', 1, { peerTag: false, body: SDP('sendrecv', 1), ...parts })];
const answered = [...calls(), provisional, status(200), request('ACK', 1)];
const hangsUp = (cseq: number) => [request('BYE', cseq), status(200)];
const isHungUp = [received('BYE'), response('200 OK')];
const notify = (cseq: number, state: string, fragment: string) =>
  request('NOTIFY', cseq, {
    headers: `Event: refer\nSubscription-State: ${state}`,
    type: 'message/sipfrag;version=2.0',
    body: `SIP/2.0 ${fragment}`,
  });

/** By the calling side's doings. */
export const CALLERS = {
  /** Calls with context, talks for a moment, hangs up. */
  basic: scenario('basic', [
    ...calls({ headers: 'X-Hushtone-Amount: 42.10\nX-Hushtone-Currency: USD\nX-Hushtone-Customer: C-1' }),
    provisional,
    holding('response="200"', 'm=audio 19500 RTP/AVP 0 101'),
    request('ACK', 1),
    pause(100),
    request('BYE', 2, { headers: 'X-Hushtone-Identified: yes' }),
    status(200),
  ]),
  hold: scenario('hold', [
    ...answered,
    request('INVITE', 2, { body: SDP('sendonly', 2) }),
    status(100, ' optional="true"'),
    holding('response="200"', 'a=recvonly'),
    request('ACK', 2),
    request('INVITE', 3, { body: SDP('sendrecv', 3) }),
    status(100, ' optional="true"'),
    holding('response="200"', 'a=sendrecv'),
    request('ACK', 3),
    ...hangsUp(4),
  ]),
  late: scenario('late', [
    request('INVITE', 1, { peerTag: false }),
    provisional,
    holding('response="200"', 'm=audio 19500 RTP/AVP 0 8 101'),
    request('ACK', 1, { body: SDP('sendrecv', 1) }),
    pause(100),
    ...hangsUp(2),
  ]),
  cancel: scenario('cancel', [
    ...calls(),
    status(100, ' optional="true"'),
    status(180),
    request('CANCEL', 1, { peerTag: false, branch: 3 }),
    status(200),
    status(487),
    request('ACK', 1, { branch: 6 }),
  ]),
  isReferred: scenario('is referred', [
    ...answered,
    holding('request="REFER"', 'Refer-To: .sip:ivr@127.0.0.1:19079.User-to-User='),
    response('202 Accepted'),
    notify(2, 'active;expires=60', '100 Trying'),
    status(200),
    notify(3, 'terminated;reason=noresource', '200 OK'),
    status(200),
    ...isHungUp,
  ]),
  refers: scenario('refers', [
    ...answered,
    request('REFER', 2, { headers: 'Refer-To: <sip:back@127.0.0.1:19060>\nX-Hushtone-Identified: yes' }),
    status(202),
    holding('request="NOTIFY"', 'SIP/2.0 100 Trying'),
    response('200 OK'),
    holding('request="NOTIFY"', 'SIP/2.0 200 OK'),
    response('200 OK'),
    ...isHungUp,
  ]),
  refersElsewhere: scenario('refers elsewhere', [
    ...answered,
    request('REFER', 2, { headers: 'Refer-To: <sip:+4412345@203.0.113.1>' }),
    status(403),
    ...hangsUp(3),
  ]),
  refused: (code: number, codecs = '0 8 101') =>
    scenario(`refused with ${code}`, [
      ...calls({ body: SDP('sendrecv', 1).replace('0 8 101', codecs) }),
      status(100, ' optional="true"'),
      status(code),
      request('ACK', 1, { branch: 3 }),
    ]),
  waitsForBye: scenario('waits for BYE', [
    ...answered,
    holding('request="BYE"', 'X-Hushtone-Result: approved'),
    response('200 OK'),
  ]),
} as const;

const isCalled = received('INVITE', ' crlf="true"');
/** As isCalled, and keeps who is who, so that the called side can send requests. */
const isCalledAndKnows = `<recv request="INVITE" rrs="true"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="called"/>
</action></recv>`;
const picksUp = [response('180 Ringing', { tag: true }), response('200 OK', { tag: true, body: SDP('sendrecv', 1) })];

/** A request of the called side. */
function requestBack(method: string, cseq: number, headers: string): string {
  return message(
    `${method} [next_url] SIP/2.0`,
    [
      'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]',
      'From:[$called];tag=[pid]b[call_number]',
      'To:[$caller]',
      'Call-ID: [call_id]',
      `CSeq: ${cseq} ${method}`,
      'Contact: <sip:sipp@[local_ip]:[local_port]>',
      'Max-Forwards: 70',
    ],
    headers === '' ? {} : { headers },
  );
}

/** By the called side's doings. */
export const CALLED = {
  /** Answers, talks, and says goodbye with what it found out about the caller: a header line, or none. */
  identifies: (word: string) =>
    scenario('identifies', [
      isCalledAndKnows,
      ...picksUp,
      received('ACK'),
      pause(500),
      requestBack('BYE', 1, word),
      status(200),
    ]),
  /** As identifies, by sending the caller back with REFER. */
  sendsBack: (word: string) =>
    scenario('sends back', [
      isCalledAndKnows,
      ...picksUp,
      received('ACK'),
      pause(500),
      requestBack('REFER', 1, `Refer-To: <sip:back@127.0.0.1>\n${word}`),
      status(202),
      holding('request="NOTIFY"', 'SIP/2.0 100 Trying'),
      response('200 OK'),
      holding('request="NOTIFY"', 'SIP/2.0 200 OK'),
      response('200 OK'),
      ...isHungUp,
    ]),
  /** Answers and stays until the other side hangs up. */
  talks: scenario('talks', [isCalledAndKnows, ...picksUp, received('ACK'), ...isHungUp]),
  answers: scenario('answers', [
    holding('request="INVITE"', 'X-Hushtone-Reference: INV-7'),
    response('180 Ringing', { tag: true }),
    response('200 OK', { tag: true, body: SDP('sendrecv', 1) }),
    received('ACK'),
    received('BYE'),
    response('200 OK'),
  ]),
  isBusy: scenario('is busy', [isCalled, response('486 Busy Here', { tag: true }), received('ACK')]),
  neverAnswers: scenario('never answers', [
    isCalled,
    response('180 Ringing', { tag: true }),
    received('CANCEL'),
    response('200 OK'),
    // The INVITE's own answer, with its CSeq.
    message(
      'SIP/2.0 487 Request Terminated',
      ['[last_Via:]', '[last_From:]', '[last_To:];tag=[pid]b[call_number]', '[last_Call-ID:]', 'CSeq: [cseq] INVITE'],
      {},
    ),
    received('ACK'),
  ]),
} as const;
