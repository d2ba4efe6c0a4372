import type { LeakWatch } from './leak-watch.ts';

/** One event as it came over the wire. */
export interface SeenEvent {
  readonly id: number | null;
  /** `message` where the wire names none. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A listener of server-sent events; what comes goes through the leak watch, piece by piece and as a whole. */
export class EventListener {
  readonly status: number;
  readonly headers: Headers;
  readonly events: SeenEvent[] = [];
  /** Everything, comments included. */
  text = '';
  /** Settles when the stream has ended. */
  readonly over: Promise<void>;
  readonly #stop: AbortController;

  private constructor(answer: Response, stop: AbortController) {
    this.status = answer.status;
    this.headers = answer.headers;
    this.#stop = stop;
    this.over = this.#read(answer).catch(() => {});
  }

  static async open(
    url: string,
    { after, key }: { readonly after?: number; readonly key?: string } = {},
  ): Promise<EventListener> {
    const stop = new AbortController();
    const headers = {
      ...(after === undefined ? {} : { 'last-event-id': String(after) }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
    return new EventListener(await fetch(url, { headers, signal: stop.signal }), stop);
  }

  get ids(): readonly number[] {
    return this.events.flatMap(({ id }) => (id === null ? [] : [id]));
  }

  get progress(): readonly SeenEvent['data'][] {
    return this.events.filter(({ name }) => name === 'progress').map(({ data }) => data);
  }

  lookThrough(watch: LeakWatch): void {
    watch.look('event stream', this.text);
  }

  close(): Promise<void> {
    this.#stop.abort();
    return this.over;
  }

  async #read(answer: Response): Promise<void> {
    let rest = '';
    for await (const bytes of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      this.text += bytes;
      const blocks = (rest + bytes).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block
        .split('\n')
        .filter((line) => !line.startsWith(':'))
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const),
    );
    const data = fields.get('data');
    if (data === undefined) return;
    const id = fields.get('id');
    this.events.push({
      id: id === undefined ? null : Number(id),
      name: fields.get('event') ?? 'message',
      data: JSON.parse(data) as SeenEvent['data'],
    });
  }
}
