import type { ServerResponse } from 'node:http';
import type { LiveEvent, LiveListener } from '../app/journal.ts';
import type { RecordedEvent } from '../app/ports.ts';
import type { Clock, Timer } from '../lib/clock.ts';

/** What a listener has not taken yet; past it, it gets no more until it has, and is then told from the records. */
export const LISTENER_QUEUE_BYTES_MAX = 262_144;
/** Recorded events asked of the store at once. */
export const REPLAY_ROWS_MAX = 100;
/** Shorter than the time after which proxies, and our own server, take a connection for dead. */
export const KEEP_ALIVE_MS = 8_000;
/** How long a browser waits before it comes again. */
const RECONNECT_MS = 2_000;

export interface StreamParts {
  readonly response: ServerResponse;
  /** The last event that the listener has; it gets what is recorded behind it, then what happens. */
  readonly after: number;
  readonly replay: (after: number, limit: number) => Promise<readonly RecordedEvent[]>;
  /** Begins to tell `listener` what happens, as far as this stream is about it; returns the way to leave. */
  readonly subscribe: (listener: LiveListener) => () => void;
  /** The event's text for the wire; null where it may not be sent. */
  readonly write: (event: LiveEvent) => string | null;
  /** The stream ends behind this event. */
  readonly isLast: (event: LiveEvent) => boolean;
  /** The stream ends once it has told what is recorded. */
  readonly endsAfterReplay: boolean;
  readonly queueBytesMax?: number;
  readonly clock: Clock;
}

/**
 * Server-sent events to one listener, until it leaves or the stream ends. Every recorded event reaches it once and in
 * order: from the records until it has caught up, then as it happens, and from the records again when it was too slow to
 * take what happened. So there is one queue, the socket's, and it has a limit. Progress is told only while it keeps up.
 */
export async function streamEvents(parts: StreamParts): Promise<void> {
  const { response, replay, write, isLast, clock, queueBytesMax = LISTENER_QUEUE_BYTES_MAX } = parts;
  let sent = parts.after;
  let isLive = false;
  let hasMissed = false;
  let isOver = false;
  let wake = (): void => {};
  const end = (): void => {
    isOver = true;
    wake();
  };
  const tell = (event: LiveEvent): void => {
    if (event.type === 'recorded' && event.ordinal !== null) {
      if (event.ordinal <= sent) return;
      sent = event.ordinal;
    }
    const text = write(event);
    if (text !== null) response.write(text);
    if (isLast(event)) end();
  };
  const leave = parts.subscribe((event) => {
    if (isOver) return;
    if (isLive && response.writableLength <= queueBytesMax) return tell(event);
    if (event.type === 'progress') return;
    hasMissed = true;
    if (isLive) wake();
    isLive = false;
  });
  response.once('close', end);
  response.once('error', end);
  response.write(`retry: ${RECONNECT_MS}\n\n`);
  const keepAlive = repeating(clock, KEEP_ALIVE_MS, () => response.write(': keep-alive\n\n'));
  try {
    while (!isOver) {
      hasMissed = false;
      const rows = await replay(sent, REPLAY_ROWS_MAX);
      for (const row of rows) if (!isOver) tell({ type: 'recorded', event: row, ordinal: row.ordinal });
      if (response.writableNeedDrain && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          response.once('drain', resolve);
        });
      }
      if (rows.length === REPLAY_ROWS_MAX || hasMissed) continue;
      if (parts.endsAfterReplay || isOver) break;
      const isBehind = new Promise<void>((resolve) => {
        wake = resolve;
      });
      isLive = true;
      await isBehind;
    }
  } finally {
    leave();
    keepAlive.cancel();
    response.end();
  }
}

function repeating(clock: Clock, everyMs: number, run: () => void): Timer {
  let timer = clock.startTimer(everyMs, again);
  function again(): void {
    run();
    timer = clock.startTimer(everyMs, again);
  }
  return { cancel: () => timer.cancel() };
}
