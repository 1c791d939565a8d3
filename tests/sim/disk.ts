// A disk that loses what was not flushed. Guarantees: a commit is visible and resolves at its flush step, not before;
// when its store dies first, it happened whole or not at all, as the seed says. Every version of every row is kept as
// long as a reader may look at it, so a reader that forgets `refresh` sees what it would see on LMDB.

import { assert } from '../../actors/assert.ts';
import { DiskFull, type Engine, type Reader, type Snapshot, type Write } from '../../storage/engine.ts';
import { octetText } from '../../storage/rows.ts';
import type { Life, Scheduler, Step } from './scheduler.ts';

interface Version {
  readonly commit: number;
  readonly value: Uint8Array | null;
}
interface Flight {
  readonly writes: readonly (readonly [string, Uint8Array | null])[];
  readonly life: Life;
  readonly step: Step;
}
/** Called at each durable commit with the rows it changed; throws when the history breaks a rule. */
export type Watcher = (changes: readonly Changed[]) => void;
export interface Changed {
  readonly key: Uint8Array;
  readonly was: Uint8Array | null;
  readonly now: Uint8Array | null;
}

const toOctets = (key: string): Uint8Array => new Uint8Array(Buffer.from(key, 'latin1'));

export class SimDisk {
  /** Octets of rows for which there is still room in a commit; a bigger one is refused. */
  room = Number.POSITIVE_INFINITY;
  /** The next flush fails as a broken disk does. */
  failNextSync = false;
  commits = 0;
  lastCommit = 0;
  watcher: Watcher = () => {};
  protected readonly scheduler: Scheduler;
  protected readonly rows = new Map<string, Version[]>();
  protected keys: string[] = [];
  private readonly readers = new Set<SimReader>();
  private flight: Flight | null = null;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** What a process reads by. */
  reader(life: Life): SimReader {
    return this.open(life);
  }

  /** Another disk with what is durable on this one now. */
  copy(): SimDisk {
    const other = new SimDisk(this.scheduler);
    for (const [key, versions] of this.rows) {
      const { value } = versions.at(-1) as Version;
      if (value !== null) other.rows.set(key, [{ commit: 0, value }]);
    }
    other.keys = [...other.rows.keys()].sort();
    return other;
  }

  /** A reader that stays where `at` is. */
  pin(at: SimReader): Snapshot {
    const pinned = this.open(at.life);
    pinned.commit = at.commit;
    return {
      get: (key) => pinned.get(key),
      peek: (key) => pinned.peek(key),
      range: (from, to, options) => pinned.range(from, to, options),
      keys: (from, to) => pinned.keys(from, to),
      refresh: () => {},
      release: () => void this.readers.delete(pinned),
    };
  }

  /** What the store writes by. */
  engine(life: Life): Engine {
    const reader = this.open(life);
    let broken = false;
    return {
      name: 'sim',
      get: (key) => reader.get(key),
      peek: (key) => reader.peek(key),
      range: (from, to, options) => reader.range(from, to, options),
      keys: (from, to) => reader.keys(from, to),
      refresh: () => reader.refresh(),
      readersGone: () => {},
      commit: (writes) => {
        assert(!broken, 'a failed sync is never retried');
        return this.commit(life, writes, reader).catch((error: unknown) => {
          broken ||= !(error instanceof DiskFull);
          throw error;
        });
      },
    };
  }

  /** The process that wrote is gone, or the power is: what was in flight happened, or it did not. */
  lose(): void {
    const flight = this.flight;
    if (!flight) return;
    this.flight = null;
    this.scheduler.cancel(flight.step);
    const happened = this.scheduler.random.chance(0.5);
    this.scheduler.note(happened ? 'flight kept' : 'flight lost');
    if (happened) this.apply(this.survives(flight.writes));
  }

  /** What is left of a commit that was in flight, when it happened. */
  protected survives(writes: Flight['writes']): Flight['writes'] {
    return writes;
  }

  protected notice(changes: readonly Changed[]): void {
    this.watcher(changes);
  }

  /** A reader's process is gone. */
  forget(life: Life): void {
    for (const reader of this.readers) if (reader.life === life) this.readers.delete(reader);
  }

  version(key: string, commit: number): Uint8Array | null {
    const versions = this.rows.get(key);
    if (!versions) return null;
    for (let i = versions.length - 1; i >= 0; i--) {
      const v = versions[i] as Version;
      if (v.commit <= commit) return v.value;
    }
    return null;
  }

  /** First position of `keys` at or after `key`. */
  position(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.keys[mid] as string) < key) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  keyAt(position: number): string | undefined {
    return this.keys[position];
  }

  get stepNumber(): number {
    return this.scheduler.steps;
  }

  protected commit(life: Life, writes: readonly Write[], reader: SimReader): Promise<void> {
    assert(this.flight === null, 'one commit at a time');
    const copies = writes.map(([key, value]) => [octetText(key), value === null ? null : new Uint8Array(value)] as const);
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      const delay = scheduler.delay(scheduler.pace.flushUs);
      if (copies.reduce((sum, [, value]) => sum + (value?.length ?? 0), 0) > this.room) {
        scheduler.at(delay, 'disk full', life, () => reject(new DiskFull('simulated')));
        return;
      }
      const step = scheduler.at(delay, 'flush', life, () => {
        if (this.failNextSync) {
          this.failNextSync = false;
          this.lose();
          reject(new Error('EIO: simulated'));
          return;
        }
        this.flight = null;
        this.apply(copies);
        reader.refresh();
        resolve();
      });
      this.flight = { writes: copies, life, step };
    });
  }

  protected apply(writes: readonly (readonly [string, Uint8Array | null])[]): void {
    const commit = ++this.lastCommit;
    this.commits++;
    let oldest = commit - 1;
    for (const reader of this.readers) oldest = Math.min(oldest, reader.commit);
    const changes: Changed[] = [];
    for (const [key, value] of writes) {
      let versions = this.rows.get(key);
      if (!versions) {
        if (value === null) continue;
        versions = [];
        this.rows.set(key, versions);
        this.keys.splice(this.position(key), 0, key);
      }
      const was = versions.at(-1)?.value ?? null;
      versions.push({ commit, value });
      while (versions.length > 1 && (versions[1] as Version).commit <= oldest) versions.shift();
      this.scheduler.note(key, value ?? undefined);
      changes.push({ key: toOctets(key), was, now: value });
    }
    this.notice(changes);
  }

  private open(life: Life): SimReader {
    const reader = new SimReader(this, life);
    this.readers.add(reader);
    return reader;
  }
}

export class SimReader implements Reader {
  commit: number;
  readonly life: Life;
  private readonly disk: SimDisk;
  private lent: Uint8Array | null = null;

  constructor(disk: SimDisk, life: Life) {
    this.disk = disk;
    this.life = life;
    this.commit = disk.lastCommit;
  }

  refresh(): void {
    this.recall();
    this.commit = this.disk.lastCommit;
  }

  snapshot(): Snapshot {
    return this.disk.pin(this);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.recall();
    return this.disk.version(octetText(key), this.commit)?.slice();
  }

  peek(key: Uint8Array): Uint8Array | undefined {
    const value = this.get(key);
    this.lent = value ?? null;
    return value;
  }

  *range(from: Uint8Array, to: Uint8Array, options?: { readonly reverse?: boolean; readonly limit?: number }): Generator<readonly [Uint8Array, Uint8Array]> {
    this.recall();
    const { disk, commit } = this;
    const started = disk.stepNumber;
    const end = octetText(to);
    const low = octetText(from);
    const reverse = options?.reverse === true;
    let left = options?.limit ?? Number.POSITIVE_INFINITY;
    let at = reverse ? disk.position(end) - 1 : disk.position(low);
    for (; left > 0; at += reverse ? -1 : 1) {
      const key = at < 0 ? undefined : disk.keyAt(at);
      if (key === undefined || (reverse ? key < low : key >= end)) return;
      const value = disk.version(key, commit);
      if (value === null) continue;
      left--;
      yield [toOctets(key), value.slice()];
      assert(disk.stepNumber === started, 'a range is consumed without an await');
    }
  }

  *keys(from: Uint8Array, to: Uint8Array): Generator<Uint8Array> {
    for (const [key] of this.range(from, to)) yield key;
  }

  /** What `peek` lent is good until the next read: spoil it, so that nobody keeps it. */
  private recall(): void {
    this.lent?.fill(0xee);
    this.lent = null;
  }
}
