// Old snapshots go by manifest only; objects go when no manifest that is left names them. Guarantees: the newest snapshot
// that is whole is never removed; an object that a snapshot in the making may have put already stays, for a day (create.ts
// looks again when it took longer); killed at any moment, what is left is whole.

import { type Listed, type Manifest, manifestName, manifestNames, objectName, readManifests } from './manifest.ts';
import type { Place } from './place.ts';
import { keep } from './retention.ts';
import { Damaged } from './seal.ts';
import { objectsOf, verifyPresence } from './verify.ts';

export interface Pruned {
  /** Manifests that went, and that stay. */
  readonly removed: readonly string[];
  readonly kept: number;
  readonly objects: number;
  readonly octets: number;
  /** Why no object went: a snapshot that stays cannot be read, and may need any of them. null: all was well. */
  readonly spared: string | null;
}

/** Objects put less than this ago may belong to a snapshot which has no manifest yet. */
const youngMs = 24 * 3_600_000;

/** `dryRun`: only says what would go. */
export async function prune(place: Place, nowMs: number, dryRun: boolean): Promise<Pruned> {
  const names = await manifestNames(place);
  const { readable, damaged } = await readManifests(place, names);
  const staying = new Set(damaged.keys());
  for (const lineage of new Set([...readable.values()].map((m) => m.lineage))) {
    const own = [...readable.values()].filter((m) => m.lineage === lineage);
    const kept = keep(
      own.map((m) => ({ id: manifestName(lineage, m.commit), takenMs: m.takenAt })),
      nowMs,
    );
    for (const name of kept) staying.add(name);
    const good = await lastGood(place, own);
    if (good !== null) staying.add(good);
  }
  const removed = [...readable.keys()].filter((name) => !staying.has(name));
  if (!dryRun) for (const name of removed) await place.remove(name);
  const kept = names.length - removed.length;
  try {
    return { removed, kept, spared: null, ...(await sweep(place, new Set(removed), nowMs, dryRun)) };
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return { removed, kept, spared: error.message, objects: 0, octets: 0 };
  }
}

/** The newest snapshot all of whose objects are there. */
async function lastGood(place: Place, manifests: readonly Manifest[]): Promise<string | null> {
  for (const m of manifests.toSorted((a, b) => b.commit - a.commit)) {
    const name = manifestName(m.lineage, m.commit);
    if ((await verifyPresence(place, name, false, () => {})).problems.length === 0) return name;
  }
  return null;
}

/** Objects that nobody names. Lineages stay: the next snapshot may find its own there, and one is small. `removed`: manifests. */
async function sweep(place: Place, removed: ReadonlySet<string>, nowMs: number, dryRun: boolean): Promise<{ objects: number; octets: number }> {
  const old: { name: string; size: number }[] = [];
  for await (const found of place.list('objects/')) if (found.modifiedMs + youngMs <= nowMs) old.push(found);
  // once more, and after the objects: what was put meanwhile may name what was there for long
  const names = (await manifestNames(place)).filter((name) => !dryRun || !removed.has(name));
  const { readable, damaged } = await readManifests(place, names);
  const [why] = damaged.values();
  if (why !== undefined) throw new Damaged(why);
  const named = await namedBy(place, [...readable.values()]);
  const gone = old.filter(({ name }) => !named.has(name));
  if (!dryRun) for (const { name } of gone) await place.remove(name);
  return { objects: gone.length, octets: gone.reduce((sum, { size }) => sum + size, 0) };
}

async function namedBy(place: Place, manifests: readonly Manifest[]): Promise<Set<string>> {
  const named = new Set<string>();
  const catalogs = new Map<string, Promise<Listed[]>>();
  for (const manifest of manifests) {
    // snapshots on one base share its catalog: it is read once
    const found = catalogs.get(manifest.catalog[0]) ?? objectsOf(place, { ...manifest, increments: [] });
    catalogs.set(manifest.catalog[0], found);
    for (const [hash] of [...(await found), ...manifest.increments.flatMap((i) => i.objects)]) named.add(objectName(hash));
  }
  return named;
}
