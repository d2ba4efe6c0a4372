/**
 * What we use of drachtio-srf 5.0.29. Its own declarations contradict its code (no `dlg.id`, no `SipError.res`, wrong
 * return types), so these were written from the code. Callbacks only: a promise settles a turn later, and a BYE that
 * shared a read with the echo of our 200 would then reach no listener.
 */
declare module 'drachtio-srf' {
  import type { EventEmitter } from 'node:events';

  export interface SrfMessage {
    /** Case-insensitive; repeated headers joined by commas. */
    get(name: string): string | undefined;
    has(name: string): boolean;
    body: string | undefined;
    /** The parts of a multipart body, or the one body. */
    readonly payload: readonly { readonly type: string | null | undefined; readonly content: string | undefined }[];
  }

  export interface SrfRequest extends SrfMessage, EventEmitter {
    readonly method: string;
    readonly uri: string;
    readonly source: 'network' | 'application';
    readonly source_address: string;
    readonly source_port: number;
    readonly protocol: string;
    readonly stackDialogId: string;
    /** The connection to the SIP server that this request came by or went out on. */
    socket: unknown;
    cancel(options: { headers?: Record<string, string> }, callback: (error: unknown) => void): void;
  }

  export interface SendOptions {
    headers?: Record<string, string>;
    body?: string | undefined;
  }

  export interface SrfResponse extends SrfMessage {
    readonly status: number;
    readonly reason: string;
    readonly finalResponseSent: boolean;
    /** Throws for a status that its table does not know; the callback's error may be a string. */
    send(status: number, reason: string, options: SendOptions, callback?: (error: unknown) => void): void;
    send(status: number, options: SendOptions, callback?: (error: unknown) => void): void;
  }

  export interface SrfDialog extends EventEmitter {
    readonly id: string;
    readonly sip: { readonly callId: string; readonly localTag: string; readonly remoteTag: string };
    readonly local: { uri: string; sdp: string; contact: string };
    readonly remote: { uri: string; sdp: string | undefined };
    readonly req: SrfRequest;
    readonly res: SrfResponse;
    handle(req: SrfRequest, res: SrfResponse): void;
    destroy(options: { headers?: Record<string, string> }, callback: (error: unknown) => void): unknown;
    request(
      options: { method: string; headers?: Record<string, string>; body?: string },
      callback: (error: unknown, response?: SrfResponse) => void,
    ): unknown;
  }

  export interface ConnectOptions {
    host: string;
    port: number;
    secret: string;
    enablePing?: boolean;
    pingInterval?: number;
    reconnect?: { retryMaxDelay?: number };
  }

  export type RequestHandler = (req: SrfRequest, res: SrfResponse) => void;

  export interface UacOptions {
    localSdp: string;
    headers: Record<string, string>;
  }

  export default class Srf extends EventEmitter {
    connect(options: ConnectOptions): unknown;
    disconnect(): void;
    use(method: string, handler: RequestHandler): unknown;
    /** For every method, without asking the server for it. */
    use(handler: RequestHandler): unknown;
    createUAS(
      req: SrfRequest,
      res: SrfResponse,
      options: { localSdp: string; headers: Record<string, string> },
      callback: (error: unknown, dialog?: SrfDialog) => void,
    ): unknown;
    createUAC(
      uri: string,
      options: UacOptions,
      progress: {
        cbRequest?: (error: unknown, req?: SrfRequest) => void;
        cbProvisional?: (res: SrfResponse) => void;
      },
      callback: (error: unknown, dialog?: SrfDialog) => void,
    ): unknown;
    request(
      uri: string,
      options: { method: string; stackDialogId: string; headers?: Record<string, string> },
      callback: (error: unknown, req?: SrfRequest) => void,
    ): unknown;
    /** The library's own parts; only to end its reconnecting, for which it has no other way. */
    readonly app: { readonly client?: { readonly wp?: { closing: boolean } } };
  }
}
