import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/lib/nearest.ts';

describe('suggesting a command', () => {
  const names = ['serve', 'demo', 'decode', 'sip-server'];
  it.each([
    ['sreve', 'serve'],
    ['decod', 'decode'],
    ['demo ', 'demo'],
    ['sipserver', 'sip-server'],
  ])('names the nearest command for %s', (typed, expected) => {
    expect(nearest(typed, names)).toBe(expected);
  });

  it('suggests nothing for a word that is like none', () => {
    expect(nearest('installation', names)).toBeNull();
  });
});
