// The tests of the simulator of the uplink: a seed replays, planted bugs are found, kept seeds and the first hundreds find
// nothing.

import { expect, test } from 'vitest';
import { uplinkSeeds } from './seeds.ts';
import { Found } from './simulate.ts';
import { simulateUplink, type UplinkPlants } from './uplink.ts';
import { uplinkPlants } from './uplinkplants.ts';

const SEEDS = 300;
const AT_ONCE = 50;
const breathe = (): Promise<void> => new Promise((done) => setImmediate(done));

test('SIM1 a seed of the uplink replays exactly, whatever ran before it', async () => {
  const some = [1, 2, 3, 4, 5, 6];
  const first = [];
  for (const seed of some) {
    first.push(simulateUplink(seed));
    await breathe();
  }
  const second = [];
  for (const seed of some.toReversed()) {
    second.unshift(simulateUplink(seed));
    await breathe();
  }
  expect(second).toEqual(first);
  expect(new Set(first.map((report) => report.trace)).size).toBe(some.length);
}, 60_000);

/** A planted bug shows within so many seeds, as its own rule or as another that follows from it. */
const ENOUGH = 300;

test.each(Object.entries(uplinkPlants))(
  'SIM2 it finds a planted bug: %s',
  async (_name, plants) => {
    const found = await firstFound(plants);
    expect(found?.rule, found?.message ?? 'nothing was found').toMatch(/^(U[123]|E1|LIVE)$/);
  },
  120_000,
);

async function firstFound(plants: UplinkPlants): Promise<Found | null> {
  for (let seed = 1; seed <= ENOUGH; seed++) {
    try {
      simulateUplink(seed, { plants });
    } catch (error) {
      if (!(error instanceof Found)) throw error;
      // of what a plant keeps out of a commit the digest tells, too: that says nothing of the rule that is to find it
      if (error.rule !== 'D1') return error;
    }
    await breathe();
  }
  return null;
}

test('seeds of the uplink that once found something', async () => {
  for (const [seed] of uplinkSeeds) {
    simulateUplink(seed);
    await breathe();
  }
}, 60_000);

test.each(Array.from({ length: SEEDS / AT_ONCE }, (_, i) => i * AT_ONCE + 1))(
  'U1 U2 U3 E1: fifty seeds from %d',
  async (from) => {
    for (let seed = from; seed < from + AT_ONCE; seed++) {
      simulateUplink(seed);
      if (seed % 5 === 0) await breathe();
    }
  },
  120_000,
);
