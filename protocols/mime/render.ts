// ENVELOPE, BODY and BODYSTRUCTURE as IMAP octets (RFC 3501 §7.4.2). Guarantees: well-formed by the grammar of §9 for
// any input, and inside the limit given: what is too long is shown with less detail, never torn.

import { assert } from '../../actors/assert.ts';
import { type Address, parseAddresses } from './address.ts';
import { type EntityFields, type FieldName, parameterOf } from './entity.ts';
import { type Parameterized, parseParameters } from './parameters.ts';

/** What is rendered: a part with the fields it came with. */
export interface Entity {
  readonly kind: 'leaf' | 'multipart' | 'message';
  readonly type: string;
  readonly subtype: string;
  readonly encoding: string;
  readonly parameters: Parameterized['parameters'];
  readonly fields: EntityFields;
  readonly octets: number;
  readonly lines: number;
  readonly children: readonly Entity[];
}

/** How much is told. Octets per string, entries per list; `rest`: also what a client can do without. */
interface Detail {
  readonly string: number;
  readonly addresses: number;
  readonly parameters: number;
  readonly rest: boolean;
}
const details: readonly Detail[] = [
  { string: Number.POSITIVE_INFINITY, addresses: Number.POSITIVE_INFINITY, parameters: Number.POSITIVE_INFINITY, rest: true },
  { string: 1_000, addresses: 100, parameters: 20, rest: true },
  { string: 200, addresses: 30, parameters: 10, rest: true },
  { string: 60, addresses: 5, parameters: 4, rest: true },
  { string: 30, addresses: 0, parameters: 1, rest: false },
  // At most 220 octets a part, whatever it is: limits.mimeParts of them are inside limits.structure.
  { string: 12, addresses: 0, parameters: 0, rest: false },
];

/** The first rendering, from full to scant, that is inside `limit` octets. */
function within(limit: number, render: (detail: Detail) => string): Uint8Array {
  for (const detail of details) {
    const text = render(detail);
    if (text.length <= limit) return Buffer.from(text, 'latin1');
  }
  assert(false, 'the scantest rendering fits its limit');
}

export const renderEnvelope = (fields: EntityFields, limit: number): Uint8Array => within(limit, (detail) => envelope(fields, detail));
export const renderStructure = (root: Entity, extended: boolean, limit: number): Uint8Array => within(limit, (detail) => body(root, extended, detail));

// biome-ignore lint/suspicious/noControlCharactersInRegex: TEXT-CHAR of RFC 3501 §9
const quotable = /^[\x01-\x09\x0b\x0c\x0e-\x7f]*$/;

/** A string (RFC 3501 §4.3): quoted where it may be, else a literal. NUL can be in neither. */
function imapString(octets: string): string {
  if (!quotable.test(octets)) {
    const clean = octets.includes('\0') ? octets.replaceAll('\0', '') : octets;
    return quotable.test(clean) ? quoted(clean) : `{${clean.length}}\r\n${clean}`;
  }
  return quoted(octets);
}
const quoted = (text: string): string => (text.includes('"') || text.includes('\\') ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`);

const string = (octets: string, detail: Detail): string => imapString(octets.length > detail.string ? octets.slice(0, detail.string) : octets);
const nstring = (octets: string | undefined, detail: Detail): string => (octets === undefined ? 'NIL' : string(octets, detail));
const nilIfEmpty = (octets: string, detail: Detail): string => (octets === '' ? 'NIL' : string(octets, detail));

function envelope(fields: EntityFields, detail: Detail): string {
  const list = (name: FieldName): string => addressList(fields.get(name), detail);
  const from = list('from');
  // §7.4.2: absent or empty, the server sets Sender and Reply-To from From.
  const orFrom = (text: string): string => (text === 'NIL' ? from : text);
  return `(${nstring(fields.get('date'), detail)} ${nstring(fields.get('subject'), detail)} ${from} ${orFrom(list('sender'))} ${orFrom(list('reply-to'))} ${list('to')} ${list('cc')} ${list('bcc')} ${nstring(fields.get('in-reply-to'), detail)} ${nstring(fields.get('message-id'), detail)})`;
}

function addressList(value: string | undefined, detail: Detail): string {
  if (value === undefined || value === '') return 'NIL';
  let out = '';
  for (const item of parseAddresses(value, detail.addresses)) out += address(item, detail);
  return out === '' ? 'NIL' : `(${out})`;
}

function address(item: Address, detail: Detail): string {
  // §7.4.2: a NIL host means group syntax, so a missing host is an empty string.
  if (item.kind === 'mailbox')
    return `(${nilIfEmpty(item.name, detail)} ${nilIfEmpty(item.route, detail)} ${string(item.mailbox, detail)} ${string(item.host, detail)})`;
  return item.kind === 'group' ? `(NIL NIL ${string(item.name, detail)} NIL)` : '(NIL NIL NIL NIL)';
}

function body(entity: Entity, extended: boolean, detail: Detail): string {
  if (entity.kind === 'multipart') return multipart(entity, extended, detail);
  const { fields } = entity;
  const upper = (text: string): string => string(text.toUpperCase(), detail);
  const id = detail.rest ? nstring(fields.get('content-id'), detail) : 'NIL';
  const description = detail.rest ? nstring(fields.get('content-description'), detail) : 'NIL';
  let out = `(${upper(entity.type)} ${upper(entity.subtype)} ${parameters(withCharset(entity), detail)} ${id} ${description} ${upper(entity.encoding)} ${entity.octets}`;
  if (entity.type === 'message' && entity.subtype === 'rfc822') out += ` ${message(entity, extended, detail)} ${entity.lines}`;
  else if (entity.type === 'text') out += ` ${entity.lines}`;
  if (extended) out += ` ${detail.rest ? nstring(fields.get('content-md5'), detail) : 'NIL'}${extension(fields, detail)}`;
  return `${out})`;
}

/** body-type-msg needs an envelope and a body: of a message that was not looked into (encoded, too deep) they are empty. */
function message(entity: Entity, extended: boolean, detail: Detail): string {
  const inner = entity.kind === 'message' ? entity.children[0] : undefined;
  if (inner) return `${detail.addresses > 0 ? envelope(inner.fields, detail) : emptyEnvelope} ${body(inner, extended, detail)}`;
  return `${emptyEnvelope} ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0${extended ? ' NIL NIL NIL NIL' : ''})`;
}
const emptyEnvelope = '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)';

function multipart(entity: Entity, extended: boolean, detail: Detail): string {
  assert(entity.children.length > 0, 'a multipart that is shown has parts');
  let out = '(';
  for (const child of entity.children) out += body(child, extended, detail);
  out += ` ${string(entity.subtype.toUpperCase(), detail)}`;
  if (extended) out += ` ${parameters(entity.parameters, detail)}${extension(entity.fields, detail)}`;
  return `${out})`;
}

/** RFC 2045 §5.2: text without a charset is US-ASCII. */
function withCharset({ type, parameters: given }: Entity): Parameterized['parameters'] {
  return type === 'text' && parameterOf(given, 'charset') === undefined && parameterOf(given, 'charset*') === undefined
    ? [['charset', 'US-ASCII'], ...given]
    : given;
}

function parameters(given: Parameterized['parameters'], detail: Detail): string {
  let out = '';
  let count = 0;
  for (const [name, value] of given) {
    if (count++ >= detail.parameters) break;
    out += `${out === '' ? '' : ' '}${string(name.toUpperCase(), detail)} ${string(value, detail)}`;
  }
  return out === '' ? 'NIL' : `(${out})`;
}

/** Disposition (RFC 2183), language (RFC 3282) and location (RFC 2557), in the order of §7.4.2. */
function extension(fields: EntityFields, detail: Detail): string {
  if (!detail.rest) return ' NIL NIL NIL';
  return ` ${disposition(fields.get('content-disposition'), detail)} ${language(fields.get('content-language'), detail)} ${nstring(location(fields.get('content-location')), detail)}`;
}

/** A URI may be folded anywhere, quoted, and have comments around it (RFC 2557 §4.2). */
const location = (value: string | undefined): string | undefined => value?.replace(/(^|[ \t])\([^()]*\)/g, ' ').replace(/[ \t"]+/g, '');

function disposition(value: string | undefined, detail: Detail): string {
  if (value === undefined) return 'NIL';
  const parsed = parseParameters(value);
  return parsed.value === '' ? 'NIL' : `(${string(parsed.value, detail)} ${parameters(parsed.parameters, detail)})`;
}

function language(value: string | undefined, detail: Detail): string {
  const tags = value?.match(/[^\s,;()"<>]+/g)?.slice(0, 20) ?? [];
  if (tags.length === 0) return 'NIL';
  const shown = tags.map((tag) => string(tag, detail)).join(' ');
  return tags.length === 1 ? shown : `(${shown})`;
}
