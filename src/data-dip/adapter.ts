import type { DataDipPort } from '../app/ports.ts';
import { ServiceError } from '../lib/errors.ts';

const ANSWER_BYTES_MAX = 16_384;

/** `fetch` as an argument, so that a test needs no server. */
export function createDataDip(fetchImpl: typeof fetch = fetch): DataDipPort {
  return {
    async fetchAmount({ url, timeoutMs, customer, reference }) {
      const target = new URL(url);
      if (customer !== null) target.searchParams.set('customer', customer);
      if (reference !== null) target.searchParams.set('reference', reference);
      let response: Response;
      let text: string;
      try {
        response = await fetchImpl(target, {
          redirect: 'error',
          signal: AbortSignal.timeout(timeoutMs),
          headers: { accept: 'application/json' },
        });
        text = await readBounded(response);
      } catch (cause) {
        throw new ServiceError('DATA_DIP_FAILED', `no answer from ${target.host} within ${timeoutMs} ms`, { cause });
      }
      if (response.status !== 200) {
        const detail = { status: response.status };
        throw new ServiceError('DATA_DIP_FAILED', `${target.host} answered ${response.status}`, { detail });
      }
      return readAmount(text, target.host);
    },
  };
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`answer longer than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readAmount(text: string, host: string): { amountMinor: number; currency: string | null } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const { amount_minor: amountMinor, currency = null } = (value ?? {}) as {
    amount_minor?: unknown;
    currency?: unknown;
  };
  const isAmount = typeof amountMinor === 'number' && Number.isSafeInteger(amountMinor) && amountMinor >= 0;
  const isCurrency = currency === null || (typeof currency === 'string' && /^[A-Z]{3}$/.test(currency));
  if (isAmount && isCurrency) return { amountMinor, currency };
  throw new ServiceError('DATA_DIP_FAILED', `${host} gave no amount_minor as a whole number, or no ISO 4217 currency`);
}
