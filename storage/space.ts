// Where the octets of a site are, by what they hold and by whose they are. Guarantees: no body is read. Bodies, references
// and mailboxes are counted exactly, from their rows; what rows take on the disk is estimated from a few hundred of each
// table, spread evenly over all of them. Memory does not grow with the site.

import { chunkSize } from './bodies.ts';
import type { Reader } from './engine.ts';
import { encodeKey, prefixRange, scanRows } from './rows.ts';
import type { TableName } from './schema.ts';

/** Rows looked at of each table, at least, where there are so many. */
const sampled = 512;
const most = 10;

/** Octets of rows: their keys and values as they are stored. */
export interface Part {
  readonly what: 'bodies' | 'envelopes' | 'indexes' | 'journal' | 'vanished' | 'queue' | 'trace' | 'configuration' | 'garbage' | 'transfers';
  readonly rows: number;
  readonly octets: number;
}
export interface Owned {
  readonly account: string;
  readonly mailbox: string;
  readonly messages: number;
  readonly octets: number;
}

export function space(reader: Reader) {
  reader.refresh();
  const bodies = lookAtBodies(reader);
  const names = new Map<number, string>();
  const accounts = new Largest();
  for (const { key, row } of scanRows(reader, 'account', [], { skipDamaged: true })) {
    names.set(key.account, row.address);
    accounts.add({ account: row.address, mailbox: '', messages: row.messages, octets: row.usedBytes });
  }
  const mailboxes = new Largest();
  for (const { key, row } of scanRows(reader, 'mailbox', [], { skipDamaged: true }))
    mailboxes.add({ account: names.get(key.account) ?? '', mailbox: row.name, messages: row.exists, octets: row.bytes });
  return { ...bodies.counts, parts: partsOf(reader, bodies), accounts: accounts.list(), mailboxes: mailboxes.list() };
}

const configuration: readonly TableName[] = [
  ...(['site', 'config', 'domain', 'address', 'account', 'certificate', 'dkim', 'authFailure', 'lineage', 'recovery', 'damage', 'scrub', 'record'] as const),
  ...(['uplink', 'desired', 'before', 'commandResult', 'event', 'eventLog', 'clock', 'proof'] as const),
];

function partsOf(reader: Reader, bodies: Bodies): Part[] {
  const sum = (what: Part['what'], tables: readonly TableName[]): Part => {
    let rows = 0;
    let octets = 0;
    for (const table of tables) {
      const found = estimate(reader, table);
      rows += found.rows;
      octets += found.octets;
    }
    return { what, rows, octets };
  };
  let garbage = 0;
  for (const { row } of scanRows(reader, 'garbage', [])) garbage += row.chunks;
  let transfers = 0;
  let octets = 0;
  for (const { row } of scanRows(reader, 'transfer', [])) {
    transfers += row.chunks;
    octets += row.octets;
  }
  const { counts, chunkOctets } = bodies;
  const indexes = sum('indexes', ['mailbox', 'mailboxName', 'page', 'subscription', 'removed']);
  return [
    { what: 'bodies', rows: counts.chunks, octets: counts.storedOctets },
    { what: 'envelopes', rows: counts.bodies, octets: bodies.infoOctets },
    { ...indexes, rows: indexes.rows + 2 * counts.bodies, octets: indexes.octets + bodies.indexOctets },
    sum('journal', ['journal']),
    sum('vanished', ['vanished']),
    sum('queue', ['queue', 'queueRecipient', 'queueDue']),
    sum('trace', ['trace', 'traceEvent', 'traceIndex', 'traceMeter']),
    sum('configuration', configuration),
    { what: 'garbage', rows: garbage, octets: Math.round(garbage * chunkOctets) },
    { what: 'transfers', rows: transfers, octets },
  ];
}

interface Bodies {
  readonly counts: {
    readonly bodies: number;
    readonly references: number;
    readonly chunks: number;
    /** Octets of the bodies as they are read, each once. */
    readonly plainOctets: number;
    /** The same as they are stored. */
    readonly storedOctets: number;
    /** What bodies that are there once and referenced often would take more, as they are stored. */
    readonly sharedOctets: number;
  };
  /** A chunk row of average size. */
  readonly chunkOctets: number;
  readonly infoOctets: number;
  readonly indexOctets: number;
}

/** One pass over the blob rows: they name every chunk. */
function lookAtBodies(reader: Reader): Bodies {
  const chunkSample = new Sample<{ key: Uint8Array; raw: number }>(8 * sampled);
  const infoSample = new Sample<Uint8Array>(sampled);
  let [bodies, references, chunks, plain, extra, own] = [0, 0, 0, 0, 0, 0];
  for (const [octets, value] of rangeOf(reader, 'blob')) own += octets.length + value.length;
  for (const { key, row } of scanRows(reader, 'blob', [])) {
    bodies++;
    references += row.refs;
    chunks += row.chunks;
    plain += row.size;
    extra += row.size * Math.max(0, row.refs - 1);
    chunkSample.offer(row.chunks, (n) => ({ key: encodeKey('chunk', { blob: key.blob, n }), raw: chunkSize(row.size, row.headerSize, n) }));
    infoSample.offer(1, () => encodeKey('info', key));
  }
  let [stored, rows, raw] = [0, 0, 0];
  for (const chunk of chunkSample.items) {
    const length = reader.peek(chunk.key)?.length ?? 0;
    stored += length;
    rows += length + chunk.key.length;
    raw += chunk.raw;
  }
  const ratio = raw === 0 ? 1 : stored / raw;
  const info = meanOf(reader, infoSample.items);
  return {
    counts: { bodies, references, chunks, plainOctets: plain, storedOctets: Math.round(plain * ratio), sharedOctets: Math.round(extra * ratio) },
    chunkOctets: chunkSample.items.length === 0 ? 0 : rows / chunkSample.items.length,
    infoOctets: Math.round(bodies * info),
    indexOctets: Math.round(own + bodies * meanOf(reader, firstKeys(reader, 'hash'))),
  };
}

const rangeOf = (reader: Reader, table: TableName): Iterable<readonly [Uint8Array, Uint8Array]> => {
  const { from, to } = prefixRange(table);
  return reader.range(from, to);
};

/** Keys of a table whose rows are all of one size. */
function firstKeys(reader: Reader, table: TableName): Uint8Array[] {
  const { from, to } = prefixRange(table);
  return [...reader.range(from, to, { limit: 16 })].map(([key]) => key);
}

function estimate(reader: Reader, table: TableName): { rows: number; octets: number } {
  const sample = new Sample<Uint8Array>(sampled);
  const { from, to } = prefixRange(table);
  let rows = 0;
  for (const key of reader.keys(from, to)) {
    rows++;
    sample.offer(1, () => new Uint8Array(key));
  }
  return { rows, octets: Math.round(rows * meanOf(reader, sample.items)) };
}

function meanOf(reader: Reader, keys: readonly Uint8Array[]): number {
  let octets = 0;
  for (const key of keys) octets += key.length + (reader.peek(key)?.length ?? 0);
  return keys.length === 0 ? 0 : octets / keys.length;
}

/**
 * Items of a sequence whose length is not known before: one of each stretch of equal length, between `least` and twice as
 * many. Which one of a stretch is drawn: rows at even distances may all be of one kind, as each eighth chunk may be a header.
 */
class Sample<T> {
  items: T[] = [];
  private stride = 1;
  private stretch = 0;
  private next = 0;
  private seen = 0;
  private drawn = 1;
  private readonly least: number;

  constructor(least: number) {
    this.least = least;
  }

  /** The next `count` of the sequence; `item` makes the one at a place among them. */
  offer(count: number, item: (at: number) => T): void {
    for (const end = this.seen + count; this.next < end; ) {
      this.items.push(item(this.next - this.seen));
      this.stretch += this.stride;
      if (this.items.length === 2 * this.least) {
        this.stride *= 2;
        this.items = Array.from({ length: this.least }, (_, i) => this.items[2 * i + this.draw(2)] as T);
      }
      this.next = this.stretch + this.draw(this.stride);
    }
    this.seen += count;
  }

  /** The same numbers each time: a report of the same rows is the same. */
  private draw(below: number): number {
    this.drawn = (this.drawn * 48_271) % 2_147_483_647;
    return Math.floor((this.drawn / 2_147_483_647) * below);
  }
}

/** The largest of many. */
class Largest {
  private kept: Owned[] = [];

  add(owned: Owned): void {
    if (owned.octets === 0) return;
    this.kept.push(owned);
    if (this.kept.length > 100 * most) this.kept = this.list();
  }

  list(): Owned[] {
    return this.kept.sort((a, b) => b.octets - a.octets).slice(0, most);
  }
}
