import type { TSchema } from 'typebox';
import { nearest } from '../lib/nearest.ts';

const SHOWN_CHARS_MAX = 60;

/** One thing wrong in the file. `path` is the key path, such as `flows.default.amount.minimumMinor`. */
export interface Fault {
  readonly path: string;
  /** What was expected and what was found; never the value of a secret. */
  readonly message: string;
}

/** The part of JSON Schema that src/config/schema.ts uses. */
interface Node {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/**
 * Checks a value against the schema, fills the defaults and collects every fault, one clear line each. A value is worth
 * reading only when `faults` stayed empty.
 */
export function check(schema: TSchema, value: unknown, faults: Fault[]): unknown {
  return checkNode(schema as Node, value, '', faults);
}

function checkNode(node: Node, value: unknown, path: string, faults: Fault[]): unknown {
  if (node.anyOf !== undefined) return checkUnion(node.anyOf, value, path, faults);
  if (node.const !== undefined || node.enum !== undefined) return checkChoice(node, value, path, faults);
  switch (node.type) {
    case 'object':
      return checkObject(node, value, path, faults);
    case 'array':
      return checkArray(node, value, path, faults);
    case 'string':
      if (typeof value !== 'string' || !fitsString(node, value)) refuse(node, value, path, faults);
      return value;
    case 'integer': {
      const fits = Number.isSafeInteger(value) && inRange(node, value as number);
      if (!fits) refuse(node, value, path, faults);
      return value;
    }
    case 'boolean':
      if (typeof value !== 'boolean') refuse(node, value, path, faults);
      return value;
    default:
      throw new TypeError(`schema of ${path} has type ${node.type}`);
  }
}

function checkObject(node: Node, value: unknown, path: string, faults: Fault[]): unknown {
  if (!isMap(value)) return refuse(node, value, path, faults);
  const result: Record<string, unknown> = {};
  const properties = node.properties ?? {};
  for (const [key, child] of Object.entries(properties)) {
    const at = join(path, key);
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    const filled = given === undefined ? structuredClone(child.default) : given;
    if (filled !== undefined) result[key] = checkNode(child, filled, at, faults);
    else if (node.required?.includes(key))
      faults.push({ path: at, message: `is missing; expected ${describe(child)}` });
  }
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(properties, key)) continue;
    const [pattern, child] = Object.entries(node.patternProperties ?? {})[0] ?? [];
    if (pattern === undefined || child === undefined) {
      faults.push({ path: join(path, key), message: unknownKey(key, Object.keys(properties)) });
    } else if (!new RegExp(pattern).test(key)) {
      faults.push({ path: join(path, key), message: `expected a name matching ${pattern}` });
    } else result[key] = checkNode(child, value[key], join(path, key), faults);
  }
  return result;
}

function unknownKey(key: string, known: readonly string[]): string {
  const suggestion = nearest(key, known);
  if (suggestion !== null) return `is not a known key; did you mean "${suggestion}"?`;
  return `is not a known key; expected one of ${known.join(', ')}`;
}

function checkArray(node: Node, value: unknown, path: string, faults: Fault[]): unknown {
  if (!Array.isArray(value)) return refuse(node, value, path, faults);
  if (value.length < (node.minItems ?? 0) || value.length > (node.maxItems ?? Number.POSITIVE_INFINITY)) {
    faults.push({ path, message: `expected ${describe(node)}, found ${value.length}` });
  }
  const items = node.items ?? {};
  return value.map((item, index) => checkNode(items, item, `${path}[${index}]`, faults));
}

function checkChoice(node: Node, value: unknown, path: string, faults: Fault[]): unknown {
  const allowed = node.enum ?? [node.const];
  if (!allowed.includes(value)) {
    const suggestion = typeof value === 'string' ? nearest(value, allowed.map(String)) : null;
    const hint = suggestion === null ? '' : `; did you mean "${suggestion}"?`;
    const shown = typeof value === 'string' ? quote(value) : found(value);
    faults.push({ path, message: `expected ${describe(node)}, found ${shown}${hint}` });
  }
  return value;
}

/** Members differ in their type, in their `kind`, or in their only key; so one of them is meant, and its faults count. */
function checkUnion(members: readonly Node[], value: unknown, path: string, faults: Fault[]): unknown {
  const meant = members.find((member) => isMeant(member, value));
  if (meant !== undefined) return checkNode(meant, value, path, faults);
  if (isMap(value) && members.some((member) => member.properties?.kind !== undefined)) {
    const kinds = members.flatMap((member) => choices(member.properties?.kind ?? {}));
    const kind = { enum: kinds };
    if (value.kind === undefined)
      faults.push({ path: join(path, 'kind'), message: `is missing; expected ${describe(kind)}` });
    else checkChoice(kind, value.kind, join(path, 'kind'), faults);
    return value;
  }
  return refuse({ anyOf: members }, value, path, faults);
}

function isMeant(member: Node, value: unknown): boolean {
  if (!isMap(value)) {
    if (member.const !== undefined || member.enum !== undefined) return choices(member).includes(value);
    return member.type === typeof value && member.type !== 'object';
  }
  if (member.type !== 'object') return false;
  const kind = member.properties?.kind;
  if (kind !== undefined) return choices(kind).includes(value.kind);
  return Object.keys(member.properties ?? {}).some((key) => Object.hasOwn(value, key));
}

function choices(node: Node): readonly unknown[] {
  return node.enum ?? (node.const === undefined ? [] : [node.const]);
}

function refuse(node: Node, value: unknown, path: string, faults: Fault[]): undefined {
  // A secret's schema has no pattern, so what is shown here is none.
  const shown = node.pattern !== undefined && typeof value === 'string' ? quote(value) : found(value);
  faults.push({ path, message: `expected ${describe(node)}, found ${shown}` });
  return undefined;
}

function describe(node: Node): string {
  if (node.anyOf !== undefined) return node.anyOf.map(describe).join(' or ');
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum !== undefined) return `one of ${node.enum.join(', ')}`;
  switch (node.type) {
    case 'integer':
      return `a whole number ${node.minimum ?? 0} to ${node.maximum ?? Number.MAX_SAFE_INTEGER}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list of ${node.minItems ?? 0} to ${node.maxItems ?? 'any number of'} items`;
    case 'object': {
      const keys = Object.keys(node.properties ?? {});
      return keys.length === 0 ? 'names with values' : `keys ${keys.join(', ')}`;
    }
    default:
      if (node.pattern !== undefined) return `text matching ${node.pattern}`;
      return node.maxLength === undefined ? 'text' : `text of ${node.minLength ?? 0} to ${node.maxLength} characters`;
  }
}

function quote(value: string): string {
  return JSON.stringify(value.length > SHOWN_CHARS_MAX ? `${value.slice(0, SHOWN_CHARS_MAX)}…` : value);
}

/** Says the type and, of what cannot be a secret, the value. */
function found(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return 'other text';
  return Array.isArray(value) ? 'a list' : 'keys with values';
}

function fitsString(node: Node, value: string): boolean {
  if (value.length < (node.minLength ?? 0) || value.length > (node.maxLength ?? 4_096)) return false;
  return node.pattern === undefined || new RegExp(node.pattern).test(value);
}

function inRange(node: Node, value: number): boolean {
  return value >= (node.minimum ?? Number.MIN_SAFE_INTEGER) && value <= (node.maximum ?? Number.MAX_SAFE_INTEGER);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
