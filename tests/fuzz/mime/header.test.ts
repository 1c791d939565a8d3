// The parsers of header values and bodies on arbitrary octets: no throw, answers in range, pieces as good as the whole.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddresses } from '../../../protocols/mime/address.ts';
import { composeMessage, encodeHeader, person, quotedPrintable, received, textBody } from '../../../protocols/mime/compose.ts';
import { parseDateTime } from '../../../protocols/mime/date.ts';
import { BodyDecoder, decodeText } from '../../../protocols/mime/decode.ts';
import { decodeHeader, headerFields, selectFields } from '../../../protocols/mime/header.ts';
import { parameter, parseParameters } from '../../../protocols/mime/parameters.ts';
import { baseSubject, messageIds, referencesOf } from '../../../protocols/mime/thread.ts';
import { scan } from '../../../protocols/mime/scanner.ts';

const tokens = [
  '"',
  '\\',
  '(',
  ')',
  '<',
  '>',
  '@',
  ',',
  ';',
  ':',
  '.',
  '[',
  ']',
  '=',
  '*',
  '%',
  '?',
  "'",
  ' ',
  '\t',
  '\r\n ',
  '=?utf-8?q?',
  '=?utf-7?B?',
  '?=',
  'a',
  'name*0*=',
  "utf-8''%41",
  'Re: ',
  '[x]',
  '(fwd)',
  'Jan',
  '12:00',
  '2026',
  '-0500',
  '\xe9',
  '\0',
  '💥',
];
const value = fc.array(fc.oneof(fc.constantFrom(...tokens), fc.string({ maxLength: 5 })), { maxLength: 40 }).map((parts) => parts.join(''));
const charset = fc.constantFrom(
  '',
  'utf-8',
  'us-ascii',
  'iso-2022-jp',
  'gb18030',
  'utf-7',
  'utf-16',
  'iso-8859-8-i',
  'x-nope',
  'hz-gb-2312',
  'big5',
  '\0',
  'constructor',
);
const encoding = fc.constantFrom('7bit', '8bit', 'base64', 'Quoted-Printable', 'x-uuencode');

describe('header values', () => {
  test('every parser answers', () => {
    fc.assert(
      fc.property(value, (text) => {
        for (const item of parseAddresses(text)) expect(['mailbox', 'group', 'end']).toContain(item.kind);
        const { parameters } = parseParameters(text);
        for (const [name] of parameters) parameter(parameters, name.replace(/\*$/, ''));
        const date = parseDateTime(text);
        if (date) expect(Number.isSafeInteger(date.ms)).toBe(true);
        expect(typeof decodeHeader(text)).toBe('string');
        const base = baseSubject(text);
        expect(base.length).toBeLessThanOrEqual(998);
        // what came out of an encoded word may be one again: it is decoded once (RFC 5256 §2.1)
        if (decodeHeader(base) === base) expect(baseSubject(base)).toBe(base);
        expect(messageIds(text, 3).length).toBeLessThanOrEqual(3);
        referencesOf(text, text, 3);
      }),
      { numRuns: 5_000 },
    );
  });

  test('fields lie in the header; a selection and its opposite are all of them', () => {
    const header = fc.array(
      fc.oneof(
        fc.constantFrom('a', 'B', ':', ' :', ': x', '\r\n', '\n', '\r', ' ', '\t', 'Subject: x\r\n', 'to: y\n', '\r\n\r\n'),
        fc.string({ maxLength: 4 }),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(header, (pieces) => {
        const octets = Buffer.from(pieces.join(''));
        const fields = [...headerFields(octets)];
        let at = 0;
        for (const field of fields) {
          expect(field.from).toBeGreaterThanOrEqual(at);
          expect(field.valueFrom).toBeGreaterThan(field.from);
          expect(field.valueFrom).toBeLessThanOrEqual(field.to);
          at = field.to;
        }
        expect(at).toBeLessThanOrEqual(octets.length);
        const names = new Set(['subject', 'a', 'b:', '']);
        const expected = (not: boolean): string => {
          const chosen = fields.filter((f) => names.has(f.name) !== not).map((f) => octets.toString('latin1', f.from, f.to));
          const open = chosen.length > 0 && !chosen.at(-1)?.endsWith('\n');
          return `${chosen.join('')}${open ? '\r\n' : ''}\r\n`;
        };
        for (const not of [false, true]) expect(Buffer.from(selectFields(octets, names, not)).toString('latin1')).toBe(expected(not));
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('bodies', () => {
  const body = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom('=\r\n', '=4', '=', 'QUJD', 'Q==', '\r\n', '\x1b$B', '+AOk-').map((t) => Buffer.from(t)),
    ),
    { maxLength: 20 },
  );
  test('no charset and no encoding throws; pieces are as good as the whole', () => {
    fc.assert(
      fc.property(body, charset, encoding, fc.integer({ min: 1, max: 9 }), (pieces, name, transfer, size) => {
        const octets = Buffer.concat(pieces);
        const whole = decodeText(octets, name, transfer);
        const decoder = new BodyDecoder(transfer, name);
        let out = '';
        for (let at = 0; at < octets.length; at += size) out += decoder.write(octets.subarray(at, at + size));
        out += decoder.end();
        // Where the octets are not of that charset, a guess in pieces may differ.
        if (name === 'utf-8' || name === 'gb18030' || name === 'big5') expect(out).toBe(whole);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('our own messages', () => {
  const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), value);
  test('header values fold to short lines of US-ASCII and never end a field', () => {
    fc.assert(
      fc.property(anything, (text) => {
        for (const field of [`Subject: ${encodeHeader(text, 9)}\r\n`, `From: ${person({ name: text, address: 'a@b' })}\r\n`]) {
          expect([...headerFields(Buffer.from(field))]).toHaveLength(1);
          expect(scan(Buffer.from(`${field}\r\n`)).headerSize).toBe(field.length + 2);
        }
        const trace = received({ helo: text, address: text, name: text, by: 'mx', protocol: 'ESMTP', id: text, recipient: text, at: 0 });
        expect([...headerFields(Buffer.from(trace))]).toHaveLength(1);
        expect(decodeHeader(encodeHeader(text)).replace(/\s/g, '')).toBe(text.toWellFormed().replace(/\s/g, ''));
      }),
      { numRuns: 1_000 },
    );
  });

  test('text comes back as it went', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const sent = textBody(text);
        const lines = text.replace(/\r\n|\r|\n/g, '\r\n').toWellFormed();
        expect(decodeText(sent.octets, 'utf-8', sent.fields[1]?.[1] ?? '')).toBe(lines.endsWith('\r\n') ? lines : `${lines}\r\n`);
        expect(decodeText(quotedPrintable(Buffer.from(lines)), 'utf-8', 'quoted-printable')).toBe(lines);
        for (const line of Buffer.from(sent.octets).toString('latin1').split('\r\n')) expect(line.length).toBeLessThanOrEqual(78);
        const from = { name: text, address: 'a@b' };
        const { info } = scan(composeMessage({ from, to: [from], subject: text, date: 0, messageId: '<i@j>', body: sent }));
        expect(info.messageId).toBe('i@j');
        expect(info.sentDate).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });
});
