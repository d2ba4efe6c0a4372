import type { Limits } from '../limits.ts';

export type Framed =
  | { readonly kind: 'messages'; readonly texts: string[]; readonly pings: number }
  | { readonly kind: 'fault'; readonly reason: string };

const CONTENT_LENGTH = /\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,6})[ \t]*(?=\r\n|$)/i;

/**
 * Cuts a byte stream into messages by Content-Length (RFC 3261 §18.3; mandatory on streams, §20.14). Where it
 * is missing or wrong the rest of the stream means nothing, so the fault ends the connection.
 */
export class StreamFraming {
  #pending = '';
  /** Where the next search for the empty line begins. */
  #searched = 0;
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get pendingBytes(): number {
    return this.#pending.length;
  }

  push(bytes: string): Framed {
    this.#pending += bytes;
    const texts: string[] = [];
    let pings = 0;
    for (;;) {
      // RFC 5626 §3.5.1: CRLF CRLF is a ping; a single CRLF before a message is ignored (RFC 3261 §7.5).
      let skip = 0;
      while (this.#pending.startsWith('\r\n', skip)) skip += 2;
      if (skip > 0) {
        pings += Math.floor(skip / 4);
        this.#pending = this.#pending.slice(skip);
        this.#searched = 0;
      }
      const headEnd = this.#pending.indexOf('\r\n\r\n', this.#searched);
      if (headEnd < 0) {
        if (this.#headBytes() > this.#limits.headerBytesMax) return { kind: 'fault', reason: 'headers too large' };
        this.#searched = Math.max(0, this.#pending.length - 3);
        return { kind: 'messages', texts, pings };
      }
      if (headEnd > this.#limits.headerBytesMax) return { kind: 'fault', reason: 'headers too large' };
      const length = CONTENT_LENGTH.exec(this.#pending.slice(0, headEnd));
      if (length === null) return { kind: 'fault', reason: 'no Content-Length on a stream' };
      const end = headEnd + 4 + Number(length[1]);
      if (end > this.#limits.messageBytesMax) return { kind: 'fault', reason: 'message too large' };
      if (this.#pending.length < end) {
        this.#searched = headEnd;
        return { kind: 'messages', texts, pings };
      }
      texts.push(this.#pending.slice(0, end));
      this.#pending = this.#pending.slice(end);
      this.#searched = 0;
    }
  }

  /** Of headers whose end has not come: the last bytes here may be the beginning of the empty line. */
  #headBytes(): number {
    const begun = ['\r\n\r', '\r\n', '\r'].find((part) => this.#pending.endsWith(part)) ?? '';
    return this.#pending.length - begun.length;
  }
}
