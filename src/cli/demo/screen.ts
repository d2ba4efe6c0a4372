/** Up so many lines, and clear from there (ECMA-48 CUU, ED). */
const above = (lines: number) => (lines === 0 ? '' : `\u001b[${lines}A\u001b[J`);

/** Lines that stay, and under them lines that still change: those are written over in place, on a terminal only. */
export class Screen {
  readonly #write: (text: string) => void;
  #standing: readonly string[] = [];

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** `lines` stay; `standing` takes the place of what stood. */
  show(lines: readonly string[], standing: readonly string[] = this.#standing): void {
    const isSame =
      standing.length === this.#standing.length && standing.every((line, at) => line === this.#standing[at]);
    if (lines.length === 0 && isSame) return;
    const text = [...lines, ...standing].map((line) => `${line}\n`).join('');
    this.#write(above(this.#standing.length) + text);
    this.#standing = standing;
  }
}
