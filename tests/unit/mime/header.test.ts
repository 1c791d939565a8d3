// Header fields, addresses, dates, charsets and bodies as text.

import { describe, expect, test } from 'vitest';
import { parseAddresses } from '../../../protocols/mime/address.ts';
import { decodeCharset } from '../../../protocols/mime/charset.ts';
import { parseDateTime } from '../../../protocols/mime/date.ts';
import { BodyDecoder, decodeText } from '../../../protocols/mime/decode.ts';
import { decodeHeader, headerFields, selectFields } from '../../../protocols/mime/header.ts';

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
const header = Buffer.from(
  'Received: by x\r\n\twith y\r\nSUBJECT: one\r\nno field\r\nFrom : a@b\r\n: nameless\r\nSubject: two\r\n  folded\r\nX-Subject: no\r\nTo:c\r\n\r\nSubject: body\r\n',
);
const select = (names: string[], not = false, octets: Uint8Array = header): string => text(selectFields(octets, new Set(names), not));

describe('header fields', () => {
  test('where they are', () => {
    expect(
      [...headerFields(header)].map(({ name, from, to, valueFrom }) => [name, text(header.subarray(from, to)), text(header.subarray(valueFrom, to))]),
    ).toEqual([
      ['received', 'Received: by x\r\n\twith y\r\n', ' by x\r\n\twith y\r\n'],
      ['subject', 'SUBJECT: one\r\n', ' one\r\n'],
      ['from', 'From : a@b\r\n', ' a@b\r\n'],
      ['subject', 'Subject: two\r\n  folded\r\n', ' two\r\n  folded\r\n'],
      ['x-subject', 'X-Subject: no\r\n', ' no\r\n'],
      ['to', 'To:c\r\n', 'c\r\n'],
    ]);
  });

  test('HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 3501 §6.4.5)', () => {
    expect(select(['subject', 'to'])).toBe('SUBJECT: one\r\nSubject: two\r\n  folded\r\nTo:c\r\n\r\n');
    expect(select(['subject', 'received'], true)).toBe('From : a@b\r\nX-Subject: no\r\nTo:c\r\n\r\n');
    expect(select(['none'])).toBe('\r\n');
    expect(select([], true, Buffer.from(''))).toBe('\r\n');
    expect(select(['a'], false, Buffer.from('A: 1\nB: 2\nA: 3'))).toBe('A: 1\nA: 3\r\n\r\n');
    expect(select(['a'], false, Buffer.from('A: 1'))).toBe('A: 1\r\n\r\n');
    const long = Buffer.from(`A: ${'x'.repeat(5_000)}\r\nB: y\r\nC: z\r\n\r\n`);
    expect(select(['b'], true, long)).toBe(`A: ${'x'.repeat(5_000)}\r\nC: z\r\n\r\n`);
  });
});

describe('encoded-words (RFC 2047)', () => {
  for (const [value, expected] of [
    ['=?ISO-8859-1?Q?Andr=E9?= Pirard', 'André Pirard'],
    ['=?utf-8?B?w6k=?= =?utf-8?B?w6k=?=', 'éé'],
    ['=?utf-8?B?w6?= =?utf-8?q?=A9?=', 'é'],
    ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
    ['=?utf-7?Q?+AOk-?=', 'é'],
    ['=?utf-8*en?q?a_b?=', 'a b'],
    ['=?no-such-charset?q?abc=C3=A9?=', 'abcé'],
    ['=?utf-8?x?abc?= =?broken', '=?utf-8?x?abc?= =?broken'],
    ['a =?utf-8?q?b?= c', 'a b c'],
    ['folded\r\n text', 'folded text'],
    ['\xc3\xa9', 'é'],
    ['\xe9', 'é'],
    ['schon Unicode: ☃', 'schon Unicode: ☃'],
  ] as const) {
    test(JSON.stringify(value), () => expect(decodeHeader(value)).toBe(expected));
  }
  test('a half character at the end of octets is not cut as white space', () => {
    expect(decodeHeader(Buffer.from(' voilà '))).toBe('voilà');
  });
});

describe('addresses (RFC 5322 §3.4, §4.4)', () => {
  const box = (name: string, mailbox: string, host: string, route = ''): object => ({ kind: 'mailbox', name, route, mailbox, host });
  for (const [value, expected] of [
    ['John Doe <jdoe@machine.example>', [box('John Doe', 'jdoe', 'machine.example')]],
    ['"Joe Q. Public" <john.q.public@example.com>, jdoe@example.org', [box('Joe Q. Public', 'john.q.public', 'example.com'), box('', 'jdoe', 'example.org')]],
    ['Joe Q. Public <a@b>', [box('Joe Q. Public', 'a', 'b')]],
    ['jdoe@test   . example (Jane)', [box('Jane', 'jdoe', 'test.example')]],
    ['"a\\"b"@c', [box('', 'a"b', 'c')]],
    ['<"quoted local"@c>', [box('', 'quoted local', 'c')]],
    ['user@[192.0.2.1]', [box('', 'user', '[192.0.2.1]')]],
    ['<user@[IPv6:2001:db8::1]>', [box('', 'user', '[IPv6:2001:db8::1]')]],
    ['user@[IPv6:2001:db8::1], b@c', [box('', 'user', '[IPv6:2001:db8::1]'), box('', 'b', 'c')]],
    ['<@a,@b:u@h>', [box('', 'u', 'h', '@a,@b')]],
    ['g: a@b, c@d;', [{ kind: 'group', name: 'g' }, box('', 'a', 'b'), box('', 'c', 'd'), { kind: 'end' }]],
    ['undisclosed-recipients:;', [{ kind: 'group', name: 'undisclosed-recipients' }, { kind: 'end' }]],
    ['g: a@b', [{ kind: 'group', name: 'g' }, box('', 'a', 'b'), { kind: 'end' }]],
    ['<>', [box('', '', '')]],
    ['', []],
    [',,;', []],
    ['a@b <c@d>', [box('a@b', 'c', 'd')]],
    ['J. Doe jdoe@host', [box('J. Doe', 'jdoe', 'host')]],
  ] as const) {
    test(JSON.stringify(value), () => expect(parseAddresses(value)).toEqual(expected));
  }
  test('at most so many', () => expect(parseAddresses('a@b,'.repeat(1_000), 10)).toHaveLength(10));
});

describe('dates (RFC 5322 §3.3, §4.3)', () => {
  for (const [value, iso, zone] of [
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21T15:55:06', -360],
    ['21 Nov 97 09:55 GMT', '1997-11-21T09:55:00', 0],
    ['Tue, 1 Jul 03 10:52:37 EDT', '2003-07-01T14:52:37', -240],
    ['Tue Jul  1 10:52:37 2003', '2003-07-01T10:52:37', 0],
    ['Tue Jul  1 10:52:37 CEST 2003', '2003-07-01T08:52:37', 120],
    ['Thu,\r\n 13 Feb 1969 23:32 -0330 (Newfoundland Time)', '1969-02-14T03:02:00', -210],
    ['2024-02-29T12:00:00.123+01:00', '2024-02-29T11:00:00', 60],
    ['Sat, 5 September 2026 1:02:03 pm +0000', '2026-09-05T13:02:03', 0],
    ['5-Sep-2026 01:02:03 +0530', '2026-09-04T19:32:03', 330],
    ['Wed, 11 Feb 98 11:51 CST', '1998-02-11T17:51:00', -360],
    ['21 Nov 1997 09(comment):55:06 Z', '1997-11-21T09:55:06', 0],
  ] as const) {
    test(value, () => expect(parseDateTime(value)).toEqual({ ms: Date.parse(`${iso}Z`), zoneMinutes: zone }));
  }
  for (const value of ['', 'now', '32 Nov 1997 00:00:00 +0000', 'Fri, 21 Nov', '21 Nov 1997 25:00:00', '((((', '1997']) {
    test(`none in ${JSON.stringify(value)}`, () => expect(parseDateTime(value)).toBeNull());
  }
});

describe('bodies as text', () => {
  test('encodings and charsets', () => {
    expect(decodeText(Buffer.from('w6k=\r\nw6k='), 'utf-8', 'BASE64')).toBe('éé');
    expect(decodeText(Buffer.from('caf=E9 =\r\n=3D = x=ZZ'), 'iso-8859-1', 'quoted-printable')).toBe('café = = x=ZZ');
    expect(decodeText(Buffer.from('\x1b$B46;z\x1b(B'), 'iso-2022-jp', '7bit')).toBe('感字');
    expect(decodeText(Buffer.from('+AOk-'), 'utf-7', '7bit')).toBe('é');
    expect(decodeText(Buffer.from([0xe9]), '', '8bit')).toBe('é');
    expect(decodeCharset(Buffer.from('é'), 'x-nonsense')).toBe('é');
  });

  test('in any pieces the same', () => {
    for (const [encoding, charset, octets] of [
      ['base64', 'utf-8', Buffer.from(Buffer.from('Äpfel und Birnen ☃ '.repeat(20)).toString('base64').replace(/.{60}/g, '$&\r\n'))],
      ['quoted-printable', 'utf-8', Buffer.from('=C3=84pfel =\r\n=E2=98=83 = = x=\r\n'.repeat(20))],
      ['8bit', 'utf-16le', Buffer.from('Äpfel ☃', 'utf16le')],
      ['7bit', 'utf-7', Buffer.from('+AOkA6QDp- x')],
      ['8bit', '', Buffer.from('Äpfel ☃')],
    ] as const) {
      const whole = decodeText(octets, charset, encoding);
      for (const size of [1, 2, 3, 7, 50]) {
        const decoder = new BodyDecoder(encoding, charset);
        let out = '';
        for (let at = 0; at < octets.length; at += size) out += decoder.write(octets.subarray(at, at + size));
        expect(out + decoder.end(), `${encoding} ${charset} by ${size}`).toBe(whole);
      }
    }
  });
});
