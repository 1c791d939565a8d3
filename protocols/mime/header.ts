// Header fields (RFC 5322 §2.2) of a header block: where they are, which of them a client asked for, what they say.
// Guarantees: one pass, no throw on any octets; a line that is no field is skipped; LF and CRLF both end a line.

import { decodeCharset, octetsOf, unicodeOf } from './charset.ts';

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const COLON = 58;

/** One field: [from, to) with its folded lines and line ending; the value begins at `valueFrom`. */
export interface HeaderField {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly valueFrom: number;
}

const lower = new Uint8Array(256);
for (let i = 0; i < 256; i++) lower[i] = i >= 65 && i <= 90 ? i + 32 : i;

/** Where the field that begins at `from` ends: after the first line ending that no white space follows. */
function fieldEnd(header: Uint8Array, from: number): number {
  for (let at = from; ; ) {
    const lf = header.indexOf(LF, at);
    if (lf < 0) return header.length;
    const next = header[lf + 1];
    if (next !== SPACE && next !== TAB) return lf + 1;
    at = lf + 1;
  }
}

/** Does the empty line that ends a header begin at `at`? */
const emptyLineAt = (header: Uint8Array, at: number): boolean => header[at] === LF || (header[at] === CR && header[at + 1] === LF);

/** The colon of the field in [from, to), or -1 for a line that is no field. */
function colonIn(header: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    const c = header[i] as number;
    if (c === COLON) return i === from ? -1 : i;
    if (c === LF) return -1;
  }
  return -1;
}

/** The length of a name in [from, colon): white space before the colon is obsolete syntax (RFC 5322 §4.5.8). */
function nameEnd(header: Uint8Array, from: number, colon: number): number {
  let end = colon;
  while (end > from && (header[end - 1] === SPACE || header[end - 1] === TAB)) end--;
  return end;
}

/** The fields of a header block, up to its empty line. Names in lower case. */
export function* headerFields(header: Uint8Array): Generator<HeaderField> {
  for (let from = 0; from < header.length && !emptyLineAt(header, from); ) {
    const to = fieldEnd(header, from);
    const colon = colonIn(header, from, to);
    if (colon > 0) {
      const name = octetsOf(header.subarray(from, nameEnd(header, from, colon))).toLowerCase();
      yield { name, from, to, valueFrom: colon + 1 };
    }
    from = to;
  }
}

/** Names by their length, as octets: what `selectFields` compares with. */
type Selector = readonly (readonly Uint8Array[] | undefined)[];
const selectors = new WeakMap<ReadonlySet<string>, Selector>();

function selectorOf(names: ReadonlySet<string>): Selector {
  const known = selectors.get(names);
  if (known) return known;
  const made: Uint8Array[][] = [];
  for (const name of names) {
    const octets = Buffer.from(name.toLowerCase());
    made[octets.length] = [...(made[octets.length] ?? []), octets];
  }
  selectors.set(names, made);
  return made;
}

function isSelected(header: Uint8Array, from: number, length: number, selector: Selector): boolean {
  const candidates = selector[length];
  if (candidates === undefined) return false;
  next: for (let k = 0; k < candidates.length; k++) {
    const name = candidates[k] as Uint8Array;
    for (let i = 0; i < length; i++) if (lower[header[from + i] as number] !== name[i]) continue next;
    return true;
  }
  return false;
}

const ranges: number[] = [];

/**
 * HEADER.FIELDS or, with `not`, HEADER.FIELDS.NOT (RFC 3501 §6.4.5): the fields in their order and octets, and the empty
 * line. `names` in lower case; the same Set should be passed for every message of a command: it is compiled once.
 */
export function selectFields(header: Uint8Array, names: ReadonlySet<string>, not: boolean): Uint8Array {
  const selector = selectorOf(names);
  let count = 0;
  let size = 0;
  for (let from = 0; from < header.length && !emptyLineAt(header, from); ) {
    const to = fieldEnd(header, from);
    const colon = colonIn(header, from, to);
    if (colon > 0 && isSelected(header, from, nameEnd(header, from, colon) - from, selector) !== not) {
      if (count > 0 && ranges[count - 1] === from) ranges[count - 1] = to;
      else {
        ranges[count++] = from;
        ranges[count++] = to;
      }
      size += to - from;
    }
    from = to;
  }
  // A last field without a line ending gets one, else the empty line would only end it.
  const open = count > 0 && header[(ranges[count - 1] as number) - 1] !== LF;
  const out = Buffer.allocUnsafe(size + (open ? 4 : 2));
  let at = 0;
  for (let k = 0; k < count; k += 2) {
    const from = ranges[k] as number;
    const to = ranges[k + 1] as number;
    if (to - from < 64) for (let i = from; i < to; i++) out[at++] = header[i] as number;
    else {
      out.set(header.subarray(from, to), at);
      at += to - from;
    }
  }
  for (; at < out.length; at += 2) {
    out[at] = CR;
    out[at + 1] = LF;
  }
  return out;
}

/** Unfolds raw header text (RFC 5322 §2.2.3) and cuts white space at its ends. Other octets stay. */
export function unfold(octets: string): string {
  return trimWhite(octets.includes('\n') ? octets.replace(/\r?\n(?=[ \t])/g, '') : octets);
}

const isWhite = (c: number): boolean => c === SPACE || c === TAB || c === CR || c === LF;

/** Like String.trim, but for octets: that one also cuts 0xA0, which may be half of a UTF-8 character. */
export function trimWhite(octets: string): string {
  let from = 0;
  let to = octets.length;
  while (from < to && isWhite(octets.charCodeAt(from))) from++;
  while (to > from && isWhite(octets.charCodeAt(to - 1))) to--;
  return from === 0 && to === octets.length ? octets : octets.slice(from, to);
}

const encodedWord = /=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=/g;

function wordOctets(encoding: string, encoded: string): Buffer {
  if (encoding === 'B' || encoding === 'b') return Buffer.from(encoded, 'base64');
  const spaced = encoded.replaceAll('_', ' ');
  return Buffer.from(
    spaced.replace(/=([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** Decodes encoded-words (RFC 2047). White space between two of them vanishes (§6.2); octets split across them join. */
export function decodeWords(octets: string): string {
  if (!octets.includes('=?')) return unicodeOf(octets);
  let out = '';
  let at = 0;
  let pending: Buffer[] = [];
  let charset = '';
  const flush = (): void => {
    if (pending.length > 0) out += decodeCharset(pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending), charset);
    pending = [];
  };
  for (const word of octets.matchAll(encodedWord)) {
    const [whole, name, encoding, encoded] = word as unknown as [string, string, string, string];
    const between = octets.slice(at, word.index);
    const adjacent = pending.length > 0 && /^[ \t\r\n]*$/.test(between);
    if (!adjacent || name.toLowerCase() !== charset) {
      flush();
      if (!adjacent) out += unicodeOf(between);
    }
    charset = name.toLowerCase();
    pending.push(wordOctets(encoding, encoded));
    at = word.index + whole.length;
  }
  flush();
  return out + unicodeOf(octets.slice(at));
}

/** A field value as Unicode: unfolded, encoded-words decoded. Strings are raw octets (code units 0–255) or plain text. */
export function decodeHeader(value: string | Uint8Array): string {
  return decodeWords(unfold(typeof value === 'string' ? value : octetsOf(value)));
}
