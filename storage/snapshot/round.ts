// The round of a place: every object that lies there is read and hashed, a share at a time, all of them within a week.
// Guarantees: what has rotted is found without anybody asking; a look holds one object in memory, and pauses after each; from a
// bucket, where reading costs, a look reads a bounded number of octets.

import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';
import type { Place } from './place.ts';

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
  const names: string[] = [];
  const prefix = `objects/${(shelf % shelves).toString(16).padStart(2, '0')}/`;
  for await (const { name } of place.list(prefix)) if (/\/[0-9a-f]{64}$/.test(name)) names.push(name);
  const rotten: string[] = [];
  const [a = 0, b = 0] = world.random(2);
  const first = place.far === true ? a * 256 + b : 0; // another share each time
  let octets = 0;
  for (let i = 0; i < names.length && !(place.far === true && octets >= limits.placeLookOctets); i++) {
    const name = names[(first + i) % names.length] as string;
    const found = await place.get(name);
    if (found === null) continue; // pruned meanwhile
    octets += found.length;
    const hash = name.slice(-64);
    if (new Bun.CryptoHasher('sha256').update(found).digest('hex') !== hash) rotten.push(hash);
    await world.sleep(pauseMs);
  }
  return rotten;
}
