// The scanner on arbitrary octets: no throw, no hang, the same answer for any chunking, a tree that nests, and IMAP
// texts that the grammar accepts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { enclosedMessage, findPart, type Part, packParts, unpackParts } from '../../../protocols/mime/parts.ts';
import { Scanner, scan } from '../../../protocols/mime/scanner.ts';
import { readEnvelope, readStructure, type Structure } from './grammar.ts';

/** Pieces of which hostile and usual messages are made. */
const piece = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      '\r\n',
      '\n',
      '\r',
      '\r\n\r\n',
      '--a',
      '--a--',
      '--ab',
      '--ab--',
      '--b\r\n',
      '\r\n--a\r\n',
      '\r\n--ab\r\n',
      '\r\n--a--\r\n',
      '\n--b--\n',
      '-',
      '--',
      '--a \t\r\n',
    ),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n',
      'Content-Type: multipart/digest; boundary="ab"\r\n\r\n--ab\r\n',
      'Content-Type: multipart/alternative;\r\n boundary=b\r\n\r\n--b\r\n',
      'Content-Type: multipart/mixed; boundary=a\n\n--a\n',
      'Content-Type: message/rfc822\r\n\r\n',
      'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n',
      'Content-Type: text/html; charset=utf-8\r\n',
      "Content-Type: text/plain; name*0*=utf-8''%e2; name*1=x",
      'Content-Transfer-Encoding: quoted-printable\r\n',
      'Content-Disposition: attachment; filename="a\\"b"\r\n',
      'Content-Language: en, de\r\nContent-MD5: Q2hlY2s=\r\nContent-Location: http://x/\r\n',
      'Subject: [a] Re: =?utf-8?q?=C3=A9?= (fwd)\r\n',
      'From: "A \\" B" <a@b>, g: c@d (E), <@r:f@g>;, h\r\n',
      'To: ;;,,<>@:"\r\n',
      'Date: Tue, 1 Jul 2003 10:52:37 +0200\r\n',
      'Message-ID: <a@b>\r\nReferences: <c@d> <e@f>\r\n',
      'In-Reply-To: \xe9\xff\r\n',
    ),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((a) => Buffer.from(a).toString('latin1')) },
);
const message = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

function inChunks(bytes: Uint8Array, sizes: readonly number[]): ReturnType<typeof scan> {
  const scanner = new Scanner();
  const reused = Buffer.alloc(1_000);
  for (let at = 0, k = 0; at < bytes.length; k++) {
    const size = Math.min(sizes[k % sizes.length] as number, bytes.length - at);
    // The caller may use its buffer again: nothing of it may be kept.
    reused.set(bytes.subarray(at, at + size));
    scanner.push(reused.subarray(0, size));
    reused.fill(45);
    at += size;
  }
  return scanner.finish();
}

function nests(part: Part, from: number, to: number): void {
  expect(part.headerFrom).toBeGreaterThanOrEqual(from);
  expect(part.bodyFrom).toBeGreaterThanOrEqual(part.headerFrom);
  expect(part.bodyTo).toBeGreaterThanOrEqual(part.bodyFrom);
  expect(part.bodyTo).toBeLessThanOrEqual(to);
  expect(part.kind === 'leaf' ? 0 : 1).toBeLessThanOrEqual(part.children.length);
  if (part.kind === 'leaf') expect(part.children).toHaveLength(0);
  let at = part.bodyFrom;
  for (const child of part.children) {
    nests(child, at, part.bodyTo);
    at = child.bodyTo;
  }
}

/** The tree of offsets and the text a client sees tell the same. */
function agree(bytes: Uint8Array, root: Part, part: Part, shown: Structure, path: number[]): void {
  const lines = Buffer.from(bytes.subarray(part.bodyFrom, part.bodyTo)).toString('latin1').split('\n').length - 1;
  expect(part.lines).toBe(lines);
  expect(shown.type.toLowerCase()).toBe(part.type);
  if (part.kind === 'multipart') {
    expect(shown.parts).toHaveLength(part.children.length);
    for (const [i, child] of part.children.entries()) {
      expect(findPart(root, [...path, i + 1])).toBe(child);
      agree(bytes, root, child, shown.parts[i] as Structure, [...path, i + 1]);
    }
    return;
  }
  expect(shown.octets).toBe(part.bodyTo - part.bodyFrom);
  if (shown.lines !== null) expect(shown.lines).toBe(lines);
  if (part.kind !== 'message') return;
  const here = path.length === 0 ? [1] : path;
  const inner = part.children[0] as Part;
  expect(findPart(root, here)).toBe(part);
  if (part !== root) expect(enclosedMessage(root, part)).toBe(inner);
  if (inner.kind !== 'multipart') expect(findPart(root, [...here, 1])).toBe(inner);
  agree(bytes, root, inner, shown.parts[0] as Structure, inner.kind === 'multipart' ? here : [...here, 1]);
}

function check(bytes: Uint8Array): void {
  const { size, headerSize, info, part } = scan(bytes);
  expect(size).toBe(bytes.length);
  expect(part.headerFrom).toBe(0);
  expect(part.bodyFrom).toBe(headerSize);
  expect(part.bodyTo).toBe(size);
  nests(part, 0, size);
  expect(unpackParts(packParts(part))).toEqual(part);
  expect(unpackParts(info.parts)).toEqual(part);
  readEnvelope(info.envelope);
  agree(bytes, part, part, readStructure(info.structure, true), []);
  agree(bytes, part, part, readStructure(info.body, false), []);
  expect(info.envelope.length).toBeLessThanOrEqual(limits.envelope);
}

describe('MIME scanner on arbitrary octets', () => {
  test('any chunking gives the same result', () => {
    fc.assert(
      fc.property(message, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }), (bytes, sizes) => {
        expect(inChunks(bytes, sizes)).toEqual(scan(bytes));
        expect(inChunks(bytes, [1])).toEqual(scan(bytes));
      }),
      { numRuns: 1_500 },
    );
  });

  test('offsets nest, lines are counted, IMAP texts are by the grammar', () => {
    fc.assert(fc.property(message, check), { numRuns: 3_000 });
  });

  test('random octets', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2_000 }), check), { numRuns: 500 });
  });
});
