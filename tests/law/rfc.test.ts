// STYLE 13: the index of RFCs and the source agree, both ways.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program, root } from './source.ts';

const listed = [...readFileSync(join(root, 'protocols/rfc.md'), 'utf8').matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm)].map((row) => ({
  number: Number(row[1]),
  support: row[3] ?? '',
}));
const cited = new Set(program.flatMap((file) => [...file.text.matchAll(/\bRFC (\d+)/g)].map((found) => Number(found[1]))));

test('every RFC that the source names is in protocols/rfc.md', () => {
  expect([...cited].filter((number) => !listed.some((row) => row.number === number))).toEqual([]);
});

test('every RFC of protocols/rfc.md is named in the source, once in the list, in order, with its support', () => {
  const numbers = listed.map((row) => row.number);
  expect(numbers.filter((number) => !cited.has(number))).toEqual([]);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(listed.filter((row) => !/^(whole|part|rule)\b/.test(row.support))).toEqual([]);
});
