// MIME parameter values (RFC 2045 §5.1, RFC 2231): `value; name=value; …`. Guarantees: linear, never throws; what is
// malformed is read as far as it makes sense. All text is raw octets (code units 0–255) unless said otherwise.

import { decodeCharset } from './charset.ts';
import { decodeWords, trimWhite } from './header.ts';

export interface Parameterized {
  /** What stands before the first semicolon, comments removed. */
  readonly value: string;
  /** In their order, names in lower case, RFC 2231 continuations joined. A name that ends in `*` has an extended value. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

const WHITE = /[ \t\r\n]/;

class Cursor {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  /** Skips white space and comments (RFC 5322 §3.2.2). */
  skip(): void {
    for (; this.at < this.text.length; ) {
      const c = this.text[this.at] as string;
      if (c === '(') this.comment();
      else if (WHITE.test(c)) this.at++;
      else return;
    }
  }
  comment(): void {
    let depth = 0;
    for (; this.at < this.text.length; this.at++) {
      const c = this.text[this.at];
      if (c === '\\') this.at++;
      else if (c === '(') depth++;
      else if (c === ')' && --depth === 0) {
        this.at++;
        return;
      }
    }
    this.at = this.text.length;
  }
  /** A quoted-string without its quotes and backslashes; an unterminated one goes to the end. */
  quoted(): string {
    let out = '';
    let from = ++this.at;
    for (; this.at < this.text.length; this.at++) {
      const c = this.text[this.at];
      if (c === '"') break;
      if (c === '\\' && this.at + 1 < this.text.length) {
        out += this.text.slice(from, this.at);
        from = ++this.at;
      }
    }
    out += this.text.slice(from, this.at++);
    return out;
  }
  /** Up to one of the characters in `stops`. */
  until(stops: string): string {
    const from = this.at;
    while (this.at < this.text.length && !stops.includes(this.text[this.at] as string)) this.at++;
    return this.text.slice(from, this.at);
  }
}

/** Where senders forget a semicolon: a value that white space and `name=` follow, and such a name itself. */
const unparted = /[^\s=;(]+(?=[ \t]+[\w*-]+=)/y;
const named = /[\w*-]+[ \t]*=/y;

function firstValue(cursor: Cursor): string {
  let value = '';
  for (cursor.skip(); cursor.at < cursor.text.length && cursor.text[cursor.at] !== ';'; cursor.skip()) {
    unparted.lastIndex = cursor.at;
    const word = unparted.exec(cursor.text)?.[0];
    if (word !== undefined) {
      cursor.at += word.length;
      return value + word;
    }
    value += trimWhite(cursor.until(';('));
  }
  return value;
}

/** Reads an unfolded field value. At most `limit` parameters are kept. */
export function parseParameters(text: string, limit = 100): Parameterized {
  const cursor = new Cursor(text);
  const value = firstValue(cursor);
  const found: [string, string][] = [];
  for (cursor.skip(); cursor.at < text.length; cursor.skip()) {
    named.lastIndex = cursor.at;
    if (text[cursor.at] === ';') cursor.at++;
    else if (!named.test(text)) {
      cursor.until(';');
      continue;
    }
    cursor.skip();
    const name = trimWhite(cursor.until('=;(')).toLowerCase();
    cursor.skip();
    if (text[cursor.at] !== '=') continue;
    cursor.at++;
    cursor.skip();
    const item = text[cursor.at] === '"' ? cursor.quoted() : bareValue(cursor);
    if (name !== '' && found.length < limit) found.push([name, item]);
  }
  return { value, parameters: found.some(([name]) => name.includes('*')) ? joinContinuations(found) : withoutRepeats(found) };
}

/**
 * An unquoted value. DEVIATES RFC 2045 §5.1 (tspecials): many senders forget the quotes, so only `;`, a comment, or what
 * looks like the next parameter ends it.
 */
function bareValue(cursor: Cursor): string {
  const from = cursor.at;
  const raw = cursor.until(';');
  const end = raw.search(/[ \t](?:\(|[\w*-]+=)/);
  if (end < 0) return trimWhite(raw);
  cursor.at = from + end;
  return trimWhite(raw.slice(0, end));
}

const withoutRepeats = (found: readonly [string, string][]): [string, string][] =>
  found.length < 2 ? [...found] : found.filter(([name], i) => found.findIndex(([other]) => other === name) === i);

interface Segment {
  readonly n: number;
  readonly extended: boolean;
  readonly value: string;
}

/** RFC 2231 §3, §6: `name*0`, `name*1*` … become one `name` or `name*`. */
function joinContinuations(found: readonly [string, string][]): [string, string][] {
  const segments = new Map<string, Segment[]>();
  const order: [string, string | null][] = [];
  for (const [name, value] of found) {
    const part = /^([^*]+)\*(\d{1,4})(\*?)$/.exec(name);
    if (!part) {
      order.push([name, value]);
      continue;
    }
    const base = part[1] as string;
    const known = segments.get(base);
    const segment = { n: Number(part[2]), extended: part[3] === '*', value };
    if (known) known.push(segment);
    else {
      segments.set(base, [segment]);
      order.push([base, null]);
    }
  }
  const joined = order.map(([name, value]): [string, string] => (value === null ? joinSegments(name, segments.get(name) ?? []) : [name, value]));
  return withoutRepeats(joined);
}

function joinSegments(name: string, segments: Segment[]): [string, string] {
  const sorted = segments.sort((a, b) => a.n - b.n);
  if (!sorted.some((s) => s.extended)) return [name, sorted.map((s) => s.value).join('')];
  const first = sorted[0] as Segment;
  // §4.1: the charset stands in the first segment only; plain segments of an extended value are taken as they are.
  const lead = first.extended ? '' : "''";
  return [`${name}*`, lead + sorted.map((s) => (s.extended ? s.value : s.value.replace(/[^\w.-]/g, percent))).join('')];
}

const percent = (c: string): string => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** The parameter `name` as Unicode: extended values (RFC 2231 §4) decoded, encoded-words too (many senders use them). */
export function parameter(parameters: Parameterized['parameters'], name: string): string | undefined {
  const extended = parameters.find(([n]) => n === `${name}*`)?.[1];
  if (extended !== undefined) return decodeExtended(extended);
  const plain = parameters.find(([n]) => n === name)?.[1];
  return plain === undefined ? undefined : decodeWords(plain);
}

function decodeExtended(text: string): string {
  const parts = /^([^']*)'[^']*'(.*)$/s.exec(text);
  const octets = (parts?.[2] ?? text).replace(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decodeCharset(Buffer.from(octets, 'latin1'), parts?.[1] ?? '');
}
