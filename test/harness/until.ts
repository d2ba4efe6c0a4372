/** For what costs nothing to ask. */
const POLL_MS = 5;

/** Waits until it holds; throws with `what` after the limit. `giveUp` says why nothing will come any more. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  {
    limitMs = 10_000,
    pollMs = POLL_MS,
    giveUp = () => null,
  }: { limitMs?: number; pollMs?: number; giveUp?: () => string | null } = {},
): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!(await holds())) {
    const reason = giveUp();
    if (reason !== null) throw new Error(`${reason}: ${what}`);
    if (performance.now() > giveUpAt) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
