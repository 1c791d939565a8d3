// The proof of snapshots, over weeks of a clock that the test turns: when it is tried, what is kept of it, who is told.

import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { encodeKey, encodeRow, getRow, type Row, sealRow } from '../../../storage/rows.ts';
import { NotWhole, type Proven, proveForever } from '../../../storage/snapshot/proof.ts';
import { lastProof } from '../../../storage/views.ts';
import { testStore } from '../storage/fixture.ts';
import { hour, turned } from './clock.ts';

const day = 24 * hour;

async function proving({ octets = 1_000_000 } = {}) {
  const store = await testStore();
  const clock = turned(store.world, 1);
  const { world } = clock;
  const site = { parks: false, full: false, outcome: 'whole' as 'whole' | 'rotten' | 'away', tries: [] as number[] };
  let now = (): Promise<string> => Promise.reject(new Error('not begun'));
  const restore = async (): Promise<Proven> => {
    site.tries.push(world.time);
    if (site.outcome === 'rotten') throw new NotWhole('an object is damaged');
    if (site.outcome === 'away') throw new Error('the place does not answer');
    return { commit: 7, takenAt: 42 };
  };
  const ask = ((name, message) =>
    site.full ? Promise.resolve({ refused: 'full', detail: '' }) : store.address.ask(name, message)) as typeof store.address.ask;
  const kept = { ask, on: store.address.on };
  const hurry = (how: () => Promise<string>): void => void (now = how);
  proveForever({ world, store: kept, view: store.engine, parks: () => site.parks, octets: () => octets, restore, hurry }).catch(clock.crashed);
  const row = () => {
    store.engine.refresh();
    return getRow(store.engine, 'proof', {});
  };
  const pass = (ms: number) => {
    const then = world.time + ms;
    return clock.until(() => world.time >= then, 2 * ms);
  };
  const logged = (event: string) => world.logged.filter((entry) => entry.event === event);
  return { store, site, world, row, pass, logged, until: clock.until, now: () => now() };
}

test('each week, from the first time that something is parked', async () => {
  const { site, row, pass, logged, until } = await proving();
  await pass(3 * hour);
  expect(site.tries).toEqual([]);
  expect(row()).toBe(undefined);
  site.parks = true;
  expect(await until(() => row()?.state === 'proven', hour)).toBeLessThanOrEqual(60_000);
  expect(row()).toMatchObject({ commit: 7, takenAt: 42, problem: '', at: row()?.triedAt });
  expect(logged('snapshot.proven')).toMatchObject([{ fields: { commit: 7, takenAt: 42 } }]);
  await pass(29 * day);
  expect(site.tries.length).toBe(5);
  expect(site.tries.slice(1).map((at, i) => Math.round((at - (site.tries[i] as number)) / day))).toEqual([7, 7, 7, 7]);
});

test('a start is left alone first', async () => {
  const { site, until } = await proving();
  site.parks = true;
  expect(await until(() => site.tries.length > 0, hour)).toBeGreaterThanOrEqual(limits.proofAfterMs);
});

test('a large site every four weeks', async () => {
  const { site, pass } = await proving({ octets: limits.proofLarge + 1 });
  site.parks = true;
  await pass(57 * day);
  expect(site.tries.length).toBe(3);
});

test('one that is not whole is told at once, and tried again the next day; what was proven before stays known', async () => {
  const { site, row, pass, logged, until } = await proving();
  site.parks = true;
  await until(() => row()?.state === 'proven', hour);
  const { at } = row() as { at: number };
  site.outcome = 'rotten';
  await until(() => row()?.state === 'failed', 8 * day);
  expect(row()).toMatchObject({ at, commit: 7, problem: 'an object is damaged' });
  expect(logged('snapshot.notWhole')).toMatchObject([{ fields: { error: 'an object is damaged' } }]);
  await pass(day + hour);
  expect(logged('snapshot.notWhole').length).toBe(2);
  site.outcome = 'whole';
  await until(() => row()?.state === 'proven', 2 * day);
  expect(row()?.problem).toBe('');
  expect(row()?.at).toBeGreaterThan(at);
});

test('what could not be tried is neither', async () => {
  const { site, row, logged, until } = await proving();
  site.parks = true;
  site.outcome = 'away';
  await until(() => row() !== undefined, hour);
  expect(row()).toMatchObject({ state: 'untried', at: 0, problem: 'the place does not answer' });
  expect(logged('snapshot.notWhole')).toEqual([]);
  expect(logged('snapshot.notProven').length).toBe(1);
});

test('one that could not be tried leaves a failure standing', async () => {
  const { site, row, until, world, pass } = await proving();
  site.parks = true;
  site.outcome = 'rotten';
  await until(() => row()?.state === 'failed', hour);
  const then = world.time;
  site.outcome = 'away';
  await pass(2 * day);
  expect(row()).toMatchObject({ state: 'failed', problem: 'an object is damaged' });
  expect(row()?.triedAt).toBeGreaterThan(then);
});

test('a damaged row of it is written anew; and what was proven of another history does not count', async () => {
  const { site, row, until, store, pass } = await proving();
  site.parks = true;
  await until(() => row() !== undefined, hour);
  const key = encodeKey('proof', {});
  await store.engine.commit([[key, (store.engine.get(key) as Uint8Array).map((octet, i) => (i === 9 ? octet ^ 1 : octet))]]);
  store.engine.refresh();
  expect(lastProof(store.engine)).toBe(undefined);
  await until(() => lastProof(store.engine)?.state === 'proven', hour);
  const known = row() as Row<'proof'>;
  await store.engine.commit([[key, sealRow('proof', key, encodeRow('proof', { ...known, lineage: 'before' }))]]);
  store.engine.refresh();
  expect(lastProof(store.engine)).toBe(undefined);
  const tries = site.tries.length;
  await pass(hour);
  expect(site.tries.length).toBe(tries + 1);
});

test('what the store could not keep is not tried again at once', async () => {
  const { site, row, pass } = await proving();
  site.parks = true;
  site.full = true;
  await pass(20 * hour);
  expect(site.tries.length).toBe(1);
  site.full = false;
  await pass(5 * hour);
  expect(site.tries.length).toBe(2);
  expect(row()?.state).toBe('proven');
});

test('at once, for who asks: with what came of it', async () => {
  const { site, row, now, pass } = await proving();
  await pass(60_000);
  const asked = now();
  expect(await asked).toBe('commit 7');
  expect(row()).toMatchObject({ state: 'proven' });
  site.outcome = 'rotten';
  await expect(now()).rejects.toThrow('an object is damaged');
  expect(site.tries.length).toBe(2);
});
