// An 8-bit message as 7-bit MIME, for hosts without 8BITMIME (RFC 6152 §3). Guarantees: what comes out has no octet
// above 127; parts that are 7-bit already are not touched; nothing is converted whose octets must not change
// (multipart/signed, RFC 1847 §2.1) or cannot be encoded (headers; message/*, RFC 2046 §5.2); memory is one chunk.

import { headerFields } from '../mime/header.ts';
import type { Part } from '../mime/parts.ts';

/** A stretch of the message on its way out. */
export type Segment =
  | { readonly kind: 'same' | 'quoted-printable' | 'base64'; readonly from: number; readonly to: number }
  | { readonly kind: 'instead'; readonly bytes: Uint8Array };

/** Where the message is read: octets [from, to), chunk by chunk. */
export interface Source {
  readonly octets: (from: number, to: number) => Iterable<Uint8Array>;
}

/** The whole message in order, or null when some of it cannot be made 7-bit. */
export function plan(source: Source, root: Part, skip: number, size: number): Segment[] | null {
  const out: Segment[] = [];
  let at = skip;
  /** Copies up to `to`; false when an octet there is above 127. */
  const same = (to: number): boolean => {
    if (to <= at) return true;
    if (wide(source, at, to)) return false;
    out.push({ kind: 'same', from: at, to });
    at = to;
    return true;
  };
  const part = (p: Part, isRoot: boolean): boolean => {
    // the lines before it: a boundary, a preamble
    if (!same(Math.max(at, p.headerFrom))) return false;
    const needed = wide(source, p.bodyFrom, p.bodyTo);
    if (!needed) return same(p.bodyTo);
    if (wide(source, at, p.bodyFrom) || /^(quoted-printable|base64)$/.test(p.encoding)) return false;
    if (p.type === 'multipart' && p.subtype === 'signed') return false;
    if (p.kind === 'leaf' && (p.type === 'multipart' || p.type === 'message')) return false;
    const encoding = p.kind !== 'leaf' ? '7bit' : p.type === 'text' ? 'quoted-printable' : 'base64';
    const header = Buffer.concat([...source.octets(at, p.bodyFrom)]);
    out.push({ kind: 'instead', bytes: reheaded(header, encoding, isRoot) });
    at = p.bodyFrom;
    if (p.kind === 'leaf') {
      out.push({ kind: encoding as 'quoted-printable' | 'base64', from: at, to: p.bodyTo });
      at = p.bodyTo;
      return true;
    }
    return p.children.every((child) => part(child, p.kind === 'message')) && same(p.bodyTo);
  };
  return part(root, true) && same(size) ? out : null;
}

function wide(source: Source, from: number, to: number): boolean {
  for (const chunk of source.octets(from, to)) {
    for (let i = 0; i < chunk.length; i++) if ((chunk[i] as number) > 127) return true;
  }
  return false;
}

/** A header with another Content-Transfer-Encoding. A message without MIME fields gets them (RFC 1428 §3). */
function reheaded(header: Uint8Array, encoding: string, isMessage: boolean): Uint8Array {
  const kept: Uint8Array[] = [];
  const names = new Set<string>();
  for (const f of headerFields(header)) {
    names.add(f.name);
    if (f.name !== 'content-transfer-encoding') kept.push(header.subarray(f.from, f.to));
  }
  if (isMessage && !names.has('mime-version')) kept.push(Buffer.from('MIME-Version: 1.0\r\n'));
  if (isMessage && !names.has('content-type')) kept.push(Buffer.from('Content-Type: text/plain; charset=unknown-8bit\r\n'));
  kept.push(Buffer.from(`Content-Transfer-Encoding: ${encoding}\r\n\r\n`));
  return Buffer.concat(kept);
}

export function* convert(source: Source, segments: readonly Segment[]): Generator<Uint8Array> {
  for (const s of segments) {
    if (s.kind === 'instead') yield s.bytes;
    else if (s.kind === 'same') yield* source.octets(s.from, s.to);
    else {
      const encoder = s.kind === 'base64' ? base64() : quotedPrintable();
      for (const chunk of source.octets(s.from, s.to)) yield encoder.push(chunk);
      yield encoder.finish();
    }
  }
}

interface Encoder {
  push(chunk: Uint8Array): Uint8Array;
  finish(): Uint8Array;
}

/** RFC 2045 §6.8, lines of 76. */
function base64(): Encoder {
  const LINE = 57;
  let rest: Uint8Array = new Uint8Array(0);
  let lines = 0;
  const line = (bytes: Uint8Array): string => `${lines++ > 0 ? '\r\n' : ''}${Buffer.from(bytes).toString('base64')}`;
  return {
    push(chunk) {
      const all = Buffer.concat([rest, chunk]);
      let out = '';
      let at = 0;
      for (; all.length - at >= LINE; at += LINE) out += line(all.subarray(at, at + LINE));
      rest = all.subarray(at);
      return Buffer.from(out);
    },
    finish: () => Buffer.from(rest.length > 0 ? line(rest) : ''),
  };
}

/** RFC 2045 §6.7: CRLF stays a line ending, white space before one is encoded, lines have at most 76 characters. */
function quotedPrintable(): Encoder {
  let column = 0;
  let space = 0;
  let cr = false;
  let out = '';
  const emit = (token: string): void => {
    if (column + token.length > 75) {
      out += '=\r\n';
      column = 0;
    }
    out += token;
    column += token.length;
  };
  const coded = (octet: number): string => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  const flushSpace = (atLineEnd: boolean): void => {
    if (space !== 0) emit(atLineEnd ? coded(space) : String.fromCharCode(space));
    space = 0;
  };
  const take = (): Uint8Array => {
    const bytes = Buffer.from(out);
    out = '';
    return bytes;
  };
  const octet = (o: number): void => {
    if (cr) {
      cr = false;
      flushSpace(o === 10);
      if (o === 10) {
        out += '\r\n';
        column = 0;
        return;
      }
      emit(coded(13));
    }
    if (o === 13) {
      cr = true;
      return;
    }
    flushSpace(false);
    if (o === 32 || o === 9) space = o;
    else emit(o > 32 && o < 127 && o !== 61 ? String.fromCharCode(o) : coded(o));
  };
  return {
    push(chunk) {
      for (let i = 0; i < chunk.length; i++) octet(chunk[i] as number);
      return take();
    },
    finish() {
      flushSpace(true);
      if (cr) emit(coded(13));
      return take();
    },
  };
}
