// Good copies for the scrub (storage/scrub.ts), out of the snapshots of the place where the site parks itself. Guarantees: a
// row is given only where no commit since that snapshot touched it; a body only where its octets have its hash; a place
// that cannot be reached gives nothing, and is asked again the next time.

import type { World } from '../../actors/world.ts';
import { openChunk } from '../bodies.ts';
import type { Reader } from '../engine.ts';
import { unpackKeys } from '../journal.ts';
import { decodeRow, getRow, octetText, RowDamaged, scanRows, tableOf, unlessDamaged } from '../rows.ts';
import type { Spare } from '../scrub.ts';
import { config } from '../views.ts';
import { type Glance, glance, manifestNames, readManifest } from './manifest.ts';
import { optionsOf } from './parking.ts';
import { openPlace, PlaceError } from './place.ts';
import { openSnapshot, type SnapshotView } from './read.ts';
import { Damaged } from './seal.ts';

/** How long what was found in the place is taken for all there is. */
const freshMs = 600_000;
/** Bases looked through, newest first: damage that nobody noticed for long is in the newer ones as well. */
const mostBases = 12;

export function copiesOf(world: World, view: Reader): Spare {
  let found: { readonly at: number; readonly snapshots: Promise<SnapshotView[]> } | null = null;
  const snapshots = (): Promise<SnapshotView[]> => {
    if (found === null || world.monotonicMs() - found.at > freshMs) found = { at: world.monotonicMs(), snapshots: quietly(() => openNewest(world, view), []) };
    return found.snapshots;
  };
  return {
    async row(key) {
      const lineage = getRow(view, 'site', {})?.lineage;
      for (const snapshot of await snapshots()) {
        const { manifest } = snapshot;
        if (manifest.lineage !== lineage || (await touchedSince(world, view, key, manifest.commit))) continue;
        const row = await quietly(() => rowIn(snapshot, key), null);
        if (row !== null && isSound(key, row)) return row;
      }
      return null;
    },
    async *body(hash) {
      for (const snapshot of await snapshots()) {
        if (!(await quietly(() => hasBody(snapshot, hash), false))) continue;
        yield* bodyIn(snapshot, hash);
        return;
      }
    },
  };
}

async function quietly<T>(run: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof PlaceError || error instanceof Damaged || error instanceof RowDamaged) return otherwise;
    throw error;
  }
}

/** Of each base the newest snapshot, of every lineage whose key the site has; the newest first. */
async function openNewest(world: World, view: Reader): Promise<SnapshotView[]> {
  const parking = config(view)?.document.snapshots ?? null;
  if (parking === null) return [];
  const place = await openPlace(parking.to, { ...optionsOf(world, parking), create: false });
  const keys = new Map([...scanRows(view, 'lineage', [])].map(({ key, row }) => [key.lineage, row.dataKey] as const));
  const names: string[] = [];
  for (const lineage of keys.keys()) names.push(...(await manifestNames(place, lineage)));
  const newest = new Map<string, Glance>();
  for (const found of (await glance(place, names)).readable) {
    const other = newest.get(found.catalog);
    if (other === undefined || other.commit < found.commit) newest.set(found.catalog, found);
  }
  const opened: SnapshotView[] = [];
  for (const { name, lineage } of [...newest.values()].sort((a, b) => b.takenAt - a.takenAt).slice(0, mostBases)) {
    const open = async (): Promise<SnapshotView> => openSnapshot(place, await readManifest(place, name), keys.get(lineage) as Uint8Array);
    const snapshot = await quietly(open, null);
    if (snapshot) opened.push(snapshot);
  }
  return opened;
}

const sliceCommits = 1_000;

/** Has a commit after this one touched the row, or does the journal not reach back? Mail comes between the slices. */
async function touchedSince(world: World, view: Reader, key: Uint8Array, commit: number): Promise<boolean> {
  view.refresh();
  if ((getRow(view, 'site', {})?.journalFloor ?? Number.POSITIVE_INFINITY) > commit) return true;
  const name = octetText(key);
  for (let next = commit + 1; ; ) {
    const slice = [...scanRows(view, 'journal', [], { from: { commit: next }, limit: sliceCommits })];
    for (const { row } of slice) {
      const keys = unlessDamaged(() => unpackKeys(row)); // one that does not tell may have touched it
      if (keys === undefined || keys.some((touched) => touched.length === key.length && octetText(touched) === name)) return true;
    }
    const last = slice.at(-1);
    if (!last || slice.length < sliceCommits) return false;
    next = last.key.commit + 1;
    await world.sleep(0);
    view.refresh();
  }
}

async function rowIn(snapshot: SnapshotView, key: Uint8Array): Promise<Uint8Array | null> {
  const to = new Uint8Array(key.length + 1);
  to.set(key);
  for await (const [, value] of snapshot.rows(key, to)) return value;
  return null;
}

function isSound(key: Uint8Array, value: Uint8Array): boolean {
  const table = tableOf(key);
  if (table === undefined) return false;
  try {
    decodeRow(table, value, key);
    return true;
  } catch {
    return false;
  }
}

async function hasBody(snapshot: SnapshotView, hash: Uint8Array): Promise<boolean> {
  const hasher = new Bun.CryptoHasher('sha256');
  for await (const piece of bodyIn(snapshot, hash)) hasher.update(piece);
  return hasher.digest().equals(Buffer.from(hash));
}

async function* bodyIn(snapshot: SnapshotView, hash: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  const found = await snapshot.row('hash', { hash });
  if (found) for await (const chunk of snapshot.chunks(found.blob)) yield openChunk(chunk);
}
