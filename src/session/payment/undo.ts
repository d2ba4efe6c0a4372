import { unreachable } from '../../lib/assert.ts';
import type { Result, UndoCause } from './state.ts';

/** Proved not charged. */
export function voidedResult(cause: UndoCause): Result {
  return cause === 'hungUp' || cause === 'hungUpBeforeCapture'
    ? { result: 'abandoned', errorCode: null }
    : { result: 'failed', errorCode: 'GATEWAY_CAPTURE_FAILED' };
}

/** What is known, and what a person must see to, where the void was not confirmed. */
export function leftStanding(number: number, cause: UndoCause): { readonly result: Result; readonly text: string } {
  const held = `its void was not confirmed: the amount may still be held`;
  switch (cause) {
    case 'hungUp':
      return {
        result: { result: 'approved', errorCode: null },
        text: `charge ${number} was approved and could not be voided after the caller hung up`,
      };
    case 'hungUpBeforeCapture':
      return {
        result: { result: 'abandoned', errorCode: null },
        text: `charge ${number} was authorized, the caller hung up, and ${held}`,
      };
    case 'captureRefused':
      return {
        result: { result: 'failed', errorCode: 'GATEWAY_CAPTURE_FAILED' },
        text: `capture of charge ${number} was refused, and ${held}`,
      };
    case 'captureUnknown':
      return {
        result: { result: 'unknown', errorCode: 'GATEWAY_OUTCOME_UNKNOWN' },
        text: `outcome of the capture of charge ${number} is unknown, and its void was not confirmed`,
      };
    default:
      return unreachable(cause);
  }
}
