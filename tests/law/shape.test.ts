// How a file looks (STYLE 14, 15, 20). Lines and functions are Biome's: its formatter breaks lines at 160
// characters, noExcessiveLinesPerFunction stops at 70 lines.

import { expect, test } from 'vitest';
import { everything, program } from './source.ts';

test('STYLE 14: no file is longer than 700 lines', () => {
  expect(everything.filter((file) => file.text.split('\n').length > 700).map((file) => file.path)).toEqual([]);
});

test('STYLE 15: each file opens with what it guarantees', () => {
  expect(everything.filter((file) => !/^(#![^\n]*\n)?\/[/*]/.test(file.text)).map((file) => file.path)).toEqual([]);
});

test('STYLE 20: every export of the program is used somewhere else', () => {
  const texts = everything.map((file) => ({ path: file.path, words: new Set(file.text.match(/\w+/g)) }));
  const unused = program.flatMap((file) =>
    [...file.code.matchAll(/^export (?:async )?(?:const|function\*?|class) (\w+)/gm)]
      .map((match) => match[1] as string)
      .filter((name) => !texts.some((other) => other.path !== file.path && other.words.has(name)))
      .map((name) => `${file.path}: ${name}`),
  );
  expect(unused).toEqual([]);
});
