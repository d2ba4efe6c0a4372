import { readFileSync } from 'node:fs';

export interface TableRow {
  readonly state: string;
  readonly input: string;
  readonly next: string;
  readonly outputs: readonly string[];
}

/** The rows of the table in a machine's comment: four columns, two or more blanks between them; `-` is no output. */
export function tableOf(file: string): readonly TableRow[] {
  const rows: TableRow[] = [];
  for (const line of readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').split('\n')) {
    const match = /^ \* {3}([a-z]\w*) {2,}(\w+\S?) {2,}([a-z]\w*) {2,}(-|[a-z]\w*(?:, [a-z]\w*)*)$/i.exec(line);
    if (match === null) continue;
    const [, state = '', input = '', next = '', outputs = ''] = match;
    if (state === 'state') continue;
    rows.push({ state, input, next, outputs: outputs === '-' ? [] : outputs.split(', ') });
  }
  return rows;
}
