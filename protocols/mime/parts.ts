// The part tree of a message: what BODY[section] needs to find octets without parsing again. Guarantees: offsets are
// in the raw message, children lie inside their parent and in order, `unpackParts(packParts(p))` equals p.

import { assert } from '../../actors/assert.ts';

export interface Part {
  /** `message`: an unencoded message/rfc822, whose one child is the enclosed message itself. */
  readonly kind: 'leaf' | 'multipart' | 'message';
  /** In lower case, as are subtype, encoding (`7bit` where none is told) and charset (empty where none is told). */
  readonly type: string;
  readonly subtype: string;
  readonly encoding: string;
  readonly charset: string;
  /** The MIME header, with its empty line, is [headerFrom, bodyFrom), the body [bodyFrom, bodyTo). */
  readonly headerFrom: number;
  readonly bodyFrom: number;
  readonly bodyTo: number;
  /** Line endings in the body. */
  readonly lines: number;
  readonly children: readonly Part[];
}

const kinds = ['leaf', 'multipart', 'message'] as const;
const format = 1;
/** Octets kept of each name: a thousand parts fit limits.structure. */
const longest = { type: 32, subtype: 100, encoding: 20, charset: 40 } as const;

/** The tree as octets: a format octet, then each part before its children, numbers as LEB128, offsets as differences. */
export function packParts(root: Part): Uint8Array {
  const out: number[] = [format];
  const number = (value: number): void => {
    assert(Number.isSafeInteger(value) && value >= 0, 'part offsets ascend');
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
    out.push(rest);
  };
  const text = (value: string, max: number): void => {
    const length = Math.min(value.length, max);
    out.push(length);
    for (let i = 0; i < length; i++) out.push(value.charCodeAt(i) & 0xff);
  };
  const part = (p: Part, base: number): void => {
    out.push(kinds.indexOf(p.kind));
    text(p.type, longest.type);
    text(p.subtype, longest.subtype);
    text(p.encoding, longest.encoding);
    text(p.charset, longest.charset);
    number(p.headerFrom - base);
    number(p.bodyFrom - p.headerFrom);
    number(p.bodyTo - p.bodyFrom);
    number(p.lines);
    number(p.children.length);
    for (const child of p.children) part(child, p.bodyFrom);
  };
  part(root, 0);
  return Uint8Array.from(out);
}

/** Cuts names to what `packParts` keeps. */
export const cutNames = (type: string, subtype: string, encoding: string, charset: string): Pick<Part, 'type' | 'subtype' | 'encoding' | 'charset'> => ({
  type: type.slice(0, longest.type),
  subtype: subtype.slice(0, longest.subtype),
  encoding: encoding.slice(0, longest.encoding),
  charset: charset.slice(0, longest.charset),
});

/** The inverse of `packParts`; asserts that the octets are such. */
export function unpackParts(bytes: Uint8Array): Part {
  let at = 1;
  assert(bytes[0] === format, 'a part tree is of a known format');
  const number = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const octet = bytes[at++];
      assert(octet !== undefined, 'a part tree is whole');
      value += (octet & 0x7f) * unit;
      if (octet < 0x80) return value;
    }
  };
  const text = (): string => {
    const length = number();
    let out = '';
    for (const end = at + length; at < end; at++) out += String.fromCharCode(bytes[at] as number);
    return out;
  };
  const part = (base: number): Part => {
    const kind = kinds[number()];
    assert(kind !== undefined, 'a part has a known kind');
    const type = text();
    const subtype = text();
    const encoding = text();
    const charset = text();
    const headerFrom = base + number();
    const bodyFrom = headerFrom + number();
    const bodyTo = bodyFrom + number();
    const lines = number();
    const children: Part[] = [];
    for (let left = number(); left > 0; left--) children.push(part(bodyFrom));
    return { kind, type, subtype, encoding, charset, headerFrom, bodyFrom, bodyTo, lines, children };
  };
  return part(0);
}

/**
 * The part that a section number names (RFC 3501 §6.4.5); undefined where there is none. An empty path is the message.
 * `1` of a message that is no multipart is its body. For `n.HEADER` and `n.TEXT` take `enclosedMessage` of the answer.
 */
export function findPart(root: Part, path: readonly number[]): Part | undefined {
  let part: Part | undefined = root;
  let message = true;
  for (const n of path) {
    if (!message && part.kind === 'message') {
      part = part.children[0];
      message = true;
    }
    if (part?.kind === 'multipart') part = part.children[n - 1];
    else if (!message || n !== 1) return undefined;
    if (!part) return undefined;
    message = false;
  }
  return part;
}

/** The message that `HEADER` and `TEXT` of a section are about: the root itself, or what a message/rfc822 part encloses. */
export const enclosedMessage = (root: Part, part: Part): Part | undefined => (part === root ? root : part.kind === 'message' ? part.children[0] : undefined);
