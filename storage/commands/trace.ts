// What is remembered of messages, written by the commands that do what it tells of. Guarantees: a trace and what it is
// about are in one commit; remembering never stops mail: where its own rows are damaged, nothing is remembered until they
// are mended; what is kept has an age and a size (limits.trace…), and goes oldest first, in small steps.

import { limits } from '../../actors/limits.ts';
import type { Answer } from '../../actors/wire.ts';
import type { StoreProtocol } from '../messages.ts';
import { type Row, unlessDamaged } from '../rows.ts';
import { bucketOf, keysOf, startOf, weightOf } from '../trace.ts';
import type { Tx } from '../tx.ts';
import type { Mail } from './deliver.ts';
import type { Command } from './site.ts';

type Meter = Row<'traceMeter'>;
type Kind = Row<'traceEvent'>['kind'];

/** Null: it is damaged, and nothing is remembered until it is mended. */
function meterOf(tx: Tx): Meter | null {
  const none = {
    first: 1,
    next: 1,
    indexed: 1,
    firstRefused: 1,
    nextRefused: 1,
    octets: 0,
    received: 0,
    refused: 0,
    delivered: 0,
    deferred: 0,
    bounced: 0,
    deleted: 0,
  };
  const read = unlessDamaged(() => ({ row: tx.get('traceMeter', {}) }));
  return read === undefined ? null : (read.row ?? none);
}

/** The number of the next trace; 0: nothing can be remembered now. */
export const nextTrace = (tx: Tx): number => meterOf(tx)?.next ?? 0;

/** The message under `nextTrace`. `queue`: 0 where nothing goes out. */
export function traceMail(tx: Tx, mail: Mail, now: number, queue: number, placed: Row<'trace'>['placed']): void {
  const meter = meterOf(tx);
  if (meter === null) return;
  const { origin, content, envelopeFrom, account } = mail;
  const { session, ip, helo, tls, named } = origin;
  const remote = mail.remote.map((r) => r.address);
  const head = { at: now, queue, account, session, ip, helo, tls, size: content.size, messageId: content.info.messageId, envelopeFrom, named, placed, remote };
  const id = meter.next;
  tx.put('trace', { trace: id }, head);
  tx.put('traceMeter', {}, { ...meter, next: id + 1, octets: meter.octets + weightOf(head), received: meter.received + (ip === '' ? 0 : 1) });
}

const blank = { to: [], address: '', envelopeFrom: '', ip: '', host: '', code: '', words: '', tls: '', next: 0, count: 1, by: '' };
export type Happened = Omit<Partial<Row<'traceEvent'>>, 'kind' | 'at'> & { readonly kind: Kind };

/** Which counter tells of how many recipients that became of. */
const counters: { readonly [K in Kind]?: 'delivered' | 'deferred' | 'bounced' | 'deleted' } = {
  delivered: 'delivered',
  deferred: 'deferred',
  bounced: 'bounced',
  expired: 'bounced',
  discarded: 'bounced',
  deleted: 'deleted',
};

/** What became of recipients of a trace; `trace` 0, or one that is no longer kept: it is only counted. */
export function traceEvent(tx: Tx, trace: number, now: number, happened: Happened): void {
  const meter = meterOf(tx);
  if (meter === null) return;
  const row = { ...blank, ...happened, at: now };
  const counter = counters[row.kind];
  const counted = counter === undefined ? meter : { ...meter, [counter]: meter[counter] + row.to.length };
  const n = trace < meter.first || trace >= meter.next ? null : nextEvent(tx, trace);
  if (n === null || (n >= limits.traceEvents && row.kind === 'deferred')) return void tx.put('traceMeter', {}, counted);
  tx.put('traceEvent', { trace, n }, row);
  tx.put('traceMeter', {}, { ...counted, octets: meter.octets + weightOf(row) });
}

function nextEvent(tx: Tx, trace: number): number {
  for (const { key } of tx.scan('traceEvent', [trace], { reverse: true, limit: 1, skipDamaged: true })) return key.n + 1;
  return 0;
}

export const recordRefused: Command<'recordRefused'> = (tx, { refusals }): Answer<StoreProtocol, 'recordRefused'> => {
  const meter = meterOf(tx);
  if (meter === null) return {};
  let { firstRefused, nextRefused, octets, refused } = meter;
  for (const { at, helo, ...rest } of refusals) {
    const row = { ...blank, ...rest, at, kind: 'refused' as const, host: helo };
    tx.put('traceEvent', { trace: 0, n: nextRefused++ }, row);
    octets += weightOf(row);
    refused += rest.count;
  }
  const forgotten = { ...meter, firstRefused, nextRefused, octets, refused };
  for (; nextRefused - firstRefused > limits.traceRefused; firstRefused++) forgetRefused(tx, forgotten);
  tx.put('traceMeter', {}, forgotten);
  return {};
};

/** The oldest refusal. */
function forgetRefused(tx: Tx, meter: { -readonly [K in keyof Meter]: Meter[K] }): void {
  const key = { trace: 0, n: meter.firstRefused++ };
  const row = unlessDamaged(() => tx.get('traceEvent', key));
  if (row !== undefined) meter.octets = Math.max(0, meter.octets - weightOf(row));
  tx.delete('traceEvent', key);
}

/**
 * Puts into the index what came since the last time; a lookup reads the rest one by one. So accepting a message writes its
 * own row only, and rows of the index are written side by side.
 */
export const indexTrace: Command<'indexTrace'> = (tx) => {
  const meter = meterOf(tx);
  if (meter === null) return { more: false };
  const addresses = new Map<number, string>();
  const addressOf = (account: number): string => {
    const known = addresses.get(account) ?? unlessDamaged(() => tx.get('account', { account }))?.address ?? '';
    addresses.set(account, known);
    return known;
  };
  let left: number = limits.collectPerCommit;
  let indexed = Math.max(meter.indexed, meter.first);
  for (; left > 0 && indexed < meter.next; indexed++) {
    const head = unlessDamaged(() => tx.get('trace', { trace: indexed }));
    left--;
    if (head === undefined) continue;
    const keys = keysOf(
      head,
      head.placed.map((p) => addressOf(p.account)),
    );
    for (const of of keys) tx.put('traceIndex', { bucket: bucketOf(indexed), of, trace: indexed }, {});
    left -= keys.size;
  }
  if (indexed !== meter.indexed) tx.put('traceMeter', {}, { ...meter, indexed });
  return { more: indexed < meter.next };
};

type Most = Readonly<Record<'traceAgeMs' | 'traceMessages' | 'traceOctets', number>>;

/** Removes what is too old or too much. What is left of `room`; 0 or less: there may be more. */
export function pruneTrace(tx: Tx, now: number, room: number, most: Most = limits): number {
  const meter = meterOf(tx);
  if (meter === null) return room;
  const next = { ...meter };
  let left = room;
  for (; left > 0 && next.first < next.next; next.first++) {
    const head = unlessDamaged(() => tx.get('trace', { trace: next.first }));
    const over = next.next - next.first > most.traceMessages || next.octets > most.traceOctets;
    if (head !== undefined && head.at + most.traceAgeMs > now && !over) break;
    left -= forget(tx, next, head);
  }
  for (; left > 0 && next.firstRefused < next.nextRefused; left--) {
    const row = unlessDamaged(() => tx.get('traceEvent', { trace: 0, n: next.firstRefused }));
    if (row !== undefined && row.at + most.traceAgeMs > now) break;
    forgetRefused(tx, next);
  }
  if (left < room) tx.put('traceMeter', {}, next);
  // a bucket of the index goes when nothing of it is kept
  for (const { key } of left > 0 ? tx.scan('traceIndex', [], { limit: left }) : []) {
    if (key.bucket >= bucketOf(next.first)) break;
    tx.delete('traceIndex', key);
    left--;
  }
  return left;
}

/** Removes the first trace. How many rows that were. */
function forget(tx: Tx, meter: { -readonly [K in keyof Meter]: Meter[K] }, head: Row<'trace'> | undefined): number {
  let rows = 1;
  let octets = head === undefined ? 0 : weightOf(head);
  for (const { key, row } of tx.scan('traceEvent', [meter.first], { skipDamaged: true })) {
    tx.delete('traceEvent', key);
    octets += weightOf(row);
    rows++;
  }
  tx.delete('trace', { trace: meter.first });
  meter.octets = Math.max(0, meter.octets - octets);
  return rows;
}

/** How far numbers go on beyond those that are seen when the row that counted them is gone. */
const beyond = 1_000;

/** The meter as its rows tell it, after one of them was lost. `known` undefined: the meter itself is. */
export function recountTrace(tx: Tx, known: Meter | undefined): Meter {
  let octets = 0;
  let first = 0;
  let last = 0;
  let firstRefused = 0;
  let lastRefused = 0;
  for (const { key, row } of tx.scan('trace', [], { skipDamaged: true })) {
    octets += weightOf(row);
    if (first === 0) first = key.trace;
    last = key.trace;
  }
  for (const { key, row } of tx.scan('traceEvent', [], { skipDamaged: true })) {
    octets += weightOf(row);
    if (key.trace !== 0) continue;
    if (firstRefused === 0) firstRefused = key.n;
    lastRefused = key.n;
  }
  if (known !== undefined) return { ...known, octets };
  const counted = { received: 0, refused: 0, delivered: 0, deferred: 0, bounced: 0, deleted: 0 };
  let bucket = 0;
  for (const { key } of tx.scan('traceIndex', [], { reverse: true, limit: 1, skipDamaged: true })) bucket = key.bucket;
  const indexed = Math.max(1, first, startOf(bucket));
  return { first: Math.max(1, first), next: last + beyond, indexed, firstRefused: Math.max(1, firstRefused), nextRefused: lastRefused + 1, octets, ...counted };
}

/** After a row of it was mended. */
export function recount(tx: Tx): void {
  const known = meterOf(tx);
  if (known !== null) tx.put('traceMeter', {}, recountTrace(tx, known));
}
