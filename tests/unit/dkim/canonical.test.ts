// Relaxed canonicalization against the wording of RFC 6376 §3.4, taken literally on whole strings.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RelaxedBody, relaxedField } from '../../../protocols/dkim/canonical.ts';

/** §3.4.4 step by step; endings first, as on the wire. */
function literally(text: string): string {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n').split('\r\n');
  const reduced = lines.map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (reduced.at(-1) === '') reduced.pop();
  return reduced.length === 0 ? '' : `${reduced.join('\r\n')}\r\n`;
}

function relaxed(text: string, cuts: readonly number[]): string {
  const out: Buffer[] = [];
  const body = new RelaxedBody((octets) => out.push(Buffer.from(octets)));
  const octets = Buffer.from(text, 'latin1');
  let at = 0;
  for (const cut of [...cuts.map((c) => c % (octets.length + 1)).sort((a, b) => a - b), octets.length]) {
    body.push(octets.subarray(at, cut));
    at = cut;
  }
  body.finish();
  return Buffer.concat(out).toString('latin1');
}

const text = fc.array(fc.constantFrom('\r\n', '\r\n', ' ', '\t', 'a', 'é', '.', '\r', '\n', 'word'), { maxLength: 60 }).map((parts) => parts.join(''));

test('RFC 6376 §3.4.4: any body, cut anywhere', () => {
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 8 }), (body, cuts) => void expect(relaxed(body, cuts)).toBe(literally(body))),
    { numRuns: 3_000 },
  );
});

test.each([
  ['', ''],
  ['\r\n\r\n', ''],
  [' \t \r\n', ''],
  [' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
  ['no ending', 'no ending\r\n'],
  ['a\r\n\r\n\r\nb', 'a\r\n\r\n\r\nb\r\n'],
])('%j becomes %j', (body, canonical) => expect(relaxed(body, [])).toBe(canonical));

test('more empty lines than the buffer holds', () => {
  const body = `a\r\n${'\r\n'.repeat(100_000)}b\r\n`;
  expect(relaxed(body, [])).toBe(body);
});

test('RFC 6376 §3.4.5: the header example, and what people write', () => {
  expect(relaxedField('A: X\r\n')).toBe('a:X\r\n');
  expect(relaxedField('B : Y\t\r\n\tZ  \r\n')).toBe('b:Y Z\r\n');
  expect(relaxedField('Subject:\r\n')).toBe('subject:\r\n');
  expect(relaxedField('SUBJECT:\t a \r\n  b: c')).toBe('subject:a b: c\r\n');
});
