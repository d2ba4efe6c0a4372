import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { configCommand } from '../../src/cli/config.ts';

let folder: string;
let out: string;
let err: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hushtone-config-'));
  [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

describe('hushtone config', () => {
  it('prints a right file with its defaults and without its secrets', async () => {
    const file = join(folder, 'right.yaml');
    writeFileSync(file, 'http: { port: 9000, keys: [a-key-of-more-than-twenty-characters] }\n');
    expect(await configCommand(['check', file])).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ http: { port: 9000 }, flows: { default: { currency: 'USD' } } });
    expect(out).not.toContain('a-key-of');
    expect(err).toBe(`${file}: right\n`);
  });

  it('prints one line for each fault of a wrong file', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'htpp: {}\ndrainMs: soon\n');
    expect(await configCommand(['check', file])).toBe(1);
    expect(err.trim().split('\n')).toEqual([
      `${file}:2: drainMs expected a whole number 0 to 3600000, found other text`,
      `${file}:1: htpp is not a known key; did you mean "http"?`,
    ]);
  });

  it('prints the schema for editors, and its usage when asked wrongly', async () => {
    expect(await configCommand(['schema'])).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'hushtone.yaml', type: 'object' });
    expect(await configCommand(['chekc'])).toBe(2);
    expect(err).toContain('usage: hushtone config check');
  });
});
