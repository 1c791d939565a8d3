// Passwords that were verified lately, so that a client which logs in again costs a MAC and not a hash of 27 ms. Nothing
// here can be turned back into a password: an entry is an HMAC under a key of this process, over the stored hash (so a
// changed password is forgotten by itself) and the password.

import { createHmac } from 'node:crypto';
import { limits } from '../../actors/limits.ts';
import type { World } from '../../actors/world.ts';

export class VerifiedPasswords {
  private readonly key: Uint8Array;
  /** In order of use, oldest first. */
  private readonly seen = new Set<string>();

  constructor(world: World) {
    this.key = world.random(32);
  }

  /** Names the pair of a stored hash and a password. A hash has no NUL in it. */
  nameOf(hash: string, password: string): string {
    return createHmac('sha256', this.key).update(`${hash}\0${password}`).digest('base64');
  }

  has(name: string): boolean {
    if (!this.seen.delete(name)) return false;
    this.seen.add(name);
    return true;
  }

  add(name: string): void {
    this.seen.add(name);
    if (this.seen.size <= limits.verifiedPasswords) return;
    for (const oldest of this.seen) {
      this.seen.delete(oldest);
      break;
    }
  }
}
