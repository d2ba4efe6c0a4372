import { parseArgs } from 'node:util';
import { readConfig } from '../config/read.ts';
import { ConfigSchema } from '../config/schema.ts';
import { ServiceError } from '../lib/errors.ts';

const USAGE = `usage: hushtone config check [FILE]     judge the file, and print it with its defaults, secrets hidden
       hushtone config schema           print the JSON Schema, for editors

Without FILE it reads hushtone.yaml of this folder, or, where there is none, the embedded defaults.

examples:
  npx hushtone config check
  npx hushtone config check /etc/hushtone/hushtone.yaml
`;

const EXIT_OK = 0;
const EXIT_FAULTS = 1;
const EXIT_USAGE = 2;

/** 0 the file is right, 1 it is not (one line for each fault on standard error), 2 asked wrongly. */
export async function configCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { help: { type: 'boolean', short: 'h', default: false } },
    allowPositionals: true,
  });
  const [verb, file, ...more] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  if (verb === 'schema' && file === undefined) {
    process.stdout.write(`${JSON.stringify(ConfigSchema, null, 2)}\n`);
    return EXIT_OK;
  }
  if (verb !== 'check' || more.length > 0) {
    process.stderr.write(USAGE);
    return EXIT_USAGE;
  }
  try {
    const config = readConfig({
      file: file ?? null,
      environment: process.env,
      directory: process.cwd(),
      judgeCertificates: true,
    });
    process.stdout.write(`${JSON.stringify(config, mapsAsObjects, 2)}\n`);
    process.stderr.write(`${config.file ?? 'embedded defaults'}: right\n`);
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'CONFIG_INVALID') throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT_FAULTS;
  }
}

function mapsAsObjects(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
