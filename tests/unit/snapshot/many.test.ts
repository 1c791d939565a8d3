// A place with many snapshots: what looks at all of them holds one manifest at a time, and knows of each what it needs.

import { heapSize } from 'bun:jsc';
import { expect, test } from 'vitest';
import {
  type Glance,
  glance,
  lineageName,
  type Manifest,
  manifestName,
  manifestNames,
  signManifest,
  writeLineage,
} from '../../../storage/snapshot/manifest.ts';
import { prune } from '../../../storage/snapshot/prune.ts';
import { Shelf } from './shelf.ts';

const many = 1_000;
const key = new Uint8Array(32).fill(3);
const lineage = 'ab';
const hour = 3_600_000;
const now = Date.parse('2026-11-23T10:30:00Z');
const hashOf = (n: number): string => new Bun.CryptoHasher('sha256').update(`${n}`).digest('hex');

/** Snapshots of one base, with 250 increments each: of 25 KB. They are made when they are read, so that none is held here. */
async function place(takenAt: (n: number) => number): Promise<{ shelf: Shelf; made: Set<string> }> {
  const shelf = new Shelf();
  await writeLineage(shelf, key, lineage, 0, 'wrapped');
  const made = new Set(Array.from({ length: many }, (_, n) => manifestName(lineage, n + 1)));
  const digest = { rows: 0, sumA: 0, sumB: 0 };
  const secrets = { host: '', digest, counts: { accounts: 0, messages: 0, octets: 0 }, increments: [], rowOctets: 0 };
  const catalog: [string, number] = [hashOf(0), 50];
  const make = (name: string): Manifest => {
    const commit = Number(name.slice(-16));
    const increments = Array.from({ length: 250 }, (_, i) => ({ commit: i, objects: [[hashOf(i), 100_000] as [string, number]] }));
    return signManifest(key, { lineage, epoch: 1, commit, previous: null, takenAt: takenAt(commit), schema: 2, catalog, increments }, secrets);
  };
  const { get, list } = shelf;
  shelf.get = async (name) => (made.has(name) ? new Uint8Array(Buffer.from(JSON.stringify(make(name)))) : get.call(shelf, name));
  shelf.list = async function* (prefix: string) {
    if (prefix.startsWith('manifests/')) for (const name of made) yield { name, size: 0, modifiedMs: 0 };
    else yield* list.call(shelf, prefix);
  };
  shelf.remove = async (name) => void made.delete(name);
  return { shelf, made };
}

test('of 1,000 snapshots whose manifests are 25 MB, less than a kilobyte each is held', async () => {
  const { shelf } = await place((n) => now - n * 60_000);
  const names = await manifestNames(shelf);
  Bun.gc(true);
  const before = heapSize();
  const { readable } = await glance(shelf, names);
  Bun.gc(true);
  expect((heapSize() - before) / many).toBeLessThan(1_000);
  expect(readable.map(({ name }) => name)).toEqual(names);
  expect(readable[5]).toEqual({
    name: names[5] as string,
    lineage,
    commit: 6,
    takenAt: now - 6 * 60_000,
    catalog: hashOf(0),
    increments: 250,
    octets: 100_000,
  } satisfies Glance);
});

test('pruning reads them one by one, and what it may not know keeps every object', async () => {
  const { shelf, made } = await place((n) => now - n * hour);
  const done = await prune(shelf, now, false);
  expect(done.removed.length).toBeGreaterThan(many / 2);
  expect(made.size).toBe(many - done.removed.length);
  expect(done).toMatchObject({ kept: made.size, objects: 0 });
  expect(done.spared).toContain('is not there'); // the catalog
  expect(await shelf.size(lineageName(lineage))).not.toBeNull();
});
