// The site parks itself: while it runs, what changed goes to the place of its document every few seconds, and old snapshots
// go by age. Guarantees: mail waits for none of it; a place that cannot be reached costs nothing but the snapshots, and is
// tried again; what is parked is what was committed.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Parking } from '../document.ts';
import type { Reader, Snapshot } from '../engine.ts';
import type { StoreProtocol } from '../messages.ts';
import { getRow, RowDamaged } from '../rows.ts';
import { config } from '../views.ts';
import { createSnapshot, Forked, type Last } from './create.ts';
import { keysFor } from './keys.ts';
import { manifestNames, readManifest } from './manifest.ts';
import { openPlace, PlaceError, type Place } from './place.ts';
import { prune } from './prune.ts';
import { Damaged } from './seal.ts';

export interface Parked {
  readonly world: World;
  readonly store: Address<StoreProtocol>;
  readonly view: Reader & { snapshot(): Snapshot };
  readonly open?: typeof openPlace;
  /** Told each time that all there is is parked. */
  readonly parked?: (nowMs: number) => void;
}

/** The newest snapshot of this site's history where it parks itself, or what is wrong with the place. */
export async function newestParked(
  world: World,
  view: Reader,
  parking: Parking,
): Promise<{ takenAt: number | null; commit: number | null; problem: string | null }> {
  const none = { takenAt: null, commit: null, problem: null };
  try {
    const place = await openPlace(parking.to, { ...optionsOf(world, parking), create: false });
    const name = (await manifestNames(place, getRow(view, 'site', {})?.lineage ?? '')).at(-1);
    if (name === undefined) return none;
    const { takenAt, commit } = await readManifest(place, name);
    return { takenAt, commit, problem: null };
  } catch (error) {
    if (error instanceof PlaceError || error instanceof Damaged) return { ...none, problem: error.message };
    throw error;
  }
}

const pruneEveryMs = 3_600_000;

interface At {
  readonly parking: string;
  readonly place: Place;
  /** What was parked there last by us; null: nobody has looked. */
  readonly last: Last | null;
  /** On the monotonic clock. */
  readonly prunedMs: number | null;
}

/** Runs until it crashes. */
export async function parkForever(site: Parked): Promise<never> {
  const { world, store, view } = site;
  let wake = (): void => {};
  store.on('configured', () => wake());
  let at: At | null = null;
  for (let failures = 0; ; ) {
    const configured = new Promise<void>((done) => {
      wake = done;
    });
    let parking: Parking | null = null;
    let waitMs = 3_600_000;
    try {
      view.refresh();
      parking = config(view)?.document.snapshots ?? null;
      if (parking !== null) waitMs = parking.everySeconds * 1_000;
      at = parking && (await parkNext(site, parking, at));
      if (parking !== null) site.parked?.(world.now());
      failures = 0;
    } catch (error) {
      if (!(error instanceof PlaceError || error instanceof Damaged || error instanceof Forked || error instanceof LinkLost || error instanceof RowDamaged))
        throw error;
      if (failures++ === 0) world.log('snapshot.failed', { to: parking?.to ?? '', error: error.message });
      at = null; // the next one looks at the place anew
      waitMs = Math.min(limits.parkingRetryMs, Math.max(parking === null ? 0 : waitMs, 1_000 * 2 ** Math.min(failures, 10)));
    }
    const timer = world.after(waitMs, () => wake());
    await configured;
    timer.cancel();
  }
}

async function parkNext(site: Parked, parking: Parking, last: At | null): Promise<At> {
  const name = JSON.stringify(parking);
  const at =
    last?.parking === name
      ? last
      : { parking: name, place: await (site.open ?? openPlace)(parking.to, optionsOf(site.world, parking)), last: null, prunedMs: null };
  const parked = await parkOnce(site, at.place, at.last);
  const now = site.world.monotonicMs();
  const due = at.prunedMs === null || now - at.prunedMs > pruneEveryMs;
  if (due) await pruneOnce(site.world, at.place);
  // once an hour the next one looks whether all that it builds on is there still
  return { ...at, last: due ? null : parked, prunedMs: due ? now : at.prunedMs };
}

export const optionsOf = (world: World, { s3 }: Parking) => ({ world, create: true, ...(s3 === null ? {} : { s3 }) });

/** A snapshot older than that may have been pruned: others put newer ones there. Well below a day (prune.ts). */
const trustedMs = 12 * 3_600_000;

/** What is parked now. `last`: what was before, null: look. */
async function parkOnce({ world, store, view }: Parked, place: Place, last: Last | null): Promise<Last | null> {
  const began = world.monotonicMs();
  const site = getRow(view, 'site', {});
  if (!site || site.commit === last?.manifest.commit) return last;
  if (!getRow(view, 'lineage', { lineage: site.lineage })) {
    const made = await store.ask('makeKeys', await keysFor(world, getRow(view, 'recovery', {})));
    if (isRefusal(made)) return last;
  }
  const now = world.now();
  const after = last !== null && Math.abs(now - last.manifest.takenAt) < trustedMs ? { after: last } : {};
  const { kind, manifest, secrets, written } = await createSnapshot(view, place, { now, full: false, lookBack: after.after === undefined, ...after });
  if (kind !== 'same')
    world.log('snapshot.parked', { to: place.url, commit: manifest.commit, kind, octets: written, ms: Math.round(world.monotonicMs() - began) });
  return { manifest, secrets };
}

async function pruneOnce(world: World, place: Place): Promise<void> {
  const { removed, kept, octets } = await prune(place, world.now(), false);
  if (removed.length > 0) world.log('snapshot.pruned', { to: place.url, removed: removed.length, kept, octets });
}
