// The scrub: everything that is stored is read again, about once a week, at low priority, so that damage is found while
// there is a good copy. Guarantees: a crash goes on where it was; what is found is on the list of damage (and in `status`)
// until it is mended; every mending is a command of the store.
//
// A finding goes: found → listed → mended from what the row derives from, else from a snapshot that has the good copy
// → off the list; or it stays on it, and is tried again by every later scrub and start.

import type { Peer, Running } from '../actors/actor.ts';
import { type Ask, isRefusal } from '../actors/wire.ts';
import type { World } from '../actors/world.ts';
import { bodyDamage, chunkSize, codec, type InfoRow, openChunk } from './bodies.ts';
import type { Engine, Reader } from './engine.ts';
import type { StoreProtocol } from './messages.ts';
import { digestKey, isDigest, marked } from './recount.ts';
import { decodeKey, decodeRow, encodeKey, encodeRow, getRow, type Key, type Keyed, prefixRange, type Row, sealRow, tableOf, unlessDamaged } from './rows.ts';
import { type TableName, tables } from './schema.ts';

/** Good copies from elsewhere. */
export interface Spare {
  /** The row as it was stored, if nothing has touched it since. */
  row(key: Uint8Array): Promise<Uint8Array | null>;
  /** The octets of a body, in pieces. They are proved before they are used. */
  body(hash: Uint8Array): AsyncIterable<Uint8Array> | null;
}
export interface ScrubOptions {
  /** Called when there is something to mend. */
  readonly spare: (() => Promise<Spare>) | null;
  /** What a message's info is. MIME is not known here. */
  readonly infoOf: ((message: Uint8Array) => Promise<InfoRow>) | null;
}
type Found = Ask<StoreProtocol, 'scrubbed'>['found'][number];

const everyMs = 7 * 24 * 3_600_000;
/** Between two looks whether it is time. */
const lookMs = 3_600_000;
/** Rows and octets of bodies of one slice, and the pause after it. */
const sliceRows = 500;
const sliceOctets = 1024 * 1024;
const pauseMs = 250;
/** After a mend: at least so long, and so many times what it took, as it may have read a whole table. */
const mendPauseMs = 10;
const mailFirst = 4;
/** Between two commits that keep how far it is: a crash loses no more. */
const sayMs = 30_000;

/** Scrubs for as long as the store lives. */
export async function scrubber(world: World, engine: Engine, store: Running<StoreProtocol>, options: ScrubOptions): Promise<never> {
  for (;;) {
    engine.refresh();
    const row = unlessDamaged(() => getRow(engine, 'scrub', {}));
    const due = row === undefined || row.next.length > 0 || row.finishedAt + everyMs <= world.now();
    if (due) await scrubOnce(world, engine, store, options);
    else await mendListed(world, engine, store, options);
    await world.sleep(lookMs);
  }
}

/** One scrub to its end, from where the last one was left. Then all that is listed is tried once more. */
export async function scrubOnce(world: World, engine: Engine, store: Running<StoreProtocol>, options: ScrubOptions): Promise<void> {
  const s = scrubOf(world, engine, store, options);
  const began = world.monotonicMs();
  engine.refresh();
  const from = unlessDamaged(() => getRow(engine, 'scrub', {}))?.next ?? new Uint8Array(0);
  let next = from;
  let unsaid = { rows: 0, bodies: 0 };
  let saidMs = began;
  do {
    engine.refresh();
    const slice = lookAt(engine, next);
    next = slice.next;
    for (const f of slice.found) {
      const known = unlessDamaged(() => engine.get(encodeKey('damage', nameOf(f.key))));
      if (known === undefined) world.log('store.damaged', { table: f.table, key: Buffer.from(f.key).toString('hex'), what: f.what });
    }
    const { found } = slice;
    unsaid = { rows: unsaid.rows + slice.rows, bodies: unsaid.bodies + slice.bodies };
    if (found.length > 0 || next.length === 0 || world.monotonicMs() - saidMs >= sayMs) {
      if (isRefusal(await s.ask('scrubbed', { now: world.now(), next, ...unsaid, found }))) return; // a full disk: later
      unsaid = { rows: 0, bodies: 0 };
      saidMs = world.monotonicMs();
    }
    if (found.length > 0) await mendAll(s, slice.found);
    if (next.length > 0) await world.sleep(pauseMs);
  } while (next.length > 0);
  engine.refresh();
  await mendAll(s, listed(engine));
  engine.refresh();
  const done = unlessDamaged(() => getRow(engine, 'scrub', {}));
  if (done) world.log('store.scrubbed', { rows: done.rows, bodies: done.bodies, found: done.found, ms: Math.round(world.monotonicMs() - began) });
}

/** Tries what is on the list once more. */
async function mendListed(world: World, engine: Engine, store: Running<StoreProtocol>, options: ScrubOptions): Promise<void> {
  await mendAll(scrubOf(world, engine, store, options), listed(engine));
}

const scrubOf = (world: World, engine: Engine, store: Running<StoreProtocol>, options: ScrubOptions): Scrub => ({
  world,
  engine,
  options,
  ask: (kind, ask) => store.receive(kind, ask, self),
});

interface Scrub {
  readonly world: World;
  readonly engine: Engine;
  readonly options: ScrubOptions;
  ask(kind: 'scrubbed' | 'mend' | 'mendBody', ask: object): Promise<object>;
}
const self: Peer<StoreProtocol> = { id: 0, emit: () => {}, onGone: () => {} };

const nameOf = (key: Uint8Array): Key<'damage'> => ({ of: new Uint8Array(new Bun.CryptoHasher('sha256').update(key).digest()) });

/** What is on the list. */
export function listed(reader: Reader): Row<'damage'>[] {
  const out: Row<'damage'>[] = [];
  const { from, to } = prefixRange('damage');
  for (const [key, stored] of reader.range(from, to)) {
    const row = unlessDamaged(() => decodeRow('damage', stored, key));
    if (row) out.push(row);
  }
  return out;
}

interface Slice {
  readonly found: Found[];
  /** Where to go on; empty: all has been looked at. */
  next: Uint8Array;
  rows: number;
  bodies: number;
  octets: number;
}

/** Looks at rows from `from` on, until it has been enough. */
export function lookAt(reader: Reader, from: Uint8Array): Slice {
  const slice: Slice = { found: [], next: new Uint8Array(0), rows: 0, bodies: 0, octets: 0 };
  const numbers = Object.values(tables)
    .map((t) => t.number)
    .sort((a, b) => a - b);
  for (const number of numbers) {
    const table = tableOf(new Uint8Array([number])) as TableName;
    if (table === 'chunk' || table === 'journal') continue; // by their bodies; only a help
    const { from: start, to } = prefixRange(table);
    if (from.length > 0 && Buffer.compare(to, from) <= 0) continue;
    for (const [key, stored] of reader.range(from.length > 0 && Buffer.compare(from, start) > 0 ? from : start, to)) {
      if (slice.rows >= sliceRows || slice.octets >= sliceOctets || slice.found.length > 900) {
        slice.next = Uint8Array.from(key);
        return slice;
      }
      slice.rows++;
      lookAtRow(reader, slice, table, Uint8Array.from(key), stored);
    }
  }
  return slice;
}

function lookAtRow(reader: Reader, slice: Slice, table: TableName, key: Uint8Array, stored: Uint8Array): void {
  try {
    const found = { key: decodeKey(table, key), row: decodeRow(table, stored, key) };
    if (table === 'blob') lookAtBody(reader, slice, found as Keyed<'blob'>);
    for (const [other, otherKey] of needs(table, found)) {
      const name = encodeKey(other, otherKey as never);
      if (reader.peek(name) === undefined) slice.found.push({ table: other, key: name, what: 'it is missing' });
    }
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    slice.found.push({ table, key, what: what.slice(0, 500) });
  }
}

/** Rows that must be there when this one is: each can be made anew from it. */
function needs(table: TableName, { key, row }: { key: unknown; row: unknown }): [TableName, object][] {
  if (table === 'blob') {
    const { blob } = key as Key<'blob'>;
    return [
      ['hash', { hash: (row as Row<'blob'>).hash }],
      ['info', { blob }],
    ];
  }
  if (table === 'hash') return [['blob', { blob: (row as Row<'hash'>).blob }]];
  if (table === 'mailbox') return [['mailboxName', { account: (key as Key<'mailbox'>).account, name: (row as Row<'mailbox'>).name }]];
  if (table === 'mailboxName') return [['mailbox', { account: (key as Key<'mailboxName'>).account, mailbox: (row as Row<'mailboxName'>).mailbox }]];
  if (table === 'account') return (row as Row<'account'>).present ? [['address', { address: (row as Row<'account'>).address }]] : [];
  if (table === 'address') return (row as Row<'address'>).kind === 'account' ? [['account', { account: (row as Row<'address'>).account }]] : [];
  if (table === 'queueRecipient') return [['queueDue', { due: (row as Row<'queueRecipient'>).due, ...(key as Key<'queueRecipient'>) }]];
  if (table === 'config') {
    const { domains, aliases } = JSON.parse((row as Row<'config'>).document) as { domains: { name: string }[]; aliases: { address: string }[] };
    return [...domains.map(({ name }) => ['domain', { name }]), ...aliases.map(({ address }) => ['address', { address }])] as [TableName, object][];
  }
  return [];
}

/** Reads a body whole. */
function lookAtBody(reader: Reader, slice: Slice, { key, row }: Keyed<'blob'>): void {
  const what = bodyDamage(row, chunksOf(reader, key.blob, row));
  if (what !== null) slice.found.push({ table: 'chunk', key: encodeKey('chunk', { blob: key.blob, n: 0 }), what });
  slice.bodies++;
  slice.octets += row.size;
}

function* chunksOf(reader: Reader, blob: number, row: Row<'blob'>): Generator<Uint8Array | undefined> {
  for (let n = 0; n < row.chunks; n++) yield reader.get(encodeKey('chunk', { blob, n }));
}

/** Tries what is found, in rounds, for as long as that helps: some derive from others. */
async function mendAll(s: Scrub, found: readonly Found[]): Promise<void> {
  let left = found.filter(({ key }) => !isDigest(key));
  for (;;) {
    const still: Found[] = [];
    for (const f of left) {
      s.engine.refresh();
      const began = s.world.monotonicMs();
      const how = f.table === 'chunk' ? await mendBody(s, f) : await mendRow(s, f);
      if (how === 'no') still.push(f);
      else if (how !== 'sound') s.world.log('store.healed', { table: f.table, key: Buffer.from(f.key).toString('hex'), how });
      await s.world.sleep(Math.max(mendPauseMs, mailFirst * (s.world.monotonicMs() - began)));
    }
    if (still.length === 0 || still.length === left.length) break;
    left = still;
  }
  s.engine.refresh();
  if (marked(s.engine) !== undefined) await s.ask('mend', { key: digestKey, row: new Uint8Array(0) }); // refused: later
}

/** What only a copy knows in full comes from a copy where there is one. */
const copyFirst: ReadonlySet<string> = new Set<TableName>(['mailbox', 'account', 'certificate', 'authFailure']);

async function mendRow(s: Scrub, { table, key }: Found): Promise<string> {
  const derived = async (): Promise<string> => howOf(await s.ask('mend', { key, row: new Uint8Array(0) }));
  const copied = async (): Promise<string> => {
    const row = (await (await s.options.spare?.())?.row(key)) ?? null;
    return row === null ? 'no' : howOf(await s.ask('mend', { key, row }));
  };
  const ways = copyFirst.has(table) ? [copied, derived] : [derived, table === 'info' ? () => mendInfo(s, key) : copied, copied];
  for (const way of ways) {
    const how = await way();
    if (how !== 'no') return how;
  }
  return 'no';
}

const howOf = (answer: object): string => (isRefusal(answer) ? 'no' : (answer as { how: string }).how);

async function mendInfo(s: Scrub, key: Uint8Array): Promise<string> {
  const { blob } = decodeKey('info', key);
  const row = unlessDamaged(() => getRow(s.engine, 'blob', { blob }));
  if (s.options.infoOf === null || row === undefined || bodyDamage(row, chunksOf(s.engine, blob, row)) !== null) return 'no';
  const pieces: Uint8Array[] = [];
  for (let n = 0; n < row.chunks; n++) pieces.push(openChunk(s.engine.get(encodeKey('chunk', { blob, n })) as Uint8Array));
  const info = await s.options.infoOf(Buffer.concat(pieces));
  return howOf(await s.ask('mend', { key, row: sealRow('info', key, encodeRow('info', info)) }));
}

/** A body from a copy that has its hash. */
async function mendBody(s: Scrub, { key }: Found): Promise<string> {
  const { blob } = decodeKey('chunk', key);
  const row = unlessDamaged(() => getRow(s.engine, 'blob', { blob }));
  if (row === undefined) return 'no';
  if (bodyDamage(row, chunksOf(s.engine, blob, row)) === null) return saying(await s.ask('mendBody', { blob, first: 0, chunks: [], last: true }), 'sound');
  const spare = (await s.options.spare?.()) ?? null;
  if (spare === null || !(await isGood(spare.body(row.hash), row))) return 'no';
  let first = 0;
  let chunks: Uint8Array[] = [];
  for await (const octets of rechunked(spare.body(row.hash) as AsyncIterable<Uint8Array>, row)) {
    chunks.push(packed(octets));
    if (chunks.length < 64) continue;
    if (isRefusal(await s.ask('mendBody', { blob, first, chunks, last: false }))) return 'no';
    first += chunks.length;
    chunks = [];
  }
  return saying(await s.ask('mendBody', { blob, first, chunks, last: true }), 'given');
}

const saying = (answer: object, how: string): string => (isRefusal(answer) ? 'no' : how);

async function isGood(pieces: AsyncIterable<Uint8Array> | null, row: Row<'blob'>): Promise<boolean> {
  if (pieces === null) return false;
  const hasher = new Bun.CryptoHasher('sha256');
  for await (const piece of pieces) hasher.update(piece);
  return hasher.digest().equals(Buffer.from(row.hash));
}

/** The octets of each chunk in turn. */
async function* rechunked(pieces: AsyncIterable<Uint8Array>, row: Row<'blob'>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  let n = 0;
  for await (const piece of pieces) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (let size = chunkSize(row.size, row.headerSize, n); n < row.chunks && rest.length >= size; size = chunkSize(row.size, row.headerSize, n)) {
      yield rest.subarray(0, size);
      rest = rest.subarray(size);
      n++;
    }
  }
}

function packed(octets: Uint8Array): Uint8Array {
  const small = octets.length > 100 ? Bun.zstdCompressSync(octets) : octets;
  const [kind, body] = small.length < octets.length ? [codec.zstd, small] : [codec.raw, octets];
  const chunk = new Uint8Array(1 + body.length);
  chunk[0] = kind;
  chunk.set(body, 1);
  return chunk;
}
