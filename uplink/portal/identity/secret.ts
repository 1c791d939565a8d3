// Names and secrets of a portal. Guarantees: an id cannot be guessed; of a secret that a stranger shows only its hash is
// kept, and it is long enough that the hash tells nothing of it.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { World } from '../../../actors/world.ts';

const text = (world: World, octets: number): string => Buffer.from(world.random(octets)).toString('base64url');

export const newId = (world: World): string => text(world, 16);
/** 256 bits in 43 characters of base64url. */
export const newSecret = (world: World): string => text(world, 32);
/** SHA-256 in hexadecimal. */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Takes the same time wherever two texts of one length differ. */
export function sameText(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/** 32 letters and digits that nobody takes for another: five bits each. */
const letters = 'abcdefghijkmnpqrstuvwxyz23456789';

/** Something to be read and typed by a person: `groups` of `length` letters, five bits each. */
export function readableSecret(world: World, groups: number, length: number): string {
  const all = [...world.random(groups * length)].map((octet) => letters[octet & 31]);
  return Array.from({ length: groups }, (_, i) => all.slice(i * length, (i + 1) * length).join('')).join('-');
}
