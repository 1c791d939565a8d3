// argv: what is not declared is refused with the reason, and a value is checked before a verb sees it.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tree } from '../../../tree.ts';
import { describeChanges } from '../../../cli/apply.ts';
import { parseArguments } from '../../../cli/arguments.ts';
import { count, size, span, table, UsageError } from '../../../cli/output.ts';
import { drawTree } from '../../../cli/show.ts';
import type { Document } from '../../../storage/document.ts';

describe('arguments', () => {
  test('a value is attached with = or follows', () => {
    for (const argv of [
      ['--data', '/d', 'f', '--json'],
      ['f', '--json', '--data=/d'],
    ])
      expect(parseArguments(argv, ['data', 'json'])).toMatchObject({ operands: ['f'], data: '/d', json: true, deep: false, portOffset: undefined });
  });

  test('- is an operand, and so is everything after --', () => {
    expect(parseArguments(['-', '--', '--json', '-x'], ['json']).operands).toEqual(['-', '--json', '-x']);
  });

  test('a process may have any number that Linux gives (proc(5): pid_max goes up to 2^22)', () => {
    expect(parseArguments(['--supervisor', '4194304'], ['supervisor']).supervisor).toBe(4_194_304);
    expect(parseArguments(['--port-offset', '00060000'], ['port-offset']).portOffset).toBe(60_000);
  });

  test.each([
    [['--nothing'], 'there is no option --nothing here'],
    [['--nothing=1'], 'there is no option --nothing here'],
    [['-j'], 'there is no option -j here'],
    [['--deep'], 'there is no option --deep here'],
    [['--__proto__'], 'there is no option --__proto__ here'],
    [['--json=yes'], '--json takes no value'],
    [['--json', '--json'], '--json is given twice'],
    [['--data'], '--data needs a value: --data DIR'],
    [['--data='], '--data needs a value: --data DIR'],
    [['--port-offset', '-1'], '--port-offset takes a number from 0 to 60000, not "-1"'],
    [['--port-offset', '70000'], '--port-offset takes a number from 0 to 60000, not "70000"'],
    [['--port-offset', '1e3'], '--port-offset takes a number from 0 to 60000, not "1e3"'],
    [['--listen', 'mail.test'], '--listen takes an IP address, such as 127.0.0.1 or ::1, not "mail.test"'],
  ])('%j is refused', (argv, why) => {
    expect(() => parseArguments(argv, ['data', 'json', 'port-offset', 'listen'])).toThrow(new UsageError(why));
  });

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::', '::'],
    ['[::1]', '::1'],
    ['localhost', '127.0.0.1'],
  ])('--listen %s', (text, expected) => {
    expect(parseArguments(['--listen', text], ['listen']).listen).toBe(expected);
  });

  test('any argv is parsed or refused', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (argv) => {
        try {
          parseArguments(argv, ['data', 'json', 'port-offset', 'listen', 'deep']);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});

describe('output', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [9_949, '9.9 kB'],
    [9_951, '10 kB'],
    [999_499, '999 kB'],
    [999_600, '1.0 MB'],
    [2_147_483_648, '2.1 GB'],
    [9e18, '9000 PB'],
  ])('%d octets are %s', (octets, text) => expect(size(octets)).toBe(text));

  test.each([
    [0, '0 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
    [3_649 * 86_400_000, '10 years'],
    [-3_000, '3 s'],
  ])('%d ms are %s', (ms, text) => expect(span(ms)).toBe(text));

  test('counts have their noun', () => {
    expect([count(1, 'message'), count(0, 'message'), count(12_345, 'mailbox'), count(2, 'alias')]).toEqual([
      '1 message',
      '0 messages',
      '12,345 mailboxes',
      '2 aliases',
    ]);
  });

  test('columns are as wide as they must be, numbers stand on the right, nothing trails', () => {
    expect(
      table([
        ['a', 1, 'x'],
        ['bücher', 100, ''],
      ]),
    ).toBe('  a         1  x\n  bücher  100');
  });
});

describe('what apply tells', () => {
  const account = (address: string, name = '') => ({ address, name, password: 'h', quotaBytes: 0, enabled: true });
  const base: Document = {
    schema: 1,
    host: 'mail.a.test',
    domains: [{ name: 'a.test', aliasOf: null, catchAll: null, subaddress: '+' }],
    accounts: [account('x@a.test'), account('y@a.test')],
    aliases: [],
    outbound: { relays: [] },
    network: { resolvers: [] },
    snapshots: null,
  };
  test('the first document', () => {
    expect(describeChanges(null, base)).toEqual(['domain a.test added', 'account x@a.test and y@a.test added']);
  });
  test('the same document', () => {
    expect(describeChanges(base, structuredClone(base))).toEqual([]);
  });
  test('where the snapshots go', () => {
    const parked = { ...base, snapshots: { to: '/backup', everySeconds: 10, s3: null } };
    expect(describeChanges(base, parked)).toEqual(['snapshots to /backup']);
    expect(describeChanges(parked, base)).toEqual(['snapshots off']);
  });
  test('another document', () => {
    const after = {
      ...base,
      host: 'mx.a.test',
      accounts: [account('x@a.test', 'X'), ...['1', '2', '3', '4'].map((n) => account(`${n}@a.test`))],
      network: { resolvers: ['9.9.9.9:53'] },
    };
    expect(describeChanges(base, after)).toEqual([
      'host mail.a.test is now mx.a.test',
      '4 accounts added',
      'account x@a.test changed',
      'account y@a.test removed',
      'resolvers changed',
    ]);
  });
});

test('the drawn tree names every process, every actor and what its crash means', () => {
  const lines = drawTree(tree).split('\n');
  expect(lines).toHaveLength(2 + tree.length + tree.flatMap((row) => row.children).length);
  for (const row of tree) expect(lines.some((line) => line.includes(` ${row.role} ×`))).toBe(true);
  expect(lines.slice(2).every((line) => line.includes('on a crash: '))).toBe(true);
});
