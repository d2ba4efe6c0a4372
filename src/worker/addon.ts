import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * The only place that loads the addon; who uses a part of it says what that part takes and gives, as native/addon says
 * it. Throws with what to do where it was not built.
 */
export function addonObject(): object {
  const file = fileURLToPath(new URL('../../build/native/hushtone.node', import.meta.url));
  if (!existsSync(file)) throw new Error(`${file} is missing; make build makes it`);
  return createRequire(import.meta.url)(file) as object;
}
