import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface TableRow {
  readonly state: string;
  readonly input: string;
  readonly next: string;
  readonly outputs: readonly string[];
}

/**
 * The rows of the table in a machine's comment: four columns, two or more blanks between them; `-` is no output. Of a
 * machine in several files, its own and then those of the folder that has its name.
 */
export function tableOf(file: string): readonly TableRow[] {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  const folder = path.replace(/\.ts$/, '');
  const parts = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ts')) : [];
  return [path, ...parts.map((name) => `${folder}/${name}`)].flatMap((one) => rowsOf(readFileSync(one, 'utf8')));
}

function rowsOf(text: string): TableRow[] {
  const rows: TableRow[] = [];
  for (const line of text.split('\n')) {
    const match = /^ \* {3}([a-z]\w*) {2,}(\w+\S?) {2,}([a-z]\w*) {2,}(-|[a-z]\w*(?:, [a-z]\w*)*)$/i.exec(line);
    if (match === null) continue;
    const [, state = '', input = '', next = '', outputs = ''] = match;
    if (state === 'state') continue;
    rows.push({ state, input, next, outputs: outputs === '-' ? [] : outputs.split(', ') });
  }
  return rows;
}
