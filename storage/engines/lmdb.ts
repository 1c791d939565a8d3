// LMDB: one file, one table of octets. Guarantees: a commit that resolved is on the disk (fdatasync and meta page, never
// overlappingSync); a commit that was refused for room wrote nothing; a reader sees what was durable at its last `refresh`.
// The file is mapped: reading it goes through no writer and no copy but the one into the caller's octets.
//
// A compacted file takes the place of the old one while other processes have that mapped (storage/engines/succession.ts).
// An engine or a reader is therefore an object whose database may change underneath; what a snapshot holds stays.
//
// Opening an environment writes the number of the newest commit into the lock file, as it was read a moment before (mdb.c,
// mdb_env_open2): a commit in between is forgotten, and the next one is made of what was there before it. So who opens a
// file and who commits to it take turns (flock on the file). Should that fail, a commit refuses a past that is not its own.

import { closeSync, fdatasync, fsyncSync, openSync, readSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { open, type RangeOptions, type RootDatabase } from 'lmdb';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { type Turns, turnsAt } from '../../actors/lock.ts';
import { type Compacted, DiskFull, type Engine, type Fresh, type Reader, type Snapshot, type Write } from '../engine.ts';
import { fileInPlace, putInPlace, removeFile, removeLeftovers, successorOf } from './succession.ts';

type Transaction = NonNullable<RangeOptions['transaction']>;
/** The package's types leave out what its documentation has: options of point reads, and the size of the last value. */
type Db = Omit<RootDatabase<Uint8Array, Uint8Array>, 'getStats'> & {
  getBinary(key: Uint8Array, options?: Within): Uint8Array | undefined;
  getBinaryFast(key: Uint8Array, options?: Within): Uint8Array | undefined;
  readonly lastSize: number;
  getStats(): TreeStats & { readonly entryCount: number; readonly pageSize: number; readonly lastPageNumber: number; readonly free: TreeStats };
};
interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}
type Within = { readonly transaction?: Transaction };

/** Octets: of the file, of its pages in use, and of those that are free. */
export interface Pages {
  readonly file: number;
  readonly inUse: number;
  readonly free: number;
}
export interface LmdbReader extends Reader {
  /** Pins one commit. Pages freed meanwhile are not used again until it is released. */
  snapshot(): Snapshot;
  /** Goes on with the file that is in place now, when it is another one. */
  reopen(): void;
  pages(): Pages;
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

/** One file, open. It is closed when another one has taken its place and no snapshot holds it any more. */
interface Open {
  readonly file: string;
  readonly db: Db;
  /** Of the writer. */
  readonly turns: Turns | null;
  held: number;
  left: boolean;
  /** A row of our last commit, which the next one must find. */
  last: Write | null;
}

/** How long to wait for the turn: a commit may be syncing to a slow disk, opening is quick. */
const openingWaitMs = 5_000;
const commitWaitMs = 500;

function openWriter(file: string): Open {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) begin(file);
  mustBeLmdb(file);
  const db = open<Uint8Array, Uint8Array>({ path: file, ...options }) as Db;
  return { file, db, turns: turnsAt(file), held: 0, left: false, last: null };
}

function openReader(file: string): Open {
  const turns = turnsAt(file);
  try {
    turns.take(openingWaitMs);
    mustBeLmdb(file);
    const db = open<Uint8Array, Uint8Array>({ path: file, ...options, readOnly: true }) as Db;
    return { file, db, turns: null, held: 0, left: false, last: null };
  } finally {
    turns.close(); // and with it the turn
  }
}

async function shut({ db, turns }: Open): Promise<void> {
  await db.close();
  turns?.close();
}

function leave(old: Open): void {
  old.left = true;
  if (old.held === 0) void shut(old);
}

/** Opens the file at `path` for the one writer; it is created when it is not there. */
export function openLmdb(path: string): LmdbEngine {
  removeLeftovers(path);
  let at = openWriter(fileInPlace(path));
  return {
    ...readerOf(() => at.db, {}),
    name: 'lmdb',
    commit: (writes, options) => commit(at, writes, options?.reserve === true),
    readersGone: () => void at.db.readerCheck(),
    snapshot: () => snapshotOf(at),
    fresh: async () =>
      freshFor(at, path, (next) => {
        leave(at);
        at = next;
      }),
    close: () => shut(at),
  };
}

/** Octets after which a load asks the disk to begin with what was written: at the end little is left to do. */
const loadAhead = 64 * 1024 * 1024;

/**
 * A new file at `path`, to be filled and then put in place. Its commits are not durable when they resolve: all of them are
 * when `close` has resolved, and until then a loss of power may tear the file. Not `lasting`: they never are.
 */
export function loadLmdb(path: string, lasting: boolean): LmdbEngine {
  begin(path);
  const at: Open = { file: path, db: open<Uint8Array, Uint8Array>({ path, ...options, noSync: true }) as Db, turns: null, held: 0, left: false, last: null };
  const descriptor = openSync(path, 'r');
  let ahead = 0;
  let syncing: Promise<void> = Promise.resolve();
  let settled = true;
  const sync = (): void => {
    settled = false;
    ahead = 0;
    // one that failed is not tried again: it would say yes
    syncing = syncing
      .then(() => promisify(fdatasync)(descriptor))
      .catch((error) => {
        throw error.code === 'ENOSPC' || error.code === 'EDQUOT' ? new DiskFull(error.message) : error;
      });
    syncing.then(
      () => {
        settled = true;
      },
      () => {},
    );
  };
  return {
    ...readerOf(() => at.db, {}),
    name: 'lmdb',
    async commit(writes, options) {
      await commit(at, writes, options?.reserve === true);
      for (const [, value] of writes) ahead += value?.length ?? 0;
      if (lasting && settled && ahead >= loadAhead) sync();
    },
    readersGone: () => void at.db.readerCheck(),
    snapshot: () => snapshotOf(at),
    async close() {
      await at.db.close();
      if (lasting) sync();
      await syncing.finally(() => closeSync(descriptor));
    },
  };
}

/** Opens the file for reading beside its writer. Throws when it is not there yet. */
export function openLmdbReader(path: string): LmdbReader {
  let at = openInPlace(path);
  return {
    ...readerOf(() => at.db, {}),
    snapshot: () => snapshotOf(at),
    reopen() {
      if (fileInPlace(path) === at.file) return;
      leave(at);
      at = openInPlace(path);
    },
    pages() {
      const { used, all, size } = pagesOf(at);
      return { file: statSync(at.file).size, inUse: used * size, free: Math.max(0, all - used) * size };
    },
    close: () => at.db.close(),
  };
}

/** The file may be replaced while it is being opened: then what was opened is not it, or has the lock file of another. */
function openInPlace(path: string): Open {
  for (let tries = 1; ; tries++) {
    const file = fileInPlace(path);
    try {
      const found = openReader(file);
      if (fileInPlace(path) === file) return found;
      void found.db.close();
    } catch (error) {
      if (fileInPlace(path) === file || tries >= 10) throw error;
    }
  }
}

/** The new file has a name and a lock file of its own from the beginning, so that nothing of it changes when it is put in place. */
async function freshFor(old: Open, path: string, follow: (next: Open) => void): Promise<Fresh> {
  const { used, size } = pagesOf(old);
  const { bavail, bsize } = statfsSync(dirname(path));
  const left = bavail * bsize;
  const wanted = used * size + limits.diskReserve;
  if (left < wanted) throw new DiskFull(`compact copies the rows into a new file and needs ${wanted} octets of room for it, ${left} are left`);
  const next = openWriter(successorOf(path));
  return {
    rows: old.db.getStats().entryCount,
    load: (changes, rows) => commit(next, changes, false, rows),
    async replace(): Promise<Compacted> {
      assert(old.db.getStats().entryCount === next.db.getStats().entryCount, 'the copy has as many rows');
      const before = statSync(old.file).size;
      putInPlace(path, next.file);
      follow(next);
      return { before, after: statSync(next.file).size };
    },
    async abandon() {
      await shut(next);
      removeFile(next.file);
    },
  };
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
// `rows` lie above all keys that are there: their pages are packed full.
async function commit(at: Open, writes: readonly Write[], reserve: boolean, rows: readonly Write[] = []): Promise<void> {
  const { db } = at;
  const left = room(at);
  if (left < (reserve ? 0 : limits.diskReserve) + need(writes) + need(rows)) throw new DiskFull(`${left} octets are left`);
  at.turns?.take(commitWaitMs);
  try {
    await db.childTransaction(() => {
      mustFollow(at);
      for (const [key, value] of writes) {
        if (value === null) db.removeSync(key);
        else db.putSync(key, value);
      }
      for (const [key, value] of rows) {
        const put: unknown = value !== null && db.putSync(key, value, { append: true });
        assert(put === true, 'rows ascend');
      }
    });
    at.last = writes.find(([, value]) => value !== null) ?? null;
  } catch (error) {
    const cause = await causeOf(error);
    throw isFull(cause) ? new DiskFull(cause.message) : cause;
  } finally {
    at.turns?.give();
    db.resetReadTxn();
  }
}

/** Our last commit is what this one begins with. Otherwise nothing is written: opened anew, the file has all of it. */
function mustFollow({ db, last }: Open): void {
  if (last === null) return;
  const found = db.getBinary(last[0]);
  assert(found !== undefined && Buffer.compare(found, last[1] as Uint8Array) === 0, 'a commit begins with the one before it');
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
    if (last === null || ++rows === neighbours.rows || !beginAlike(last, key)) {
      octets += page;
      rows = 0;
    }
    last = key;
  }
  return octets;
}

function beginAlike(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < neighbours.octets; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Pages: those in use, and those that the file has; a page has `size` octets. */
function pagesOf({ db }: Open): { used: number; all: number; size: number } {
  const s = db.getStats();
  const pages = (t: TreeStats): number => t.treeBranchPageCount + t.treeLeafPageCount + t.overflowPages;
  return { used: 2 + pages(s) + pages(s.free), all: s.lastPageNumber + 1, size: s.pageSize };
}

/** Octets of the file that no page uses (freed, or left behind by a commit that failed) and of free space around it. */
function room(at: Open): number {
  const { bavail, bsize } = statfsSync(dirname(at.file));
  const { size, blocks } = statSync(at.file);
  const pages = pagesOf(at);
  const allocated = Math.max(pages.all * pages.size, Math.min(size, blocks * 512));
  return bavail * bsize + Math.max(0, allocated - pages.used * pages.size);
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

const readerOf = (db: () => Db, within: Within): Reader => ({
  get: (key) => db().getBinary(key, within),
  peek(key) {
    const at = db();
    const found = at.getBinaryFast(key, within);
    // What comes back is the whole shared buffer, with a `length` that is not its own.
    return found === undefined ? undefined : new Uint8Array(found.buffer, found.byteOffset, at.lastSize);
  },
  *range(from, to, { reverse = false, limit } = {}) {
    const bounds = reverse ? { start: to, exclusiveStart: true, end: from, inclusiveEnd: true, reverse } : { start: from, end: to };
    for (const { key, value } of db().getRange({ ...bounds, ...(limit === undefined ? {} : { limit }), ...within })) yield [key, value] as const;
  },
  *keys(from, to) {
    yield* db().getKeys({ start: from, end: to, ...within });
  },
  refresh() {
    if (within.transaction === undefined) db().resetReadTxn();
  },
  mapped: true,
});

function snapshotOf(at: Open): Snapshot {
  at.db.resetReadTxn();
  const transaction = at.db.useReadTransaction();
  at.held++;
  let held = true;
  return {
    ...readerOf(() => at.db, { transaction }),
    release() {
      if (!held) return;
      held = false;
      transaction.done();
      at.held--;
      if (at.left) leave(at);
    },
  };
}
