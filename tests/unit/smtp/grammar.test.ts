// Paths, parameters and command lines: what is taken, and what is not.

import { describe, expect, test } from 'vitest';
import { parseBdat, parseCommandLine, parseOrcpt, parseParameters, parsePath, parseXtext } from '../../../protocols/smtp/grammar.ts';
import { mailParameters, rcptParameters } from '../../../protocols/smtp/parameters.ts';

const address = (text: string): string | null => {
  const path = parsePath(text);
  return path.ok ? (path.mailbox?.address ?? '') : null;
};

describe('RFC 5321 §4.1.2 paths', () => {
  test.each([
    ['<>', ''],
    ['<a@b.example>', 'a@b.example'],
    ['<A.b+c@B.Example>', 'A.b+c@B.Example'],
    ['<"a"@b.example>', 'a@b.example'],
    ['<"a b"@b.example>', '"a b"@b.example'],
    ['<"a\\"b"@b.example>', '"a\\"b"@b.example'],
    ['<"a\\b"@b.example>', 'ab@b.example'],
    ['<"a@evil.example"@b.example>', '"a@evil.example"@b.example'],
    ['<a@[127.0.0.1]>', 'a@[127.0.0.1]'],
    ['<a@[IPv6:::1]>', 'a@[IPv6:::1]'],
    ['<@one.example,@two.example:a@b.example>', 'a@b.example'],
    ['<@[IPv6:::1]:a@b.example>', 'a@b.example'],
    ['<postmaster>', 'postmaster'],
    ['<PostMaster>', 'PostMaster'],
    ['<a%evil.example@b.example>', 'a%evil.example@b.example'],
    ['<evil.example!a@b.example>', 'evil.example!a@b.example'],
    ['<bücher@bücher.example>', 'bücher@bücher.example'],
    ['<a..b.@b.example>', 'a..b.@b.example'],
  ])('%s', (text, want) => expect(address(text)).toBe(want));

  test.each([
    'a@b.example',
    '<a@b.example',
    '<a@b@c.example>',
    '<a b@c.example>',
    '<@b.example>',
    '<a@>',
    '<a@b..c>',
    '<a@-b.example>',
    '<a@b.example.>',
    '<a@[1.2.3.4>',
    '<""@b.example>',
    '<"a@b.example>',
    '<someone>',
    '<a@b.example\\>',
    '<@one.example:>',
    '<@one.example a@b.example>',
    `<${'a'.repeat(400)}@b.example>`,
    `<a@${'b'.repeat(256)}>`,
    '',
    '<',
  ])('refuses %s', (text) => expect(address(text)).toBeNull());

  test('what follows the path is left', () => expect(parsePath('<a@b> SIZE=1')).toMatchObject({ rest: ' SIZE=1' }));
});

test('a command line is a verb and an argument', () => {
  const line = (text: string) => parseCommandLine(Buffer.from(text));
  expect(line('noop')).toEqual({ verb: 'NOOP', argument: '', ascii: true });
  expect(line('Mail  FROM:<>  ')).toEqual({ verb: 'MAIL', argument: 'FROM:<>', ascii: true });
  expect(line('NOOP é')).toEqual({ verb: 'NOOP', argument: 'é', ascii: false });
  expect(line('NOOP a\0b')).toBe('control characters in a command');
  expect(line('NOOP a\rb')).toBe('control characters in a command');
  expect(parseCommandLine(new Uint8Array([78, 0xff]))).toBe('not valid UTF-8');
});

test('parameters', () => {
  expect(parseParameters('')).toEqual([]);
  expect(parseParameters(' size=10  BODY=8BITMIME smtputf8')).toEqual([
    { name: 'SIZE', value: '10' },
    { name: 'BODY', value: '8BITMIME' },
    { name: 'SMTPUTF8', value: null },
  ]);
  expect(parseParameters('SIZE=1')).toBeNull();
  expect(parseParameters(' SIZE=')).toBeNull();
  expect(parseParameters(' =1')).toBeNull();
  expect(parseParameters(' SIZE=1 SIZE=2')).toBeNull();
});

test('RFC 3461 §4: xtext and ORCPT', () => {
  expect(parseXtext('a+2Bb+3d', false)).toBe('a+2Bb+3D');
  expect(parseXtext('a+b', false)).toBeNull();
  expect(parseXtext('é', false)).toBeNull();
  expect(parseXtext('é', true)).toBe('é');
  expect(parseOrcpt('rfc822;a@b', false)).toBe('rfc822;a@b');
  expect(parseOrcpt('utf-8;é@b', true)).toBe('utf-8;é@b');
  expect(parseOrcpt('rfc822;é@b', true)).toBeNull();
  expect(parseOrcpt('a@b', false)).toBeNull();
  expect(parseOrcpt(`rfc822;${'a'.repeat(500)}`, false)).toBeNull();
});

test('MAIL and RCPT parameters', () => {
  expect(mailParameters(' SIZE=5 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=x+2By AUTH=<>')).toEqual({ size: 5, smtputf8: true, ret: 'HDRS', envid: 'x+2By' });
  expect(mailParameters(' BODY=BINARYMIME')).toMatch(/^504 5\.5\.4/);
  expect(mailParameters(' SIZE=99999999999')).toMatch(/^552 5\.3\.4/);
  expect(mailParameters(' SIZE=x')).toMatch(/^501 5\.5\.4/);
  expect(mailParameters(' WONDER=1')).toMatch(/^555 5\.5\.4/);
  expect(mailParameters(' RET=ALL')).toMatch(/^501/);
  expect(mailParameters(` ENVID=${'x'.repeat(101)}`)).toMatch(/^501/);
  expect(mailParameters(' SMTPUTF8=1')).toMatch(/^501/);
  expect(rcptParameters(' NOTIFY=success,FAILURE ORCPT=rfc822;a@b', false)).toEqual({ notify: 6, orcpt: 'rfc822;a@b' });
  expect(rcptParameters(' NOTIFY=NEVER', false)).toEqual({ notify: 1, orcpt: '' });
  expect(rcptParameters(' NOTIFY=NEVER,DELAY', false)).toMatch(/^501/);
  expect(rcptParameters(' NOTIFY', false)).toMatch(/^501/);
  expect(rcptParameters(' SIZE=1', false)).toMatch(/^555/);
});

test('RFC 3030: BDAT', () => {
  expect(parseBdat('0')).toEqual({ size: 0, last: false });
  expect(parseBdat('1000 last')).toEqual({ size: 1000, last: true });
  for (const text of ['', 'x', '-1', '1 FIRST', '1 LAST x', '9'.repeat(16)]) expect(parseBdat(text)).toBeNull();
});
