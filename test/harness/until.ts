/** Small beside what is waited for, large beside what asking costs. */
const POLL_MS = 5;

/** Waits until it holds; throws with `what` after the limit. `giveUp` says why nothing will come any more. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { limitMs = 10_000, giveUp = () => null }: { limitMs?: number; giveUp?: () => string | null } = {},
): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!(await holds())) {
    const reason = giveUp();
    if (reason !== null) throw new Error(`${reason}: ${what}`);
    if (performance.now() > giveUpAt) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
