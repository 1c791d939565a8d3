// Canonical JSON (RFC 8785): the order of names, numbers and strings, against vectors worked out from its rules.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../uplink/canonical.ts';

test('RFC 8785 §3.2.3: names stand in the order of their UTF-16 units, also those that look like numbers', () => {
  const value = { '€': 1, '\r': 2, '10': 3, '2': 4, '1': 5, '\u{1f600}': 6, '\ufb33': 7, ö: 8, '': 9, B: 10, a: 11 };
  // U+1F600 is D83D DE00 in UTF-16, and so before U+FB33
  expect(canonical(value)).toBe('{"":9,"\\r":2,"1":5,"10":3,"2":4,"B":10,"a":11,"ö":8,"€":1,"\u{1f600}":6,"\ufb33":7}');
});

test('RFC 8785 §3.2.2.3: numbers are spelled as ECMAScript spells them', () => {
  const rows: readonly (readonly [number, string])[] = [
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [1e21, '1e+21'],
    [1e20, '100000000000000000000'],
    [1e-6, '0.000001'],
    [1e-7, '1e-7'],
    [0.1 + 0.2, '0.30000000000000004'],
    [4.5, '4.5'],
    [-1.5e-9, '-1.5e-9'],
  ];
  for (const [value, text] of rows) expect(canonical(value)).toBe(text);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) expect(() => canonical({ bad })).toThrow();
});

test('RFC 8785 §3.2.2.2: strings escape what they must, in their short forms, and nothing else', () => {
  expect(canonical('\u0000\b\t\n\f\r\u001f"\\/\u007f\u2028€')).toBe('"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\u007f\u2028€"');
  expect(() => canonical(['\ud800'])).toThrow();
  expect(() => canonical({ '\udc00': 1 })).toThrow();
});

test('nesting, nothing between, and members that are undefined', () => {
  expect(canonical({ b: [{ d: null, c: true }, []], a: {}, gone: undefined })).toBe('{"a":{},"b":[{"c":true,"d":null},[]]}');
  expect(() => canonical({ f: () => {} })).toThrow();
});

test('what is canonical is JSON of the same value, however its members were put in', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as unknown;
      const text = canonical(plain);
      expect(JSON.parse(text)).toEqual(plain);
      expect(canonical(shuffled(plain))).toBe(text);
    }),
  );
});

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, shuffled(member)]),
  );
}
