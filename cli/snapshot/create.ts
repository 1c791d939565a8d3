// `mailsite snapshot create` and `snapshot key`: the first snapshot makes the keys of the site and prints the recovery kit.

import { chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import type { Address } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import type { Reader, Snapshot } from '../../storage/engine.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { getRow } from '../../storage/rows.ts';
import { createSnapshot, Forked } from '../../storage/snapshot/create.ts';
import { keysFor, kitText } from '../../storage/snapshot/keys.ts';
import { openPlace } from '../../storage/snapshot/place.ts';
import { config } from '../../storage/views.ts';
import type { Arguments } from '../arguments.ts';
import { Failure, print, printJsonLine, progress, size, span, UsageError } from '../output.ts';
import { dataDirectory } from '../place.ts';
import { writeSite } from '../site.ts';
import { absolute, idOf, plainly } from './source.ts';

const least = constants.priority.PRIORITY_LOW;

export async function create(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  const wanted = given.to === undefined ? undefined : absolute(given.to);
  if (wanted !== undefined) giveFolder(wanted, dataDirectory(given.data));
  const { made, view, data } = await withKeys(world, given);
  const parking = config(view)?.document.snapshots ?? null;
  const url = wanted ?? parking?.to;
  if (url === undefined) throw new UsageError('name a place for the snapshot: --to FOLDER, FILE.tar or s3://bucket/prefix');
  const began = world.monotonicMs();
  setPriority(least); // mail comes first; threads that begin from now on inherit it
  const bar = progress('snapshot', given.json, () => world.monotonicMs());
  const done = await plainly(async () => {
    const place = await openPlace(url, { world, create: true, ...(parking?.s3 ? { s3: parking.s3 } : {}) });
    return createSnapshot(view, place, { now: world.now(), full: given.full, lookBack: true, progress: (n, of) => bar.at(n, of) });
  }).catch((error: unknown) => {
    throw error instanceof Forked ? new Failure(error.message) : error;
  });
  bar.end();
  const ms = Math.round(world.monotonicMs() - began);
  const host = config(view)?.document.host ?? '';
  const kit = made ? kitText(host, done.manifest.lineage, made.identity) : null;
  const { kind, manifest, written, reused, read } = done;
  if (given.json)
    printJsonLine({
      ok: true,
      id: idOf(manifest),
      kind,
      host,
      lineage: manifest.lineage,
      commit: manifest.commit,
      takenAt: manifest.takenAt,
      to: url,
      written,
      reused,
      read,
      ms,
      kit,
    });
  else {
    if (kind === 'same') print(`Nothing changed since snapshot ${idOf(manifest)} of ${host || data}: it stands.`);
    else
      print(
        `Snapshot ${idOf(manifest)} of ${host || data} is in ${url}: ${kind === 'base' ? 'all of it' : 'what changed'}, ${size(written)} written${reused > 0 ? `, ${size(reused)} used again` : ''}, in ${ms < 2_000 ? `${ms} ms` : span(ms)}.`,
      );
    if (kit !== null) print(`\n${kit}`);
  }
}

interface Ready {
  readonly data: string;
  readonly view: Reader & { snapshot(): Snapshot };
  /** The recovery kit, when it was made now. */
  readonly made: { readonly identity: string } | null;
}

/** The site of --data, with keys for its snapshots. */
async function withKeys(world: World, given: Arguments): Promise<Ready> {
  const site = await writeSite(world, given.data);
  if (site.view === null) throw new Failure(`${site.data} holds no site: name its --data`);
  const lineage = getRow(site.view, 'site', {})?.lineage ?? '';
  if (getRow(site.view, 'lineage', { lineage })) return { data: site.data, view: site.view, made: null };
  const { store, view } = await site.open();
  const made = await makeKeys(world, store, view);
  return { data: site.data, view, made };
}

async function makeKeys(world: World, store: Address<StoreProtocol>, view: Reader): Promise<{ identity: string } | null> {
  const answer = await store.ask('makeKeys', await keysFor(world, getRow(view, 'recovery', {})));
  if (isRefusal(answer)) throw new Failure(`the keys of the snapshots cannot be kept: ${answer.detail || answer.refused}`);
  return answer.made ? { identity: answer.identity } : null;
}

/** A place that root names and that is not there yet is made for the site's own user, who writes it. */
function giveFolder(url: string, data: string): void {
  if (process.getuid?.() !== 0 || !url.startsWith('/') || !existsSync(data)) return;
  const folder = url.endsWith('.tar') ? dirname(url) : url;
  if (existsSync(folder)) return;
  const { uid, gid } = statSync(data);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chownSync(folder, uid, gid);
}

export async function key(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  const site = await writeSite(world, given.data);
  if (site.view === null) throw new Failure(`${site.data} holds no site: name its --data`);
  const host = config(site.view)?.document.host ?? '';
  const lineage = getRow(site.view, 'site', {})?.lineage ?? '';
  let identity = getRow(site.view, 'lineage', { lineage }) && getRow(site.view, 'recovery', {})?.identity;
  if (identity === undefined) {
    const { store, view } = await site.open();
    await makeKeys(world, store, view);
    view.refresh();
    identity = getRow(view, 'recovery', {})?.identity ?? '';
  }
  if (given.json) printJsonLine({ host, lineage, identity });
  else print(kitText(host, lineage, identity));
}
