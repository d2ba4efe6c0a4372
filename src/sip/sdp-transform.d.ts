/** What we use of sdp-transform 3.0.0, which ships no types. Every field is as the text had it, so all may be missing. */
declare module 'sdp-transform' {
  export interface LooseConnection {
    version?: number | string;
    ip?: string | number;
  }

  export interface LooseMedia {
    connection?: LooseConnection;
    direction?: string;
    ptime?: number | string;
    maxptime?: number | string;
    rtcp?: { port?: number | string; address?: string | number };
    fmtp?: { payload?: number | string; config?: string | number }[];
    rtp?: { payload?: number | string; codec?: string | number; rate?: number | string; encoding?: number | string }[];
  }

  export interface LooseSession {
    connection?: LooseConnection;
    direction?: string;
    ptime?: number | string;
    maxptime?: number | string;
    origin?: { sessionId?: number | string; sessionVersion?: number | string };
    media: LooseMedia[];
  }

  export function parse(sdp: string): LooseSession;
  const sdpTransform: { parse: typeof parse };
  export default sdpTransform;
}
