/** For what cannot happen: ends the call it happens in, is counted, and is a bug by definition. */
export class AssertionFault extends Error {
  override readonly name = 'AssertionFault';
}

export function assert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new AssertionFault(message);
}

/** The default branch of an exhaustive switch: a new member does not compile until it has a branch. */
export function unreachable(value: never): never {
  throw new AssertionFault(`unreachable value ${JSON.stringify(value)}`);
}
