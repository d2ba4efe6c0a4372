/** drachtio-srf's message parser, an internal path of that package. */
declare module 'drachtio-srf/lib/sip-parser/parser.js' {
  interface Cursor {
    readonly s: string;
    i: number;
  }
  const parser: {
    getParser(name: string): (cursor: Cursor) => unknown;
    parseSipMessage(text: string, lazy: boolean): { headers: Record<string, string> } | undefined;
  };
  export default parser;
}
