// A snapshot, read: its rows as one table in key order, whatever base and increments they lie in, and the chunks of its
// bodies. Guarantees: everything was authenticated before it is given; memory is bounded by one object of each kind and
// the changed rows of the increments; only the objects that are asked for are fetched.

import { limits } from '../../actors/limits.ts';
import { decodeKey, decodeRow, encodeKey, type Key, octetText, prefixRange, type Row, tableOf } from '../rows.ts';
import type { TableName } from '../schema.ts';
import { type Catalog, type Listed, type Manifest, openSecrets, type Pack, readCatalog, readObject, type Secrets } from './manifest.ts';
import { type PackedRow, unpackRows } from './pack.ts';
import type { Place } from './place.ts';
import { openObject } from './seal.ts';

export interface SnapshotView {
  readonly manifest: Manifest;
  readonly secrets: Secrets;
  /** Rows with from <= key < to, ascending, without chunks. The octets belong to the caller. */
  rows(from: Uint8Array, to: Uint8Array): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined>;
  /** Decoded rows of one table under a prefix. */
  scan<N extends TableName>(table: N, ...prefix: readonly (number | string | Uint8Array)[]): AsyncGenerator<{ key: Key<N>; row: Row<N> }, void, undefined>;
  row<N extends TableName>(table: N, key: Key<N>): Promise<Row<N> | undefined>;
  /** Every pack, in its order: rows of the chunk table, also of bodies that are gone since. */
  packs(): AsyncGenerator<readonly PackedRow[], void, undefined>;
  /** The chunks of one body as they are stored, in order. */
  chunks(blob: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** Octets of all packs before compression. */
  readonly packOctets: number;
}

/** Sorted by key. */
type Changed = readonly (readonly [string, Uint8Array | null])[];

/** Throws Damaged for another key, and for objects that are not whole. */
export async function openSnapshot(place: Place, manifest: Manifest, dataKey: Uint8Array): Promise<SnapshotView> {
  const secrets = openSecrets(dataKey, manifest);
  const catalog = await readCatalog(place, dataKey, manifest.catalog);
  const open = async (kind: string, object: Listed): Promise<Uint8Array> => openObject(dataKey, kind, await readObject(place, object));
  const packs = allPacks(manifest, secrets, catalog);
  let byBlob: ReadonlyMap<number, readonly Pack[]> | null = null;
  let changed: Promise<Changed> | null = null;
  const lately = newestFew(open);

  async function* rows(from: Uint8Array, to: Uint8Array): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined> {
    changed ??= changedRows(manifest, secrets, open);
    yield* merge(
      segmentRows(catalog, (object) => lately('rows', object), octetText(from), octetText(to)),
      within(await changed, octetText(from), octetText(to)),
    );
  }
  return {
    manifest,
    secrets,
    packOctets: packs.reduce((sum, pack) => sum + pack.size, 0),
    rows,
    async *scan(table, ...prefix) {
      const { from, to } = prefixRange(table, ...prefix);
      for await (const [key, value] of rows(from, to)) yield { key: decodeKey(table, key), row: decodeRow(table, value, key) };
    },
    async row(table, key) {
      const from = encodeKey(table, key);
      const to = new Uint8Array(from.length + 1);
      to.set(from);
      for await (const [, value] of rows(from, to)) return decodeRow(table, value, from);
      return undefined;
    },
    async *packs() {
      // the next one comes while this one is used
      const opened = packs.values().map((pack) => open('bodies', pack.object));
      for await (const octets of ahead(opened, limits.snapshotInFlight)) yield [...unpackRows(octets)];
    },
    async *chunks(blob) {
      const found = new Map<number, Uint8Array>();
      byBlob ??= packsByBlob(packs);
      for (const pack of byBlob.get(blob) ?? []) {
        for (const [key, value] of unpackRows(await lately('bodies', pack.object))) {
          if (tableOf(key) !== 'chunk' || value === null) continue;
          const at = decodeKey('chunk', key);
          if (at.blob === blob) found.set(at.n, value.slice());
        }
      }
      for (let n = 0; found.has(n); n++) yield found.get(n) as Uint8Array;
    },
  };
}

/** Only for who looks for bodies one by one: it is as long as there are bodies. */
function packsByBlob(packs: readonly Pack[]): Map<number, Pack[]> {
  const byBlob = new Map<number, Pack[]>();
  for (const pack of packs) {
    for (const blob of pack.blobs) {
      const before = byBlob.get(blob);
      if (before) before.push(pack);
      else byBlob.set(blob, [pack]);
    }
  }
  return byBlob;
}

function allPacks(manifest: Manifest, secrets: Secrets, catalog: Catalog): Pack[] {
  const added = manifest.increments.flatMap(({ objects }, i) =>
    objects.flatMap((object, j) => {
      const detail = secrets.increments[i]?.[j];
      return detail?.blobs ? [{ object, blobs: detail.blobs, size: detail.size }] : [];
    }),
  );
  return [...catalog.packs, ...added];
}

type OpenObject = (kind: string, object: Listed) => Promise<Uint8Array>;

/** What the increments say, the last word for each key. */
async function changedRows(manifest: Manifest, secrets: Secrets, open: OpenObject): Promise<Changed> {
  const changed = new Map<string, Uint8Array | null>();
  for (const [i, { objects }] of manifest.increments.entries()) {
    for (const [j, object] of objects.entries()) {
      if (secrets.increments[i]?.[j]?.blobs !== null) continue;
      for (const [key, value] of unpackRows(await open('rows', object))) changed.set(octetText(key), value);
    }
  }
  return [...changed].sort(([a], [b]) => (a < b ? -1 : 1));
}

function* within(changed: Changed, from: string, to: string): Generator<readonly [string, Uint8Array | null], void, undefined> {
  let low = 0;
  for (let high = changed.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((changed[middle] as Changed[number])[0] < from) low = middle + 1;
    else high = middle;
  }
  for (; low < changed.length && (changed[low] as Changed[number])[0] < to; low++) yield changed[low] as Changed[number];
}

async function* segmentRows(
  { segments }: Catalog,
  open: (object: Listed) => Promise<Uint8Array>,
  from: string,
  to: string,
): AsyncGenerator<readonly [string, Uint8Array], void, undefined> {
  const firsts = segments.map((segment) => Buffer.from(segment.first, 'hex').toString('latin1'));
  for (const [i, { object }] of segments.entries()) {
    const next = firsts[i + 1];
    if (next !== undefined && next <= from) continue;
    if ((firsts[i] as string) >= to) return;
    for (const [key, value] of unpackRows(await open(object))) {
      const name = octetText(key);
      if (name >= to) return;
      if (name >= from && value !== null) yield [name, value];
    }
  }
}

/** Rows of the base with the changed ones over them. */
async function* merge(
  below: AsyncIterable<readonly [string, Uint8Array]>,
  over: Iterable<readonly [string, Uint8Array | null]>,
): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined> {
  const own = over[Symbol.iterator]();
  let next = own.next();
  const octets = (name: string): Uint8Array => new Uint8Array(Buffer.from(name, 'latin1'));
  for await (const [name, value] of below) {
    for (; next.done !== true && next.value[0] < name; next = own.next()) if (next.value[1] !== null) yield [octets(next.value[0]), next.value[1].slice()];
    if (next.done !== true && next.value[0] === name) {
      if (next.value[1] !== null) yield [octets(name), next.value[1].slice()];
      next = own.next();
    } else yield [octets(name), value.slice()];
  }
  for (; next.done !== true; next = own.next()) if (next.value[1] !== null) yield [octets(next.value[0]), next.value[1].slice()];
}

/** The objects that were opened last, kept: one message after the other lies in the same pack. */
function newestFew(open: OpenObject): OpenObject {
  const kept = new Map<string, Promise<Uint8Array>>();
  return (kind, object) => {
    const found = kept.get(object[0]) ?? open(kind, object);
    kept.delete(object[0]);
    kept.set(object[0], found);
    found.catch(() => kept.delete(object[0]));
    if (kept.size > limits.snapshotInFlight) kept.delete(kept.keys().next().value as string);
    return found;
  };
}

/** What `work` yields, in order, with up to `many` begun before they are asked for. */
async function* ahead<T>(work: Iterable<Promise<T>>, many: number): AsyncGenerator<T, void, undefined> {
  const begun: Promise<T>[] = [];
  for (const promise of work) {
    promise.catch(() => {});
    begun.push(promise);
    if (begun.length >= many) yield await (begun.shift() as Promise<T>);
  }
  for (const promise of begun) yield await promise;
}
