import { existsSync, readFileSync } from 'node:fs';
import { nearest } from '../lib/nearest.ts';
import { endWithParent } from './parent.ts';

export type Command = (argv: readonly string[]) => Promise<number>;

interface Entry {
  readonly summary: string;
  readonly example: string;
  /** Started by the supervisor, or for tests: left out of the help. */
  readonly internal?: true;
  /** Goes on when nobody reads its output any more; the others have nothing left to do then. */
  readonly serves?: true;
}

/** One file per command: `<name>.ts` exports `<name>Command`, and is loaded only when it is asked for. */
const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'start everything and keep it running',
    example: 'hushtone serve --config hushtone.yaml',
    serves: true,
  },
  demo: { summary: 'place real calls over loopback and pay', example: 'hushtone demo' },
  decode: { summary: 'print the keys pressed in captures and recordings', example: 'hushtone decode --json call.pcap' },
  replay: {
    summary: 'play a capture into a call',
    example: 'hushtone replay call.pcap --to sip:pay@127.0.0.1:5060',
  },
  prompts: { summary: 'build and check the recordings', example: 'hushtone prompts check' },
  profiles: { summary: 'check the SIP profiles', example: 'hushtone profiles check sip-profiles' },
  config: { summary: 'check the configuration and print it with its defaults', example: 'hushtone config check' },
  'sip-server': {
    summary: 'run the embedded SIP server alone',
    example: 'hushtone sip-server --admin 127.0.0.1:9022 --secret cymru --sip udp:127.0.0.1:5060',
    serves: true,
  },
  'sandbox-gateway': {
    summary: 'run the payment gateway simulator alone',
    example: 'hushtone sandbox-gateway',
    serves: true,
  },
  worker: { summary: 'a media worker', example: 'hushtone worker', internal: true, serves: true },
  control: { summary: 'the control process', example: 'hushtone control', internal: true, serves: true },
};

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command; the number is the process's exit status: 0 done, 1 failed, 2 asked wrongly. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpText());
    return EXIT_OK;
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`hushtone ${productVersion()} (Node ${process.versions.node})\n`);
    return EXIT_OK;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const suggestion = nearest(name, publicNames());
    const hint = suggestion === null ? 'hushtone --help lists the commands' : `did you mean "${suggestion}"?`;
    process.stderr.write(`hushtone: unknown command "${name}"; ${hint}\n`);
    return EXIT_USAGE;
  }
  onBrokenPipe(COMMANDS[name]?.serves === true);
  endWithParent();
  try {
    const command = await load(name);
    return await command(rest);
  } catch (error) {
    process.stderr.write(`hushtone ${name}: ${describeFailure(error)}\n`);
    return EXIT_FAILED;
  }
}

async function load(name: string): Promise<Command> {
  const file = new URL(`./${name}.ts`, import.meta.url);
  if (!existsSync(file)) throw new Error('not part of this build');
  const module = (await import(file.href)) as Record<string, Command | undefined>;
  const command = module[`${name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())}Command`];
  if (command === undefined) throw new Error(`${file.pathname} exports no command`);
  return command;
}

function helpText(): string {
  const names = publicNames();
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${COMMANDS[name]?.summary}`);
  const examples = names.map((name) => `  npx ${COMMANDS[name]?.example}`);
  return [
    'hushtone: takes card payments by phone.',
    '',
    'usage: npx hushtone COMMAND [OPTIONS]     (each command: --help)',
    '',
    ...lines,
    '',
    'examples:',
    ...examples,
    '',
  ].join('\n');
}

function publicNames(): string[] {
  return Object.entries(COMMANDS).flatMap(([name, entry]) => (entry.internal ? [] : [name]));
}

/** `version` of package.json. */
export function productVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return process.env.HUSHTONE_DEBUG ? (error.stack ?? error.message) : error.message;
}

/** `hushtone decode … | head` ends when head has seen enough, without a word; a server does not. */
function onBrokenPipe(serves: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (!serves) process.exit(EXIT_OK);
    });
  }
}
