// ENVELOPE and BODYSTRUCTURE read back by the grammar of RFC 3501 §9, strictly: each space, quote and literal must be
// where the ABNF has it. Throws on the first octet that is not.

export type Address = readonly [name: string | null, route: string | null, mailbox: string | null, host: string | null];
export interface Envelope {
  readonly date: string | null;
  readonly subject: string | null;
  readonly lists: readonly (readonly Address[] | null)[];
  readonly inReplyTo: string | null;
  readonly messageId: string | null;
}
export type Params = readonly (readonly [string, string])[] | null;
export interface Structure {
  readonly type: string;
  readonly subtype: string;
  readonly params: Params;
  readonly id: string | null;
  readonly description: string | null;
  readonly encoding: string;
  readonly octets: number;
  readonly lines: number | null;
  readonly envelope: Envelope | null;
  readonly parts: readonly Structure[];
  readonly md5: string | null;
  readonly disposition: { readonly type: string; readonly params: Params } | null;
  readonly language: readonly string[] | null;
  readonly location: string | null;
}

class Reader {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  fail(what: string): never {
    throw new Error(`${what} expected at ${this.at}: ${JSON.stringify(this.text.slice(Math.max(0, this.at - 40), this.at + 40))}`);
  }
  is(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }
  take(text: string): void {
    if (!this.is(text)) this.fail(JSON.stringify(text));
    this.at += text.length;
  }
  number(): number {
    const digits = /^\d{1,10}(?!\d)/.exec(this.text.slice(this.at, this.at + 12))?.[0];
    if (digits === undefined || Number(digits) >= 2 ** 32) this.fail('number');
    this.at += digits.length;
    return Number(digits);
  }
  string(): string {
    if (this.is('{')) {
      this.take('{');
      const length = this.number();
      this.take('}\r\n');
      const literal = this.text.slice(this.at, this.at + length);
      if (literal.length !== length || literal.includes('\0')) this.fail('literal');
      this.at += length;
      return literal;
    }
    this.take('"');
    let out = '';
    for (;;) {
      let c = this.text[this.at++];
      if (c === '"') return out;
      if (c === '\\') {
        c = this.text[this.at++];
        if (c !== '"' && c !== '\\') this.fail('quoted-special');
      } else if (c === undefined || c === '\r' || c === '\n' || c === '\0' || c > '\x7f') this.fail('TEXT-CHAR');
      out += c;
    }
  }
  nstring(): string | null {
    if (!this.is('NIL')) return this.string();
    this.take('NIL');
    return null;
  }
}

function address(r: Reader): Address {
  r.take('(');
  const name = r.nstring();
  r.take(' ');
  const route = r.nstring();
  r.take(' ');
  const mailbox = r.nstring();
  r.take(' ');
  const host = r.nstring();
  r.take(')');
  return [name, route, mailbox, host];
}

function addressList(r: Reader): Address[] | null {
  if (r.is('NIL')) {
    r.take('NIL');
    return null;
  }
  r.take('(');
  const out = [address(r)];
  while (!r.is(')')) out.push(address(r));
  r.take(')');
  let depth = 0;
  for (const [, , mailbox, host] of out) {
    if (host !== null) continue;
    depth += mailbox === null ? -1 : 1;
    if (depth < 0 || depth > 1) r.fail('a group that is opened and closed');
  }
  if (depth !== 0) r.fail('the end of a group');
  return out;
}

function envelope(r: Reader): Envelope {
  r.take('(');
  const date = r.nstring();
  r.take(' ');
  const subject = r.nstring();
  const lists: (Address[] | null)[] = [];
  for (let i = 0; i < 6; i++) {
    r.take(' ');
    lists.push(addressList(r));
  }
  r.take(' ');
  const inReplyTo = r.nstring();
  r.take(' ');
  const messageId = r.nstring();
  r.take(')');
  return { date, subject, lists, inReplyTo, messageId };
}

function params(r: Reader): Params {
  if (r.is('NIL')) {
    r.take('NIL');
    return null;
  }
  r.take('(');
  const out: [string, string][] = [];
  do {
    if (out.length > 0) r.take(' ');
    const name = r.string();
    r.take(' ');
    out.push([name, r.string()]);
  } while (!r.is(')'));
  r.take(')');
  return out;
}

function extension(r: Reader): Pick<Structure, 'disposition' | 'language' | 'location'> {
  r.take(' ');
  let disposition: Structure['disposition'] = null;
  if (r.is('NIL')) r.take('NIL');
  else {
    r.take('(');
    const type = r.string();
    r.take(' ');
    disposition = { type, params: params(r) };
    r.take(')');
  }
  r.take(' ');
  let language: string[] | null = null;
  if (r.is('(')) {
    r.take('(');
    language = [r.string()];
    while (r.is(' ')) {
      r.take(' ');
      language.push(r.string());
    }
    r.take(')');
  } else {
    const one = r.nstring();
    language = one === null ? null : [one];
  }
  r.take(' ');
  return { disposition, language, location: r.nstring() };
}

const bare = { disposition: null, language: null, location: null } as const;

function body(r: Reader, extended: boolean): Structure {
  r.take('(');
  if (r.is('(')) return multipart(r, extended);
  const type = r.string();
  r.take(' ');
  const subtype = r.string();
  r.take(' ');
  const given = params(r);
  r.take(' ');
  const id = r.nstring();
  r.take(' ');
  const description = r.nstring();
  r.take(' ');
  const encoding = r.string();
  r.take(' ');
  const octets = r.number();
  let lines: number | null = null;
  let inner: Envelope | null = null;
  const parts: Structure[] = [];
  if (/^text$/i.test(type)) {
    r.take(' ');
    lines = r.number();
  } else if (/^message$/i.test(type) && /^rfc822$/i.test(subtype)) {
    r.take(' ');
    inner = envelope(r);
    r.take(' ');
    parts.push(body(r, extended));
    r.take(' ');
    lines = r.number();
  }
  let md5: string | null = null;
  let ext: Pick<Structure, 'disposition' | 'language' | 'location'> = bare;
  if (extended) {
    r.take(' ');
    md5 = r.nstring();
    ext = extension(r);
  }
  r.take(')');
  return { type, subtype, params: given, id, description, encoding, octets, lines, envelope: inner, parts, md5, ...ext };
}

function multipart(r: Reader, extended: boolean): Structure {
  const parts = [body(r, extended)];
  while (r.is('(')) parts.push(body(r, extended));
  r.take(' ');
  const subtype = r.string();
  let given: Params = null;
  let ext: Pick<Structure, 'disposition' | 'language' | 'location'> = bare;
  if (extended) {
    r.take(' ');
    given = params(r);
    ext = extension(r);
  }
  r.take(')');
  const own = { id: null, description: null, encoding: '', octets: 0, lines: null, envelope: null, md5: null };
  return { type: 'multipart', subtype, params: given, parts, ...own, ...ext };
}

function whole<T>(octets: Uint8Array, read: (r: Reader) => T): T {
  const r = new Reader(Buffer.from(octets).toString('latin1'));
  const value = read(r);
  if (r.at !== r.text.length) r.fail('the end');
  return value;
}

export const readEnvelope = (octets: Uint8Array): Envelope => whole(octets, envelope);
export const readStructure = (octets: Uint8Array, extended: boolean): Structure => whole(octets, (r) => body(r, extended));
