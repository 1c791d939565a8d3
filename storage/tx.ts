// What a command handler sees of the store. Guarantees: reads see the writes of this command and of the commands before
// it in the same batch; a command that refuses or throws leaves nothing; what is left is one list of writes for one
// commit, each key once, in key order. Rows are encoded once, when the batch is sealed.

import { assert } from '../actors/assert.ts';
import type { EventOf } from '../actors/wire.ts';
import { addRow, covered, type Digest, digestOf, removeRow } from './digest.ts';
import type { Reader, Write } from './engine.ts';
import type { StoreProtocol } from './messages.ts';
import {
  decodeKey,
  decodeRow,
  encodeKey,
  encodeRow,
  type Key,
  type Keyed,
  octetText,
  type PartValue,
  type Range,
  type Row,
  RowDamaged,
  type ScanOptions,
  scanRange,
  sealRow,
  soundRow,
} from './rows.ts';
import type { TableName } from './schema.ts';

type Changed = EventOf<StoreProtocol, 'changed'>;
export type Change = Changed['changes'][number];

export interface Tx {
  get<N extends TableName>(table: N, key: Key<N>): Row<N> | undefined;
  /** Rows under a prefix, as they are when the scan begins: writing while scanning is allowed and not seen by it. */
  scan<N extends TableName>(table: N, prefix: readonly PartValue[], options?: ScanOptions<N>): Iterable<Keyed<N>>;
  /** How many rows are under a prefix, without reading them. */
  count(table: TableName, prefix: readonly PartValue[]): number;
  put<N extends TableName>(table: N, key: Key<N>, row: Row<N>): void;
  delete<N extends TableName>(table: N, key: Key<N>): void;
  /** What is written takes the place of rows that the digest never knew: it is counted anew at the commit. */
  recount(): void;
  /** What subscribers are told after the commit. */
  changed(change: Change): void;
  configured(rev: number): void;
  queued(due: number): void;
  recordChanged(key: Key<'record'>): void;
}

/** A row that others name and that must be there. Throws RowDamaged when it is not. */
export function mustHave<N extends TableName>(tx: Tx, table: N, key: Key<N>): Row<N> {
  const row = tx.get(table, key);
  if (row === undefined) throw new RowDamaged(table, encodeKey(table, key), 'it is missing');
  return row;
}

/** What a batch tells its subscribers once it is durable. */
export interface Notices {
  readonly changes: readonly Change[];
  readonly rev: number | null;
  readonly due: number | null;
  readonly records: readonly Key<'record'>[];
}

export interface Batch extends Tx {
  /** Runs one command. Its writes stay only if `keep` says so of its result. */
  command<T>(run: (tx: Tx) => T, keep: (result: T) => boolean): T;
  readonly empty: boolean;
  /** Keys written so far, each once, without those of `except`. */
  touched(except: TableName): Uint8Array[];
  /** Makes `digest`, which is that of the rows below, the digest of the rows with these writes. */
  digested(digest: Digest): void;
  /** Must the digest be counted anew? Then it is not at the commit: who asks sees to it. */
  deferRecount(): boolean;
  /** The digest of the rows below `until` with these writes, from that of them without. */
  digestedUntil(digest: Digest, until: Uint8Array): Digest;
  /** What the rows below add up to, whatever the site says. */
  counted(digest: Digest): void;
  writes(): Write[];
  notices(): Notices;
}

/** `row` undefined: deleted. `octets`: the row once it is encoded. */
interface Written {
  readonly table: TableName;
  readonly key: Uint8Array;
  readonly row: Row<TableName> | undefined;
  octets: Uint8Array | null;
}

export function createBatch(reader: Reader): Batch {
  const tables = new Map<TableName, Map<string, Written>>();
  /** Rows below, as they were read one by one: what is read is often written, and the digest needs what was there. */
  const seen = new Map<string, Uint8Array>();
  let undo: { at: Map<string, Written>; name: string; was: Written | undefined }[] = [];
  let told: Told = { changes: [], rev: null, due: null, records: [] };
  const tableMap = (table: TableName): Map<string, Written> => {
    let map = tables.get(table);
    if (!map) tables.set(table, (map = new Map()));
    return map;
  };
  const write = (table: TableName, key: Uint8Array, row: Row<TableName> | undefined): void => {
    const at = tableMap(table);
    const name = octetText(key);
    undo.push({ at, name, was: at.get(name) });
    at.set(name, { table, key, row, octets: null });
  };
  const batch: Batch = {
    ...digesting(reader, tables, seen),
    get(table, key) {
      const octets = encodeKey(table, key);
      const name = octetText(octets);
      const written = tables.get(table)?.get(name);
      if (written) return written.row as Row<typeof table> | undefined;
      const found = reader.get(octets);
      if (found === undefined) return undefined;
      seen.set(name, found);
      return decodeRow(table, found, octets);
    },
    *scan(table, prefix, options) {
      const { from, to } = scanRange(table, prefix, options);
      const own = writtenBetween(tables.get(table), octetText(from), octetText(to));
      const below = own.length === 0 ? reader.range(from, to, options) : reader.range(from, to, { ...options, limit: Number.MAX_SAFE_INTEGER });
      yield* overlay(table, below, own, options) as Generator<Keyed<typeof table>>;
    },
    count: (table, prefix) => countRows(reader, tables.get(table), scanRange(table, prefix)),
    put: (table, key, row) => write(table, encodeKey(table, key), row as Row<TableName>),
    delete: (table, key) => write(table, encodeKey(table, key), undefined),
    changed: (change) => void told.changes.push(change),
    configured(rev) {
      told.rev = rev;
    },
    queued(due) {
      told.due = told.due === null ? due : Math.min(told.due, due);
    },
    recordChanged: (key) => void told.records.push(key),
    command(run, keep) {
      undo = [];
      const before = { rev: told.rev, due: told.due };
      const marks = { changes: told.changes.length, records: told.records.length };
      const back = (): void => {
        for (const { at, name, was } of undo.reverse()) {
          if (was) at.set(name, was);
          else at.delete(name);
        }
        told = { ...before, changes: told.changes.slice(0, marks.changes), records: told.records.slice(0, marks.records) };
      };
      let kept = false;
      try {
        const result = run(batch);
        kept = keep(result);
        return result;
      } finally {
        if (!kept) back();
        undo = [];
      }
    },
    get empty() {
      for (const map of tables.values()) if (map.size > 0) return false;
      return true;
    },
    touched: (except) => [...tables].filter(([table]) => table !== except).flatMap(([, map]) => [...map.values()].map((w) => w.key)),
    writes: () => sortedWrites(tables),
    notices: () => ({ ...told, changes: mergeChanges(told.changes) }),
  };
  return batch;
}

type Digesting = Pick<Batch, 'recount' | 'digested' | 'deferRecount' | 'digestedUntil' | 'counted'>;

function digesting(reader: Reader, tables: ReadonlyMap<TableName, ReadonlyMap<string, Written>>, seen: Map<string, Uint8Array>): Digesting {
  const below: Below = (name, key) => seen.get(name) ?? reader.get(key);
  let recounted = false;
  let known: Digest | null = null;
  return {
    recount() {
      recounted = true;
    },
    digested(digest) {
      if (recounted || overDamage(tables, seen, below)) known ??= digestOf(reader);
      Object.assign(digest, known);
      digestWrites(digest, tables, below);
    },
    deferRecount() {
      const needed = recounted || overDamage(tables, seen, below);
      recounted = false;
      return needed;
    },
    digestedUntil(digest, until) {
      const next = { ...digest };
      digestWrites(next, tables, below, until);
      return next;
    },
    counted(digest) {
      known = digest;
    },
  };
}

function countRows(reader: Reader, own: ReadonlyMap<string, Written> | undefined, { from, to }: Range): number {
  let count = 0;
  for (const _ of reader.keys(from, to)) count++;
  for (const [, w] of writtenBetween(own, octetText(from), octetText(to))) {
    if (reader.peek(w.key) === undefined) count += w.row === undefined ? 0 : 1;
    else count -= w.row === undefined ? 1 : 0;
  }
  return count;
}

interface Told {
  changes: Change[];
  rev: number | null;
  due: number | null;
  records: Key<'record'>[];
}

function writtenBetween(map: ReadonlyMap<string, Written> | undefined, from: string, to: string): [string, Written][] {
  const out: [string, Written][] = [];
  for (const pair of map ?? []) if (pair[0] >= from && pair[0] < to) out.push(pair);
  return out.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** Merges the rows below with our own writes, which win and may be deletions. */
function* overlay(
  table: TableName,
  below: Iterable<readonly [Uint8Array, Uint8Array]>,
  own: [string, Written][],
  options: { readonly reverse?: boolean; readonly limit?: number; readonly skipDamaged?: boolean } = {},
): Generator<Keyed<TableName>> {
  const { reverse = false, limit = Number.POSITIVE_INFINITY } = options;
  if (reverse) own.reverse();
  let given = 0;
  let at = 0;
  for (const [key, value] of below) {
    const name = octetText(key);
    let replaced = false;
    while (at < own.length) {
      const [ownName, written] = own[at] as [string, Written];
      if (reverse ? ownName < name : ownName > name) break;
      at++;
      replaced ||= ownName === name;
      if (written.row === undefined) continue;
      if (given++ >= limit) return;
      yield { key: decodeKey(table, written.key), row: written.row };
    }
    if (replaced) continue;
    const row = options.skipDamaged === true ? soundRow(table, key, value) : decodeRow(table, value, key);
    if (row === undefined) continue;
    if (given++ >= limit) return;
    yield { key: decodeKey(table, key), row };
  }
  for (; at < own.length; at++) {
    const { key, row } = (own[at] as [string, Written])[1];
    if (row === undefined) continue;
    if (given++ >= limit) return;
    yield { key: decodeKey(table, key), row };
  }
}

/** Is a row written, without having been read, over one that is damaged? Those that were read were sound. */
function overDamage(tables: ReadonlyMap<TableName, ReadonlyMap<string, Written>>, seen: Map<string, Uint8Array>, below: Below): boolean {
  let damaged = false;
  for (const [table, map] of tables) {
    for (const [name, written] of map) {
      if (!covered(written.key)) break; // nor is any other row of its table
      if (seen.has(name)) continue;
      const was = below(name, written.key);
      if (was === undefined) continue;
      seen.set(name, was);
      damaged ||= soundRow(table, written.key, was) === undefined;
    }
  }
  return damaged;
}

type Below = (name: string, key: Uint8Array) => Uint8Array | undefined;

function digestWrites(digest: Digest, tables: ReadonlyMap<TableName, ReadonlyMap<string, Written>>, below: Below, until?: Uint8Array): void {
  for (const map of tables.values()) {
    for (const [name, written] of map) {
      if (!covered(written.key)) break; // nor is any other row of its table
      if (until !== undefined && Buffer.compare(written.key, until) >= 0) continue;
      const was = below(name, written.key);
      if (was !== undefined) removeRow(digest, written.key, was);
      if (written.row !== undefined) addRow(digest, written.key, encoded(written));
    }
  }
}

function sortedWrites(tables: ReadonlyMap<TableName, ReadonlyMap<string, Written>>): Write[] {
  const all: [string, Written][] = [];
  for (const map of tables.values()) all.push(...map);
  all.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return all.map(([, w]) => [w.key, w.row === undefined ? null : encoded(w)]);
}

function encoded(w: Written): Uint8Array {
  if (w.octets !== null) return w.octets;
  w.octets = sealRow(w.table, w.key, encodeRow(w.table, w.row as Row<TableName>));
  assert(w.octets.length > 0, 'a row is never empty');
  return w.octets;
}

const MAX_PAGES = 256;

/** One row per mailbox and kind: the newest modseq, and all pages, or none when they are too many. */
function mergeChanges(changes: readonly Change[]): Change[] {
  const merged = new Map<string, { change: Change; pages: Set<number> | null }>();
  for (const change of changes) {
    const name = `${change.account} ${change.mailbox} ${change.kind}`;
    const found = merged.get(name);
    const whole = change.pages.length === 0 && change.kind !== 'mailbox';
    if (!found) merged.set(name, { change, pages: whole ? null : new Set(change.pages) });
    else {
      found.change = change.modseq > found.change.modseq ? change : found.change;
      if (whole) found.pages = null;
      else for (const page of change.pages) found.pages?.add(page);
    }
  }
  return [...merged.values()].map(({ change, pages }) => ({
    ...change,
    pages: pages === null || pages.size > MAX_PAGES ? [] : [...pages].sort((a, b) => a - b),
  }));
}
