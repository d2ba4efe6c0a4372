import { inspect } from 'node:util';

/**
 * A secret that prints as its label: gateway keys, signing secrets, the cardholder's name.
 * The only way to the value is `reveal()`, which `test/tidy.test.ts` allows in named files only.
 * Card digits are never in one: they stay in the worker's native vault.
 */
export class Sensitive<T> {
  readonly label: string;
  readonly #value: T;

  constructor(label: string, value: T) {
    this.label = label;
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return `[${this.label}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
