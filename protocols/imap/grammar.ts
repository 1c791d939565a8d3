// The formal syntax of RFC 3501 §9 as a parser over the octets of one whole command: its lines, with the octets of the
// literals where they were announced. Guarantees: pure; never throws, whatever the octets: the first thing that is
// wrong stands in `error`, and everything after it answers an empty value; every loop ends with the octets.

import { limits } from '../../actors/limits.ts';

const SP = 32;
const CR = 13;
const LF = 10;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN = 40;
const CLOSE = 41;

/** What an octet may be part of. */
const ATOM = 1;
const ASTRING = 2;
const LIST = 4;
const TAG = 8;
const classes = new Uint8Array(256);
for (let c = 0; c < 256; c++) {
  const special = c <= SP || c === 127 || '(){%*"\\]'.includes(String.fromCharCode(c));
  // RFC 3501 §9 has no octets above 127 in atoms; clients that forget to encode a mailbox name send them
  if (!special) classes[c] = ATOM | ASTRING | LIST | (c === 0x2b || c > 127 ? 0 : TAG);
  else if (c === 0x5d) classes[c] = ASTRING | LIST | TAG;
  else if (c === 0x25 || c === 0x2a) classes[c] = LIST;
}
const isClass = (octet: number | undefined, mask: number): boolean => octet !== undefined && ((classes[octet] as number) & mask) !== 0;

const empty = new Uint8Array(0);
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Octets as text: UTF-8 where they are that, else each octet a character. */
export function textOf(bytes: Uint8Array): string {
  for (let i = 0; i < bytes.length; i++) {
    if ((bytes[i] as number) > 127) {
      try {
        return strictUtf8.decode(bytes);
      } catch {
        break;
      }
    }
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** `*` in a sequence set, while nobody knows what it stands for. */
export const STAR = 2 ** 32;
/** Pairs [low, high], in the client's order; either may be STAR. */
export type SequenceSet = readonly number[];

export class Parser {
  readonly bytes: Uint8Array;
  at: number;
  error: string | null = null;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get ok(): boolean {
    return this.error === null;
  }

  fail(what: string): void {
    this.error ??= what;
    this.at = this.bytes.length;
  }

  /** Is this octet next? Nothing is taken. */
  next(octet: number): boolean {
    return this.bytes[this.at] === octet;
  }

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Takes this octet if it is next. */
  take(octet: number): boolean {
    if (this.bytes[this.at] !== octet) return false;
    this.at++;
    return true;
  }

  expect(octet: number, what: string): void {
    if (!this.take(octet)) this.fail(`${what} expected`);
  }

  space(): void {
    this.expect(SP, 'Space');
    // Some clients send two
    while (this.next(SP)) this.at++;
  }

  /** Nothing may follow. */
  end(): void {
    while (this.next(SP)) this.at++;
    if (!this.ended) this.fail('Unexpected text after the arguments');
  }

  private span(mask: number, what: string): string {
    const from = this.at;
    while (isClass(this.bytes[this.at], mask)) this.at++;
    if (this.at === from) this.fail(`${what} expected`);
    return latin1(this.bytes, from, this.at);
  }

  tag(): string {
    return this.span(TAG, 'Tag');
  }

  atom(): string {
    return this.span(ATOM, 'Atom');
  }

  /** An atom in capitals: names of commands, items and keys are case-insensitive. */
  word(): string {
    return this.atom().toUpperCase();
  }

  /** Takes `word` in any case if it is next and ends there. */
  takeWord(word: string): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < word.length; i++) {
      const c = bytes[at + i];
      if (c === undefined || (c >= 97 && c <= 122 ? c - 32 : c) !== word.charCodeAt(i)) return false;
    }
    if (isClass(bytes[at + word.length], ATOM)) return false;
    this.at += word.length;
    return true;
  }

  /** number: at most 2^32 - 1. */
  number(): number {
    const value = this.digits(2 ** 32 - 1);
    return value;
  }

  /** mod-sequence-value (RFC 7162 §7): 63 bits there, 53 here, since none of ours is larger. */
  modseq(): number {
    return this.digits(Number.MAX_SAFE_INTEGER);
  }

  private digits(max: number): number {
    const from = this.at;
    let value = 0;
    for (;;) {
      const c = this.bytes[this.at];
      if (c === undefined || c < 48 || c > 57) break;
      value = Math.min(value * 10 + c - 48, Number.MAX_SAFE_INTEGER);
      this.at++;
    }
    if (this.at === from) this.fail('Number expected');
    if (value > max) {
      if (max === Number.MAX_SAFE_INTEGER) return max;
      this.fail('Number too large');
    }
    return this.error === null ? value : 0;
  }

  /** quoted or literal. */
  string(): Uint8Array {
    if (this.next(QUOTE)) return this.quoted();
    if (this.next(0x7b)) return this.literal();
    this.fail('String expected');
    return empty;
  }

  /** astring: what most arguments are. */
  astring(): Uint8Array {
    if (this.next(QUOTE)) return this.quoted();
    if (this.next(0x7b)) return this.literal();
    const from = this.at;
    while (isClass(this.bytes[this.at], ASTRING)) this.at++;
    if (this.at === from) this.fail('String expected');
    return this.bytes.subarray(from, this.at);
  }

  /** nstring: NIL is null. */
  nstring(): Uint8Array | null {
    if (this.takeWord('NIL')) return null;
    return this.string();
  }

  /** list-mailbox: an astring that may hold wildcards. */
  listMailbox(): Uint8Array {
    if (this.next(QUOTE)) return this.quoted();
    if (this.next(0x7b)) return this.literal();
    const from = this.at;
    while (isClass(this.bytes[this.at], LIST)) this.at++;
    if (this.at === from) this.fail('Mailbox pattern expected');
    return this.bytes.subarray(from, this.at);
  }

  private quoted(): Uint8Array {
    const from = ++this.at;
    let escapes = 0;
    for (; ; this.at++) {
      let c = this.bytes[this.at];
      if (c === QUOTE) break;
      if (c === BACKSLASH) {
        escapes++;
        c = this.bytes[++this.at];
        if (c !== QUOTE && c !== BACKSLASH) return this.broken('A backslash in a quoted string escapes " or \\');
      }
      if (c === undefined || c === CR || c === LF || c === 0) return this.broken('Quoted string is not closed');
    }
    const raw = this.bytes.subarray(from, this.at++);
    return escapes === 0 ? raw : withoutEscapes(raw, raw.length - escapes);
  }

  private literal(): Uint8Array {
    this.at++;
    const size = this.digits(2 ** 32 - 1);
    this.take(0x2b);
    if (!(this.take(0x7d) && this.take(CR) && this.take(LF))) return this.broken('Literal expected');
    if (this.at + size > this.bytes.length) return this.broken('Literal is cut short');
    const out = this.bytes.subarray(this.at, this.at + size);
    this.at += size;
    return out;
  }

  private broken(what: string): Uint8Array {
    this.fail(what);
    return empty;
  }

  /** sequence-set (RFC 3501 §9). 0 is no number in it. */
  sequenceSet(): SequenceSet {
    const out: number[] = [];
    do {
      const low = this.sequenceNumber();
      out.push(low, this.take(0x3a) ? this.sequenceNumber() : low);
    } while (this.ok && this.take(0x2c));
    return this.ok ? out : [];
  }

  private sequenceNumber(): number {
    if (this.take(0x2a)) return STAR;
    const value = this.number();
    if (value === 0) this.fail('Message numbers begin with 1');
    return value;
  }

  /** `item` between parentheses, separated by spaces; none at all when `mayBeEmpty`. */
  list(item: () => void, mayBeEmpty = false): void {
    this.expect(OPEN, 'Parenthesis');
    // Some clients put spaces inside the parentheses
    while (this.next(SP)) this.at++;
    if (mayBeEmpty && this.take(CLOSE)) return;
    while (this.ok) {
      item();
      if (this.take(CLOSE)) return;
      this.space();
      if (this.take(CLOSE)) return;
    }
  }

  /** flag-list, or the bare flags STORE also takes. */
  flags(): Flags {
    const out: Flags = { system: 0, keywords: [], recent: false };
    const one = (): void => this.flag(out);
    if (this.next(OPEN)) this.list(one, true);
    else {
      do one();
      while (this.ok && this.take(SP));
    }
    return out;
  }

  private flag(into: Flags): void {
    if (!this.take(BACKSLASH)) {
      const keyword = this.atom();
      if (keyword.length > limits.keyword) this.fail('Keyword too long');
      else if (!into.keywords.some((k) => k.toLowerCase() === keyword.toLowerCase())) into.keywords.push(keyword);
      if (into.keywords.length > limits.keywordsPerMailbox) this.fail('Too many keywords');
      return;
    }
    const name = this.word();
    const bit = systemFlags[name];
    if (bit !== undefined) into.system |= bit;
    else if (name === 'RECENT') into.recent = true;
    else this.fail(`There is no system flag \\${name.slice(0, 20)}`);
  }

  /** date: [quote] 1-Feb-1994 [quote], as ms of its UTC midnight. */
  date(): number {
    const text = this.next(QUOTE) ? textOf(this.quoted()) : this.atom();
    const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(text);
    const ms = match ? utc(match[3], match[2], match[1], '0', '0', '0') : null;
    if (ms === null) this.fail('Date expected, as in 1-Feb-1994');
    return ms ?? 0;
  }

  /** date-time: "dd-Mon-yyyy hh:mm:ss +zzzz", in ms since the epoch. */
  dateTime(): number {
    const match = /^([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/.exec(textOf(this.quoted()));
    const ms = match ? utc(match[3], match[2], match[1], match[4], match[5], match[6]) : null;
    if (!match || ms === null) {
      this.fail('Date and time expected');
      return 0;
    }
    const zoneMinutes = Number(match[8]) * 60 + Number(match[9]);
    return ms + (match[7] === '-' ? zoneMinutes : -zoneMinutes) * 60_000;
  }
}

export interface Flags {
  system: number;
  readonly keywords: string[];
  recent: boolean;
}

/** RFC 3501 §2.3.2, as the bits of storage/page.ts. */
const systemFlags: Readonly<Record<string, number>> = { SEEN: 1, ANSWERED: 2, FLAGGED: 4, DELETED: 8, DRAFT: 16 };

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

function utc(year = '', month = '', day = '', hour = '', minute = '', second = ''): number | null {
  const m = months.indexOf(month.toLowerCase());
  const d = Number(day);
  const h = Number(hour);
  const min = Number(minute);
  const s = Number(second);
  if (m < 0 || d < 1 || d > 31 || h > 23 || min > 59 || s > 60) return null;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), m, d);
  date.setUTCHours(h, min, Math.min(s, 59));
  return date.getUTCMonth() === m ? date.getTime() : null;
}

const latin1 = (bytes: Uint8Array, from: number, to: number): string => Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');

function withoutEscapes(raw: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] === BACKSLASH) i++;
    out[at++] = raw[i] as number;
  }
  return out;
}

/** A literal announced at the end of a line. */
export interface Announced {
  readonly size: number;
  /** The client does not wait for `+` (RFC 7888). */
  readonly sync: boolean;
  /** Where in the line its `{` is. */
  readonly from: number;
}

/** Does this line end in {n} or {n+}? A size past 2^53 is Infinity. */
export function announcedLiteral(line: Uint8Array): Announced | null {
  let i = line.length - 1;
  if (line[i] !== 0x7d) return null;
  i--;
  const sync = line[i] !== 0x2b;
  if (!sync) i--;
  const last = i;
  while (i >= 0 && (line[i] as number) >= 48 && (line[i] as number) <= 57) i--;
  if (i === last || line[i] !== 0x7b) return null;
  const size = last - i > 15 ? Number.POSITIVE_INFINITY : Number(latin1(line, i + 1, last + 1));
  return { size, sync, from: i };
}
