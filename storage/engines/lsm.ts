// LSM: RocksDB, one folder, for sites that write much. Guarantees: a commit that resolved is in the write-ahead log, synced;
// a commit that was refused for room wrote nothing; whatever else fails ends the process, and opening replays the log up to
// the first record that is not whole. Nothing depends on closing. One process opens it; others read through that process
// (remote.ts).
//
// A commit is one synchronous call (about 0.3 ms, most of it the sync): no commit can happen inside a synchronous run of
// reads, so that run sees one commit without asking. Buffers are flushed and files merged by threads of the library.

import { dlopen, FFIType } from 'bun:ffi';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { DiskFull, type Engine, type Reader, type Snapshot, type Write } from '../engine.ts';
import { cutTornEnd } from './manifest.ts';
import type { Binding, Database, RowPage } from './rocksdb.ts';

let rocksdb: Binding;

async function load(): Promise<Binding> {
  try {
    return (await import('./rocksdb.ts')).rocksdb;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? new DiskFull((error as Error).message) : error;
  }
}

export interface LsmEngine extends Engine {
  snapshot(): Snapshot;
  /** Grows with each row that is written. */
  sequence(): number;
  close(): Promise<void>;
}

const MiB = 1024 * 1024;

const options = {
  createIfMissing: true,
  parallelism: 2,
  // bodies are compressed already, and the log is short
  walCompression: false,
  // Universal merging writes less but needs twice the room now and then. Levels 0 and 1 are not compressed, the others with zstd, block by block
  // where it helps: index rows shrink to a third, bodies stay as they are.
  compaction: 'level',
  // Buffers of 8 MiB, at most six: what a start has to replay (below half a second), and what memory holds of rows.
  memtableMemoryBudget: 32 * MiB,
  // All blocks that are held, those of indexes and filters too, so that memory does not grow with the site.
  cacheSize: 32 * MiB,
  cacheIndexAndFilterBlocks: true,
} as const;

const reading = { keyEncoding: 'buffer', valueEncoding: 'buffer', fillCache: true, asyncIO: false, highWaterMarkBytes: 256 * 1024 } as const;

/** Opens the folder at `path` for the one process; it is made when it is not there. Rejects with DiskFull where there is no
 *  room to recover in. */
export async function openLsm(path: string): Promise<LsmEngine> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const ballast = join(path, 'ballast');
  if (roomIn(path) < limits.lsmBallast) rmSync(ballast, { force: true }); // first of all: the native part is unpacked next
  rocksdb = await load();
  const db = await openOnce(path).catch((error: Error) => {
    // a loss of power: what it reads of the log as the end, it takes for damage in the list of its files
    if (/corruption/i.test(error.message) && /MANIFEST-\d+/.test(error.message) && cutTornEnd(path)) return openOnce(path);
    throw error;
  });
  const state: State = { db, path, ballast, hasBallast: statSync(ballast, { throwIfNoEntry: false })?.size === limits.lsmBallast, broken: null, closed: false };
  return {
    ...readerOf(state),
    name: 'lsm',
    commit: async (writes, { reserve = false } = {}) => commit(state, writes, reserve),
    readersGone: () => {},
    snapshot: () => snapshotOf(state),
    sequence: () => rocksdb.db_get_latest_sequence(open(state)),
    close: () => {
      open(state);
      state.closed = true;
      return new Promise((resolve, reject) => rocksdb.db_close(db, (error) => (error === null ? resolve() : reject(error))));
    },
  };
}

function openOnce(path: string): Promise<Database> {
  const db = rocksdb.db_init(path);
  return new Promise((resolve, reject) =>
    rocksdb.db_open(db, options, (error) => (error === null ? resolve(db) : reject(isFull(error) ? new DiskFull(error.message) : error))),
  );
}

interface State {
  readonly db: Database;
  readonly path: string;
  /** A file that keeps room for a start on a full disk: what the log holds is written out before anything is read. */
  readonly ballast: string;
  hasBallast: boolean;
  /** Why nothing may be written any more. */
  broken: Error | null;
  closed: boolean;
}

/** The library does not look whether it is: it would end the process. */
function open({ db, closed }: State): Database {
  assert(!closed, 'an engine is used before it is closed');
  return db;
}

function commit(state: State, writes: readonly Write[], reserve: boolean): void {
  const { path } = state;
  const db = open(state);
  if (state.broken !== null) throw state.broken;
  const left = roomIn(path);
  const needed = need(writes);
  const unwritten = Number(rocksdb.db_get_property(db, memtables));
  if (!reserve && left < limits.diskReserve + needed + unwritten) throw new DiskFull(`${left} octets are left`);
  if (reserve && left < needed) dropBallast(state);
  else if (!state.hasBallast && left > limits.diskReserve + needed + unwritten + limits.lsmBallast) takeBallast(state);
  const batch = rocksdb.batch_init();
  for (const [key, value] of writes) {
    if (value === null) rocksdb.batch_del(batch, key, none);
    else rocksdb.batch_put(batch, key, value, none);
  }
  try {
    rocksdb.batch_write(db, batch, synced);
  } catch (error) {
    // After a flush that had no room the library refuses every write, until it has found room by itself. A log that had
    // none may hold a part of the batch: only a start can tell.
    if (isFull(error as Error) && !/\.log\b/.test((error as Error).message)) throw new DiskFull((error as Error).message);
    state.broken = error as Error;
    throw error;
  }
}

const none = {};
const synced = { sync: true };
/** Octets which are in the log only. */
const memtables = Buffer.from('rocksdb.size-all-mem-tables');

const isFull = (error: Error): boolean => /no space left|quota exceeded/i.test(error.message);

/** Octets that a commit takes: once in the log, and once when it is written out. */
function need(writes: readonly Write[]): number {
  let octets = 0;
  for (const [key, value] of writes) octets += key.length + (value?.length ?? 0) + 32;
  return 2 * octets;
}

function roomIn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function dropBallast(state: State): void {
  rmSync(state.ballast, { force: true });
  state.hasBallast = false;
}

function takeBallast(state: State): void {
  const libc = dlopen('libc.so.6', { posix_fallocate: { args: [FFIType.i32, FFIType.i64, FFIType.i64], returns: FFIType.i32 } });
  const file = openSync(state.ballast, 'w', 0o600);
  const taken = libc.symbols.posix_fallocate(file, 0, limits.lsmBallast) === 0;
  closeSync(file);
  if (taken) state.hasBallast = true;
  else dropBallast(state);
}

const readerOf = (state: State): Reader => {
  const get = (key: Uint8Array): Uint8Array | undefined => rocksdb.db_get_many_sync(open(state), [key], none)[0];
  return {
    get,
    peek: get,
    *range(from, to, { reverse = false, limit = Number.POSITIVE_INFINITY } = {}) {
      const pinned = createCursor(state, { ...reading, reverse });
      try {
        yield* scan(pinned, from, to, reverse, limit);
      } finally {
        pinned.close();
      }
    },
    *keys(from, to) {
      const pinned = createCursor(state, { ...reading, values: false });
      try {
        for (const [key] of scan(pinned, from, to, false, Number.POSITIVE_INFINITY)) yield key;
      } finally {
        pinned.close();
      }
    },
    refresh: () => {},
  };
};

/** Three cursors that were made in one turn see one commit: rows forwards, rows backwards, and keys alone. */
function snapshotOf(state: State): Snapshot {
  const forwards = createCursor(state, reading);
  const backwards = createCursor(state, { ...reading, reverse: true });
  const names = createCursor(state, { ...reading, values: false });
  const get = (key: Uint8Array): Uint8Array | undefined => {
    const [found, value] = forwards.from(key, 1).rows;
    return found !== undefined && Buffer.compare(found, key) === 0 ? value : undefined;
  };
  return {
    get,
    peek: get,
    range: (from, to, { reverse = false, limit = Number.POSITIVE_INFINITY } = {}) => scan(reverse ? backwards : forwards, from, to, reverse, limit),
    *keys(from, to) {
      for (const [key] of scan(names, from, to, false, Number.POSITIVE_INFINITY)) yield key;
    },
    refresh: () => {},
    release() {
      for (const each of [forwards, backwards, names]) each.close();
    },
  };
}

/** A cursor which several scans may use in turn: each says whether it is still where it left it. */
interface Shared {
  /** Rows from `key` on. */
  from(key: Uint8Array, rows: number): RowPage;
  /** The rows after a page that was the last thing read here; null when another came between. */
  after(page: RowPage, rows: number): RowPage | null;
  close(): void;
}

function createCursor(state: State, options: Parameters<typeof rocksdb.iterator_init>[1]): Shared {
  const native = rocksdb.iterator_init(open(state), options);
  let last: RowPage | null = null;
  let released = false;
  const next = (rows: number): RowPage => {
    open(state);
    last = rocksdb.iterator_nextv_sync(native, rows);
    return last;
  };
  return {
    from(key, rows) {
      assert(!released && !state.closed, 'a snapshot is read before it is released');
      rocksdb.iterator_seek(native, key);
      return next(rows);
    },
    after: (page, rows) => (!released && last === page ? next(rows) : null),
    close() {
      if (!released && !state.closed) rocksdb.iterator_close(native); // closing the engine closes it, too
      released = true;
    },
  };
}

const firstRows = 8;
const mostRows = 512;

/** Rows with from <= key < to. The pages grow, so that a short scan is cheap and a long one fast. */
function* scan(cursor: Shared, from: Uint8Array, to: Uint8Array, reverse: boolean, limit: number): Generator<readonly [Uint8Array, Uint8Array]> {
  let left = limit;
  let rows = Math.min(firstRows, left);
  // backwards it begins at `to` itself, which is not part of it
  let page = left > 0 ? cursor.from(reverse ? to : from, rows + 1) : null;
  let skip: Uint8Array | null = reverse ? to : null;
  while (page !== null) {
    let key: Uint8Array | undefined;
    for (let i = 0; i < page.rows.length && left > 0; i += 2) {
      key = page.rows[i] as Uint8Array;
      if (skip !== null && Buffer.compare(key, skip) === 0) continue;
      if (reverse ? Buffer.compare(key, from) < 0 : Buffer.compare(key, to) >= 0) return;
      left--;
      yield [key, page.rows[i + 1] as Uint8Array];
    }
    if (page.finished || left <= 0 || key === undefined) return;
    rows = Math.min(mostRows, 4 * rows, left);
    const more: RowPage | null = cursor.after(page, rows);
    skip = more === null ? key : null;
    page = more ?? cursor.from(key, rows + 1);
  }
}
