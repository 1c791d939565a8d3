// The contract between the store and an engine: ordered rows of octets, one atomic durable batch at a time. LMDB,
// the simulator's disk and every later engine keep the same conformance suite (tests/contract/engine.ts).

/** Row octets by key, in key order. Keys sort as unsigned octets. */
export interface Reader {
  /** The value, or undefined. The octets belong to the caller. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Like `get`, but the octets are only good until the next read: for copying straight into an output buffer. */
  peek(key: Uint8Array): Uint8Array | undefined;
  /** Rows with from <= key < to, ascending (descending with `reverse`). Must be consumed without an await. */
  range(from: Uint8Array, to: Uint8Array, options?: { readonly reverse?: boolean; readonly limit?: number }): Iterable<readonly [Uint8Array, Uint8Array]>;
  /** The keys of `range`, without touching the values: for counting and for `check`. */
  keys(from: Uint8Array, to: Uint8Array): Iterable<Uint8Array>;
  /** Later reads see every commit that was durable at this call. Cheap: call it before each synchronous run of reads. */
  refresh(): void;
  /** The rows are in this process's memory: `peek` one by one is faster than a range, which copies. */
  readonly mapped?: boolean;
}

/** A reader that stays at one commit, whatever is committed meanwhile, until it is released. */
export interface Snapshot extends Reader {
  release(): void;
}

/** `null` removes the key. */
export type Write = readonly [key: Uint8Array, value: Uint8Array | null];

export interface Engine extends Reader {
  readonly name: string;
  /**
   * Applies all writes in one transaction. Resolves when they are durable; rejects with DiskFull when nothing was
   * written and it may work later. Any other rejection: the process must exit (a failed sync is never retried).
   * One commit at a time; reads see it when it has resolved. `reserve`: may use the last room, which is kept for what
   * frees room.
   */
  commit(writes: readonly Write[], options?: { readonly reserve?: boolean }): Promise<void>;
  /** Frees the reader slots of processes that are gone. */
  readersGone(): void;
  /** Gives freed room back to the disk in its own way, while it serves. Absent: it has none, or `fresh` is the way. */
  compact?(): Promise<Compacted>;
  /** An empty engine beside this one, to become this one. Rejects with DiskFull when the rows may not fit beside. */
  fresh?(): Promise<Fresh>;
}

/** Octets on the disk. */
export interface Compacted {
  readonly before: number;
  readonly after: number;
}

/** A second engine that is filled with the rows of the first (storage/compact.ts) and then takes its place. */
export interface Fresh {
  /** How many rows the first one has now. */
  readonly rows: number;
  /** Writes `changes`, then `rows`, which ascend and lie above all that are there: durable when it resolves, or DiskFull. */
  load(changes: readonly Write[], rows: readonly Write[]): Promise<void>;
  /** From now on the first engine reads and writes these rows. It must not commit meanwhile; a crash leaves the one or the other. */
  replace(): Promise<Compacted>;
  abandon(): Promise<void>;
}

/** There is no room: the batch was refused whole. */
export class DiskFull extends Error {
  constructor(cause: string) {
    super(`disk full: ${cause}`);
    this.name = 'DiskFull';
  }
}
