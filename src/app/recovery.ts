import { ServiceError } from '../lib/errors.ts';
import type { AppDeps } from './app.ts';
import { type Asked, askGateway, operationOf, settled } from './charges.ts';
import type { AttemptRow } from './ports.ts';

export interface Recovered {
  readonly settled: number;
  /** Ids of attempts whose outcome a person must find out. */
  readonly open: readonly string[];
}

/** How often one attempt is looked up before it is put before a person. */
const LOOKUPS_MAX = 3;
const LOOKUP_DELAY_MS = 2_000;

/**
 * Settles what an earlier run left `asking` or `unknown`. By lookup where the gateway has it; the fields are gone, so
 * nothing can be sent again. What stays open is kept `unknown` and logged as an error for a person.
 */
export async function recoverAttempts(
  deps: Pick<AppDeps, 'store' | 'gateways' | 'media' | 'clock' | 'log' | 'metrics'>,
): Promise<Recovered> {
  const open: string[] = [];
  let count = 0;
  for (const row of await deps.store.openAttempts()) {
    const asked = await lookUp(deps, row);
    const after = settled(row, asked, deps.clock.now());
    await deps.store.saveAttempt(after);
    const fields = { attemptId: row.attemptId, paymentId: row.paymentId, outcome: asked.outcome };
    if (after.state === 'unknown') {
      open.push(row.attemptId);
      deps.log.error('outcome of an earlier attempt is unknown: a person must check it', fields);
    } else {
      count += 1;
      deps.log.info('outcome of an earlier attempt found', fields);
    }
  }
  return { settled: count, open };
}

async function lookUp(
  deps: Pick<AppDeps, 'store' | 'gateways' | 'media' | 'clock' | 'log' | 'metrics'>,
  row: AttemptRow,
): Promise<Asked> {
  const adapter = deps.gateways.get(row.gateway);
  if (adapter?.capabilities.unknownOutcome !== 'lookup') return { outcome: 'unknown', reason: 'no lookup' };
  const operation = operationOf(row, 'lookup', { reference: row.paymentId, description: '', fields: [] });
  for (let tries = 1; ; tries += 1) {
    const asked = await askGateway(deps, adapter, operation, null);
    if (asked.outcome !== 'notSent' && asked.outcome !== 'unknown') return asked;
    // A lookup that was not sent says nothing of the charge.
    if (tries >= LOOKUPS_MAX) return { outcome: 'unknown', reason: asked.reason };
    await new Promise<void>((resolve) => {
      deps.clock.startTimer(LOOKUP_DELAY_MS, resolve);
    });
  }
}

/** For the composition root: a flow's gateway must exist and be able to take money. Throws CONFIG_INVALID. */
export function checkGateways(deps: Pick<AppDeps, 'flows' | 'gateways' | 'defaultFlow'>): void {
  if (!deps.flows.has(deps.defaultFlow)) throw new ServiceError('CONFIG_INVALID', `no flow ${deps.defaultFlow}`);
  for (const flow of deps.flows.values()) {
    const verbs = deps.gateways.get(flow.gateway)?.capabilities.verbs;
    if (verbs === undefined) throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: no gateway ${flow.gateway}`);
    if (!verbs.includes('purchase')) {
      throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: gateway ${flow.gateway} has no purchase`);
    }
    if (flow.onHangUp === 'void' && !verbs.includes('void') && !verbs.includes('refund')) {
      throw new ServiceError(
        'CONFIG_INVALID',
        `flow ${flow.name}: gateway ${flow.gateway} can neither void nor refund`,
      );
    }
  }
}
