// Sets of UIDs as [low, high] pairs: pure functions, against sets of numbers.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pageOf } from '../../../storage/page.ts';
import { above, addUid, assertRanges, member, pageRanges, sizeOf } from '../../../storage/ranges.ts';

const uids = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 60 }).map((list) => list.sort((a, b) => a - b));
const rangesOf = (list: readonly number[]): number[] => {
  const ranges: number[] = [];
  for (const uid of list) addUid(ranges, uid);
  return ranges;
};
const all = Array.from({ length: 320 }, (_, i) => i);

test('ranges are the set they were made of', () => {
  fc.assert(
    fc.property(uids, fc.nat(310), fc.integer({ min: 1, max: 320 }), (list, uid, uidNext) => {
      const ranges = rangesOf(list);
      assertRanges(ranges);
      expect(all.filter(member(ranges))).toEqual(list);
      expect(sizeOf(ranges)).toBe(list.length);
      expect(all.filter(member(above(ranges, uid)))).toEqual(list.filter((u) => u > uid));
      const pages = new Set(list.filter((u) => u < uidNext).map(pageOf));
      const found = pageRanges(ranges, uidNext);
      assertRanges(found);
      for (const page of pages) expect(member(found)(page)).toBe(true);
      // a range of UIDs may cross pages without messages, never pages outside it
      for (const page of all.filter(member(found))) expect(page <= pageOf(uidNext - 1) && page >= pageOf(list[0] ?? 0)).toBe(true);
    }),
  );
});

test('what is no set is an assertion', () => {
  for (const bad of [[1], [2, 1], [1, 2, 2, 3], [5, 6, 1, 2]]) expect(() => assertRanges(bad)).toThrow();
});
