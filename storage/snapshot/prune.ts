// Old snapshots go by manifest only; objects go when no manifest that is left names them. Guarantees: the newest snapshot
// that is whole is never removed; an object that a snapshot in the making may have put already stays, for a day (create.ts
// looks again when it took longer); killed at any moment, what is left is whole; memory is a few hundred octets for each
// snapshot and each old object.

import { eachManifest, type Glance, glance, type Listed, listCatalog, manifestNames, objectName } from './manifest.ts';
import type { Place } from './place.ts';
import { keep } from './retention.ts';
import { Damaged } from './seal.ts';
import { verifyPresence } from './verify.ts';

export interface Pruned {
  /** Manifests that went, and that stay. */
  readonly removed: readonly string[];
  readonly kept: number;
  readonly objects: number;
  readonly octets: number;
  /** Why no object went: a snapshot that stays cannot be read, and may need any of them. null: all was well. */
  readonly spared: string | null;
  /** Of each lineage the newest snapshot, and the newest one that is good. */
  readonly newest: ReadonlyMap<string, { readonly name: string; readonly good: Glance | null }>;
}

/** Objects put less than this ago may belong to a snapshot which has no manifest yet. */
const youngMs = 24 * 3_600_000;

/**
 * `dryRun`: only says what would go. `byArrival`: the age of a snapshot is that of its manifest in the place, whatever it says
 * itself: who makes them may lie.
 */
export async function prune(place: Place, nowMs: number, dryRun: boolean, byArrival = false): Promise<Pruned> {
  const names = await manifestNames(place);
  const seen = await glance(place, names);
  const { damaged } = seen;
  const readable = byArrival ? await arrived(place, seen.readable) : seen.readable;
  const staying = new Set(damaged.keys());
  const newest = new Map<string, { name: string; good: Glance | null }>();
  for (const name of names) newest.set(name.split('/')[1] as string, { name, good: null });
  for (const [lineage, own] of Map.groupBy(readable, (snapshot) => snapshot.lineage)) {
    const kept = keep(
      own.map(({ name, takenAt }) => ({ id: name, takenMs: takenAt })),
      nowMs,
    );
    for (const name of kept) staying.add(name);
    const good = await lastGood(
      place,
      own.toSorted((a, b) => (byArrival ? b.takenAt - a.takenAt : 0) || b.commit - a.commit),
    );
    if (good !== null) staying.add(good.name);
    newest.set(lineage, { name: newest.get(lineage)?.name ?? '', good });
  }
  const removed = readable.map(({ name }) => name).filter((name) => !staying.has(name));
  if (!dryRun) for (const name of removed) await place.remove(name);
  const kept = names.length - removed.length;
  try {
    return { removed, kept, newest, spared: null, ...(await sweep(place, new Set(removed), nowMs, dryRun)) };
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return { removed, kept, newest, spared: error.message, objects: 0, octets: 0 };
  }
}

/** The same, taken when they came. */
async function arrived(place: Place, snapshots: readonly Glance[]): Promise<Glance[]> {
  const at = new Map<string, number>();
  for await (const { name, modifiedMs } of place.list('manifests/')) at.set(name, modifiedMs);
  return snapshots.flatMap((snapshot) => {
    const takenAt = at.get(snapshot.name);
    return takenAt === undefined ? [] : [{ ...snapshot, takenAt }];
  });
}

/** The first of these snapshots, newest first, all of whose objects are there. */
async function lastGood(place: Place, snapshots: readonly Glance[]): Promise<Glance | null> {
  for (const snapshot of snapshots) if ((await verifyPresence(place, snapshot.name, false, () => {})).problems.length === 0) return snapshot;
  return null;
}

/** Objects that nobody names. Lineages stay: the next snapshot may find its own there, and one is small. `removed`: manifests. */
async function sweep(place: Place, removed: ReadonlySet<string>, nowMs: number, dryRun: boolean): Promise<{ objects: number; octets: number }> {
  const old = new Map<string, number>();
  for await (const { name, size, modifiedMs } of place.list('objects/')) if (modifiedMs + youngMs <= nowMs) old.set(name, size);
  // once more, and after the objects: what was put meanwhile may name what was there for long
  const names = (await manifestNames(place)).filter((name) => !dryRun || !removed.has(name));
  const catalogs = new Map<string, Listed>();
  const spare = ([hash]: Listed): unknown => old.delete(objectName(hash));
  const damaged = await eachManifest(place, names, ({ catalog, increments }) => {
    catalogs.set(catalog[0], catalog);
    for (const { objects } of increments) for (const object of objects) spare(object);
  });
  const [why] = damaged.values();
  if (why !== undefined) throw new Damaged(why);
  // snapshots on one base share its catalog: it is read once
  for (const catalog of catalogs.values()) {
    spare(catalog);
    for (const object of await listCatalog(place, catalog)) spare(object);
  }
  let objects = 0;
  let octets = 0;
  for (const [name, size] of old) {
    if (!dryRun) {
      if (!(await isOld(place, name, nowMs))) continue;
      await place.remove(name);
    }
    objects++;
    octets += size;
  }
  return { objects, octets };
}

/** Who prunes beside us may have removed it, and who makes a snapshot may have put it anew since we looked. */
async function isOld(place: Place, name: string, nowMs: number): Promise<boolean> {
  for await (const found of place.list(name)) if (found.name === name) return found.modifiedMs + youngMs <= nowMs;
  return false;
}
