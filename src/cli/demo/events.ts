/** The server whose API is asked. */
export interface Api {
  /** `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Asked for where the server has keys. */
  readonly key: string | null;
}

/** An event of the server's stream: recorded ones have an id. */
export interface StreamEvent {
  readonly id: number | null;
  readonly isProgress: boolean;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A block that is longer is none of the server's. */
const BLOCK_CHARS_MAX = 65_536;

/** Server-sent events (WHATWG HTML §9.2) behind `after`, until the server ends the stream. Throws where it breaks. */
export async function* eventsOf(
  api: Api,
  path: string,
  after: number | null,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const answer = await fetch(api.url + path, {
    signal,
    headers: {
      accept: 'text/event-stream',
      ...(after === null ? {} : { 'last-event-id': String(after) }),
      ...(api.key === null ? {} : { authorization: `Bearer ${api.key}` }),
    },
  });
  if (!answer.ok) throw new Error(`GET ${path} was answered ${answer.status}`);
  let rest = '';
  for await (const part of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + part).split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > BLOCK_CHARS_MAX) throw new Error(`GET ${path} gave an event without an end`);
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== null) yield event;
    }
  }
}

/** Null for what holds no data: a comment, or how long to wait. */
function parseBlock(block: string): StreamEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name, value);
  }
  const data = fields.get('data');
  if (data === undefined) return null;
  const id = fields.get('id');
  return {
    id: id === undefined ? null : Number(id),
    isProgress: fields.get('event') === 'progress',
    data: JSON.parse(data) as StreamEvent['data'],
  };
}
