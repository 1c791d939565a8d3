// Bugs of snapshots on purpose: each one wraps a part and breaks one promise. The simulator of snapshots must find every
// one of them (snapshots.test.ts), or it could not find the same bug in the parts themselves.

import type { Reader, Snapshot } from '../../storage/engine.ts';
import { decodeKey, encodeKey, getRow, tableOf } from '../../storage/rows.ts';
import { createSnapshot, type Last } from '../../storage/snapshot/create.ts';
import { openSecrets, manifestNames, readManifest } from '../../storage/snapshot/manifest.ts';
import type { Place } from '../../storage/snapshot/place.ts';
import { prune } from '../../storage/snapshot/prune.ts';
import { restoreSnapshot } from '../../storage/snapshot/restore.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import type { Live, SnapshotPlants } from './snapshots.ts';

/** A snapshot of one of the lineages that the site has the keys of: its own newest, or one before. */
async function lastOf(view: Reader, place: Place, own: boolean): Promise<Last | null> {
  const { lineage } = getRow(view, 'site', {}) ?? { lineage: '' };
  for (const name of (await manifestNames(place)).reverse()) {
    const of = name.split('/')[1] as string;
    const keys = getRow(view, 'lineage', { lineage: of });
    if (!keys || (of === lineage) !== own) continue;
    try {
      const manifest = await readManifest(place, name);
      return { manifest, secrets: openSecrets(keys.dataKey, manifest) };
    } catch (error) {
      if (!(error instanceof Damaged)) throw error; // an older copy has another key
    }
  }
  return null;
}

/** Increments built on something other than the newest snapshot. */
const building =
  (own: boolean, change: (last: Last) => Last): typeof createSnapshot =>
  async (view, place, options) => {
    const last = await lastOf(view, place, own);
    const site = getRow(view, 'site', {});
    if (!last || !site || last.manifest.commit >= site.commit) return createSnapshot(view, place, options);
    return createSnapshot(view, place, { ...options, full: false, lookBack: false, after: change(last) });
  };

/** A view that does not tell which first pages of mailboxes were touched. */
const forgetful = (view: Live): Live => ({ ...telling(view), snapshot: () => telling(view.snapshot()) });

function telling<T extends Reader>(view: T): Reader & Pick<Snapshot, 'release'> {
  const journal = encodeKey('journal', { commit: 0 })[0];
  return {
    get: (key) => view.get(key),
    peek: (key) => view.peek(key),
    keys: (from, to) => view.keys(from, to),
    refresh: () => view.refresh(),
    release: () => {},
    *range(from, to, options) {
      for (const [key, row] of view.range(from, to, options)) yield [key, key[0] === journal ? withoutPages(row) : row] as const;
    },
  };
}

function withoutPages(row: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  for (let at = 0; at < row.length; ) {
    const length = ((row[at] as number) << 8) | (row[at + 1] as number);
    const key = row.subarray(at + 2, at + 2 + length);
    if (tableOf(key) !== 'page' || decodeKey('page', key).page !== 0) kept.push(row.subarray(at, at + 2 + length));
    at += 2 + length;
  }
  return new Uint8Array(Buffer.concat(kept));
}

/** Objects come after the manifest that names them, and are said to be there before. */
function hasty(place: Place): Place {
  const later = new Map<string, Uint8Array>();
  return {
    ...place,
    size: async (name) => later.get(name)?.length ?? place.size(name),
    async put(name, octets) {
      if (name.startsWith('objects/')) return void later.set(name, octets);
      await place.put(name, octets);
      if (!name.startsWith('manifests/')) return;
      for (const [object, content] of later) await place.put(object, content);
      later.clear();
    },
  };
}

const withoutIncrements: typeof prune = async (place, nowMs, dryRun) => {
  const pruned = await prune(place, nowMs, dryRun);
  const named = new Set<string>();
  for (const name of await manifestNames(place)) {
    const { catalog } = await readManifest(place, name);
    const octets = Buffer.from((await place.get(`objects/${catalog[0].slice(0, 2)}/${catalog[0]}`)) ?? new Uint8Array(4));
    const below = JSON.parse(`${octets.subarray(4, 4 + octets.readUInt32BE(0)).toString() || '[]'}`) as [string, number][];
    for (const [hash] of [catalog, ...below]) named.add(hash);
  }
  for await (const { name, modifiedMs } of place.list('objects/'))
    if (!named.has(name.slice(-64)) && modifiedMs + 24 * 3_600_000 <= nowMs) await place.remove(name);
  return pruned;
};

const reversed = ({ manifest, secrets }: Last): Last => ({
  manifest: { ...manifest, increments: manifest.increments.toReversed() },
  secrets: { ...secrets, increments: secrets.increments.toReversed() },
});

export const snapshotPlants: Readonly<Record<string, SnapshotPlants>> = {
  'P1: a manifest is put before its objects': { place: hasty },
  'P2: an increment misses a key that was touched': { view: forgetful },
  'P2: an increment is built on a snapshot of another lineage': { create: building(false, (last) => last) },
  'P2: increments are applied in another order': { create: building(true, reversed) },
  'P1: pruning does not see the objects of increments': { prune: withoutIncrements },
  'P6: a restored site goes on with the old lineage': {
    restore: async (engine, snapshot, options) => restoreSnapshot(engine, snapshot, { ...options, lineage: snapshot.manifest.lineage }),
  },
};
