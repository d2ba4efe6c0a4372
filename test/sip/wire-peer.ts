import { createServer, type Server, type Socket } from 'node:net';

/*
 * The server's side of the drachtio wire protocol, by hand: what drachtio-srf sends is recorded and echoed, and what the
 * network would send is pushed frame by frame, several in one write where a test wants them to share a read.
 */

export interface ClientFrame {
  readonly id: string;
  /** `authenticate`, `route`, `sip`, … and what follows on the first line. */
  readonly tokens: readonly string[];
  readonly message: string;
}

function frame(payload: string): string {
  return `${Buffer.byteLength(payload)}#${payload}`;
}

export class WirePeer {
  readonly received: ClientFrame[] = [];
  readonly #server: Server;
  #socket: Socket | null = null;
  #buffer = Buffer.alloc(0);
  #serial = 0;
  #wake: () => void = () => {};
  /** What the echo of the next final answer shares its read with. */
  afterEcho: string[] = [];
  /** The transaction that the last request of the client got. */
  lastTxn = '';

  constructor() {
    this.#server = createServer((socket) => {
      this.#socket = socket;
      this.#buffer = Buffer.alloc(0);
      socket.on('data', (data) => this.#read(data));
      socket.on('error', () => {});
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  drop(): void {
    this.#socket?.destroy();
  }

  close(): Promise<void> {
    this.#socket?.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** The first frame that fits, once it has come; the test's own time limit ends a wait for nothing. */
  async until(fits: (frame: ClientFrame) => boolean): Promise<ClientFrame> {
    for (;;) {
      const found = this.received.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A message from the network, as a frame. */
  fromNetwork(message: string, txn: string, dialogId = ''): string {
    this.#serial += 1;
    const head = `n${this.#serial}|sip|network|${message.length}|udp|127.0.0.1|5062|10:00:00.000000|${txn}|${dialogId}|127.0.0.1|5060|`;
    return frame(`${head}\r\n${message}`);
  }

  push(...frames: string[]): void {
    this.#socket?.write(frames.join(''));
  }

  #read(data: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    for (;;) {
      const hash = this.#buffer.indexOf('#');
      const length = Number(this.#buffer.subarray(0, Math.max(0, hash)).toString());
      if (hash < 1 || this.#buffer.length < hash + 1 + length) break;
      const payload = this.#buffer.subarray(hash + 1, hash + 1 + length).toString();
      this.#buffer = this.#buffer.subarray(hash + 1 + length);
      const end = payload.indexOf('\r\n');
      const [id = '', ...tokens] = (end < 0 ? payload : payload.slice(0, end)).split('|');
      const received = { id, tokens, message: end < 0 ? '' : payload.slice(end + 2) };
      this.received.push(received);
      this.#answer(received);
    }
    this.#wake();
  }

  #answer({ id, tokens, message }: ClientFrame): void {
    this.#serial += 1;
    const head = `s${this.#serial}|response|${id}|OK`;
    if (tokens[0] === 'authenticate') {
      this.push(frame(`${head}|udp/127.0.0.1:5060|v0.9.10|udp/127.0.0.1:5060`));
    } else if (tokens[0] !== 'sip') {
      this.push(frame(head));
    } else if (message.startsWith('SIP/')) {
      const dialogId = 'wire-1;from-tag=a';
      const echo = message
        .replace(/^to: ([^;\r]*)\r$/im, 'To: $1;tag=ours\r')
        .replace('\r\n\r\n', '\r\nContact: <sip:127.0.0.1:5060>\r\n\r\n');
      const after = /^SIP\/2\.0 2/.test(message) ? this.afterEcho.splice(0) : [];
      const meta = `${head}|application|1|udp|127.0.0.1|5062|10:00:00.000000|${tokens[1]}|${dialogId}||Msg sent:|`;
      this.push(frame(`${meta}\r\n${echo}`), ...after);
    } else {
      this.lastTxn = `txn-${this.#serial}`;
      const meta = `${head}|application|1|udp|127.0.0.1|5060|10:00:00.000000|${this.lastTxn}|Msg sent:|`;
      const line = message.indexOf('\r\n');
      const own = `Call-ID: wire-2\r\nFrom: <sip:ours@127.0.0.1>;tag=o\r\nTo: <sip:them@127.0.0.1>\r\nCSeq: 1 ${message.split(' ')[0]}\r\n`;
      this.push(frame(`${meta}\r\n${message.slice(0, line + 2)}${own}${message.slice(line + 2)}`));
    }
  }
}
