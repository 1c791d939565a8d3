// An engine in memory: for tests, and for the simulator to build its disk from. Guarantees: the same order, the same
// snapshots and the same answers as a durable engine. Rows are a sorted array of keys beside a map of values, so that a
// point read is one map lookup, a scan is a binary search, and a batch is one merge.

import type { Engine, Reader, Snapshot, Write } from '../engine.ts';
import { octetText } from '../rows.ts';

/** Sorted rows. Keys are octets spelled as text (`octetText`), values are never changed in place. */
export interface Rows extends Reader {
  apply(writes: readonly Write[]): void;
  /** The rows as they are now; later writes to either do not show in the other. */
  copy(): Rows;
  readonly size: number;
}

interface Sorted {
  keys: string[];
  values: Map<string, Uint8Array>;
}

function createRows(from?: Sorted): Rows {
  const keys: string[] = from ? from.keys.slice() : [];
  const values = new Map(from?.values);
  const state: Sorted = { keys, values };
  const own = (value: Uint8Array | undefined): Uint8Array | undefined => value && new Uint8Array(value);
  return {
    get size() {
      return values.size;
    },
    get: (key) => own(values.get(octetText(key))),
    peek: (key) => own(values.get(octetText(key))),
    *range(from, to, options) {
      const low = lowerBound(state.keys, octetText(from));
      const high = lowerBound(state.keys, octetText(to));
      const count = Math.min(high - low, options?.limit ?? Number.POSITIVE_INFINITY);
      // The slice keeps an unfinished scan apart from later writes.
      const found = options?.reverse ? state.keys.slice(high - count, high).reverse() : state.keys.slice(low, low + count);
      for (const key of found) {
        const value = values.get(key);
        if (value) yield [Buffer.from(key, 'latin1'), new Uint8Array(value)] as const;
      }
    },
    *keys(from, to) {
      for (const key of state.keys.slice(lowerBound(state.keys, octetText(from)), lowerBound(state.keys, octetText(to)))) yield Buffer.from(key, 'latin1');
    },
    refresh: () => {},
    apply: (writes) => applyWrites(state, writes),
    copy: () => createRows(state),
  };
}

/** The first index whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function applyWrites(state: Sorted, writes: readonly Write[]): void {
  const added: string[] = [];
  const removed = new Set<string>();
  for (const [key, value] of writes) {
    const name = octetText(key);
    if (value === null) {
      if (state.values.delete(name)) removed.add(name);
    } else {
      if (!state.values.has(name)) added.push(name);
      state.values.set(name, new Uint8Array(value));
    }
  }
  if (added.length + removed.size === 0) return;
  if (added.length + removed.size <= 8) editFew(state.keys, added, removed);
  else state.keys = merge(state.keys, added.sort(), removed);
}

function editFew(keys: string[], added: readonly string[], removed: ReadonlySet<string>): void {
  for (const key of removed) keys.splice(lowerBound(keys, key), 1);
  for (const key of added) keys.splice(lowerBound(keys, key), 0, key);
}

function merge(keys: readonly string[], added: readonly string[], removed: ReadonlySet<string>): string[] {
  const out: string[] = [];
  let at = 0;
  for (const key of keys) {
    while (at < added.length && (added[at] as string) < key) out.push(added[at++] as string);
    if (!removed.has(key)) out.push(key);
  }
  while (at < added.length) out.push(added[at++] as string);
  return out.filter((key, i) => i === 0 || key !== out[i - 1]);
}

export interface MemoryEngine extends Engine {
  readonly rows: Rows;
  snapshot(): Snapshot;
}

/** Commits take one turn of the event loop, as a durable engine's do. */
export function memoryEngine(rows: Rows = createRows()): MemoryEngine {
  return {
    ...readerOf(rows),
    name: 'memory',
    rows,
    snapshot: () => ({ ...readerOf(rows.copy()), release: () => {} }),
    async commit(writes) {
      await Promise.resolve();
      rows.apply(writes);
    },
    readersGone: () => {},
  };
}

const readerOf = (rows: Rows): Reader => ({
  get: (key) => rows.get(key),
  peek: (key) => rows.peek(key),
  range: (from, to, options) => rows.range(from, to, options),
  keys: (from, to) => rows.keys(from, to),
  refresh: () => {},
});
