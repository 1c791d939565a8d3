// What a MIME entity says of itself: the fields that IMAP shows, read once from its header. All text is raw octets
// (code units 0–255), unfolded. Guarantees: linear, never throws; defaults are those of RFC 2045 §5.2.

import { unfold } from './header.ts';
import { type Parameterized, parseParameters } from './parameters.ts';

const content = [
  'content-type',
  'content-transfer-encoding',
  'content-id',
  'content-description',
  'content-disposition',
  'content-language',
  'content-location',
  'content-md5',
] as const;
const addresses = ['from', 'sender', 'reply-to', 'to', 'cc', 'bcc'] as const;
const single = ['date', 'subject', 'in-reply-to', 'message-id', 'references'] as const;

export type FieldName = (typeof content)[number] | (typeof addresses)[number] | (typeof single)[number];
export type EntityFields = ReadonlyMap<FieldName, string>;

const partNames: ReadonlySet<string> = new Set(content);
const messageNames: ReadonlySet<string> = new Set([...content, ...addresses, ...single]);
const repeatable: ReadonlySet<string> = new Set(addresses);

/** The fields IMAP shows, of a message's header (`message`) or of a part's. Of a repeated field the first counts; address lists join. */
export function entityFields(header: string, message: boolean): EntityFields {
  const names = message ? messageNames : partNames;
  const fields = new Map<FieldName, string>();
  for (let from = 0; from < header.length; ) {
    let to = from;
    do {
      to = header.indexOf('\n', to);
      to = to < 0 ? header.length : to + 1;
    } while (to < header.length && isFold(header.charCodeAt(to)));
    const colon = header.indexOf(':', from);
    if (colon < 0) break;
    // 30: the longest name above, and some white space before the colon
    if (colon < to && colon - from < 30) {
      const name = header.slice(from, colon).trimEnd().toLowerCase();
      if (names.has(name)) add(fields, name as FieldName, header.slice(colon + 1, to));
    }
    from = to;
  }
  return fields;
}

const isFold = (c: number): boolean => c === 32 || c === 9;

function add(fields: Map<FieldName, string>, name: FieldName, raw: string): void {
  const known = fields.get(name);
  if (known === undefined) fields.set(name, unfold(raw));
  else if (repeatable.has(name)) fields.set(name, known === '' ? unfold(raw) : `${known}, ${unfold(raw)}`);
}

export interface ContentType {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: Parameterized['parameters'];
}

const plain: ContentType = { type: 'text', subtype: 'plain', parameters: [] };
const enclosed: ContentType = { type: 'message', subtype: 'rfc822', parameters: [] };

/** Lower-case type and subtype. `digest`: a part of multipart/digest, whose default differs (RFC 2046 §5.1.5). */
export function contentType(value: string | undefined, digest: boolean): ContentType {
  if (value === undefined || value === '') return digest ? enclosed : plain;
  const { value: name, parameters } = parseParameters(value);
  const slash = name.indexOf('/');
  const type = token(slash < 0 ? name : name.slice(0, slash));
  const subtype = slash < 0 ? '' : token(name.slice(slash + 1));
  // RFC 2045 §5.2: a syntactically invalid field is as good as none; `text` alone is an old way to say text/plain.
  if (type === '' || subtype === '') return { ...plain, parameters };
  return { type, subtype, parameters };
}

const token = (text: string): string => /^[^\s/;,"()<>]*/.exec(text.trimStart())?.[0].toLowerCase() ?? '';

/** Content-Transfer-Encoding in lower case, without what does not belong to it. */
export const transferEncoding = (value: string | undefined): string => (value === undefined ? '7bit' : token(value.replace(/^\s*"/, '')) || '7bit');

/** The value of a parameter, by its lower-case name. */
export const parameterOf = (parameters: Parameterized['parameters'], name: string): string | undefined => {
  for (const [n, value] of parameters) if (n === name) return value;
  return undefined;
};
