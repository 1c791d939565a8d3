// What we write ourselves, read back by another parser (mailparser) where there is something to read.

import { simpleParser } from 'mailparser';
import { describe, expect, test } from 'vitest';
import type { World } from '../../../actors/world.ts';
import {
  attachment,
  composeMessage,
  encodeHeader,
  formatDate,
  type Letter,
  messageId,
  multipartBody,
  person,
  received,
  textBody,
} from '../../../protocols/mime/compose.ts';
import { decodeText } from '../../../protocols/mime/decode.ts';
import { decodeHeader } from '../../../protocols/mime/header.ts';

const world = { now: () => 1_767_225_891_000, random: (n: number) => new Uint8Array(n).fill(7) } as World;
const letter = (body: Letter['body'], subject = 'x'): Letter => ({
  from: { name: 'Alice', address: 'alice@example.test' },
  to: [{ name: 'Bob, "the" Builder', address: 'bob@example.test' }],
  subject,
  date: world.now(),
  messageId: '<1@example.test>',
  body,
});

test('dates and ids', () => {
  expect(formatDate(1_767_225_891_000)).toBe('Thu, 01 Jan 2026 00:04:51 +0000');
  expect(messageId(world, 'mx.test')).toBe('<mjukqtnc.070707070707070707070707@mx.test>'.replace('mjukqtnc', (1_767_225_891_000).toString(36)));
});

describe('Received (RFC 5321 §4.4)', () => {
  const trace = {
    helo: 'client.test',
    address: '192.0.2.1',
    name: 'rdns.test',
    by: 'mx.test',
    protocol: 'ESMTPS',
    id: 'abc',
    recipient: 'bob@example.test',
    at: 0,
  };
  test('all of it', () => {
    expect(received(trace)).toBe(
      'Received: from client.test (rdns.test [192.0.2.1])\r\n\tby mx.test with ESMTPS id abc\r\n\tfor <bob@example.test>;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n',
    );
  });
  test('a hostile client cannot end the field, nor open a comment', () => {
    const field = received({ ...trace, helo: 'x\r\nX-Evil: (y) <z>;', name: '', address: '2001:db8::1', recipient: null });
    expect(field).toBe('Received: from xX-Evil:yz ([IPv6:2001:db8::1])\r\n\tby mx.test with ESMTPS id abc;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n');
    expect(received({ ...trace, helo: '(((' })).toMatch(/^Received: from unknown \(/);
  });
});

describe('header values', () => {
  for (const text of ['plain', 'Übergrößenträger '.repeat(20), '☃'.repeat(100), 'a word '.repeat(40), '=?looks?like?', `${'long'.repeat(300)} word`]) {
    test(text.slice(0, 20), () => {
      const value = encodeHeader(text, 9);
      expect(value).toMatch(/^[\x20-\x7e\r\n]*$/);
      for (const [i, line] of value.split('\r\n').entries()) {
        expect(line.length + (i === 0 ? 9 : 0)).toBeLessThanOrEqual(text.startsWith('long') ? 998 : 78);
        if (i > 0) expect(line).toMatch(/^ \S/);
      }
      expect(decodeHeader(value).replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    });
  }
  test('line endings in text end no field', () => expect(encodeHeader('a\r\nBcc: x')).toBe('a Bcc: x'));
  test('people', () => {
    expect(person({ name: '', address: 'a@b' })).toBe('<a@b>');
    expect(person({ name: 'A "B", C', address: 'a@b' })).toBe('"A \\"B\\", C" <a@b>');
    expect(decodeHeader(person({ name: 'Zoë', address: 'a@b' }))).toBe('Zoë <a@b>');
  });
});

describe('text parts', () => {
  for (const [name, text, encoding] of [
    ['short ASCII', 'Hello\nWorld\n', '7bit'],
    ['a long line', `${'word '.repeat(100)}\n`, 'quoted-printable'],
    ['a few accents', `${'déjà vu et encore du texte '.repeat(10)}\n.\n From\nFrom x\n trailing \n`, 'quoted-printable'],
    ['another script', '日本語のメール\n'.repeat(10), 'base64'],
    ['equals signs', `${'='.repeat(200)}é\n`, 'quoted-printable'],
  ] as const) {
    test(name, () => {
      const { fields, octets } = textBody(text);
      expect(fields[1]?.[1]).toBe(encoding);
      const lines = Buffer.from(octets).toString('latin1').split('\r\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(78);
      expect(Buffer.from(octets).toString('latin1')).not.toMatch(/[^\x20-\x7e\r\n]|(?:^|\n)(?:From |\.\r)/);
      expect(decodeText(octets, 'utf-8', encoding)).toBe(text.replaceAll('\n', '\r\n'));
    });
  }
});

test('a whole message as another parser reads it', async () => {
  const text = textBody('Grüße\n');
  const html = textBody('<p>Grüße ☃</p>\n', 'html');
  const both = multipartBody('alternative', '=_2', [text, html]);
  const file = attachment(Buffer.from('PDF'.repeat(100)), 'application/pdf', 'a "b".pdf');
  const octets = composeMessage(
    letter(multipartBody('mixed', '=_1', [both, file]), 'Grüße aus der Küche, und noch viel mehr Text dahinter, damit gefaltet wird'),
  );
  const mail = await simpleParser(Buffer.from(octets));
  expect(mail.subject).toBe('Grüße aus der Küche, und noch viel mehr Text dahinter, damit gefaltet wird');
  expect(mail.text?.trim()).toBe('Grüße');
  expect(mail.html).toContain('<p>Grüße ☃</p>');
  expect(mail.attachments[0]).toMatchObject({ filename: 'a _b_.pdf', contentType: 'application/pdf', size: 300 });
  expect(mail.to).toMatchObject({ value: [{ name: 'Bob, "the" Builder', address: 'bob@example.test' }] });
  expect(mail.date?.getTime()).toBe(world.now());
});
