import { join } from 'node:path';

/** The environment variable that brings the secret of control's hello; each side removes it once it was read. */
export const WORKER_SECRET_VARIABLE = 'HUSHTONE_WORKER_SECRET';

/** Where control finds a worker, and the worker listens: both know the configuration and the worker's number. */
export function workerSocketPath(varDir: string, index: number): string {
  return join(varDir, `worker-${index}.sock`);
}
