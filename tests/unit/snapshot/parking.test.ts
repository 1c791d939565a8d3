// A site that parks itself, over days of a clock that the test turns: what goes or rots at the place is found without
// anybody asking, told, and put anew.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { encodeKey, getRow } from '../../../storage/rows.ts';
import { createSnapshot } from '../../../storage/snapshot/create.ts';
import { keysFor } from '../../../storage/snapshot/keys.ts';
import { type Manifest, manifestName, manifestNames, objectName } from '../../../storage/snapshot/manifest.ts';
import { lastGoodParked, parkForever } from '../../../storage/snapshot/parking.ts';
import { listed } from '../../../storage/scrub.ts';
import { explain } from '../../../storage/snapshot/folder.ts';
import { openPlace, type Place, PlaceError } from '../../../storage/snapshot/place.ts';
import { lookOver } from '../../../storage/snapshot/round.ts';
import { verifyPresence } from '../../../storage/snapshot/verify.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore } from '../storage/fixture.ts';
import { hour, turned } from './clock.ts';
import { Shelf } from './shelf.ts';

/** A site with mail that has parked itself once. */
async function parked(everySeconds: number) {
  const store = await testStore({ document: documentOf({ snapshots: { to: '/parked', everySeconds, s3: null } }) });
  await store.ok('makeKeys', await keysFor(store.world, undefined));
  for (let i = 0; i < 30; i++) await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`, 60_000), [[1, 'INBOX']])] });
  const { world, until, crashed } = turned(store.world, 2); // parking and the round
  const shelf = new Shelf();
  const view = Object.assign(Object.create(store.engine), { snapshot: () => store.engine.snapshot() }) as TestStore['engine'];
  parkForever({ world, store: store.address, view, open: async () => shelf }).catch(crashed);
  const logged = (event: string) => world.logged.filter((row) => row.event === event);
  const good = async (deep = true): Promise<boolean> => {
    const name = (await manifestNames(shelf)).at(-1);
    return name !== undefined && (await verifyPresence(shelf, name, deep, () => {})).problems.length === 0;
  };
  await until(() => logged('snapshot.parked').length > 0, 0);
  return { store, world, shelf, until, logged, good };
}

const flip = (shelf: Shelf, name: string): void => {
  const bad = (shelf.objects.get(name) as Uint8Array).slice();
  bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 1;
  shelf.objects.set(name, bad);
};
const objects = (shelf: Shelf): string[] => [...shelf.objects.keys()].filter((name) => name.startsWith('objects/'));

test('an object that went is missed within the hour, though no mail comes, and is there again', async () => {
  const { shelf, until, logged, good, world } = await parked(60);
  const later = world.time + 5 * 60_000;
  await until(() => world.time > later, hour);
  shelf.objects.delete(objects(shelf).sort((a, b) => (shelf.objects.get(b)?.length ?? 0) - (shelf.objects.get(a)?.length ?? 0))[0] as string);
  expect(await good()).toBe(false);
  expect(await until(() => good(), 2 * hour)).toBeLessThanOrEqual(hour + 3 * 60_000);
  expect(logged('snapshot.notGood')).toMatchObject([{ fields: { to: 'shelf', goodCommit: null } }]);
  expect(logged('snapshot.healed')).toMatchObject([{ fields: { objects: 1 } }]);
  expect(logged('snapshot.failed')).toEqual([]);
});

test('while nothing more can be put, old snapshots go by age all the same: room is made by it', async () => {
  const { store, shelf, until, logged, world } = await parked(60);
  const pass = (ms: number) => {
    const then = world.time + ms;
    return until(() => world.time >= then, 2 * ms);
  };
  for (let i = 0; i < 18; i++) {
    await store.ok('deliver', { mails: [mailOf(contentOf(`later ${i}`, 1_000), [[1, 'INBOX']])] });
    await pass(hour / 6);
  }
  const { put } = shelf;
  shelf.put = async () => {
    throw new PlaceError('shelf: full');
  };
  const before = (await manifestNames(shelf)).length;
  expect(before).toBeGreaterThan(15);
  await store.ok('deliver', { mails: [mailOf(contentOf('one more', 1_000), [[1, 'INBOX']])] });
  await pass(28 * hour);
  expect(logged('snapshot.failed').length).toBeGreaterThan(0);
  const left = (await manifestNames(shelf)).length;
  expect(left).toBeLessThan(before / 2);
  shelf.put = put;
  const done = logged('snapshot.parked').length;
  await until(() => logged('snapshot.parked').length > done, 2 * hour);
});

test('status learns which is the last good one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-parking-'));
  try {
    const parking = { to: folder, everySeconds: 60, s3: null };
    const store = await testStore({ document: documentOf({ snapshots: parking }) });
    await store.ok('makeKeys', await keysFor(store.world, undefined));
    const place = await openPlace(folder, { world: store.world });
    expect(await lastGoodParked(store.world, store.engine, parking)).toBeNull();
    const made: Manifest[] = [];
    for (let i = 0; i < 3; i++) {
      await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`, 9_000), [[1, 'INBOX']])] });
      const options = { now: (store.world.time += 1_000), full: i === 1, lookBack: false };
      made.push((await createSnapshot(store.engine.snapshot(), place, options)).manifest);
    }
    const said = async () => (await lastGoodParked(store.world, store.engine, parking))?.commit;
    expect(await said()).toBe(made[2]?.commit);
    await place.remove(objectName(made[2]?.increments.at(-1)?.objects[0]?.[0] ?? ''));
    expect(await said()).toBe(made[1]?.commit);
    await place.put(manifestName(made[1]?.lineage ?? '', made[1]?.commit ?? 0), new Uint8Array([123]));
    expect(await said()).toBe(made[0]?.commit);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what has rotted is found within a week, whichever it is, and put anew', async () => {
  const { shelf, until, logged, good } = await parked(6 * 3_600);
  const all = objects(shelf);
  for (const name of all) flip(shelf, name);
  const sound = (name: string): boolean => {
    const octets = shelf.objects.get(name); // what nobody names any more goes
    return octets === undefined || new Bun.CryptoHasher('sha256').update(octets).digest('hex') === name.slice(-64);
  };
  const took = await until(() => all.every(sound), 10 * 24 * hour);
  expect(took).toBeLessThanOrEqual(7 * 24 * hour + hour);
  expect(await good()).toBe(true);
  expect(logged('snapshot.rotten').length).toBeGreaterThan(0);
  expect(logged('snapshot.healed').length).toBeGreaterThan(0);
  expect(logged('snapshot.failed')).toEqual([]);
});

test('what the disk of the place cannot read any more is put anew, the catalog too', async () => {
  const { shelf, until, logged, good } = await parked(6 * 3_600);
  const { get, put } = shelf;
  const dead = new Set(objects(shelf));
  const all = [...dead];
  shelf.get = async (name) => {
    if (dead.has(name)) throw explain('/parked', Object.assign(new Error('read'), { code: 'EIO' }));
    return get.call(shelf, name);
  };
  shelf.put = async (name, octets) => {
    await put.call(shelf, name, octets);
    dead.delete(name);
  };
  await until(() => all.every((name) => !dead.has(name) || !shelf.objects.has(name)), 10 * 24 * hour);
  expect(await good()).toBe(true);
  expect(logged('snapshot.failed')).toEqual([]);
});

test('a look at a bucket reads a bounded number of octets, another share each time; a look at a disk reads all', async () => {
  const octets = new Uint8Array(10 * 1024 * 1024);
  const names = Array.from({ length: 30 }, (_, i) => `objects/07/07${String(i).padStart(62, '0')}`);
  let read: string[] = [];
  const place = (far: boolean): Place => ({
    ...new Shelf(),
    ...(far ? { far: true as const } : {}),
    url: 'place',
    put: async () => {},
    size: async () => octets.length,
    remove: async () => {},
    async *list(prefix) {
      for (const name of names) if (name.startsWith(prefix)) yield { name, size: octets.length, modifiedMs: 0 };
    },
    get: async (name) => {
      read.push(name);
      return octets;
    },
  });
  let seed = 0;
  const world = { sleep: async () => {}, random: (n: number) => new Uint8Array(n).fill(++seed) };
  expect(await lookOver(world, place(false), 256 + 7)).toHaveLength(30);
  expect(await lookOver(world, place(true), 8)).toEqual([]);
  const shares = new Set<string>();
  for (let i = 0; i < 60; i++) {
    read = [];
    await lookOver(world, place(true), 7);
    expect(read).toHaveLength(Math.ceil(limits.placeLookOctets / octets.length));
    for (const name of read) shares.add(name);
  }
  expect(shares.size).toBe(30);
});

test('a body that has not its hash is told, listed for the scrub, and not kept as good', async () => {
  const { store, until, logged, good } = await parked(60);
  const last = await store.ok('deliver', { mails: [mailOf(contentOf('spoilt', 60_000), [[2, 'INBOX']])] });
  expect(last.placed).toHaveLength(1);
  const { blob } = store.messages(2, 'INBOX')[0] as { blob: number };
  const key = encodeKey('chunk', { blob, n: 3 });
  const bad = store.engine.get(key) as Uint8Array;
  bad[9] = (bad[9] as number) ^ 1;
  await store.engine.commit([[key, bad]]);
  await until(() => logged('store.damaged').length > 0, hour);
  expect(logged('store.damaged')).toMatchObject([{ fields: { table: 'chunk', what: 'the body does not have its hash' } }]);
  expect(listed(store.engine).map(({ table, key }) => [table, [...key]])).toEqual([['chunk', [...encodeKey('chunk', { blob, n: 0 })]]]);
  expect(getRow(store.engine, 'blob', { blob })?.size).toBe(60_000);
  expect(await good()).toBe(true);
});
