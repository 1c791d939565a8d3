// The simulator's tests: a seed replays, planted bugs are found, kept seeds and the first thousand find nothing.

import { expect, test } from 'vitest';
import { plants } from './plants.ts';
import { seeds } from './seeds.ts';
import { Found, type Options, simulate } from './simulate.ts';

const SEEDS = 1_000;
const AT_ONCE = 100;
/** Lets the test runner breathe: a simulation itself never waits. */
const breathe = (): Promise<void> => new Promise((done) => setImmediate(done));

test('SIM1 a seed replays exactly, whatever ran before it', async () => {
  const some = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const first = [];
  for (const seed of some) {
    first.push(simulate(seed));
    await breathe();
  }
  const second = [];
  for (const seed of some.toReversed()) {
    second.unshift(simulate(seed));
    await breathe();
  }
  expect(second).toEqual(first);
  expect(new Set(first.map((report) => report.trace)).size).toBe(some.length);
}, 60_000);

test.each(Object.entries(plants))(
  'SIM2 it finds a planted bug: %s',
  async (_name, options) => {
    const found = await firstFound(options);
    expect(found, 'a seed that finds it').not.toBeNull();
  },
  60_000,
);

async function firstFound(options: Options): Promise<Found | null> {
  for (let seed = 1; seed <= 200; seed++) {
    try {
      simulate(seed, options);
    } catch (error) {
      if (error instanceof Found) return error;
      throw error;
    }
    await breathe();
  }
  return null;
}

test.skipIf(seeds.length === 0)(
  'seeds that once found something',
  async () => {
    for (const [seed] of seeds) {
      simulate(seed);
      await breathe();
    }
  },
  120_000,
);

test.each(Array.from({ length: SEEDS / AT_ONCE }, (_, i) => i * AT_ONCE + 1))(
  'M1 M2 Q1 S1 S2 S3 S4 S5: a hundred seeds from %d',
  async (from) => {
    for (let seed = from; seed < from + AT_ONCE; seed++) {
      simulate(seed);
      if (seed % 5 === 0) await breathe();
    }
  },
  120_000,
);
