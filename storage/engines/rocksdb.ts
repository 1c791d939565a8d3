// RocksDB's native part, with the types that its package leaves out. Only what lsm.ts needs of it is named here; the
// package's own JavaScript, which answers later even where it need not, is not used. Loading this module loads the native
// part, so it is imported when an LSM site is opened and not before.

// @ts-expect-error: the package has no types
import binding from '@nxtedition/rocksdb/binding.js';

/** Handles of the native part. */
export type Database = { readonly database: unique symbol };
export type Cursor = { readonly cursor: unique symbol };
type Batch = { readonly batch: unique symbol };

interface OpenOptions {
  readonly createIfMissing: boolean;
  /** Threads that flush and merge. */
  readonly parallelism: number;
  readonly walCompression: boolean;
  readonly compaction: 'level' | 'universal';
  /** Octets. A write buffer is a quarter of it. */
  readonly memtableMemoryBudget: number;
  readonly cacheSize: number;
  readonly cacheIndexAndFilterBlocks: boolean;
}
interface CursorOptions {
  readonly keyEncoding: 'buffer';
  readonly valueEncoding: 'buffer';
  readonly fillCache: boolean;
  readonly asyncIO: boolean;
  readonly reverse?: boolean;
  readonly values?: boolean;
  /** A page ends once it has so many octets. */
  readonly highWaterMarkBytes?: number;
}
/** Keys and values in turn. `finished`: the last row was met. */
export interface RowPage {
  readonly rows: readonly Uint8Array[];
  readonly finished: boolean;
}

export interface Binding {
  db_init(path: string): Database;
  db_open(database: Database, options: OpenOptions, done: (error: Error | null) => void): void;
  db_close(database: Database, done: (error: Error | null) => void): void;
  db_get_many_sync(database: Database, keys: readonly Uint8Array[], options: object): (Uint8Array | undefined)[];
  db_get_latest_sequence(database: Database): number;
  db_get_property(database: Database, name: Uint8Array): string;
  /** A cursor is at one commit from its birth to its end. */
  iterator_init(database: Database, options: CursorOptions): Cursor;
  /** To the first key at or after `key`; on a reverse cursor to the last at or before it. */
  iterator_seek(cursor: Cursor, key: Uint8Array): void;
  iterator_nextv_sync(cursor: Cursor, rows: number): RowPage;
  iterator_close(cursor: Cursor): void;
  batch_init(): Batch;
  batch_put(batch: Batch, key: Uint8Array, value: Uint8Array, options: object): void;
  batch_del(batch: Batch, key: Uint8Array, options: object): void;
  /** Returns when the batch is in the log, with `sync` durably; throws when it is not. */
  batch_write(database: Database, batch: Batch, options: { readonly sync: boolean }): void;
}

export const rocksdb: Binding = binding as Binding;
