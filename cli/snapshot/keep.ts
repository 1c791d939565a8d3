// `mailsite snapshot export` and `snapshot prune`.

import { realWorld } from '../../actors/platform.ts';
import { lineageName, objectName } from '../../storage/snapshot/manifest.ts';
import { openPlace, type Place } from '../../storage/snapshot/place.ts';
import { prune } from '../../storage/snapshot/prune.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { objectsOf } from '../../storage/snapshot/verify.ts';
import type { Arguments } from '../arguments.ts';
import { complain, count, print, printJsonLine, progress, size, UsageError } from '../output.ts';
import { absolute, chosen, fromPlace, idOf, plainly } from './source.ts';

export async function exportOne(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  if (given.to === undefined || !given.to.endsWith('.tar')) throw new UsageError('name the file that it goes to: --to FILE.tar');
  const to = absolute(given.to);
  await plainly(async () => {
    const place = await fromPlace(world, given);
    const { name, manifest } = await chosen(world, place, given);
    const target = await openPlace(to, { world, create: true });
    const objects = await objectsOf(place, manifest);
    const of = objects.reduce((sum, [, octets]) => sum + octets, 0);
    const bar = progress('export', given.json, () => world.monotonicMs());
    let done = 0;
    await copy(place, target, lineageName(manifest.lineage), null);
    for (const [hash, octets] of objects) {
      await copy(place, target, objectName(hash), octets);
      bar.at((done += octets), of);
    }
    await copy(place, target, name, null); // last: then it is whole
    bar.end();
    if (given.json) printJsonLine({ ok: true, id: idOf(manifest), to, objects: objects.length, octets: of });
    else print(`Snapshot ${idOf(manifest)} is in ${to}: ${count(objects.length, 'object')}, ${size(of)}.`);
  });
}

/** Skipped where it is there already, so that an export that was cut off goes on. */
async function copy(from: Place, to: Place, name: string, octets: number | null): Promise<void> {
  const there = await to.size(name);
  if (there !== null && (octets === null || there === octets)) return;
  const found = await from.get(name);
  if (found === null) throw new Damaged(`${name} is not in ${from.url}`);
  await to.put(name, found);
}

export async function pruneOld(given: Arguments): Promise<undefined> {
  const world = realWorld(() => {});
  const { removed, kept, objects, octets, spared } = await plainly(async () => prune(await fromPlace(world, given), world.now(), given.dryRun));
  if (given.json) printJsonLine({ ok: true, dryRun: given.dryRun, removed, kept, objects, octets, spared });
  else
    print(
      `${given.dryRun ? 'Would remove' : 'Removed'} ${count(removed.length, 'snapshot')} and ${count(objects, 'object')} that no snapshot needs (${size(octets)}); ${count(kept, 'snapshot')} stay${kept === 1 ? 's' : ''}.`,
    );
  if (spared !== null && !given.json) complain(`no object was removed, because a snapshot that stays cannot be read: ${spared}`);
}
