// `mailsite snapshot verify`: exit code 1 and a line on stderr for each problem. With its key and --deep the snapshot is
// restored into a scratch folder, checked by every rule down to the hash of every body, and thrown away.

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '../../actors/limits.ts';
import { realWorld } from '../../actors/platform.ts';
import type { World } from '../../actors/world.ts';
import { DiskFull } from '../../storage/engine.ts';
import { defaultEngine, loadEngine } from '../../storage/engines/open.ts';
import { memoryEngine } from '../../storage/engines/memory.ts';
import { manifestNames } from '../../storage/snapshot/manifest.ts';
import type { Place } from '../../storage/snapshot/place.ts';
import { openSnapshot } from '../../storage/snapshot/read.ts';
import { NotTheSame, restoreSnapshot } from '../../storage/snapshot/restore.ts';
import { Damaged } from '../../storage/snapshot/seal.ts';
import { verifyAll, verifyPresence } from '../../storage/snapshot/verify.ts';
import type { Arguments } from '../arguments.ts';
import { complain, count, Failure, print, printJsonLine, progress, size, UsageError } from '../output.ts';
import { dataDirectory, place as paths } from '../place.ts';
import { scratch } from './scratch.ts';
import { chosen, dataKey, type Found, fromPlace, idOf, plainly } from './source.ts';

/** Mail comes first: this process waits for it, and goes where memory is short. Where the system does not let us, it does not. */
export function giveWay(): void {
  for (const step of [() => setPriority(constants.priority.PRIORITY_LOW), () => writeFileSync('/proc/self/oom_score_adj', '1000')]) {
    try {
      step();
    } catch {
      // a sandbox or a container may refuse it
    }
  }
}

export async function verify(given: Arguments): Promise<number> {
  const world = realWorld(() => {});
  giveWay(); // a site may be serving beside it
  return plainly(async () => {
    const place = await fromPlace(world, given);
    if (given.all) return everyOne(world, place, given);
    const found = await chosen(world, place, given);
    const bar = progress('reading objects', given.json, () => world.monotonicMs());
    const present = await verifyPresence(place, found.name, given.deep, (done, of) => bar.at(done, of));
    bar.end();
    const key = await dataKey(world, place, found.manifest, given, false);
    const problems = [...present.problems];
    let proof: 'presence' | 'hashes' | 'restored' = given.deep ? 'hashes' : 'presence';
    if (key !== null && problems.length === 0) {
      if (given.deep) {
        const second = progress('building it up', given.json, () => world.monotonicMs());
        problems.push(...(await roomy(() => rehearse(world, place, found, key, given, (done, of) => second.at(done, of)))));
        second.end();
        proof = 'restored';
      } else await openSnapshot(place, found.manifest, key);
    }
    const ok = problems.length === 0;
    const { objects, octets } = present;
    if (given.json)
      printJsonLine({
        ok,
        id: idOf(found.manifest),
        commit: found.manifest.commit,
        takenAt: found.manifest.takenAt,
        proof,
        withKey: key !== null,
        objects,
        octets,
        problems,
      });
    else {
      for (const problem of problems) complain(problem);
      if (ok)
        print(
          `Good: snapshot ${idOf(found.manifest)}, ${count(objects, 'object')}, ${size(octets)}: ${said[proof]}${key === null ? '; its key was not given' : ''}.`,
        );
    }
    return ok ? 0 : 1;
  });
}

/** `--all`. Nothing is built up: that is for one snapshot at a time. */
async function everyOne(world: World, place: Place, given: Arguments): Promise<number> {
  for (const name of ['at', 'key'] as const) if (given.named.includes(name)) throw new UsageError(`--${name} does not go with --all`);
  const names = await manifestNames(place);
  if (names.length === 0) throw new Failure(`${place.url} holds no snapshot: name the place in which they are`);
  const bar = progress('snapshots', given.json, () => world.monotonicMs());
  const { snapshots, bad, objects, octets } = await verifyAll(place, names, given.deep, (done, of) => bar.at(done, of));
  bar.end();
  const proof = given.deep ? 'hashes' : 'presence';
  const ok = bad.length === 0;
  const named = bad.map(({ name, problems }) => ({ id: idOfName(name), problems }));
  if (given.json) printJsonLine({ ok, snapshots, bad: named, proof, objects, octets });
  else {
    for (const { id, problems } of named) complain(`snapshot ${id}: ${problems[0]}${problems.length > 1 ? `, and ${problems.length - 1} more` : ''}`);
    const all = `${count(snapshots, 'snapshot')}, ${count(objects, 'object')}, ${size(octets)}`;
    print(ok ? `Good: ${all}: ${said[proof]}.` : `Not good: ${count(bad.length, 'snapshot')} of ${all}.`);
  }
  return ok ? 0 : 1;
}

function idOfName(name: string): string {
  const [, lineage = '', commit] = name.split('/');
  return idOf({ lineage, commit: Number(commit) });
}

const said = {
  presence: 'signed, and every object is there; --deep reads them',
  hashes: 'signed, and every object has its hash',
  restored: 'restored, and every rule holds, down to the hash of every body',
} as const;

async function roomy<T>(build: () => Promise<T>): Promise<T> {
  try {
    return await build();
  } catch (error) {
    if (error instanceof DiskFull) throw new Failure('there is no room for the site that is built up: free some, or set TMPDIR to another disk');
    throw error;
  }
}

/** What is wrong with the site that comes out of it; it is built beside the site of --data, where there is one, or where TMPDIR says. Throws DiskFull. */
export async function rehearse(
  world: World,
  place: Place,
  { manifest }: Found,
  key: Uint8Array,
  given: Arguments,
  step: (done: number, of: number) => void,
): Promise<string[]> {
  const snapshot = await openSnapshot(place, manifest, key);
  const site = join(dataDirectory(given.data), paths.tmp);
  const inMemory = !existsSync(site) && snapshot.packOctets + snapshot.secrets.rowOctets <= limits.verifyInMemory;
  const folder = inMemory ? null : scratch(process.env['TMPDIR'] === undefined && existsSync(site) ? site : tmpdir());
  const engine = folder === null ? inMemoryOnly() : await loadEngine(folder, defaultEngine, false);
  try {
    const { problems } = await restoreSnapshot(engine, snapshot, { world, lineage: 'verify', deep: true, progress: step });
    return problems.map(({ rule, what }) => `${rule}: ${what}`);
  } catch (error) {
    if (error instanceof Damaged || error instanceof NotTheSame) return [error.message];
    throw error;
  } finally {
    await engine.close();
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

/** Away from a site there may be no private disk. */
const inMemoryOnly = () => ({ ...memoryEngine(), close: async () => {} });
