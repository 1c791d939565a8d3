// Responses as octets. Guarantees: what is written goes out in order; a session that has said all it had to say keeps no
// buffer; nothing here waits: callers ask `unsent` and wait for the client themselves.

import type { Connection } from '../../actors/world.ts';
import type { MailboxView } from '../../storage/views.ts';
import { encodeName } from './names.ts';

const SIZE = 64 * 1024;
/** Up to this much is copied out, so that the buffer can be used again. */
const COPIED = 16 * 1024;
const none = Buffer.alloc(0);
/** One buffer that nobody uses now. */
let spare: Buffer | null = null;

export class Output {
  connection: Connection;
  private buffer: Buffer = none;
  private at = 0;
  /** Octets handed to the connection so far. */
  private gone = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** All octets written so far; see `rollback`. */
  get written(): number {
    return this.gone + this.at;
  }

  /** Takes back what was written since `written` was `mark`. False: some of it has gone out. */
  rollback(mark: number): boolean {
    if (mark < this.gone) return false;
    this.at = mark - this.gone;
    return true;
  }

  flush(): void {
    const { buffer, at } = this;
    if (at === 0) return;
    this.gone += at;
    this.at = 0;
    if (at > COPIED) {
      this.buffer = none;
      this.connection.write(buffer.subarray(0, at));
      return;
    }
    const copy = Buffer.allocUnsafeSlow(at);
    buffer.copy(copy, 0, 0, at);
    spare = buffer;
    this.buffer = none;
    this.connection.write(copy);
  }

  /** Makes room for `octets` in one piece. */
  private room(octets: number): void {
    if (this.at + octets <= this.buffer.length) return;
    this.flush();
    if (this.buffer.length === 0) {
      this.buffer = spare ?? Buffer.allocUnsafeSlow(SIZE);
      spare = null;
    }
  }

  octet(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  /** Octets, copied. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 48) {
      this.room(length);
      const { buffer, at } = this;
      for (let i = 0; i < length; i++) buffer[at + i] = bytes[i] as number;
      this.at += length;
      return;
    }
    for (let from = 0; from < length; ) {
      this.room(1);
      const count = Math.min(length - from, this.buffer.length - this.at);
      this.buffer.set(count === length ? bytes : bytes.subarray(from, from + count), this.at);
      this.at += count;
      from += count;
    }
  }

  /** Octets that nobody else will change: long ones go out without a copy. */
  own(bytes: Uint8Array): void {
    if (bytes.length <= COPIED) {
      this.raw(bytes);
      return;
    }
    this.flush();
    this.gone += bytes.length;
    this.connection.write(bytes);
  }

  /** ASCII. */
  text(value: string): void {
    const { length } = value;
    if (length > SIZE) {
      this.raw(Buffer.from(value, 'latin1'));
      return;
    }
    this.room(length);
    if (length > 24) this.buffer.write(value, this.at, 'latin1');
    else for (let i = 0; i < length; i++) this.buffer[this.at + i] = value.charCodeAt(i);
    this.at += length;
  }

  /** A line with its ending. */
  line(value: string): void {
    this.text(value);
    this.text('\r\n');
  }

  /** A whole number, in digits. */
  number(value: number): void {
    this.room(20);
    if (value >= 0x7fffffff) {
      this.text(String(value));
      return;
    }
    let rest = value | 0;
    let digits = 1;
    for (let limit = 10; digits < 10 && rest >= limit; limit *= 10) digits++;
    const { buffer } = this;
    for (let i = this.at + digits - 1; i >= this.at; i--) {
      const tenth = (rest / 10) | 0;
      buffer[i] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.at += digits;
  }

  /** A literal; empty ones too. */
  literal(bytes: Uint8Array): void {
    this.literalOf(bytes.length);
    this.raw(bytes);
  }

  /** Announces a literal of that size. */
  literalOf(size: number): void {
    this.octet(0x7b);
    this.number(size);
    this.text('}\r\n');
  }
}

const systemNames = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft', '\\Recent'];
/** What all flags of a set read: bits as in storage/page.ts, and 32 for \Recent. */
const systemTexts: readonly Uint8Array[] = Array.from({ length: 64 }, (_, set) =>
  Buffer.from(systemNames.filter((_name, bit) => (set & (1 << bit)) !== 0).join(' ')),
);
const HIGH = 2 ** 32;

/** `(\Seen $Forwarded)`. `keywords` is a set of positions in the mailbox's list. */
export function writeFlags(out: Output, flags: number, recent: boolean, keywords: number, names: readonly string[]): void {
  const system = systemTexts[(flags & 31) | (recent ? 32 : 0)] as Uint8Array;
  out.octet(40);
  out.raw(system);
  if (keywords !== 0) {
    const low = (keywords % HIGH) >>> 0;
    const high = Math.floor(keywords / HIGH);
    let first = system.length === 0;
    for (let i = 0; i < names.length; i++) {
      if (((i < 32 ? low >>> i : high >>> (i - 32)) & 1) === 0) continue;
      if (!first) out.octet(32);
      out.text(names[i] as string);
      first = false;
    }
  }
  out.octet(41);
}

/** FLAGS of a mailbox: the system flags and its keywords. */
export const mailboxFlags = (box: MailboxView): string => ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft', ...box.keywords].join(' ');

const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number): string => (value < 10 ? `0${value}` : String(value));
let lastDay = Number.NaN;
let lastDayText = '';
const DAY = 86_400_000;

/** "17-Jul-1996 02:44:25 +0000", quoted. RFC 3501 §9: date-time. */
export function internalDate(ms: number): string {
  const day = Math.floor(ms / DAY);
  if (day !== lastDay) {
    const date = new Date(day * DAY);
    const year = Math.min(9999, Math.max(0, date.getUTCFullYear()));
    const number = date.getUTCDate();
    lastDayText = `"${number < 10 ? ` ${number}` : number}-${monthNames[date.getUTCMonth()]}-${String(year).padStart(4, '0')} `;
    lastDay = day;
  }
  const second = Math.floor((ms - day * DAY) / 1000);
  return `${lastDayText}${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)} +0000"`;
}

/** A quoted string of ASCII. */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** A mailbox name as it goes out. */
export const nameText = (name: string): string => quoted(encodeName(name));
