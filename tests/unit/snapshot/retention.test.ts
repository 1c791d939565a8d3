// Which snapshots are kept: 24 hours all, 7 days hourly, 35 days daily, 12 months monthly, and always the newest.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keep, type Taken } from '../../../storage/snapshot/retention.ts';

const hour = 3_600_000;
const day = 24 * hour;
const now = Date.parse('2026-11-23T10:30:00Z');
const named = (times: readonly number[]): Taken[] => times.map((takenMs, i) => ({ id: `${i}`, takenMs }));
/** How long ago, in the scales that matter. */
const agoMs = fc.oneof(fc.nat(2 * day), fc.nat(10 * day), fc.nat(50 * day), fc.nat(500 * day));
const taken = fc.array(agoMs, { minLength: 1, maxLength: 60 }).map((list) => named(list.map((ago) => now - ago)));
const newest = (list: readonly Taken[]): number => Math.max(...list.map((snapshot) => snapshot.takenMs));
const left = (list: readonly Taken[], nowMs: number): Taken[] => list.filter(({ id }) => keep(list, nowMs).has(id));

test('the newest is kept, however old', () => {
  fc.assert(
    fc.property(taken, fc.nat(3_000 * day), (list, later) => {
      expect(newest(left(list, now + later))).toBe(newest(list));
    }),
  );
  expect(keep([], now).size).toBe(0);
  expect([...keep([{ id: 'old', takenMs: 0 }], now)]).toEqual(['old']);
});

test('everything of the last 24 hours is kept, and what seems to be of tomorrow', () => {
  fc.assert(
    fc.property(taken, (list) => {
      for (const snapshot of list) if (now - snapshot.takenMs < day) expect(keep(list, now).has(snapshot.id)).toBe(true);
    }),
  );
  expect(keep(named([now, now + 5 * day, now + 6 * day]), now).size).toBe(3);
});

test('each span has one: of any hour in 6 days, day in 34, month in 11 that had a snapshot, its newest is there', () => {
  const month = (ms: number): string => new Date(ms).toISOString().slice(0, 7);
  fc.assert(
    fc.property(taken, (list) => {
      const kept = left(list, now);
      for (const [spanOf, reach] of [
        [(ms: number) => Math.floor(ms / hour), 7 * day - hour],
        [(ms: number) => Math.floor(ms / day), 34 * day],
        [month, 330 * day],
      ] as const) {
        for (const { takenMs } of list) {
          if (now - takenMs > reach) continue;
          const same = (snapshot: Taken): boolean => spanOf(snapshot.takenMs) === spanOf(takenMs);
          expect(newest(kept.filter(same))).toBe(newest(list.filter(same)));
        }
      }
    }),
  );
});

test('pruning again changes nothing, and pruning now does not change what is left later', () => {
  fc.assert(
    fc.property(taken, fc.nat(400 * day), (list, later) => {
      const once = left(list, now);
      expect(left(once, now)).toEqual(once);
      expect(left(once, now + later)).toEqual(left(list, now + later));
      // what is dropped now is not missed later
      for (const snapshot of left(list, now + later)) expect(once).toContain(snapshot);
    }),
  );
});

test('pruning along the way, whenever new ones come, ends like pruning once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3 * day), { minLength: 1, maxLength: 80 }), (gaps) => {
      let at = now - 400 * day;
      const all: Taken[] = [];
      let pruned: Taken[] = [];
      for (const gap of gaps) {
        at += gap;
        const snapshot = { id: `${all.length}`.padStart(4, '0'), takenMs: at };
        all.push(snapshot);
        pruned = left([...pruned, snapshot], at);
      }
      expect(pruned).toEqual(left(all, at));
    }),
  );
});

test('order does not matter', () => {
  fc.assert(
    fc.property(
      taken.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      ([list, shuffled]) => {
        expect([...keep(shuffled, now)].sort()).toEqual([...keep(list, now)].sort());
      },
    ),
  );
});

test('the number that is kept is bounded', () => {
  // one each 20 minutes for two years
  const list = named(Array.from({ length: 2 * 365 * 72 }, (_, i) => now - i * 20 * 60_000));
  // of 168 hours, 25 are in the last day; of 35 days, 8 in the hours; of 12 months, 2 in the days
  expect(keep(list, now).size).toBe(72 + (7 * 24 - 25) + (35 - 8) + (12 - 2));
  // one a month, at noon of the first: the last twelve
  const monthly = Array.from({ length: 40 }, (_, i) => Date.UTC(2026, 10 - i, 1, 12));
  expect(left(named(monthly), now).map((snapshot) => snapshot.takenMs)).toEqual(monthly.slice(0, 12));
  // one a day
  expect(keep(named(Array.from({ length: 35 }, (_, i) => now - i * day)), now).size).toBe(35);
});
