import { Socket } from 'node:net';
import { LOOK_EVERY_MS } from '../supervisor/silence.ts';

/** Set by the supervisor: the descriptor on which a process says that it lives. */
const BEAT_VARIABLE = 'HUSHTONE_BEAT_FD';

/**
 * Says from now on, as often as the supervisor looks, that this process lives: its event loop by coming round to it, and
 * what else it is made of by `isAlive`. One sign waits at the most; a supervisor that does not read gets no second one.
 * Does nothing where no supervisor asks. Returns the way to stop.
 */
export function startBeating(isAlive: () => boolean = () => true): () => void {
  const descriptor = Number(process.env[BEAT_VARIABLE]);
  delete process.env[BEAT_VARIABLE];
  if (!Number.isInteger(descriptor) || descriptor < 3) return () => {};
  const pipe = new Socket({ fd: descriptor, readable: false, writable: true });
  // A supervisor that is gone ends this process by other means (parent.ts).
  pipe.on('error', () => {});
  pipe.unref();
  const beat = () => {
    if (isAlive() && pipe.writable && pipe.writableLength === 0) pipe.write('.');
  };
  beat();
  const timer = setInterval(beat, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}
