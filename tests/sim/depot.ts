// A simulated place for snapshots, shared by machines. Guarantees: an object is there whole or not at all, and for good
// once its `put` was answered; a request takes effect at one step and is answered at a later one; when it fails, or its
// process dies in between, it happened or it did not, and may do so late.

import { PlaceError, type Place, type Stored } from '../../storage/snapshot/place.ts';
import type { Life, Scheduler } from './scheduler.ts';
import { EPOCH_MS } from './world.ts';

/** Sees each effect, when it has taken place. Throws when it breaks a rule. */
export interface DepotWatcher {
  /** `seen`: when its process last looked for each object, all since it put the last one. */
  put(name: string, octets: Uint8Array, by: Life, seen: ReadonlyMap<string, number>): void;
  /** `unknowing`: its process looked at the object right before, and it was put anew only then. */
  removed(name: string, octets: Uint8Array, unknowing: boolean): void;
}
export interface Kept {
  readonly octets: Uint8Array;
  readonly modifiedMs: number;
  readonly putUs: number;
}

/** Names of one page of a listing. */
const pageSize = 7;

export class Depot {
  readonly objects = new Map<string, Kept>();
  /** Of requests that fail. */
  failChance = 0;
  watcher: DepotWatcher = { put: () => {}, removed: () => {} };
  private readonly seen = new WeakMap<Life, Map<string, number>>();
  /** What a process listed last. */
  private readonly listed = new WeakMap<Life, { readonly names: ReadonlySet<string>; readonly atUs: number }>();
  private readonly scheduler: Scheduler;
  private readonly paceUs: number;
  private readonly outside: Life = { name: 'depot', alive: true };

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
    this.paceUs = scheduler.random.pick([200, 2_000, 20_000, 80_000]);
  }

  /** The place as a process sees it. */
  open(life: Life): Place {
    return {
      url: 'depot',
      put: (name, octets) => this.request(life, `put ${name}`, () => this.put(name, octets, life)),
      get: (name) => this.request(life, `get ${name}`, () => this.objects.get(name)?.octets.slice() ?? null),
      size: (name) => this.request(life, `size ${name}`, () => this.size(name, life)),
      list: (prefix) => this.list(life, prefix),
      remove: (name) => this.request(life, `remove ${name}`, () => this.remove(name, life)),
    };
  }

  /** The place as it is now, for who looks at it between two steps: everything is answered at once. */
  still(): Place {
    const { objects } = this;
    const no = (): Promise<never> => Promise.reject(new Error('a still place is only read'));
    return {
      url: 'depot',
      put: no,
      remove: no,
      get: async (name) => objects.get(name)?.octets.slice() ?? null,
      size: async (name) => objects.get(name)?.octets.length ?? null,
      list: async function* (this: Depot, prefix: string) {
        yield* this.page(prefix, '', Number.POSITIVE_INFINITY);
      }.bind(this),
    };
  }

  get nowUs(): number {
    return this.scheduler.nowUs;
  }

  names(prefix: string): string[] {
    return [...this.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  private put(name: string, octets: Uint8Array, by: Life): void {
    const copy = new Uint8Array(octets);
    const { nowUs, jumpedMs } = this.scheduler;
    this.objects.set(name, { octets: copy, modifiedMs: EPOCH_MS + jumpedMs + Math.floor(nowUs / 1000), putUs: nowUs });
    this.scheduler.note(name, copy);
    const seen = this.seen.get(by) ?? new Map<string, number>();
    if (name.startsWith('objects/')) seen.clear();
    this.watcher.put(name, copy, by, seen);
  }

  private size(name: string, by: Life): number | null {
    const seen = this.seen.get(by) ?? new Map<string, number>();
    this.seen.set(by, seen.set(name, this.scheduler.nowUs));
    return this.objects.get(name)?.octets.length ?? null;
  }

  private remove(name: string, by: Life): void {
    const kept = this.objects.get(name);
    this.objects.delete(name);
    const last = this.listed.get(by);
    if (kept) this.watcher.removed(name, kept.octets, last?.names.has(name) === true && kept.putUs > last.atUs);
  }

  private page(prefix: string, after: string, limit: number): Stored[] {
    return this.names(prefix)
      .filter((name) => name > after)
      .slice(0, limit)
      .map((name) => {
        const { octets, modifiedMs } = this.objects.get(name) as Kept;
        return { name, size: octets.length, modifiedMs };
      });
  }

  private async *list(life: Life, prefix: string): AsyncGenerator<Stored, void, undefined> {
    for (let after = ''; ; ) {
      const from = after;
      const page = await this.request(life, `list ${prefix}`, () => {
        const found = this.page(prefix, from, pageSize);
        this.listed.set(life, { names: new Set(found.map(({ name }) => name)), atUs: this.scheduler.nowUs });
        return found;
      });
      yield* page;
      const last = page.at(-1);
      if (!last || page.length < pageSize) return;
      after = last.name;
    }
  }

  private request<T>(life: Life, what: string, effect: () => T): Promise<T> {
    const { scheduler, paceUs } = this;
    const { random } = scheduler;
    const fails = random.chance(this.failChance);
    const refused = fails && random.chance(0.5);
    return new Promise((resolve, reject) => {
      const answer = (run: () => void): void => void scheduler.at(scheduler.delay(paceUs), `${what}: answered`, life, run);
      scheduler.at(scheduler.delay(paceUs), what, this.outside, () => {
        if (!life.alive && random.chance(0.5)) return; // it was never sent
        if (refused) return answer(() => reject(new PlaceError(`${what}: simulated`)));
        const value = effect();
        answer(() => (fails ? reject(new PlaceError(`${what}: the answer was lost, simulated`)) : resolve(value)));
      });
    });
  }
}
