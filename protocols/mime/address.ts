// Address lists (RFC 5322 §3.4 and its obsolete forms §4.4) as raw octets (code units 0–255) of an unfolded value.
// Guarantees: linear, never throws; what is malformed is read as far as a person would understand it.

import { decodeWords, trimWhite } from './header.ts';

/** A list is flat, as IMAP shows it (RFC 3501 §7.4.2): a group is opened by `group` and closed by `end`. */
export type Address =
  | { readonly kind: 'mailbox'; readonly name: string; readonly route: string; readonly mailbox: string; readonly host: string }
  | { readonly kind: 'group'; readonly name: string }
  | { readonly kind: 'end' };

/** What was gathered of an item before its end is known. */
interface Item {
  words: string[];
  /** Comments; the last one names the person in the old form `user@host (Name)`. */
  comment: string;
  /** Words that came before an `@`, and all after it. */
  local: string | null;
  host: string;
  angle: string | null;
}

const fresh = (): Item => ({ words: [], comment: '', local: null, host: '', angle: null });
const isSpace = (c: string): boolean => c === ' ' || c === '\t' || c === '\r' || c === '\n';
const atomStops = new Set(' \t\r\n()<>,;:"@');

class Parser {
  at = 0;
  readonly out: Address[] = [];
  inGroup = false;
  item = fresh();
  readonly lastAngle: number;
  readonly text: string;
  readonly limit: number;
  constructor(text: string, limit: number) {
    this.text = text;
    this.limit = limit;
    this.lastAngle = text.lastIndexOf('>');
  }

  run(): Address[] {
    while (this.at < this.text.length && this.out.length < this.limit) this.step(this.text[this.at] as string);
    this.endItem();
    this.endGroup();
    return this.out;
  }

  step(c: string): void {
    if (isSpace(c)) this.at++;
    else if (c === '(') this.item.comment = this.comment() || this.item.comment;
    else if (c === '<') this.item.angle = this.angle();
    else if (c === ',') this.endItem();
    else if (c === ';') {
      this.endItem();
      this.endGroup();
    } else if (c === ':' && this.item.local === null && this.item.angle === null && !this.inGroup) this.openGroup();
    else if (c === '@') this.sign();
    else this.word(c === '"' ? this.quoted() : this.atom());
  }

  /** A word of a phrase, of a local part, or (after `@`) of a domain, where white space means nothing. */
  word(text: string): void {
    if (this.item.local === null) this.item.words.push(text);
    else this.item.host += text;
  }

  sign(): void {
    this.at++;
    const { item } = this;
    if (item.local !== null || item.angle !== null) return;
    // `J. Doe jdoe@host`: the last word is the local part; words around a dot belong together (RFC 5322 §4.4).
    let local = item.words.pop() ?? '';
    while (item.words.length > 0 && (local.startsWith('.') || item.words.at(-1)?.endsWith('.'))) local = item.words.pop() + local;
    item.local = local;
  }

  openGroup(): void {
    this.at++;
    this.out.push({ kind: 'group', name: this.item.words.join(' ') });
    this.inGroup = true;
    this.item = fresh();
  }

  endGroup(): void {
    if (this.inGroup) this.out.push({ kind: 'end' });
    this.inGroup = false;
  }

  endItem(): void {
    this.at++;
    const { item } = this;
    this.item = fresh();
    const name = item.words.join(' ') || '';
    if (item.angle !== null) this.out.push(routeAddress(item.angle, name || (item.local === null ? '' : `${item.local}@${item.host}`) || item.comment));
    else if (item.local !== null) this.out.push({ kind: 'mailbox', name: name || item.comment, route: '', mailbox: item.local, host: item.host });
    else if (item.words.length === 1) this.out.push({ kind: 'mailbox', name: item.comment, route: '', mailbox: name, host: '' });
    else if (name !== '') this.out.push({ kind: 'mailbox', name, route: '', mailbox: '', host: '' });
  }

  atom(): string {
    const from = this.at++;
    if (this.text[from] === '[' && this.item.local !== null) {
      const close = this.text.indexOf(']', from);
      if (close > 0) this.at = close + 1;
    }
    while (this.at < this.text.length && !atomStops.has(this.text[this.at] as string)) this.at++;
    return this.text.slice(from, this.at);
  }

  quoted(): string {
    let out = '';
    let from = ++this.at;
    for (; this.at < this.text.length && this.text[this.at] !== '"'; this.at++) {
      if (this.text[this.at] !== '\\' || this.at + 1 >= this.text.length) continue;
      out += this.text.slice(from, this.at);
      from = ++this.at;
    }
    return out + this.text.slice(from, this.at++);
  }

  comment(): string {
    let depth = 0;
    let out = '';
    for (; this.at < this.text.length; this.at++) {
      const c = this.text[this.at] as string;
      if (c === '\\') out += this.text[++this.at] ?? '';
      else if (c === '(' && depth++ === 0) continue;
      else if (c === ')' && --depth === 0) break;
      else out += c;
    }
    this.at++;
    return trimWhite(out);
  }

  /** What stands between `<` and its `>`, without comments; to the next comma where there is no `>`. */
  angle(): string {
    const open = ++this.at > this.lastAngle;
    let out = '';
    for (; this.at < this.text.length; ) {
      const c = this.text[this.at] as string;
      if (c === '>' || (open && c === ',')) break;
      if (c === '(') this.comment();
      else if (c === '"') {
        const from = this.at;
        this.quoted();
        out += this.text.slice(from, this.at);
      } else {
        if (!isSpace(c)) out += c;
        this.at++;
      }
    }
    if (this.text[this.at] === '>') this.at++;
    return out;
  }
}

/** `[@route:]local@domain` (RFC 5322 §4.4 obs-route). The last `@` divides; a quoted local part loses its quotes. */
function routeAddress(angle: string, name: string): Address {
  const colon = angle.startsWith('@') ? angle.indexOf(':') : -1;
  const route = colon < 0 ? '' : angle.slice(0, colon);
  const spec = angle.slice(colon + 1);
  const sign = spec.lastIndexOf('@');
  const local = sign < 0 ? spec : spec.slice(0, sign);
  const mailbox = local.startsWith('"') ? local.replace(/^"|"$/g, '').replace(/\\(.)/gs, '$1') : local;
  return { kind: 'mailbox', name, route, mailbox, host: sign < 0 ? '' : spec.slice(sign + 1) };
}

/** The addresses of an unfolded field value, at most `limit` entries and the `end` of an open group. */
export const parseAddresses = (text: string, limit = 100_000): Address[] => new Parser(text, limit).run();

/** The name of a person or group as Unicode. */
export const displayName = (address: Address): string => (address.kind === 'end' ? '' : decodeWords(address.name));

/** `mailbox@host`, or the mailbox alone where the host is missing. Not quoted: for people and for comparing. */
export const addressText = (address: Address): string =>
  address.kind !== 'mailbox' ? '' : address.host === '' ? address.mailbox : `${address.mailbox}@${address.host}`;
