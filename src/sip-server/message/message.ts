import type { NameAddr } from './name-addr.ts';
import type { Via } from './via.ts';

/** A header as received: long form of its name in lower case, value on one line. */
export interface Header {
  readonly name: string;
  readonly value: string;
}

interface Common {
  readonly headers: readonly Header[];
  /**
   * Bytes as Latin-1 characters, like every text in this folder: one character is one byte, nothing is lost,
   * and `Content-Length` is the length of the string.
   */
  readonly body: string;
  /** Start line and headers, unfolded, without the empty line. */
  readonly head: string;
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly cseq: number;
  readonly cseqMethod: string;
  /** Where the first Via value stands in `head`. */
  readonly viaStart: number;
  /** Size as it came from the network, in bytes. */
  readonly bytes: number;
}

export interface SipRequest extends Common {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: string;
}

export interface SipResponse extends Common {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
}

export type SipMessage = SipRequest | SipResponse;

/** Why a message was refused, and what is left of it to answer with. */
export interface Fault {
  readonly kind: 'fault';
  /** Status for the answer; 0: drop without an answer. */
  readonly status: number;
  readonly reason: string;
  /** Lines to copy into the answer, present only when a request can be answered. */
  readonly answer?: { readonly via: Via; readonly lines: string };
}

export function headerOf(message: Common, name: string): string | undefined {
  for (const header of message.headers) if (header.name === name) return header.value;
  return undefined;
}

export function headersOf(message: Common, name: string): string[] {
  const values: string[] = [];
  for (const header of message.headers) if (header.name === name) values.push(header.value);
  return values;
}

/** Whether an option tag or method stands in a comma-separated header. */
export function listHas(message: Common, name: string, item: string): boolean {
  for (const header of message.headers) {
    if (header.name !== name) continue;
    for (const part of header.value.split(',')) if (part.trim().toLowerCase() === item) return true;
  }
  return false;
}
