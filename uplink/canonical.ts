// One spelling for a JSON value (RFC 8785), so that what is hashed or signed is the same octets everywhere.

import { assert } from '../actors/assert.ts';

const loneSurrogate = /\p{Cs}/u;

/**
 * The canonical JSON of a value: keys in the order of their UTF-16 units (RFC 8785 §3.2.3), nothing between, numbers and
 * strings as JSON.stringify spells them (§3.2.2). Members that are undefined are left out. Throws for what JSON does not
 * know: numbers that are not finite, strings with half a character, functions.
 */
export function canonical(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    assert(Number.isFinite(value), 'JSON knows finite numbers only');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    assert(!loneSurrogate.test(value), 'canonical JSON is valid Unicode');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  assert(typeof value === 'object', 'a JSON value');
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${canonical(name)}:${canonical(member)}`).join(',')}}`;
}
