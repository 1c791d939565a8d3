// `mailsite snapshot create` and `snapshot key`: the first snapshot makes the keys of the site and prints the recovery kit.

import { chmodSync, closeSync, existsSync, lchownSync, lstatSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import type { Address } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import type { Reader, Snapshot } from '../../storage/engine.ts';
import type { View } from '../../storage/engines/open.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { getRow } from '../../storage/rows.ts';
import { createSnapshot } from '../../storage/snapshot/create.ts';
import { keysFor } from '../../storage/snapshot/keys.ts';
import { openPlace, type Place, PlaceError } from '../../storage/snapshot/place.ts';
import { config } from '../../storage/views.ts';
import { openPortal } from '../../uplink/agent/parking.ts';
import type { Arguments } from '../arguments.ts';
import { kitOf } from '../kit.ts';
import { complain, Failure, print, printJsonLine, progress, size, span, UsageError } from '../output.ts';
import { dataDirectory } from '../place.ts';
import { type Writable, writeSite } from '../site.ts';
import { idOf, localSite, namedPlace, plainly, portalMeant, within } from './source.ts';

const least = constants.priority.PRIORITY_LOW;

export async function create(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  const wasRoot = process.getuid?.() === 0;
  const data = mustExist(given);
  const wanted = namedPlace(given.to);
  const local = wanted === undefined ? await localSite(world, given) : null;
  const member = wanted === undefined ? portalMeant(given, given.to, local) : null;
  const url = wanted ?? (member === null ? local?.to : `the portal ${member.url}`) ?? undefined;
  if (url !== undefined) within(url, data);
  const site = await siteAt(world, data);
  if (url === undefined) throw new UsageError('name a place for the snapshot: --to FOLDER, FILE.tar or s3://bucket/prefix');
  const open = async (): Promise<Place> => {
    if (member !== null) return openPortal(world, member, 'park');
    const s3 = config(site.view)?.document.snapshots?.s3;
    return openPlace(within(url, data), { world, create: true, ...(s3 ? { s3 } : {}) });
  };
  // a site parks with its portal by itself: what it parks at this moment is there on the second look
  const twice = <T>(once: () => Promise<T>): Promise<T> =>
    once().catch((error: unknown) => (member !== null && error instanceof PlaceError ? once() : Promise.reject(error)));
  const began = world.monotonicMs();
  setPriority(least); // mail comes first; threads that begin from now on inherit it
  const bar = progress('snapshot', given.json, () => world.monotonicMs());
  const { done, host, kitFor } = await plainly(() => twice(() => make(world, site, open, given.full, (n, of) => bar.at(n, of)))).catch((error: unknown) => {
    throw wasRoot ? closed(error, url) : error;
  });
  bar.end();
  const ms = Math.round(world.monotonicMs() - began);
  const { kind, manifest, written, reused, read, damaged } = done;
  // whoever made the keys (a site that parks itself, an upgrade, a create that was cut off), here is who can keep the kit
  const kit = kind !== 'same' && manifest.previous === null ? kitFor(manifest.lineage) : null;
  const { lineage, commit, takenAt } = manifest;
  if (given.json) printJsonLine({ ok: true, id: idOf(manifest), kind, host, lineage, commit, takenAt, to: url, written, reused, read, damaged, ms, kit });
  else {
    for (const { blob, what } of damaged) complain(`body ${blob} of the site is damaged (${what}): mailsite check --deep names what is`);
    if (kind === 'same') print(`Nothing changed since snapshot ${idOf(manifest)} of ${host || data}: it stands.`);
    else
      print(
        `Snapshot ${idOf(manifest)} of ${host || data} is in ${url}: ${kind === 'base' ? 'all of it' : 'what changed'}, ${size(written)} written${reused > 0 ? `, ${size(reused)} used again` : ''}, in ${ms < 2_000 ? `${ms} ms` : span(ms)}.`,
      );
    if (kit !== null) print(`\n${kit}`);
  }
  return damaged.length === 0 ? 0 : 1;
}

async function make(world: World, site: Found, open: () => Promise<Place>, full: boolean, progress: (done: number, of: number) => void) {
  const place = await open();
  const view = await withKeys(world, site);
  const done = await createSnapshot(view, place, { now: world.now(), full, lookBack: true, progress });
  const identity = getRow(view, 'recovery', {})?.identity ?? '';
  return { done, host: config(view)?.document.host ?? '', kitFor: (lineage: string) => kitOf(view, lineage, identity) };
}

/** `--data`, in which there is a site: nothing is made where there is none. As root, the place's folder too. */
function mustExist(given: Arguments): string {
  const data = dataDirectory(given.data);
  if (!existsSync(data)) throw noSite(data);
  const folder = namedPlace(given.to);
  if (folder !== undefined) giveFolder(folder, data);
  return data;
}
const noSite = (data: string): Failure => new Failure(`${data} holds no site: name its --data`);

type Found = Omit<Writable, 'view'> & { readonly view: View };

async function siteAt(world: World, data: string): Promise<Found> {
  const { view, open } = await writeSite(world, data);
  if (view === null) throw noSite(data);
  return { data, view, open };
}

/** The site, with keys for its snapshots. */
async function withKeys(world: World, site: Found): Promise<Reader & { snapshot(): Snapshot }> {
  if (hasKeys(site.view)) return site.view;
  const { store, view } = await site.open();
  await ensureKeys(world, store, view);
  view.refresh();
  return view;
}

const hasKeys = (view: Reader): boolean =>
  getRow(view, 'lineage', { lineage: getRow(view, 'site', {})?.lineage ?? '' }) !== undefined && getRow(view, 'recovery', {}) !== undefined;

/** The keys of this site's snapshots, made where there are none: its history and the identity of the recovery kit. */
export async function ensureKeys(world: World, store: Address<StoreProtocol>, view: Reader): Promise<{ lineage: string; identity: string }> {
  const answer = await store.ask('makeKeys', await keysFor(world, getRow(view, 'recovery', {})));
  if (isRefusal(answer)) throw new Failure(`the keys of the snapshots cannot be kept: ${answer.detail || answer.refused}`);
  return answer;
}

/** What root names and is not there yet, or is an empty folder of root, is made for the site's own user, who writes it. */
function giveFolder(url: string, data: string): void {
  const { uid, gid } = statSync(data);
  if (process.getuid?.() !== 0 || uid === 0 || !url.startsWith('/')) return;
  try {
    const found = lstatSync(url, { throwIfNoEntry: false });
    if (found === undefined && url.endsWith('.tar')) {
      mkdirSync(dirname(url), { recursive: true, mode: 0o755 });
      closeSync(openSync(url, 'wx', 0o600));
    } else if (found === undefined) mkdirSync(url, { recursive: true, mode: 0o755 });
    else if (!found.isDirectory() || found.uid !== 0 || readdirSync(url).length > 0) return;
    lchownSync(url, uid, gid);
    if (!url.endsWith('.tar')) chmodSync(url, 0o700);
  } catch {
    // the place says what is wrong with it
  }
}

/** Who reads `closed to this user` was root until the data was entered. */
function closed(error: unknown, url: string): unknown {
  const uid = process.getuid?.() ?? 0;
  if (!(error instanceof Failure) || uid === 0 || !error.message.includes('closed to this user')) return error;
  return new Failure(`${url} is closed to the user of the site, who writes its snapshots: chown it to ${uid}, or name a folder that is not there yet`);
}

export async function key(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  const site = await siteAt(world, mustExist(given));
  const view = await withKeys(world, site);
  const host = config(view)?.document.host ?? '';
  const lineage = getRow(view, 'site', {})?.lineage ?? '';
  const identity = getRow(view, 'recovery', {})?.identity ?? '';
  if (given.json) printJsonLine({ host, lineage, identity });
  else print(kitOf(view, lineage, identity));
}
