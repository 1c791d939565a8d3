// LMDB: one file, one table of octets. Guarantees: a commit that resolved is on the disk (fdatasync and meta page, never
// overlappingSync); a commit that was refused for room wrote nothing; a reader sees what was durable at its last `refresh`.
// The file is mapped: reading it goes through no writer and no copy but the one into the caller's octets.

import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RangeOptions, type RootDatabase } from 'lmdb';
import { limits } from '../../actors/limits.ts';
import { DiskFull, type Engine, type Reader, type Snapshot, type Write } from '../engine.ts';

type Transaction = NonNullable<RangeOptions['transaction']>;
/** The package's types leave out what its documentation has: options of point reads, and the size of the last value. */
type Db = Omit<RootDatabase<Uint8Array, Uint8Array>, 'getStats'> & {
  getBinary(key: Uint8Array, options?: Within): Uint8Array | undefined;
  getBinaryFast(key: Uint8Array, options?: Within): Uint8Array | undefined;
  readonly lastSize: number;
  getStats(): TreeStats & { readonly pageSize: number; readonly lastPageNumber: number; readonly free: TreeStats };
};
interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}
type Within = { readonly transaction?: Transaction };

export interface LmdbReader extends Reader {
  /** Pins one commit. Pages freed meanwhile are not used again until it is released. */
  snapshot(): Snapshot;
  close(): Promise<void>;
}
export interface LmdbEngine extends Engine {
  snapshot(): Snapshot;
  close(): Promise<void>;
}

const options = {
  encoding: 'binary',
  keyEncoding: 'binary',
  noSubdir: true,
  overlappingSync: false,
  // With batching by turn, a failed commit also rejects a promise that nobody holds.
  eventTurnBatching: false,
  maxReaders: 512,
} as const;

/** Opens the file at `path` for the one writer; it is created when it is not there. */
export function openLmdb(path: string): LmdbEngine {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) begin(path);
  mustBeLmdb(path);
  const db = open<Uint8Array, Uint8Array>({ path, ...options }) as Db;
  return {
    ...readerOf(db, {}),
    name: 'lmdb',
    commit: (writes, options) => commit(db, path, writes, options?.reserve === true),
    readersGone: () => void db.readerCheck(),
    snapshot: () => snapshotOf(db),
    close: () => db.close(),
  };
}

/** Opens the file for reading beside its writer. Throws when it is not there yet. */
export function openLmdbReader(path: string): LmdbReader {
  mustBeLmdb(path);
  const db = open<Uint8Array, Uint8Array>({ path, ...options, readOnly: true }) as Db;
  return { ...readerOf(db, {}), snapshot: () => snapshotOf(db), close: () => db.close() };
}

// The file appears whole and under a name that lasts, or not at all. LMDB would write its first pages in place and sync no
// folder: a loss of power could leave a torn file that nothing opens, or none where commits had been answered.
function begin(path: string): void {
  const aside = `${path}-new`;
  const remove = (): void => [aside, `${aside}-lock`].forEach((name) => rmSync(name, { force: true }));
  remove();
  void open({ path: aside, ...options }).close(); // at once: nothing was written
  sync(aside);
  renameSync(aside, path);
  remove();
  sync(dirname(path));
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** A file that is not LMDB's, or was never begun, is an error here: given to the library it ends the process. */
function mustBeLmdb(path: string): void {
  const file = openSync(path, 'r');
  const head = Buffer.alloc(28);
  const read = readSync(file, head, 0, head.length, 0);
  closeSync(file);
  // the meta page: a page header of 24 octets, then mm_magic
  if (read < head.length || head.readUInt32LE(24) !== 0xbeefc0de) throw new Error(`${path} is not an LMDB file`);
}

// A transaction of the write thread, with our writes as its child: what fails inside is rolled back whole (the plain
// `transaction` would commit what was put before a throw), and the event loop goes on while the disk syncs.
async function commit(db: Db, path: string, writes: readonly Write[], reserve: boolean): Promise<void> {
  const left = room(db, path);
  if (left < (reserve ? 0 : limits.diskReserve) + need(writes)) throw new DiskFull(`${left} octets are left`);
  try {
    await db.childTransaction(() => {
      for (const [key, value] of writes) {
        if (value === null) db.removeSync(key);
        else db.putSync(key, value);
      }
    });
  } catch (error) {
    const cause = await causeOf(error);
    throw isFull(cause) ? new DiskFull(cause.message) : cause;
  } finally {
    db.resetReadTxn();
  }
}

/** A failed commit carries a second promise which rejects with the reason, and which must not be left unhandled. */
async function causeOf(error: unknown): Promise<Error & { code?: unknown }> {
  const later = (error as { commitError?: Promise<never> }).commitError;
  try {
    if (later instanceof Promise) await later;
  } catch (cause) {
    return cause as Error;
  }
  return error as Error;
}

const page = 4096;
/** Rows whose keys begin with the same octets (one mailbox, one body) are neighbours, and this many share a leaf at least. */
const neighbours = { octets: 9, rows: 32 };

/**
 * Octets that a commit may take, generously: its rows, with what they do not fill of their pages, and a page for each leaf
 * that it touches, beside some for branches and for the list of free pages. LMDB must not meet the end of the disk in the
 * middle of a commit: what it says of a part of a write is EIO, as of a sync that failed.
 */
function need(writes: readonly Write[]): number {
  let octets = 64 * page;
  let last: Uint8Array | null = null;
  let rows = 0;
  for (const [key, value] of writes) {
    octets += key.length + 2 * (value?.length ?? 0);
    if (last === null || ++rows === neighbours.rows || Buffer.compare(last.subarray(0, neighbours.octets), key.subarray(0, neighbours.octets)) !== 0) {
      octets += page;
      rows = 0;
    }
    last = key;
  }
  return octets;
}

/** Octets of the file that no page uses (freed, or left behind by a commit that failed) and of free space around it. */
function room(db: Db, path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  const { size, blocks } = statSync(path);
  const s = db.getStats();
  const pages = (t: TreeStats): number => t.treeBranchPageCount + t.treeLeafPageCount + t.overflowPages;
  const used = 2 + pages(s) + pages(s.free);
  const allocated = Math.max((s.lastPageNumber + 1) * s.pageSize, Math.min(size, blocks * 512));
  return bavail * bsize + Math.max(0, allocated - used * s.pageSize);
}

const MDB_MAP_FULL = -30_792;
const MDB_TXN_FULL = -30_788;
const ENOSPC = 28;
const EDQUOT = 122;

// There was no room, and nothing has been asked of the disk that must not be asked again: LMDB was refused a page, which it
// says, before it synced. A sync that failed is never retried, whatever its error: the kernel has given up those pages, and
// would say of the next one that all is well.
function isFull(error: Error & { code?: unknown }): boolean {
  if (error.code === MDB_MAP_FULL || error.code === MDB_TXN_FULL) return true;
  return (error.code === ENOSPC || error.code === EDQUOT) && error.message.includes('Attempting to write page');
}

const readerOf = (db: Db, within: Within): Reader => ({
  get: (key) => db.getBinary(key, within),
  peek(key) {
    const found = db.getBinaryFast(key, within);
    // What comes back is the whole shared buffer, with a `length` that is not its own.
    return found === undefined ? undefined : new Uint8Array(found.buffer, found.byteOffset, db.lastSize);
  },
  *range(from, to, { reverse = false, limit } = {}) {
    const bounds = reverse ? { start: to, exclusiveStart: true, end: from, inclusiveEnd: true, reverse } : { start: from, end: to };
    for (const { key, value } of db.getRange({ ...bounds, ...(limit === undefined ? {} : { limit }), ...within })) yield [key, value] as const;
  },
  *keys(from, to) {
    yield* db.getKeys({ start: from, end: to, ...within });
  },
  refresh() {
    if (within.transaction === undefined) db.resetReadTxn();
  },
});

function snapshotOf(db: Db): Snapshot {
  db.resetReadTxn();
  const transaction = db.useReadTransaction();
  let held = true;
  return {
    ...readerOf(db, { transaction }),
    release() {
      if (held) transaction.done();
      held = false;
    },
  };
}
