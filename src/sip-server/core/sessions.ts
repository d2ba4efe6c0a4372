import type { SipResponse } from '../message/message.ts';
import { headerOf } from '../message/message.ts';
import { endAfterMs, refreshAfterMs, type SessionTerms, sessionExpiresOf, termsOf } from '../session-timer.ts';
import type { Context } from './context.ts';
import type { Dialog } from './types.ts';

/** A refresh that was refused is tried again after so long (RFC 3261 §14.1 has 2.1 to 4 s for 491). */
const AGAIN_MS = 3_000;

/** What sessions need of those who can send. */
export interface SessionPort {
  /** Sends an UPDATE, or a re-INVITE with what we last said of our media; false where there is no way to. */
  refresh(dialog: Dialog, method: 'UPDATE' | 'INVITE', done: (response: SipResponse | number) => void): boolean;
  /** BYE, and the application is told. */
  end(dialog: Dialog, why: string): void;
}

/** Keeps calls with a session timer (RFC 4028) alive, or ends them. */
export class Sessions {
  readonly #context: Context;
  readonly #port: SessionPort;

  constructor(context: Context, port: SessionPort) {
    this.#context = context;
    this.#port = port;
  }

  /** After each 2xx of an INVITE or UPDATE. */
  agreed(dialog: Dialog, terms: SessionTerms | undefined): void {
    stopSession(dialog);
    if (terms === undefined) return;
    const { clock } = this.#context;
    const end = clock.startTimer(endAfterMs(terms), () => {
      this.#context.count('sessions_expired');
      this.#port.end(dialog, 'Session timer expired');
    });
    const refresh = terms.weRefresh ? clock.startTimer(refreshAfterMs(terms), () => this.#refresh(dialog)) : undefined;
    dialog.session = { terms, end, refresh };
  }

  #refresh(dialog: Dialog): void {
    const { session } = dialog;
    if (session === undefined) return;
    const method = dialog.peerTakesUpdate ? 'UPDATE' : 'INVITE';
    const isSent = this.#port.refresh(dialog, method, (answer) =>
      this.#refreshed(dialog, session.terms, method, answer),
    );
    if (!isSent) this.#again(dialog);
  }

  /** §10: only silence, and a peer that no longer knows the call, end it at once. */
  #refreshed(dialog: Dialog, terms: SessionTerms, method: string, answer: SipResponse | number): void {
    if (!this.#context.dialogs.has(dialog.state.id)) return;
    const status = typeof answer === 'number' ? answer : answer.status;
    if (typeof answer !== 'number' && status < 300) {
      this.agreed(dialog, termsOf(sessionExpiresOf(answer), true));
      return;
    }
    if (status === 408 || status === 481) {
      this.#context.count('sessions_expired');
      this.#port.end(dialog, 'Session timer expired');
      return;
    }
    // It said that it takes UPDATE, and does not.
    if (method === 'UPDATE' && (status === 405 || status === 501)) dialog.peerTakesUpdate = false;
    const least = typeof answer === 'number' ? '' : (headerOf(answer, 'min-se') ?? '');
    if (status === 422 && dialog.session !== undefined && /^\d{1,9}$/.test(least)) {
      dialog.session.terms = { ...terms, seconds: Math.max(terms.seconds, Number(least)) };
    }
    this.#again(dialog);
  }

  #again(dialog: Dialog): void {
    if (dialog.session === undefined) return;
    dialog.session.refresh = this.#context.clock.startTimer(AGAIN_MS, () => this.#refresh(dialog));
  }
}

export function stopSession(dialog: Dialog): void {
  dialog.session?.end.cancel();
  dialog.session?.refresh?.cancel();
  dialog.session = undefined;
}
