// The hidden verb `prove`: restores the newest snapshot of the site of --data, and says what came of it in one line of JSON
// (proving.ts). Guarantees: it ends with the process that started it; mail comes first, also for the disk; what says nothing
// of the snapshot (a place that is away, no room, one that was pruned meanwhile) is not taken for its fault.

import { statfsSync } from 'node:fs';
import { dieWithParent } from '../../actors/children.ts';
import { AssertionError } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import { DiskFull } from '../../storage/engine.ts';
import { RowDamaged } from '../../storage/rows.ts';
import { manifestNames, readManifest } from '../../storage/snapshot/manifest.ts';
import { type Place, PlaceError } from '../../storage/snapshot/place.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import type { Arguments } from '../arguments.ts';
import { Failure, printJsonLine, UsageError } from '../output.ts';
import { fromPlace, idOf, localSite } from './source.ts';
import { giveWay, rehearse } from './verify.ts';

type Outcome =
  | { readonly state: 'proven'; readonly commit: number; readonly takenAt: number }
  /** There is no snapshot of this site. */
  | { readonly state: 'none'; readonly problem: string }
  | { readonly state: 'failed' | 'untried'; readonly problem: string };
const untried = (problem: string): Outcome => ({ state: 'untried', problem });

export async function prove(given: Arguments): Promise<number> {
  dieWithParent();
  if (process.ppid !== given.supervisor) return 1;
  giveWay();
  printJsonLine(
    await outcome(
      realWorld(() => {}),
      given,
    ),
  );
  return 0;
}

async function outcome(world: World, given: Arguments): Promise<Outcome> {
  let place: Place;
  try {
    place = await fromPlace(world, given);
  } catch (error) {
    if (error instanceof UsageError) return untried('this site keeps no snapshots: name a place for them in its configuration, or join it to a portal');
    if (error instanceof PlaceError || error instanceof Failure) return untried(error.message);
    throw error;
  }
  let name: string | undefined;
  try {
    const local = await localSite(world, given);
    if (local === null) return untried('the data of the site cannot be read');
    name = (await manifestNames(place, local.lineage)).at(-1);
    if (name === undefined) return { state: 'none', problem: `${place.url} holds no snapshot of this site` };
    const manifest = await readManifest(place, name);
    const key = local.keys.get(manifest.lineage);
    if (key === undefined) return untried('the site has no key for its snapshots yet');
    const [problem] = await rehearse(world, place, { name, manifest }, key, given, leaveRoom);
    if (problem === undefined) return { state: 'proven', commit: manifest.commit, takenAt: manifest.takenAt };
    return await unlessPruned(place, name, `snapshot ${idOf(manifest)}: ${problem}`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof DiskFull) return noRoom();
    const about = error instanceof Damaged || error instanceof RowDamaged || error instanceof AssertionError;
    return about && name !== undefined ? unlessPruned(place, name, error.message) : untried(error.message);
  }
}

/** What is older than a day may go while it is read. */
async function unlessPruned(place: Place, name: string, problem: string): Promise<Outcome> {
  try {
    if ((await place.size(name)) !== null) return { state: 'failed', problem };
    return untried('the snapshot was pruned while it was restored');
  } catch (error) {
    if (error instanceof PlaceError) return untried(error.message);
    throw error;
  }
}

const noRoom = (): Outcome => untried('the disk of the site has no room left to restore a snapshot beside it');

function leaveRoom(): void {
  const { bavail, bsize } = statfsSync('.');
  if (bavail * bsize < limits.proofLeaves) throw new DiskFull('mail needs what is left');
}
