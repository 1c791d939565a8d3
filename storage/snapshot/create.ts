// `mailsite snapshot create`: one commit of a live site, into a place. Guarantees: it only reads, from a pinned view, so no
// write waits for it; what it costs is in proportion to what changed since the last snapshot of this lineage there; it may
// be killed at any octet, and the next one finds what was put already; the manifest is put last.
//
// States: looked (the newest manifest of the lineage) → increment or base → objects put → catalog put → manifest put. The
// commit point is the manifest's `put`.

import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { bodyDamage } from '../bodies.ts';
import { digestOf } from '../digest.ts';
import type { Reader, Snapshot } from '../engine.ts';
import { unpackKeys, unpackSums } from '../journal.ts';
import { decodeKey, encodeKey, getRow, octetText, prefixRange, type Row, scanRows, soundRow, tableOf, unlessDamaged } from '../rows.ts';
import { type TableName, tables } from '../schema.ts';
import { config } from '../views.ts';
import {
  type Catalog,
  type Listed,
  type Manifest,
  manifestNames,
  missingObjects,
  objectName,
  openSecrets,
  type Pack,
  rottenObjects,
  readCatalog,
  readManifest,
  type Secrets,
  signManifest,
  writeCatalog,
  writeLineage,
  writeManifest,
} from './manifest.ts';
import { createBuffers, createPacker } from './pack.ts';
import type { Place } from './place.ts';
import { Damaged, sealObject } from './seal.ts';

/** The place knows a later history of this lineage: this is an older copy of the site's data. */
export class Forked extends Error {}

type Keys = Pick<Row<'lineage'>, 'dataKey' | 'wrapped' | 'createdAt'>;
export interface CreateOptions {
  readonly now: number;
  /** A new base, also where an increment or nothing would do: what it builds on is read and hashed, and the rest put anew. */
  readonly full: boolean;
  /** Are the objects that it builds on there still? A place may lose some. */
  readonly lookBack: boolean;
  /** Objects of the place, by hash, that are known not to be what their names say: what is needed of them is put anew. */
  readonly rotten?: ReadonlySet<string>;
  /** The keys, where the site does not have its own yet. */
  readonly keys?: Keys;
  /** The newest snapshot, where the caller made it itself: the place need not be asked. */
  readonly after?: Last;
  /** Octets of bodies and rows read, of about how many. */
  readonly progress?: (done: number, of: number) => void;
}
export interface Created {
  readonly kind: 'base' | 'increment' | 'same';
  readonly manifest: Manifest;
  readonly secrets: Secrets;
  /** Octets put, and octets of older objects that the snapshot goes on using. */
  readonly written: number;
  readonly reused: number;
  /** Octets read, before compression. */
  readonly read: number;
  /** Objects that were put in the place of lost or rotten ones. */
  readonly healed: number;
  /** Bodies of the site that do not have their hash. Where an older snapshot has the body, its copy stays. */
  readonly damaged: readonly { readonly blob: number; readonly what: string }[];
}

/** Not part of a snapshot: what only the running store needs. */
const left: ReadonlySet<TableName> = new Set(['journal', 'transfer', 'garbage']);
/** The tables of segments: all but those left out, and but the chunks, which go into packs. */
export const rowTables: readonly TableName[] = (Object.keys(tables) as TableName[])
  .filter((name) => !left.has(name) && name !== 'chunk')
  .sort((a, b) => tables[a].number - tables[b].number);

const MiB = 1024 * 1024;
/** Increments on one base, and octets of changed rows in them, before there is a new base. */
const mostIncrements = 250;
const mostChanged = 64 * MiB;

/**
 * Of a live `view`, as it is once the place was looked at: what another process put there before is of its past then, not
 * of its future. Or of a view that is pinned at one commit. Its lineage has keys. Throws Forked, or what the place throws.
 */
export async function createSnapshot(view: Reader & { snapshot?(): Snapshot }, place: Place, options: CreateOptions): Promise<Created> {
  const { lineage } = siteOf(view);
  const keys = getRow(view, 'lineage', { lineage }) ?? options.keys;
  assert(keys !== undefined, 'makeKeys comes before the first snapshot');
  const last = options.after ?? (await newest(place, lineage, keys.dataKey));
  view.refresh();
  const pinned = view.snapshot?.();
  try {
    return await createAfter(last, pinned ?? view, keys, place, options);
  } finally {
    pinned?.release();
  }
}

async function createAfter(last: Last | null, view: Reader, keys: Keys, place: Place, options: CreateOptions): Promise<Created> {
  const site = siteOf(view);
  const known = last && (await lookBack(place, keys.dataKey, last, options));
  if (last && known) {
    const same = sameOrForked(view, site, last);
    if (same && known.whole && !options.full) return { kind: 'same', ...last, written: 0, reused: 0, read: 0, healed: 0, damaged: [] };
  }
  if (!(await writeLineage(place, keys.dataKey, site.lineage, keys.createdAt, keys.wrapped)))
    throw new Forked(
      'the place holds snapshots of this site under another key: the data is a copy from before its first snapshot. Restore a snapshot instead, or give the copy another place',
    );
  const job = new Job(view, place, keys.dataKey, options, new Set([...(options.rotten ?? []), ...(known?.lost ?? [])]));
  const touched = last && known?.whole && !options.full ? touchedSince(view, last, site) : null;
  const made = last && touched ? await increment(job, last, touched) : await base(job, last, known ?? null);
  // what nobody names yet goes after a day: a base may take longer, and what was found there may have been as old
  const lost = await missingObjects(place, touched ? job.found : job.listed);
  if (lost.length > 0) throw new Damaged(`${lost.length} objects went while the snapshot was made: make it again`);
  const unsigned = {
    lineage: site.lineage,
    epoch: site.epoch,
    commit: site.commit,
    previous: last?.manifest.commit ?? null,
    takenAt: options.now,
    schema: site.schema,
    catalog: made.catalog,
    increments: made.listed,
  };
  const secrets = { ...made.secrets, ...about(view, site) };
  const manifest = signManifest(keys.dataKey, unsigned, secrets);
  await writeManifest(place, manifest);
  const { written, read, healed, damaged } = job;
  return { kind: touched ? 'increment' : 'base', manifest, secrets, written, reused: made.reused, read, healed, damaged };
}

function siteOf(view: Reader): Row<'site'> {
  const site = getRow(view, 'site', {});
  assert(site !== undefined, 'a site has its row');
  return site;
}

/** A snapshot, and what its sealed part says. */
export interface Last {
  readonly manifest: Manifest;
  readonly secrets: Secrets;
}
interface Made {
  readonly catalog: Listed;
  readonly listed: Manifest['increments'];
  readonly secrets: Pick<Secrets, 'increments' | 'rowOctets'>;
  readonly reused: number;
}

/** The newest snapshot of the lineage that can be read. One that cannot is passed over: it does not keep us from the next. */
async function newest(place: Place, lineage: string, dataKey: Uint8Array): Promise<Last | null> {
  for (const name of (await manifestNames(place, lineage)).reverse()) {
    try {
      const manifest = await readManifest(place, name);
      return { manifest, secrets: openSecrets(dataKey, manifest) };
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
    }
  }
  return null;
}

/** What of the last snapshot is there to build on. */
interface Known {
  readonly whole: boolean;
  /** null: it was not needed, or cannot be read. */
  readonly catalog: Catalog | null;
  readonly lost: ReadonlySet<string>;
}

async function lookBack(place: Place, dataKey: Uint8Array, { manifest }: Last, options: CreateOptions): Promise<Known> {
  const { rotten = new Set() } = options;
  if (!options.lookBack && !options.full && rotten.size === 0) return { whole: true, catalog: null, lost: new Set() };
  try {
    const catalog = await readCatalog(place, dataKey, manifest.catalog);
    const all = [...[...catalog.segments, ...catalog.packs].map((row) => row.object), ...manifest.increments.flatMap((i) => i.objects)];
    const lost = new Set((await (options.full ? rottenObjects : missingObjects)(place, all)).map(([hash]) => hash));
    for (const [hash] of all) if (rotten.has(hash)) lost.add(hash);
    return { whole: lost.size === 0, catalog, lost };
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return { whole: false, catalog: null, lost: new Set([manifest.catalog[0]]) };
  }
}

/** Is this the state of the last snapshot? Throws Forked when that is not a part of this history. */
function sameOrForked(view: Reader, site: Row<'site'>, { manifest, secrets }: Last): boolean {
  const { rows, sumA, sumB } = secrets.digest;
  if (manifest.commit === site.commit && rows === site.rows && sumA === site.sumA && sumB === site.sumB) return true;
  const then = manifest.commit < site.commit ? getRow(view, 'journal', { commit: manifest.commit }) : null;
  const sums = then && unlessDamaged(() => unpackSums(then));
  if (then !== null && (!sums || (sums.sumA === sumA && sums.sumB === sumB))) return false;
  throw new Forked(
    `the place holds commit ${manifest.commit} of this site, which is at ${site.commit} here with another past: the data is an older copy. Restore the snapshot instead, or give the copy another place`,
  );
}

interface Touched {
  /** In order. */
  readonly keys: readonly Uint8Array[];
  /** Bodies some of whose chunks were written: new ones, mended ones, and what nobody claimed. */
  readonly bodies: ReadonlySet<number>;
}

/** The keys of rows touched since; null: nobody knows, or they are so many that a base is better. */
function touchedSince(view: Reader, { manifest, secrets }: Last, site: Row<'site'>): Touched | null {
  const changed = secrets.increments.flat().reduce((sum, o) => sum + (o.blobs === null ? o.size : 0), 0);
  if (site.journalFloor > manifest.commit || manifest.schema !== site.schema) return null;
  if (manifest.increments.length >= mostIncrements || changed > Math.max(8 * MiB, Math.min(mostChanged, secrets.rowOctets / 4))) return null;
  const touched = new Map<string, Uint8Array>();
  const bodies = new Set<number>();
  let octets = 0;
  for (const { row } of scanRows(view, 'journal', [], { from: { commit: manifest.commit + 1 } })) {
    const keys = unlessDamaged(() => unpackKeys(row));
    if (keys === undefined) return null; // it does not tell any more
    for (const key of keys) {
      const table = tableOf(key);
      if (table === 'chunk') bodies.add(decodeKey('chunk', key).blob);
      if (table === undefined || table === 'chunk' || left.has(table)) continue;
      const name = octetText(key);
      if (touched.has(name)) continue;
      touched.set(name, key.slice());
      octets += key.length + (view.peek(key)?.length ?? 0);
      if (octets > mostChanged) return null;
    }
  }
  return { keys: [...touched].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key), bodies };
}

/** Puts objects, a few at a time, in the order they were given. */
class Job {
  readonly view: Reader;
  written = 0;
  read = 0;
  /** Its objects, and those of them which were there already. */
  readonly listed: Listed[] = [];
  readonly found: Listed[] = [];
  healed = 0;
  readonly damaged: { blob: number; what: string }[] = [];
  private readonly bad: ReadonlySet<string>;
  private readonly place: Place;
  readonly dataKey: Uint8Array;
  private readonly options: CreateOptions;
  private readonly pending: Promise<unknown>[] = [];
  readonly buffers = createBuffers();
  private of = 0;

  /** `bad`: objects that are put whatever is there under their names. */
  constructor(view: Reader, place: Place, dataKey: Uint8Array, options: CreateOptions, bad: ReadonlySet<string>) {
    this.bad = bad;
    this.view = view;
    this.place = place;
    this.dataKey = dataKey;
    this.options = options;
  }

  expect(octets: number): void {
    this.of += octets;
  }

  tell(octets: number): void {
    this.read += octets;
    this.options.progress?.(this.read, Math.max(this.read, this.of));
  }

  /** Waits only while too many are on their way: what it returns is still to come. `plain` is not the caller's any more. */
  async put(kind: 'rows' | 'bodies', plain: Uint8Array): Promise<{ object: Promise<Listed> }> {
    const object = this.seal(kind, plain);
    object.catch(() => {}); // whoever waits for it is told
    this.pending.push(object);
    if (this.pending.length > limits.snapshotInFlight) await this.pending.shift();
    return { object };
  }

  private async seal(kind: string, plain: Uint8Array): Promise<Listed> {
    const { name, octets } = await sealObject(this.dataKey, kind, plain, this.buffers.take);
    this.buffers.give(plain);
    const listed: Listed = [name, octets.length];
    this.listed.push(listed);
    const bad = this.bad.has(name);
    if (bad) this.healed++;
    if (!bad && !this.options.full && (await this.place.size(objectName(name))) === octets.length) this.found.push(listed);
    else {
      await this.place.put(objectName(name), octets);
      this.written += octets.length;
    }
    this.buffers.give(octets);
    return listed;
  }

  async catalog(catalog: Catalog): Promise<Listed> {
    const listed = await writeCatalog(this.place, this.dataKey, catalog, (name) => this.options.full || this.bad.has(name));
    if (this.bad.has(listed[0])) this.healed++;
    this.listed.push(listed);
    return listed;
  }

  /** null: it cannot be read any more. */
  async readCatalog(object: Listed): Promise<Catalog | null> {
    try {
      return await readCatalog(this.place, this.dataKey, object);
    } catch (error) {
      if (error instanceof Damaged) return null;
      throw error;
    }
  }
}

async function increment(job: Job, last: Last, touched: Touched): Promise<Made> {
  const objects: Promise<Listed>[] = [];
  const details: { blobs: number[] | null; size: number }[] = [];
  const packer = createPacker(job.buffers, limits.snapshotObject, 1);
  const flush = async (): Promise<void> => {
    if (packer.rows === 0) return;
    details.push({ blobs: null, size: packer.size });
    job.tell(packer.size);
    objects.push((await job.put('rows', packer.take())).object);
  };
  const fresh: number[] = [];
  for (const key of touched.keys) {
    const value = job.view.get(key) ?? null;
    // each new body brings its hash row (commands/blob.ts)
    if (value !== null && tableOf(key) === 'hash') fresh.push(...bodyOf(key, value));
    if (packer.overflows(key, value)) await flush();
    if (packer.add(key, value)) await flush();
  }
  await flush();
  const mended = [...touched.bodies].filter((blob) => soundBlob(job.view, blob) !== undefined);
  let before: Promise<Catalog['packs']> | null = null;
  const older = async (blob: number): Promise<boolean> => (await (before ??= packsOf(job, last, null))).some((pack) => pack.blobs.includes(blob));
  const bodies = [...new Set([...fresh, ...mended])].sort((a, b) => a - b);
  for await (const { object, blobs, size } of packs(job, bodies, older)) {
    objects.push(object);
    details.push({ blobs, size });
  }
  const listed = { commit: getRow(job.view, 'site', {})?.commit as number, objects: await Promise.all(objects) };
  return {
    catalog: last.manifest.catalog,
    listed: [...last.manifest.increments, listed],
    secrets: { increments: [...last.secrets.increments, details], rowOctets: last.secrets.rowOctets },
    reused: 0,
  };
}

/** The body of a hash row; none when the row is damaged. */
function bodyOf(key: Uint8Array, stored: Uint8Array): number[] {
  const row = soundRow('hash', key, stored);
  return row === undefined ? [] : [row.blob];
}

async function base(job: Job, last: Last | null, known: Known | null): Promise<Made> {
  const before = last ? await packsOf(job, last, known) : [];
  const { kept, packed } = worthKeeping(job.view, before);
  const saved = new Set<Pack>();
  const segments: { object: Promise<Listed>; first: string; size: number }[] = [];
  const fresh: number[] = [];
  let rowOctets = 0;
  const packer = createPacker(job.buffers, MiB, 4096);
  let first = '';
  const flush = async (): Promise<void> => {
    if (packer.rows === 0) return;
    const { size } = packer;
    rowOctets += size;
    job.tell(size);
    segments.push({ first, size, ...(await job.put('rows', packer.take())) });
  };
  for (const table of rowTables) {
    const { from, to } = prefixRange(table);
    for (const rows of slices(job.view, from, to)) {
      for (const [key, value] of rows) {
        if (table === 'blob') {
          const { blob } = decodeKey('blob', key);
          if (!packed.has(blob)) fresh.push(blob);
        }
        if (packer.overflows(key, value)) await flush();
        if (packer.rows === 0) first = Buffer.from(key).toString('hex');
        if (packer.add(key, value)) await flush();
      }
    }
  }
  await flush();
  const made: { object: Promise<Listed>; blobs: number[]; size: number }[] = [];
  const older = async (blob: number): Promise<boolean> => {
    const found = before.filter((pack) => pack.blobs.includes(blob));
    for (const pack of found) saved.add(pack);
    return found.length > 0;
  };
  for await (const pack of packs(job, fresh, older)) made.push(pack);
  const settle = <T extends { object: Promise<Listed> }>(rows: T[]) => Promise.all(rows.map(async (row) => ({ ...row, object: await row.object })));
  const catalog: Catalog = {
    segments: await settle(segments),
    packs: [...[...saved].filter((pack) => !kept.includes(pack)), ...kept, ...(await settle(made))],
  };
  return {
    catalog: await job.catalog(catalog),
    listed: [],
    secrets: { increments: [], rowOctets },
    reused: kept.reduce((sum, pack) => sum + pack.object[1], 0),
  };
}

/** The packs of a snapshot, of its base and of its increments. */
async function packsOf(job: Job, { manifest, secrets }: Last, known: Known | null): Promise<Catalog['packs']> {
  const catalog = known?.catalog ?? (known?.whole === false ? null : await job.readCatalog(manifest.catalog));
  const added = manifest.increments.flatMap(({ objects }, i) =>
    objects.flatMap((object, j) => {
      const detail = secrets.increments[i]?.[j];
      return detail?.blobs ? [{ object, blobs: detail.blobs, size: detail.size }] : [];
    }),
  );
  return [...(catalog?.packs ?? []), ...added].filter((pack) => known?.lost.has(pack.object[0]) !== true);
}

/** Packs that are still worth their room, and the bodies in them. A pack that is mostly dead, or small, is made anew. */
function worthKeeping(view: Reader, before: Catalog['packs']): { kept: Catalog['packs']; packed: Set<number> } {
  const kept: Catalog['packs'] = [];
  const packed = new Set<number>();
  const dropped = new Set<number>();
  for (const pack of before) {
    let alive = 0;
    for (const blob of pack.blobs) alive += Math.min(pack.size, sizeOf(view, blob));
    if (alive >= pack.size / 2 && pack.size >= MiB) kept.push(pack);
    else for (const blob of pack.blobs) dropped.add(blob);
  }
  // a body that stands in two packs needs both of them
  for (const pack of kept) for (const blob of pack.blobs) if (!dropped.has(blob)) packed.add(blob);
  return { kept, packed };
}

/**
 * The chunks of bodies as packs, in the order of `blobs`. Each body is proved by its hash. One that is not what it was is left
 * to its `older` copy where there is one; else what there is of it is packed, and not named as a body of the pack, so that
 * the next snapshot does not rely on it.
 */
async function* packs(
  job: Job,
  blobs: readonly number[],
  older: (blob: number) => Promise<boolean>,
): AsyncGenerator<{ object: Promise<Listed>; blobs: number[]; size: number }> {
  for (const blob of blobs) job.expect(sizeOf(job.view, blob));
  const packer = createPacker(job.buffers, limits.snapshotObject / 2, 16);
  let held: number[] = [];
  const flush = async () => {
    const { size } = packer;
    const pack = { blobs: held, size, ...(await job.put('bodies', packer.take())) };
    held = [];
    return pack;
  };
  for (const blob of blobs) {
    let full = false;
    const { chunks, what } = proved(job.view, blob);
    if (what !== null) job.damaged.push({ blob, what });
    if (what !== null && (await older(blob))) continue;
    for (const [key, value] of chunks()) {
      let octets = value;
      if (packer.overflows(key, value)) {
        octets = value.slice(); // what is awaited may read as well
        yield await flush();
      }
      if (what === null && held.at(-1) !== blob) held.push(blob);
      full = packer.add(key, octets);
    }
    job.tell(sizeOf(job.view, blob));
    // a pack ends with a body: on the octets of its last key, whatever else is in it
    if (full) yield await flush();
  }
  if (packer.rows > 0) yield await flush();
}

interface Proved {
  readonly chunks: () => Iterable<readonly [Uint8Array, Uint8Array]>;
  /** Why they are not the body; null: they are. */
  readonly what: string | null;
}

function proved(view: Reader, blob: number): Proved {
  const row = soundBlob(view, blob);
  // where they are not simply in memory they are fetched once, if they are not too many
  const held = view.mapped === true || (row?.chunks ?? sliceRows) >= sliceRows ? null : [...chunksOf(view, blob)];
  const chunks = (): Iterable<readonly [Uint8Array, Uint8Array]> => held ?? chunksOf(view, blob);
  const values = function* (): Generator<Uint8Array> {
    for (const [, value] of chunks()) yield value;
  };
  return { chunks, what: row === undefined ? 'its row cannot be read' : bodyDamage(row, values()) };
}

/** The chunks of a body, each good until the next one is asked for or something is awaited. */
function* chunksOf(view: Reader, blob: number): Generator<readonly [Uint8Array, Uint8Array], void, undefined> {
  const chunks = view.mapped === true ? soundBlob(view, blob)?.chunks : undefined;
  if (chunks === undefined) {
    const { from, to } = prefixRange('chunk', blob);
    for (const rows of slices(view, from, to)) yield* rows;
    return;
  }
  for (let n = 0; n < chunks; n++) {
    const key = encodeKey('chunk', { blob, n });
    const value = view.peek(key);
    if (value !== undefined) yield [key, value];
  }
}

/** undefined: it is gone, or damaged. */
function soundBlob(view: Reader, blob: number): Row<'blob'> | undefined {
  const key = encodeKey('blob', { blob });
  const stored = view.get(key);
  return stored === undefined ? undefined : soundRow('blob', key, stored);
}

const sizeOf = (view: Reader, blob: number): number => soundBlob(view, blob)?.size ?? 0;

const sliceRows = 512;

/** Rows of a range, in slices that are held in memory: the pinned view is read in one go for each. */
function* slices(view: Reader, from: Uint8Array, to: Uint8Array): Generator<(readonly [Uint8Array, Uint8Array])[], void, undefined> {
  for (let next = from; ; ) {
    const rows = [...view.range(next, to, { limit: sliceRows })];
    yield rows;
    const last = rows.at(-1);
    if (!last || rows.length < sliceRows) return;
    next = new Uint8Array(last[0].length + 1);
    next.set(last[0]);
  }
}

function about(view: Reader, site: Row<'site'>): Pick<Secrets, 'host' | 'digest' | 'counts'> {
  const counts = { accounts: 0, messages: 0, octets: 0 };
  for (const { row } of scanRows(view, 'account', [], { skipDamaged: true })) {
    counts.accounts++;
    counts.messages += row.messages;
    counts.octets += row.usedBytes;
  }
  return { host: config(view)?.document.host ?? '', digest: site.schema < 2 ? digestOf(view) : { rows: site.rows, sumA: site.sumA, sumB: site.sumB }, counts };
}
