import type { Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import type { Limits } from '../limits.ts';
import { WireFraming } from './framing.ts';
import { plainAnswer } from './meta.ts';
import { type FrameKind, Pacing } from './pacing.ts';

/** A frame of an application after authentication, split at its meta line. */
export interface Command {
  readonly id: string;
  /** Tokens after the id; the first is the command's name. */
  readonly tokens: readonly string[];
  /** The SIP message, or empty. */
  readonly message: string;
}

export interface ApplicationEvents {
  authenticated(application: Application): void;
  command(application: Application, command: Command): void;
  gone(application: Application): void;
  counted(what: 'admin_refused' | 'admin_overrun'): void;
}

/** One drachtio-srf connection: framing, authentication (enforced), paced writing. */
export class Application {
  readonly verbs = new Set<string>();
  tags: readonly string[] = [];
  open = true;
  #authenticated = false;
  readonly #socket: Socket;
  readonly #pacing: Pacing;
  readonly #parts: { secret: string; hello: () => string; limits: Limits; events: ApplicationEvents };

  constructor(
    socket: Socket,
    clock: Clock,
    parts: { secret: string; hello: () => string; limits: Limits; events: ApplicationEvents },
  ) {
    this.#socket = socket;
    this.#parts = parts;
    this.#pacing = new Pacing(clock, (frame) => this.#write(frame));
    const framing = new WireFraming();
    const deadline = clock.startTimer(parts.limits.authenticateMsMax, () => {
      if (!this.#authenticated) this.end();
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 45_000);
    socket.on('data', (bytes) => {
      const frames = framing.push(bytes);
      if (frames.kind === 'fault') {
        parts.events.counted('admin_refused');
        socket.destroy();
        return;
      }
      for (const payload of frames.payloads) if (this.open) this.#receive(payload);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      deadline.cancel();
      this.open = false;
      parts.events.gone(this);
    });
  }

  get isAuthenticated(): boolean {
    return this.#authenticated;
  }

  /** `callId` keeps the frames of a call apart. */
  send(frame: string, callId = '', kind: FrameKind = 'echo'): void {
    if (!this.open) return;
    if (
      this.#pacing.waiting >= this.#parts.limits.adminQueueFramesMax ||
      this.#socket.writableLength > this.#parts.limits.writeBufferBytesMax * 16
    ) {
      this.#parts.events.counted('admin_overrun');
      this.#socket.destroy();
      this.open = false;
      return;
    }
    this.#pacing.push(callId, frame, kind);
  }

  #write(frame: string): void {
    if (this.open) this.#socket.write(`${frame.length}#${frame}`, 'latin1');
  }

  end(): void {
    this.open = false;
    this.#socket.end();
    // A peer that keeps its side open is not waited for.
    this.#socket.destroySoon();
  }

  /** Answers and ends the connection, as every protocol error does. */
  refuse(id: string, reason: string): void {
    this.#parts.events.counted('admin_refused');
    this.#write(plainAnswer(id, 'NO', reason));
    this.end();
  }

  #receive(payload: string): void {
    const cr = payload.indexOf('\r\n');
    const meta = cr < 0 ? payload : payload.slice(0, cr);
    const message = cr < 0 ? '' : payload.slice(cr + 2);
    const [id = '', ...tokens] = meta.split('|');
    if (tokens.length === 0 || id === '') this.refuse(id, 'Invalid message format');
    else if (tokens[0] === 'authenticate') this.#authenticate(id, tokens);
    else if (!this.#authenticated) this.refuse(id, 'not authenticated');
    else this.#parts.events.command(this, { id, tokens, message });
  }

  #authenticate(id: string, tokens: readonly string[]): void {
    if (!sameSecret(tokens[1] ?? '', this.#parts.secret)) {
      this.refuse(id, 'incorrect secret');
      return;
    }
    this.#authenticated = true;
    this.tags = (tokens[2] ?? '').split(',').filter((tag) => tag !== '');
    this.send(plainAnswer(id, 'OK', this.#parts.hello()));
    this.#parts.events.authenticated(this);
  }
}

/** In a time that does not tell how much of it was right. Both are bytes as Latin-1. */
function sameSecret(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) difference |= given.charCodeAt(i) ^ secret.charCodeAt(i % secret.length);
  return difference === 0;
}
