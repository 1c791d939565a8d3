// A place in memory, for tests: it forgets what was not put whole, fails when told to, and says what it was asked.

import type { Place } from '../../../storage/snapshot/place.ts';

export class Shelf implements Place {
  readonly url = 'shelf';
  readonly objects = new Map<string, Uint8Array>();
  readonly modified = new Map<string, number>();
  puts = 0;
  now = 0;
  /** The put of this number and all after it fail, as when the process is killed there. */
  failFrom = Number.POSITIVE_INFINITY;

  async put(name: string, octets: Uint8Array): Promise<void> {
    if (++this.puts >= this.failFrom) throw new Cut();
    this.objects.set(name, new Uint8Array(octets));
    this.modified.set(name, this.now);
  }
  async get(name: string): Promise<Uint8Array | null> {
    return this.objects.has(name) ? new Uint8Array(this.objects.get(name) as Uint8Array) : null;
  }
  async size(name: string): Promise<number | null> {
    return this.objects.get(name)?.length ?? null;
  }
  async *list(prefix: string) {
    for (const name of [...this.objects.keys()].filter((n) => n.startsWith(prefix)).sort())
      yield { name, size: this.objects.get(name)?.length ?? 0, modifiedMs: this.modified.get(name) ?? 0 };
  }
  async remove(name: string): Promise<void> {
    this.objects.delete(name);
  }
  get octets(): number {
    let sum = 0;
    for (const object of this.objects.values()) sum += object.length;
    return sum;
  }
}

export class Cut extends Error {}
