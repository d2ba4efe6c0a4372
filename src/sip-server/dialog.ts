import type { SipMessage, SipRequest, SipResponse } from './message/message.ts';
import { headerOf, headersOf } from './message/message.ts';
import { parseNameAddr, splitList } from './message/name-addr.ts';
import { parseSipUri } from './message/uri.ts';

/** What both ends of a dialog remember (RFC 3261 §12). Values only; who owns it and its timers are elsewhere. */
export interface DialogState {
  /** `<Call-ID>;from-tag=<From tag of the request that made it>`, in both roles. */
  readonly id: string;
  readonly role: 'uac' | 'uas';
  readonly method: string;
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** Header values with tags, as From and To of our requests carry them. */
  readonly local: string;
  readonly remote: string;
  readonly localCseq: number;
  /** Undefined until the peer has sent a request. */
  readonly remoteCseq: number | undefined;
  readonly remoteTarget: string;
  /** Values of our Route headers, in order. */
  readonly routeSet: readonly string[];
  readonly confirmed: boolean;
  /** A proxy stands between: more than one Via arrived. */
  readonly viaProxy: boolean;
}

export function dialogIdOf(callId: string, fromTag: string): string {
  return `${callId};from-tag=${fromTag}`;
}

export function contactUri(message: SipMessage): string | undefined {
  const value = headerOf(message, 'contact');
  if (value === undefined || value === '*') return undefined;
  return parseNameAddr(splitList(value)?.[0] ?? '')?.uri;
}

function recordRoutes(message: SipMessage): string[] {
  return headersOf(message, 'record-route').flatMap((value) => splitList(value) ?? []);
}

/** RFC 3261 §12.1.1: our first answer with a tag makes it. */
export function uasDialog(request: SipRequest, localTag: string, confirmed: boolean): DialogState {
  const fromTag = request.from.tag ?? '';
  return {
    id: dialogIdOf(request.callId, fromTag),
    role: 'uas',
    method: request.method,
    callId: request.callId,
    localTag,
    remoteTag: fromTag,
    local: withTag(headerOf(request, 'to') ?? '', localTag),
    remote: headerOf(request, 'from') ?? '',
    localCseq: 0,
    remoteCseq: request.cseq,
    remoteTarget: contactUri(request) ?? request.from.uri,
    routeSet: recordRoutes(request),
    confirmed,
    viaProxy: headersOf(request, 'via').flatMap((value) => splitList(value) ?? []).length > 1,
  };
}

/** RFC 3261 §12.1.2: the first answer with a tag makes it; a later one of the same fork refreshes it. */
export function uacDialog(
  response: SipResponse,
  parts: { method: string; local: string; localTag: string; cseq: number; remoteTarget: string },
): DialogState {
  return {
    id: dialogIdOf(response.callId, parts.localTag),
    role: 'uac',
    method: parts.method,
    callId: response.callId,
    localTag: parts.localTag,
    remoteTag: response.to.tag ?? '',
    local: parts.local,
    remote: headerOf(response, 'to') ?? '',
    localCseq: parts.cseq,
    remoteCseq: undefined,
    remoteTarget: contactUri(response) ?? parts.remoteTarget,
    routeSet: recordRoutes(response).reverse(),
    confirmed: response.status >= 200,
    viaProxy: false,
  };
}

export function withTag(value: string, tag: string): string {
  return /;[ \t]*tag[ \t]*=/i.test(value.slice(value.lastIndexOf('>') + 1)) ? value : `${bracket(value)};tag=${tag}`;
}

/** A parameter behind a bare addr-spec would be read as the header's, which is what we want; `?` is not. */
function bracket(value: string): string {
  return value.includes('<') || !value.includes(';') ? (value.includes('<') ? value : `<${value}>`) : value;
}

/** RFC 3261 §12.2.2: whether a request belongs to this dialog. The peer of an early one may not know our tag. */
export function matchesRequest(dialog: DialogState, request: SipRequest): boolean {
  return (
    request.to.tag === dialog.localTag && (dialog.remoteTag === '' || (request.from.tag ?? '') === dialog.remoteTag)
  );
}

/** RFC 3261 §12.2.2: a request that is older than one already seen. */
export function isOutOfOrder(dialog: DialogState, request: SipRequest): boolean {
  return dialog.remoteCseq !== undefined && request.cseq < dialog.remoteCseq;
}

/** RFC 3261 §12.2.1.1: Request-URI and Route of a request, with the old strict routers provided for. */
export function routing(dialog: DialogState): { uri: string; routes: readonly string[]; nextHop: string } {
  const first = dialog.routeSet[0];
  if (first === undefined) return { uri: dialog.remoteTarget, routes: [], nextHop: dialog.remoteTarget };
  const address = parseNameAddr(first);
  const uri = address?.uri ?? dialog.remoteTarget;
  if (parseSipUri(uri)?.lr) return { uri: dialog.remoteTarget, routes: dialog.routeSet, nextHop: uri };
  return { uri, routes: [...dialog.routeSet.slice(1), `<${dialog.remoteTarget}>`], nextHop: uri };
}

/** RFC 3261 §12.2: methods whose Contact moves the remote target. */
export function refreshesTarget(method: string): boolean {
  return method === 'INVITE' || method === 'UPDATE' || method === 'SUBSCRIBE' || method === 'NOTIFY';
}
