/** More port calls than this are a loop. */
const CALLS_MAX = 500;

/**
 * Runs a scenario whole, then once for each of its port calls with that call failing. `scenario` gets the number of
 * the call that fails (-1: none) and tells how many calls there were.
 */
export async function failNth(scenario: (failAt: number) => Promise<number>): Promise<number> {
  const calls = await scenario(-1);
  if (calls > CALLS_MAX) throw new Error(`scenario made ${calls} port calls`);
  for (let failAt = 0; failAt < calls; failAt += 1) {
    try {
      await scenario(failAt);
    } catch (error) {
      throw new Error(`with port call ${failAt} of ${calls} failing: ${String(error)}`, { cause: error });
    }
  }
  return calls;
}
