// The site parks itself: while it runs, what changed goes to the place of its document every few seconds, and old snapshots
// go by age. Guarantees: mail waits for none of it; a place that cannot be reached costs nothing but the snapshots, and is
// tried again; what is parked is what was committed; what went or has rotted there is found (within the hour, within a week),
// told, and put anew.

import { type Address, LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { Parking } from '../document.ts';
import type { Reader, Snapshot } from '../engine.ts';
import type { StoreProtocol } from '../messages.ts';
import { marked } from '../recount.ts';
import { encodeKey, getRow, octetText, RowDamaged } from '../rows.ts';
import { listed } from '../scrub.ts';
import { config } from '../views.ts';
import { type Created, createSnapshot, Forked, type Last } from './create.ts';
import { keysFor } from './keys.ts';
import { manifestNames, readManifest } from './manifest.ts';
import { openPlace, PlaceError, type Place } from './place.ts';
import { prune } from './prune.ts';
import { dueShelf, lookOver, nextShelf } from './round.ts';
import { Damaged } from './seal.ts';
import { verifyPresence } from './verify.ts';

/** What parking and the round tell each other. */
interface Shared {
  /** null: there is none, or it failed. */
  place: Place | null;
  /** Objects that are not what their names say, by hash. */
  readonly rotten: Set<string>;
  /** Who waits until what there was when they asked is parked. */
  readonly asked: { done(): void; failed(why: Error): void }[];
  /** Why the last turn parked nothing, though there is something to park; empty: all there was is parked. */
  behind: string;
  wake(): void;
}

/** A place that is not of the document. `to`: for people, and tells one from another. */
export interface Beside {
  readonly to: string;
  readonly everySeconds: number;
  open(): Promise<Place>;
}

export interface Parked {
  /** Where it parks as long as the document names no place; null: nowhere. */
  readonly beside?: () => Beside | null;
  /** Is given how to park at once: resolves when all that there was is parked, rejects with why it is not. */
  readonly hurry?: (now: () => Promise<void>) => void;
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

/** The newest snapshot of this site's history all of whose objects are there, among the newest few; null: none of them. */
export async function lastGoodParked(world: World, view: Reader, parking: Parking): Promise<{ takenAt: number; commit: number } | null> {
  const place = await openPlace(parking.to, { ...optionsOf(world, parking), create: false });
  const names = await manifestNames(place, getRow(view, 'site', {})?.lineage ?? '');
  for (const name of names.slice(-lookedThrough).reverse()) {
    const { manifest, problems } = await verifyPresence(place, name, false, () => {});
    if (manifest !== null && problems.length === 0) return { takenAt: manifest.takenAt, commit: manifest.commit };
  }
  return null;
}
const lookedThrough = 100;

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
  const shared: Shared = { place: null, rotten: new Set(), asked: [], behind: '', wake: () => {} };
  site.store.on('configured', () => shared.wake());
  const ask = (): Promise<void> =>
    new Promise((done, failed) => {
      shared.asked.push({ done, failed });
      shared.wake();
    });
  site.hurry?.(ask);
  try {
    return await Promise.race([parkInTurn(site, shared), lookInTurn(site.world, shared)]);
  } finally {
    const crashed = new Error('parking has crashed: it begins again by itself, see the log');
    site.hurry?.(() => Promise.reject(crashed));
    for (const { failed } of shared.asked) failed(crashed);
  }
}

async function parkInTurn(site: Parked, shared: Shared): Promise<never> {
  const { world, view } = site;
  let at: At | null = null;
  for (let failures = 0; ; ) {
    const configured = new Promise<void>((done) => {
      shared.wake = done;
    });
    const asked = shared.asked.length;
    const answer = (why: Error | null): void => {
      for (const { done, failed } of shared.asked.splice(0, asked))
        if (why === null) done();
        else failed(why);
    };
    let parking: Pick<Parking, 'to' | 'everySeconds'> | null = null;
    let waitMs = 3_600_000;
    try {
      view.refresh();
      const named = config(view)?.document.snapshots ?? null;
      const beside = named === null ? (site.beside?.() ?? null) : null;
      parking = named ?? beside;
      if (parking !== null) waitMs = parking.everySeconds * 1_000;
      const opens = named ? () => (site.open ?? openPlace)(named.to, optionsOf(world, named)) : beside?.open;
      at = opens && parking ? await parkNext(site, JSON.stringify(named ?? parking.to), opens, at, shared) : null;
      shared.place = at === null || at.place.keepsItself ? null : at.place;
      if (parking !== null && shared.behind === '') site.parked?.(world.now());
      answer(parking === null ? nowhere : shared.behind === '' ? null : new Error(shared.behind));
      failures = 0;
    } catch (error) {
      if (!(error instanceof PlaceError || error instanceof Damaged || error instanceof Forked || error instanceof LinkLost || error instanceof RowDamaged))
        throw error;
      answer(error);
      if (failures++ === 0) world.log('snapshot.failed', { to: parking?.to ?? '', error: error.message });
      at = null; // the next one looks at the place anew
      shared.place = null;
      waitMs = Math.min(limits.parkingRetryMs, Math.max(parking === null ? 0 : waitMs, 1_000 * 2 ** Math.min(failures, 10)));
    }
    const timer = world.after(waitMs, () => shared.wake());
    await configured;
    timer.cancel();
  }
}

const nowhere = new Error('this site parks nowhere: name a place for its snapshots');

/** Between two looks whether it is time for one of the round (round.ts). */
const lookMs = 60_000;

/** Reads what is parked again, all of it within a week, and has what has rotted put anew. */
async function lookInTurn(world: World, shared: Shared): Promise<never> {
  for (let next = dueShelf(world.now()); ; ) {
    await world.sleep(lookMs);
    const { place } = shared;
    const due = dueShelf(world.now());
    next = nextShelf(next, due);
    if (place === null || next > due) continue;
    try {
      const rotten = await lookOver(world, place, next);
      next++;
      for (const hash of rotten) {
        world.log('snapshot.rotten', { to: place.url, object: hash });
        shared.rotten.add(hash);
      }
      if (rotten.length > 0) shared.wake();
    } catch (error) {
      if (!(error instanceof PlaceError)) throw error; // parking says that it fails; the same shelf is next
    }
  }
}

async function parkNext(site: Parked, name: string, open: () => Promise<Place>, last: At | null, shared: Shared): Promise<At> {
  const at = last?.parking === name ? last : { parking: name, place: await open(), last: null, prunedMs: null };
  const now = site.world.monotonicMs();
  const due = at.prunedMs === null || now - at.prunedMs > pruneEveryMs;
  // first, as it makes room
  if (due && !at.place.keepsItself) await pruneOnce(site, at.place);
  // once an hour it looks whether all that it builds on is there still
  const parked = await parkOnce(site, at.place, due ? null : at.last, shared);
  return { ...at, last: parked, prunedMs: due ? now : at.prunedMs };
}

export const optionsOf = (world: World, { s3 }: Parking) => ({
  world,
  create: true,
  leaves: limits.placeLeaves,
  ...(s3 === null ? {} : { s3 }),
});

/** A snapshot older than that may have been pruned: others put newer ones there. Well below a day (prune.ts). */
const trustedMs = 12 * 3_600_000;

/** So long a snapshot waits for a digest that is counted anew (recount.ts), which takes seconds. */
const digestMs = 600_000;

/** What is parked now. `last`: what was before, null: look. The rotten objects are put anew, and then there are none. */
async function parkOnce({ world, store, view }: Parked, place: Place, last: Last | null, shared: Shared): Promise<Last | null> {
  const began = world.monotonicMs();
  const { rotten } = shared;
  shared.behind = '';
  const site = getRow(view, 'site', {});
  if (!site || (site.commit === last?.manifest.commit && rotten.size === 0)) return last;
  const recount = marked(view);
  if (recount !== undefined && Math.abs(world.now() - recount.foundAt) < digestMs) {
    shared.behind = 'the digest of the site is counted anew after damage: it parks as soon as that is done';
    return last;
  }
  if (!getRow(view, 'lineage', { lineage: site.lineage })) {
    const made = await store.ask('makeKeys', await keysFor(world, getRow(view, 'recovery', {})));
    if (isRefusal(made)) {
      shared.behind = `the site could not make its keys: ${made.detail || made.refused}`;
      return last;
    }
    view.refresh();
  }
  const now = world.now();
  const after = last !== null && Math.abs(now - last.manifest.takenAt) < trustedMs ? { after: last } : {};
  const known = new Set(rotten);
  const lookBack = after.after === undefined;
  const { kind, manifest, secrets, written, healed, damaged } = await createSnapshot(view, place, { now, full: false, lookBack, rotten: known, ...after });
  for (const hash of known) rotten.delete(hash);
  if (healed > 0) world.log('snapshot.healed', { to: place.url, objects: healed });
  await listDamaged({ world, store, view }, damaged);
  if (kind !== 'same')
    world.log('snapshot.parked', { to: place.url, commit: manifest.commit, kind, octets: written, ms: Math.round(world.monotonicMs() - began) });
  return { manifest, secrets };
}

/** Bodies that were found damaged when they were packed: the scrub takes it from there. */
async function listDamaged({ world, store, view }: Parked, damaged: Created['damaged']): Promise<void> {
  const found = damaged.slice(0, 1_000).map(({ blob, what }) => ({ table: 'chunk', key: encodeKey('chunk', { blob, n: 0 }), what }));
  if (found.length === 0) return;
  const known = new Set(listed(view).map(({ key }) => octetText(key)));
  for (const { table, key, what } of found) if (!known.has(octetText(key))) world.log('store.damaged', { table, key: Buffer.from(key).toString('hex'), what });
  await store.ask('damaged', { now: world.now(), found }); // refused: the disk is full, and the next base finds it again
}

async function pruneOnce({ world, view }: Parked, place: Place): Promise<void> {
  const { removed, kept, octets, newest } = await prune(place, world.now(), false);
  const own = newest.get(getRow(view, 'site', {})?.lineage ?? '');
  if (own !== undefined && own.name !== own.good?.name)
    world.log('snapshot.notGood', {
      to: place.url,
      commit: Number(own.name.split('/').at(-1)),
      goodCommit: own.good?.commit ?? null,
      goodAgeMs: own.good && world.now() - own.good.takenAt,
    });
  if (removed.length > 0) world.log('snapshot.pruned', { to: place.url, removed: removed.length, kept, octets });
}
