// Is a snapshot good? Without its key: the signature, and every object there, by size or (deep) by hash. With the key, deep:
// everything decrypted, decoded, built up in a scratch engine and held against every rule. Only that proves a restore.

import { Damaged } from './seal.ts';
import { type Listed, listCatalog, type Manifest, missingObjects, objectName, readManifest, readObject, rottenObjects } from './manifest.ts';
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

export interface VerifiedAll {
  readonly snapshots: number;
  readonly bad: readonly { readonly name: string; readonly problems: readonly string[] }[];
  readonly objects: number;
  readonly octets: number;
}

/**
 * Every snapshot of these names, without the key, as verifyPresence does. An object that several of them share is looked at
 * once; of a manifest nothing is held.
 */
export async function verifyAll(place: Place, names: readonly string[], deep: boolean, progress: (done: number, of: number) => void): Promise<VerifiedAll> {
  const wrong = new Map<string, string>();
  const seen = new Set<string>();
  const bad: { name: string; problems: string[] }[] = [];
  let octets = 0;
  const look = async (objects: readonly Listed[]): Promise<string[]> => {
    const fresh = objects.filter(([hash]) => !seen.has(hash));
    for (const [hash, size] of fresh) {
      seen.add(hash);
      octets += size;
    }
    for (const [hash] of await missingObjects(place, fresh)) wrong.set(hash, `${objectName(hash)} is not there, or has another size`);
    const whole = fresh.filter(([hash]) => !wrong.has(hash));
    for (const [hash] of deep ? await rottenObjects(place, whole) : []) wrong.set(hash, `${objectName(hash)} is not what its name says`);
    return objects.flatMap(([hash]) => wrong.get(hash) ?? []);
  };
  let base = null as { readonly catalog: string; readonly problems: readonly string[] } | null;
  for (const [i, name] of names.entries()) {
    try {
      const { catalog, increments } = await readManifest(place, name);
      // one base after the other: what is wrong with it is told once for all that build on it
      if (base?.catalog !== catalog[0]) base = { catalog: catalog[0], problems: await look([catalog, ...(await listCatalog(place, catalog))]) };
      const problems = [...base.problems, ...(await look(increments.flatMap((increment) => increment.objects)))];
      if (problems.length > 0) bad.push({ name, problems });
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      bad.push({ name, problems: [error.message] });
    }
    progress(i + 1, names.length);
  }
  return { snapshots: names.length, bad, objects: seen.size, octets };
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
