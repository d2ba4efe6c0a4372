import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { assert } from '../../src/lib/assert.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ServiceError, VERDICTS } from '../../src/lib/errors.ts';
import { newId } from '../../src/lib/ids.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { VirtualClock } from '../harness/clock.ts';

describe('a secret', () => {
  it('prints as its label in every way that things are printed', () => {
    const secret = new Sensitive('key', 'open-sesame');
    const printed = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect(secret, { showHidden: true, depth: 9 }),
    ];
    for (const text of printed) expect(text).not.toContain('sesame');
    expect(secret.reveal()).toBe('open-sesame');
  });
});

describe('an id', () => {
  it('says its kind, sorts by time, and is not made twice', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) =>
      newId('payment', 1_700_000_000_000 + Math.trunc(index / 10)),
    );
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(id).toMatch(/^pa_[0-9a-z]{19}$/);
    const times = ids.map((id) => id.slice(0, 12));
    expect([...times].sort()).toEqual(times);
  });
});

describe('an error', () => {
  it('carries the verdict of its code', () => {
    const error = new ServiceError('GATEWAY_OUTCOME_UNKNOWN', 'no answer in 1000 ms', { detail: { timeoutMs: 1000 } });
    expect(error.verdict).toBe(VERDICTS.GATEWAY_OUTCOME_UNKNOWN);
    expect(error.verdict.retry).toBe('sameKey');
  });
  it('has a SIP and an HTTP status for every code', () => {
    for (const { sipStatus, httpStatus } of Object.values(VERDICTS)) {
      expect(sipStatus).toBeGreaterThanOrEqual(400);
      expect(httpStatus).toBeGreaterThanOrEqual(400);
    }
  });
  it('is thrown by an assertion that does not hold', () => {
    expect(() => assert(false, 'two owners')).toThrowError('two owners');
    expect(() => assert(true, 'two owners')).not.toThrow();
  });
});

describe('a clock', () => {
  it('fires timers in the order they are due, and none that was cancelled', async () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    clock.startTimer(20, () => fired.push(`late at ${clock.now()}`));
    clock.startTimer(10, () => fired.push(`early at ${clock.now()}`));
    clock.startTimer(15, () => fired.push('cancelled')).cancel();
    await clock.advance(30);
    expect(fired).toEqual(['early at 10', 'late at 20']);
    expect(clock.pending).toBe(0);
  });
  it('of the system does not fire a timer that was cancelled', async () => {
    const fired: string[] = [];
    systemClock.startTimer(1, () => fired.push('cancelled')).cancel();
    await new Promise<void>((resolve) => {
      systemClock.startTimer(2, resolve);
    });
    expect(fired).toEqual([]);
    expect(systemClock.now()).toBeGreaterThan(Date.UTC(2024, 0));
  });
});
