import type { Sensitive } from '../lib/sensitive.ts';
import { type CodecName, CRYPTO_MAX, parseInfoKey, parseSdp, type Security, type SipMessage } from './sip.ts';
import type { Ends } from './transport.ts';

export const CALLS_MAX = 4096;
export const ENDPOINTS_MAX = 16_384;
/** Endpoints of one call; a transfer or two bring a few. */
const CALL_ENDPOINTS_MAX = 16;
/** INFO requests remembered per call, so that a retransmission is not a second press. */
const INFOS_MAX = 1024;

/** A key that came by SIP INFO. */
export interface InfoPress {
  readonly event: number;
  readonly durationMs: number | null;
  readonly atMs: number;
  /** `src:port` and `dst:port` of the SIP message. */
  readonly source: string;
  readonly destination: string;
  /** Where the sender of the INFO sends its audio from, if its SDP said so. */
  readonly mediaEndpoint: string | null;
  /** The first message of the call. */
  readonly callAtMs: number;
}

interface Call {
  readonly atMs: number;
  /** By the sender's SIP endpoint: where its SDP says that its media is. */
  readonly media: Map<string, string>;
  readonly infos: Set<string>;
  /** Where its descriptions say that media are received. */
  readonly endpoints: Set<string>;
}

interface Described {
  readonly security: Security;
  readonly call: Call;
}

const OPEN: Security = { isRequired: false, isDtls: false, crypto: [] };

/** What SIP in the capture said: payload types by endpoint, and who sends media from where. */
export class Sessions {
  readonly #calls = new Map<string, Call>();
  readonly #codecs = new Map<string, Map<number, CodecName>>();
  readonly #described = new Map<string, Described>();
  /** Grows with each description, so that an answer of `codecOf` may be kept until then. */
  version = 0;

  /** SDP named one of these endpoints. */
  knows(ends: Ends): boolean {
    return this.#codecs.has(ends.destination) || this.#codecs.has(ends.source);
  }

  /** RFC 3264 §5.1: payload types are the receiver's; some senders use their own, so theirs is asked second. */
  codecOf(ends: Ends, payloadType: number): CodecName | null {
    return (
      this.#codecs.get(ends.destination)?.get(payloadType) ?? this.#codecs.get(ends.source)?.get(payloadType) ?? null
    );
  }

  /**
   * How the media of a stream are protected. RFC 4568 §5.1.2: a key in a description is the one by which its sender
   * sends. Behind NAT a stream comes from an address that no description names: then the keys of whoever else is in the
   * call of its destination are the ones to try.
   */
  securityOf(ends: Ends): Security {
    const own = this.#described.get(ends.source)?.security;
    const theirs = this.#described.get(ends.destination);
    const others = own !== undefined || theirs === undefined ? [] : this.#othersIn(theirs.call, ends.destination);
    const said = [...(own === undefined ? [] : [own]), ...others];
    return {
      isRequired: (theirs?.security.isRequired ?? false) || said.some(({ isRequired }) => isRequired),
      isDtls: (theirs?.security.isDtls ?? false) || said.some(({ isDtls }) => isDtls),
      crypto: said.flatMap(({ crypto }) => crypto),
    };
  }

  #othersIn(call: Call, destination: string): Security[] {
    const others = [...call.endpoints].filter((endpoint) => endpoint !== destination);
    return others.map((endpoint) => this.#described.get(endpoint)?.security ?? OPEN);
  }

  /** Takes in one message; a press where it is an INFO with a key that has not been seen before. */
  read(message: SipMessage, ends: Ends, atMs: number): InfoPress | null {
    const call = this.#callOf(message.callId, atMs);
    if (message.contentType === 'application/sdp') this.#learn(message.body, ends.source, call);
    if (message.method !== 'INFO') return null;
    const key = parseInfoKey(message.contentType, message.body);
    const identity = `${message.from} ${message.cseq}`;
    if (key === null || call.infos.has(identity)) return null;
    if (call.infos.size < INFOS_MAX) call.infos.add(identity);
    return { ...key, atMs, ...ends, mediaEndpoint: call.media.get(ends.source) ?? null, callAtMs: call.atMs };
  }

  #callOf(callId: string, atMs: number): Call {
    const known = this.#calls.get(callId);
    if (known !== undefined) return known;
    const oldest = this.#calls.keys().next();
    if (this.#calls.size >= CALLS_MAX && oldest.done !== true) this.#calls.delete(oldest.value);
    const call: Call = { atMs, media: new Map(), infos: new Set(), endpoints: new Set() };
    this.#calls.set(callId, call);
    return call;
  }

  #learn(body: string, sender: string, call: Call): void {
    this.version += 1;
    for (const { endpoint, codecs, security } of parseSdp(body)) {
      const oldest = this.#codecs.keys().next();
      if (this.#codecs.size >= ENDPOINTS_MAX && oldest.done !== true) this.#codecs.delete(oldest.value);
      // An answer narrows an offer; a later offer may add types. What was once said stays readable.
      this.#codecs.set(endpoint, new Map([...(this.#codecs.get(endpoint) ?? []), ...codecs]));
      if (call.media.size < INFOS_MAX) call.media.set(sender, endpoint);
      if (call.endpoints.size < CALL_ENDPOINTS_MAX) call.endpoints.add(endpoint);
      const oldestSaid = this.#described.keys().next();
      if (this.#described.size >= ENDPOINTS_MAX && oldestSaid.done !== true) this.#described.delete(oldestSaid.value);
      // A new offer brings new keys; packets under those of before may still come.
      const before = this.#described.get(endpoint)?.security.crypto ?? [];
      const crypto = [
        ...before.filter((one) => !security.crypto.some((other) => isSame(one, other))),
        ...security.crypto,
      ];
      this.#described.set(endpoint, { security: { ...security, crypto: crypto.slice(-CRYPTO_MAX) }, call });
    }
  }
}

/** A description said again brings no new key. */
function isSame(one: Sensitive<string>, other: Sensitive<string>): boolean {
  return one.reveal() === other.reveal();
}
