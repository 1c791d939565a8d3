// Is a snapshot good? Without its key: the signature, and every object there, by size or (deep) by hash. With the key, deep:
// everything decrypted, decoded, built up in a scratch engine and held against every rule. Only that proves a restore.

import { Damaged } from './seal.ts';
import { type Listed, listCatalog, type Manifest, missingObjects, objectName, readManifest, readObject } from './manifest.ts';
import type { Place } from './place.ts';

export interface Verified {
  readonly manifest: Manifest | null;
  /** What is wrong, a line each; none: it is good as far as was looked. */
  readonly problems: readonly string[];
  readonly objects: number;
  readonly octets: number;
}

/** Every object of a snapshot, the catalog first. Throws Damaged when the catalog cannot be read. */
export async function objectsOf(place: Place, manifest: Manifest): Promise<Listed[]> {
  const all = new Map<string, Listed>([[manifest.catalog[0], manifest.catalog]]);
  for (const object of [...(await listCatalog(place, manifest.catalog)), ...manifest.increments.flatMap((i) => i.objects)]) all.set(object[0], object);
  return [...all.values()];
}

/** Without the key. `deep`: the octets of every object are read and hashed. */
export async function verifyPresence(place: Place, name: string, deep: boolean, progress: (done: number, of: number) => void): Promise<Verified> {
  const problems: string[] = [];
  let manifest: Manifest | null = null;
  let objects: Listed[] = [];
  try {
    manifest = await readManifest(place, name);
    objects = await objectsOf(place, manifest);
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    problems.push(error.message);
  }
  const octets = objects.reduce((sum, [, size]) => sum + size, 0);
  for (const [hash] of await missingObjects(place, objects)) problems.push(`${objectName(hash)} is not there, or has another size`);
  let done = 0;
  for (const object of deep && problems.length === 0 ? objects : []) {
    try {
      await readObject(place, object);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      problems.push(error.message);
    }
    progress((done += object[1]), octets);
  }
  return { manifest, problems, objects: objects.length, octets };
}
