/** `"Display" <uri>;params` (RFC 3261 §20.10), read in one pass over the text. */
export interface NameAddr {
  readonly display: string;
  readonly uri: string;
  /** Header parameters with their leading semicolon, or empty. */
  readonly params: string;
  readonly tag: string | undefined;
}

const DISPLAY = /^[\w\-.!%*+`'~ \t\u0080-\u00ff]*$/;
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"]+$/;

/** Splits at commas that stand outside quotes and angle brackets; undefined where these do not balance. */
export function splitList(value: string): string[] | undefined {
  if (!value.includes(',') && !value.includes('"')) return [value.trim()];
  const items: string[] = [];
  let start = 0;
  let quoted = false;
  let bracketed = false;
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (quoted) {
      if (c === 92) i++;
      else if (c === 34) quoted = false;
    } else if (c === 34) quoted = true;
    else if (c === 60) bracketed = true;
    else if (c === 62) bracketed = false;
    else if (c === 44 && !bracketed) {
      items.push(value.slice(start, i).trim());
      start = i + 1;
    }
  }
  if (quoted || bracketed) return undefined;
  items.push(value.slice(start).trim());
  return items;
}

/** Index after the quoted string that begins at `from`, or -1 where it does not end. */
function endOfQuoted(text: string, from: number): number {
  for (let i = from + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 92) i++;
    else if (c === 34) return i + 1;
  }
  return -1;
}

/**
 * The address in one header value, or undefined where it is not one. Takes linear time. `lenient` lets a bare
 * address carry headers (`sip:a@b?Replaces=…`), as many write Refer-To.
 */
export function parseNameAddr(value: string, lenient = false): NameAddr | undefined {
  const text = value.trim();
  let open: number;
  let display = '';
  if (text.startsWith('"')) {
    const end = endOfQuoted(text, 0);
    if (end < 0) return undefined;
    display = text.slice(0, end);
    open = end;
    while (text[open] === ' ' || text[open] === '\t') open++;
    if (text[open] !== '<') return undefined;
  } else {
    open = text.indexOf('<');
    if (open > 0) {
      display = text.slice(0, open).trim();
      if (!DISPLAY.test(display)) return undefined;
    }
  }
  let uri: string;
  let params: string;
  if (open >= 0) {
    const close = text.indexOf('>', open);
    if (close < 0) return undefined;
    uri = text.slice(open + 1, close);
    params = text.slice(close + 1).trim();
  } else {
    const semicolon = text.indexOf(';');
    uri = semicolon < 0 ? text : text.slice(0, semicolon).trim();
    params = semicolon < 0 ? '' : text.slice(semicolon);
    // RFC 3261 §20: an address with a comma or question mark must stand in angle brackets.
    if (!lenient && (uri.includes('?') || uri.includes(','))) return undefined;
  }
  if (!URI.test(uri)) return undefined;
  if (params !== '' && !params.startsWith(';')) return undefined;
  if (params !== '' && !paramsAreSound(params)) return undefined;
  return { display, uri, params, tag: paramOf(params, 'tag') };
}

const PARAM_NAME = /^[\w\-.!%*+`'~]+$/;

/** Parameters whose quotes close and whose names are tokens; one pass. */
export function paramsAreSound(params: string): boolean {
  let i = 0;
  while (i < params.length) {
    if (params[i] !== ';') return false;
    let end = i + 1;
    while (end < params.length && params[end] !== ';') {
      if (params[end] === '"') {
        end = endOfQuoted(params, end);
        if (end < 0) return false;
      } else end++;
    }
    const item = params.slice(i + 1, end).trim();
    const equals = item.indexOf('=');
    const name = (equals < 0 ? item : item.slice(0, equals)).trim();
    // Old user agents leave an empty parameter (`;;`); it says nothing and harms nothing.
    if (item !== '' && !PARAM_NAME.test(name)) return false;
    i = end;
  }
  return true;
}

/** A parameter's value by name, without quotes; empty for a flag, undefined where it is absent. */
export function paramOf(params: string, name: string): string | undefined {
  if (params === '') return undefined;
  let at = 0;
  while (at >= 0 && at < params.length) {
    const next = nextSemicolon(params, at + 1);
    const item = params.slice(at + 1, next < 0 ? params.length : next);
    const equals = item.indexOf('=');
    const key = (equals < 0 ? item : item.slice(0, equals)).trim().toLowerCase();
    if (key === name) {
      const value = equals < 0 ? '' : item.slice(equals + 1).trim();
      return value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
    }
    at = next;
  }
  return undefined;
}

function nextSemicolon(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === ';') return i;
    if (text[i] === '"') {
      const end = endOfQuoted(text, i);
      if (end < 0) return -1;
      i = end - 1;
    }
  }
  return -1;
}
