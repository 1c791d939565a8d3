// 8-bit mail for hosts that take 7 bits: what comes out is 7-bit and says the same (RFC 6152 §3).

import fc from 'fast-check';
import { simpleParser } from 'mailparser';
import { describe, expect, test } from 'vitest';
import { unpackParts } from '../../../protocols/mime/parts.ts';
import { scan } from '../../../protocols/mime/scanner.ts';
import { convert, plan } from '../../../protocols/smtp/sevenbit.ts';

const crlf = (text: string): Buffer => Buffer.from(text.replace(/\n/g, '\r\n'));

function converted(raw: Uint8Array, skip = 0, step = 11): string | null {
  const source = {
    *octets(from: number, to: number) {
      for (let at = from; at < to; at += step) yield raw.subarray(at, Math.min(to, at + step));
    },
  };
  const segments = plan(source, unpackParts(scan(raw).info.parts), skip, raw.length);
  return segments === null ? null : Buffer.concat([...convert(source, segments)]).toString('latin1');
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is the range
const sevenBits = /^[\x00-\x7f]*$/;

describe('a message', () => {
  test('of one text part becomes quoted-printable', () => {
    const raw = crlf('Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße = \nNächste.\n');
    expect(converted(raw)).toBe(
      crlf(
        'Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe =3D=20\nN=C3=A4chste.\n',
      ).toString(),
    );
  });

  test('that is 7-bit already stays as it is, without what is skipped', () => {
    const raw = crlf('Return-Path: <>\nSubject: x\n\nplain = text \n');
    expect(converted(raw, 17)).toBe(crlf('Subject: x\n\nplain = text \n').toString());
  });

  test('RFC 1428 §3: without MIME fields gets them', () => {
    const out = converted(crlf('Subject: x\n\nGrüße\n')) ?? '';
    expect(out).toContain('MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n');
  });

  test('with parts: only the 8-bit ones change, attachments become base64', async () => {
    const raw = crlf(
      'Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npreamble\n--b\n' +
        'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n--b\nContent-Type: text/plain\n\nplain = text\n--b\n' +
        `Content-Type: application/octet-stream\nContent-Transfer-Encoding: 8bit\nContent-Disposition: attachment; filename=a\n\n${'äöü'.repeat(40)}\n--b--\nepilogue\n`,
    );
    const out = converted(raw) ?? '';
    expect(out).toMatch(sevenBits);
    expect(out).toContain('boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\npreamble');
    expect(out).toContain('Content-Type: text/plain\r\n\r\nplain = text\r\n');
    const parsed = await simpleParser(Buffer.from(out, 'latin1'));
    expect(parsed.text).toContain('Grüße');
    expect(parsed.attachments[0]?.content.toString()).toBe('äöü'.repeat(40));
  });

  test('inside a message/rfc822 is converted there', () => {
    const inner = 'Subject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n';
    const raw = crlf(`Subject: x\nMIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n${inner}`);
    const out = converted(raw) ?? '';
    expect(out).toMatch(sevenBits);
    expect(out.split('Content-Transfer-Encoding: ').map((s) => s.split('\r\n')[0])).toEqual(['Subject: x', '7bit', 'quoted-printable']);
  });

  test.each([
    ['an 8-bit header', 'Subject: Grüße\n\nGrüße\n'],
    ['multipart/signed', 'Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain\n\nGrüße\n--b--\n'],
    ['8 bits under base64', 'Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nGrüße\n'],
    ['message/partial', 'Content-Type: message/partial; id=a; number=1\n\nGrüße\n'],
    ['an 8-bit preamble', 'Content-Type: multipart/mixed; boundary=b\n\nGrüße\n--b\n\nx\n--b--\n'],
  ])('with %s is not converted', (_name, text) => {
    expect(converted(crlf(`MIME-Version: 1.0\n${text}`))).toBeNull();
  });
});

test('whatever the text and however it is cut, it is 7-bit, has short lines, and decodes to what it was', async () => {
  const octet = fc.oneof(fc.constantFrom(13, 10, 32, 9, 61, 46), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(octet, { maxLength: 400 }),
      fc.integer({ min: 1, max: 50 }),
      fc.constantFrom('text/plain', 'image/png'),
      async (octets, step, type) => {
        const content = Buffer.concat([Buffer.from(octets), Buffer.from([200])]);
        const raw = Buffer.concat([crlf(`MIME-Version: 1.0\nContent-Type: ${type}; charset=latin1\nContent-Transfer-Encoding: 8bit\n\n`), content]);
        const out = converted(raw, 0, step) ?? '';
        expect(out).toMatch(sevenBits);
        const encoded = out.slice(out.indexOf('\r\n\r\n') + 4);
        for (const line of encoded.split('\r\n')) expect(line.length).toBeLessThanOrEqual(76);
        const decoded = type === 'image/png' ? Buffer.from(encoded, 'base64') : unquote(encoded);
        expect(decoded.equals(content)).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});

const unquote = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
