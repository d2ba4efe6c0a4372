/** Set by the supervisor for the processes it starts: their standard input is a pipe that closes when it dies. */
const SUPERVISED = 'HUSHTONE_SUPERVISED';
/** From the parent's death to the end by force, for a process that does not come to its end by itself. */
const ORPHAN_GRACE_MS = 5_000;

/** Ends this process when the supervisor that started it is gone, even where that was killed without a word. */
export function endWithParent(): void {
  if (process.env[SUPERVISED] !== '1') return;
  delete process.env[SUPERVISED];
  process.stdin.on('error', end);
  process.stdin.on('end', end);
  process.stdin.on('close', end);
  process.stdin.resume();
  // It watches, and is no reason to go on: a process whose work is done ends by itself.
  process.stdin.unref();
  let ended = false;
  function end(): void {
    if (ended) return;
    ended = true;
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), ORPHAN_GRACE_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  }
}
