// The snapshots of a site as its portal knows them: sizes, times and commits, by manifests only. Guarantees: a row is there
// for a manifest that is there and whose signature holds; old ones go by age (storage/snapshot/retention.ts), the newest
// whole one never.

import { LinkLost } from '../../actors/actor.ts';
import { manifestName, readManifest } from '../../storage/snapshot/manifest.ts';
import { prune } from '../../storage/snapshot/prune.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { objectsOf } from '../../storage/snapshot/verify.ts';
import { type Place, PlaceError } from '../../storage/snapshot/place.ts';
import type { Grant } from '../grant.ts';
import { ordered } from './kinds.ts';
import { Busy } from './records.ts';
import { placeOf } from './objects.ts';
import type { Portal } from './process.ts';

/** Writes the row of a manifest that has come. What cannot be read is kept and not listed. */
export async function noteManifest({ records }: Portal, grant: Grant, place: Place, name: string): Promise<void> {
  try {
    const { lineage, commit, takenAt } = await readManifest(place, name);
    const size = await octetsOf(place, name);
    await records.transact(async (tx) => {
      const id = [grant.site, ordered(grant.epoch), ordered(commit)];
      const was = await tx.get('snapshot', ...id);
      if (was !== undefined) return; // another history with this number hides none that was there
      tx.put('snapshot', id, { name, lineage, epoch: grant.epoch, commit, at: takenAt, size, by: grant.machine, proven: '' });
    });
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
  }
}

/** Of all objects that a snapshot names. */
async function octetsOf(place: Place, name: string): Promise<number> {
  return (await objectsOf(place, await readManifest(place, name))).reduce((sum, [, size]) => sum + size, 0);
}

const HOUR_MS = 3_600_000;

/** Old snapshots of every site go, each hour. Several processes may do so at once: what one has removed is gone for the other. */
export async function pruneForever(portal: Portal): Promise<never> {
  const { world } = portal;
  for (;;) {
    await world.sleep(HOUR_MS / 2 + (HOUR_MS / 2) * ((world.random(1)[0] as number) / 255));
    for (let after: readonly string[] | undefined; ; ) {
      const sites = await portal.records.list('siteOf', [], { limit: 100, ...(after === undefined ? {} : { after }) });
      for (const { id } of sites) await pruneQuietly(portal, id[0] as string);
      after = sites.at(-1)?.id;
      if (after === undefined) break;
    }
  }
}

/** What is wrong with the place of one site keeps no other from being pruned. */
async function pruneQuietly(portal: Portal, site: string): Promise<void> {
  try {
    await pruneSite(portal, site);
  } catch (error) {
    if (!(error instanceof PlaceError || error instanceof Busy || error instanceof Damaged || error instanceof LinkLost)) throw error;
    portal.world.log('snapshot.failed', { to: site, error: error.message });
  }
}

/** Returns how many snapshots went. */
export async function pruneSite(portal: Portal, site: string): Promise<number> {
  const place = await placeOf(portal, site);
  const { removed, kept, octets } = await prune(place, portal.world.now(), false, true);
  if (removed.length === 0) return 0;
  portal.world.log('snapshot.pruned', { to: place.url, removed: removed.length, kept, octets });
  const gone = new Set(removed);
  for (let after: readonly string[] | undefined; ; ) {
    const rows = await portal.records.list('snapshot', [site], { limit: 500, ...(after === undefined ? {} : { after }) });
    after = rows.at(-1)?.id;
    if (after === undefined) return removed.length;
    await portal.records.transact(async (tx) => {
      for (const { id, body } of rows) if (gone.has(manifestName(body.lineage, body.commit))) tx.remove('snapshot', ...id);
    });
  }
}
