// Q1: the limit of a mailbox is read as it was meant, or not at all; Q2: what is shown for it reads as the same octets.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quotaOf, quotaText } from '../../../uplink/ui/quota.ts';

test.each([
  ['', 0],
  ['  ', 0],
  ['5', 5e9],
  ['5 GB', 5e9],
  ['5gb', 5e9],
  ['500 MB', 5e8],
  ['500M', 5e8],
  ['1.5 GiB', 1_610_612_736],
  ['0,5', 5e8],
  ['1 TB', 1e12],
  ['100 B', 100],
])('Q1: %j is %d octets', (typed, octets) => expect(quotaOf(typed)).toBe(octets));

test.each(['abc', '-3', '0', '0.0000000001', '5 XB', '5 GB!', '5e3', 'NaN', 'Infinity', '1.2.3', '99999999999 TB', '5 GB 3', '½', 'i', '.'])(
  'Q1: %j is no limit, and not none',
  (typed) => expect(quotaOf(typed)).toBeUndefined(),
);

test.each([
  [0, ''],
  [4e6, '4 MB'],
  [2 ** 30, '1 GiB'],
  [5e9, '5 GB'],
  [1_610_612_736, '1.5 GiB'],
  [1_073_741_825, '1073741.825 kB'],
  [1_000_000_007, '1000000.007 kB'],
  [17, '17 B'],
])('Q2: %d octets are shown as %j', (octets, text) => expect(quotaText(octets)).toBe(text));

test('Q2: any number of octets comes back', () => {
  const back = (octets: number): void => {
    expect(quotaOf(quotaText(octets))).toBe(octets);
  };
  fc.assert(fc.property(fc.maxSafeInteger().map(Math.abs), back));
  fc.assert(fc.property(fc.nat(5000), fc.constantFrom(1e6, 1e9, 2 ** 20, 2 ** 30), (n, unit) => back(n * unit)));
});
