// The end of data and dot-unstuffing, cut in every way: nothing but CRLF.CRLF ends a message.

import { expect, test } from 'vitest';
import { DataDecoder, LineEndings } from '../../../protocols/smtp/data.ts';

const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** What a decoder makes of `text`, cut before each index of `cuts`. */
function decode(text: string, cuts: readonly number[] = []): { message: string; rest: string; ended: boolean; bare: boolean } {
  const decoder = new DataDecoder();
  const bytes = octets(text);
  let message = '';
  const places = [...cuts, bytes.length];
  let from = 0;
  for (const to of places) {
    const chunk = bytes.slice(from, to);
    const { message: part, taken } = decoder.push(chunk);
    message += Buffer.from(part).toString('latin1');
    from += taken;
    if (decoder.ended) break;
    expect(taken).toBe(chunk.length);
  }
  return { message, rest: Buffer.from(bytes.subarray(from)).toString('latin1'), ended: decoder.ended, bare: decoder.bare };
}

test.each([
  ['an empty message', '.\r\n', '', ''],
  ['a line', 'a\r\n.\r\n', 'a\r\n', ''],
  ['what follows is left', 'a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'],
  ['stuffed dots go', '..\r\n..a\r\nb.\r\n...\r\n.\r\n', '.\r\n.a\r\nb.\r\n..\r\n', ''],
  ['a lone dot before text goes too', '.a\r\n.\r\n', 'a\r\n', ''],
  ['empty lines stay', '\r\n\r\n.\r\n', '\r\n\r\n', ''],
  ['a dot inside a line stays', 'a.b\r\n.\r\n', 'a.b\r\n', ''],
  ['NUL and 8-bit pass', '\0\xff\r\n.\r\n', '\0\xff\r\n', ''],
])('RFC 5321 §4.5.2: %s, however it is cut', (_name, text, message, rest) => {
  const want = { message, rest, ended: true, bare: false };
  expect(decode(text)).toEqual(want);
  for (let i = 0; i <= text.length; i++) {
    expect(decode(text, [i])).toEqual(want);
    for (let j = i; j <= text.length; j++) expect(decode(text, [i, j])).toEqual(want);
  }
  expect(
    decode(
      text,
      [...text].map((_c, i) => i),
    ),
  ).toEqual(want);
});

const smuggled = 'MAIL FROM:<x@y>\r\n';
test.each([
  '\n.\n',
  '\n.\r\n',
  '\r\n.\n',
  '\r.\r',
  '\r.\r\n',
  '\r\n.\r',
  '\r\n\n.\n',
  '\n\r.\r\n',
  '\r\n.\0\r\n',
  '\r\n\0.\r\n',
  '\r\n. \r\n',
  '\n\n.\r\n',
  '\r\n.\r\r\n',
])('smuggling: %j never ends the data', (ending) => {
  const text = `a${ending}${smuggled}`;
  for (let i = 0; i <= text.length; i++) {
    const got = decode(text, [i]);
    expect(got.ended).toBe(false);
    if (/(?<!\r)\n|\r(?!\n)/.test(ending)) expect(got.bare).toBe(true);
  }
  // and the real end is still seen
  expect(decode(`${text}.\r\nQUIT`)).toMatchObject({ ended: true, rest: 'QUIT' });
});

test('a bare LF is noticed wherever a chunk ends', () => {
  for (const text of ['a\nb\r\n.\r\n', 'a\rb\r\n.\r\n', '\nb\r\n.\r\n', 'a\r\n.\rb\r\n.\r\n', 'a\r\r\n.\r\n', '.\r\r\n.\r\n']) {
    for (let i = 0; i <= text.length; i++) expect(decode(text, [i]), `${JSON.stringify(text)} at ${i}`).toMatchObject({ ended: true, bare: true, rest: '' });
  }
});

test('a chunk without dots is not copied', () => {
  const decoder = new DataDecoder();
  const bytes = octets('one\r\ntwo\r\n'.repeat(100));
  const { message } = decoder.push(bytes);
  expect(message.buffer).toBe(bytes.buffer);
  expect(message.length).toBe(bytes.length);
});

test('RFC 3030: bare CR and LF in BDAT are noticed across chunks', () => {
  const bare = (...chunks: string[]): boolean => {
    const endings = new LineEndings();
    for (const chunk of chunks) endings.push(octets(chunk));
    endings.finish();
    return endings.bare;
  };
  expect(bare('a\r\nb\r\n')).toBe(false);
  expect(bare('a\r', '\nb', '\r', '\n')).toBe(false);
  expect(bare('a\r', '', '\n')).toBe(false);
  expect(bare('a\n')).toBe(true);
  expect(bare('a\r', 'b')).toBe(true);
  expect(bare('a\r\n', '\n')).toBe(true);
  expect(bare('a\r')).toBe(true);
  expect(bare('a', '\n')).toBe(true);
});

test('decodes clean data in a time that is nothing beside a commit', () => {
  const line = `${'x'.repeat(70)}\r\n`;
  const bytes = octets(line.repeat(900));
  const decoder = new DataDecoder();
  for (let i = 0; i < 200; i++) decoder.push(bytes);
  const started = performance.now();
  const rounds = 1_000;
  for (let i = 0; i < rounds; i++) decoder.push(bytes);
  const megabytesPerSecond = (rounds * bytes.length) / 1000 / (performance.now() - started);
  expect(decoder.bare).toBe(false);
  // measured 2,500; only a slip back to a loop over octets in a slow tier is caught here
  expect(megabytesPerSecond).toBeGreaterThan(200);
});
