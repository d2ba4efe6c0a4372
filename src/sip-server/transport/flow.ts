export type Protocol = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

export const isSecure = (protocol: Protocol): boolean => protocol === 'tls' || protocol === 'wss';

/** RFC 3261 §19.1.2. */
export const defaultPort = (protocol: Protocol): number => (isSecure(protocol) ? 5061 : 5060);

/** The parameter of a URI that says so; RFC 7118 §5.2 has `ws` for both kinds of WebSocket. */
export function transportParam(protocol: Protocol): string {
  if (protocol === 'udp') return '';
  return `;transport=${protocol === 'wss' ? 'ws' : protocol}`;
}

/** An address this server listens on. */
export interface Endpoint {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/**
 * One way to one peer: a UDP address pair, a TCP connection, a WebSocket. What came over a flow is answered
 * over it, and in-dialog requests go back over it.
 */
export interface Flow {
  readonly protocol: Protocol;
  readonly reliable: boolean;
  readonly local: Endpoint;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly open: boolean;
  /** Text is bytes as Latin-1. False where the flow is closed or the peer reads too slowly. */
  send(text: string): boolean;
}

/** What transports report. */
export interface TransportEvents {
  /** One whole message. */
  received(text: string, flow: Flow): void;
  /** Something that is no message and can't be answered: counted. */
  dropped(reason: string): void;
  /** The peer of a UDP send is not there (ICMP), or a connection ended or could not be made. */
  flowFailed(flow: Flow): void;
}

export interface Transport {
  readonly endpoint: Endpoint;
  /**
   * A flow to this peer, made if need be; undefined where this transport can't make one. `domain`: who the peer must prove
   * to be over TLS; without it, its address.
   */
  flowTo(address: string, port: number, domain?: string): Flow | undefined;
  close(): Promise<void>;
}
