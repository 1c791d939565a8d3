// The round of a place: every object that lies there is read and hashed, a share at a time, all of them within a week.
// Guarantees: what has rotted is found without anybody asking; a look holds one object in memory, and pauses after each; from a
// bucket, where reading costs, a look reads a bounded number of octets.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import { rottenObjects } from './manifest.ts';
import type { Place, Stored } from './place.ts';

/** Objects lie on as many shelves as there are first octets of a hash. */
const shelves = 256;
const roundMs = 7 * 24 * 3_600_000;
const shelfMs = roundMs / shelves;

/** Shelves are counted on from 1970: which is due now. */
export const dueShelf = (nowMs: number): number => Math.floor(nowMs / shelfMs);

/** The next one to look at, after a clock that may have jumped: at most a round behind. */
export const nextShelf = (next: number, due: number): number => Math.max(due - shelves + 1, Math.min(next, due + 1));

/** After each object: a place on the site's own disk reads as fast as mail is read. */
const pauseMs = 50;

/** The hashes of the objects of one shelf which are not what their names say. Throws what the place throws. */
export async function lookOver(world: Pick<World, 'sleep' | 'random'>, place: Place, shelf: number): Promise<string[]> {
  const found: Stored[] = [];
  const prefix = `objects/${(shelf % shelves).toString(16).padStart(2, '0')}/`;
  for await (const stored of place.list(prefix)) if (/\/[0-9a-f]{64}$/.test(stored.name)) found.push(stored);
  const rotten: string[] = [];
  const [a = 0, b = 0] = world.random(2);
  const first = place.far === true ? a * 256 + b : 0; // another share each time
  let octets = 0;
  for (let i = 0; i < found.length && !(place.far === true && octets >= limits.placeLookOctets); i++) {
    const { name, size } = found[(first + i) % found.length] as Stored;
    octets += size;
    const hash = name.slice(-64);
    const bad = (await rottenObjects(place, [[hash, size]])).length > 0;
    if (bad && (await place.size(name)) !== null) rotten.push(hash); // else it was pruned meanwhile
    await world.sleep(pauseMs);
  }
  return rotten;
}
