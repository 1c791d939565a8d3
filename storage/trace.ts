// "What happened to this message?": the timelines of messages, found by address or by Message-ID. Guarantees: what is
// accepted, queued, tried and ended is told from the commit that did it, so a timeline never contradicts the queue; no
// body and no subject is in it; a look reads short ranges of the index and the rows it shows, at most limits.traceFound.
// Refusals are told as well as an edge could gather them: a crash forgets the last seconds of those.

import { limits } from '../actors/limits.ts';
import type { Reader } from './engine.ts';
import { getRow, type Row, scanRows, unlessDamaged } from './rows.ts';

/** Traces of one bucket of the index, for good. */
const bucketSize = 1_024;
export const bucketOf = (trace: number): number => Math.floor(trace / bucketSize);
export const startOf = (bucket: number): number => bucket * bucketSize;

/** A Message-ID with and without its brackets is one. */
const bare = (id: string): string => id.trim().replace(/^<(.*)>$/s, '$1');
const keyOfAddress = (address: string): number => keyOf(`a:${address.toLowerCase()}`);
const keyOfMessageId = (id: string): number => keyOf(`m:${bare(id)}`);

/** 53 bits of a SHA-256: nobody finds others that crowd a lookup by chance, and rows are compared anyway. */
function keyOf(text: string): number {
  const hash = Bun.SHA256.hash(text) as Uint8Array;
  const view = new DataView(hash.buffer, hash.byteOffset);
  return (view.getUint32(0) & 0x1f_ffff) * 2 ** 32 + view.getUint32(4);
}

/** What a message is found by; `more`: addresses that the row does not name. */
export function keysOf(head: Pick<Row<'trace'>, 'messageId' | 'envelopeFrom' | 'named' | 'remote'>, more: Iterable<string> = []): Set<number> {
  const addresses = new Set([head.envelopeFrom, ...head.named, ...head.remote, ...more].map((a) => a.toLowerCase()).filter((a) => a !== ''));
  const keys = new Set<number>();
  if (head.messageId !== '') keys.add(keyOfMessageId(head.messageId));
  for (const address of addresses) {
    if (keys.size > limits.traceFound) break;
    keys.add(keyOfAddress(address));
  }
  return keys;
}

const listOctets = (list: readonly string[]): number => list.reduce((sum, text) => sum + text.length + 2, 0);

/** About how long a row and its index are, octets. The same for the same row, always: it is added and taken away. */
export function weightOf(row: Row<'trace'> | Row<'traceEvent'>): number {
  if ('placed' in row)
    return (
      200 + row.messageId.length + row.envelopeFrom.length + row.helo.length + 12 * row.placed.length + 3 * (listOctets(row.named) + listOctets(row.remote))
    );
  return 100 + row.address.length + row.envelopeFrom.length + row.host.length + row.words.length + 3 * row.to.length;
}

export interface TraceEvent {
  /** ms since the epoch */
  readonly at: number;
  readonly kind: 'received' | 'stored' | 'queued' | Row<'traceEvent'>['kind'];
  /** Recipients it is about. */
  readonly to: readonly string[];
  readonly account?: string;
  readonly mailbox?: string;
  readonly uid?: number;
  readonly host?: string;
  readonly ip?: string;
  readonly tls?: string;
  readonly code?: string;
  /** The remote host's own, or ours where it said nothing. */
  readonly words?: string;
  /** When it is tried again, ms since the epoch. */
  readonly next?: number;
  readonly by?: string;
}
export interface TracedMessage {
  readonly trace: number;
  readonly at: number;
  /** Without its brackets; empty: it has none. */
  readonly messageId: string;
  readonly from: string;
  /** Recipients as they were named. */
  readonly to: readonly string[];
  readonly size: number;
  /** The client: null for mail that was made here. */
  readonly client: { readonly ip: string; readonly helo: string; readonly tls: string; readonly session: string } | null;
  /** Who had logged in; empty: nobody. */
  readonly account: string;
  /** 0: nothing of it was queued. */
  readonly queue: number;
  /** Recipients that still wait, and those of them which are held. */
  readonly waiting: readonly string[];
  readonly held: readonly string[];
  readonly events: readonly TraceEvent[];
}
export interface TracedRefusal {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly ip: string;
  readonly helo: string;
  readonly code: string;
  readonly words: string;
  /** How often within the seconds that were gathered. */
  readonly count: number;
}
export interface Traced {
  /** Newest first, as are the refusals. */
  readonly messages: readonly TracedMessage[];
  readonly refusals: readonly TracedRefusal[];
  /** There is more than was asked for. */
  readonly more: boolean;
}
export interface TraceQuestion {
  /** An address or a Message-ID. */
  readonly about: string;
  /** ms since the epoch */
  readonly since: number;
  /** Of messages, and of refusals. */
  readonly limit: number;
}

const noMeter: Row<'traceMeter'> = {
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

/** What was counted since the site began. */
export const traceMeter = (reader: Reader): Row<'traceMeter'> => unlessDamaged(() => getRow(reader, 'traceMeter', {})) ?? noMeter;

/** All that is remembered of an address or a Message-ID. */
export function trace(reader: Reader, question: TraceQuestion): Traced {
  reader.refresh();
  const limit = Math.min(question.limit, limits.traceFound);
  const found = lookUp(reader, question, limit + 1);
  const refusals = refusalsOf(reader, question, limit + 1);
  return {
    messages: found.slice(0, limit).map(({ trace: id, head }) => messageOf(reader, id, head)),
    refusals: refusals.slice(0, limit),
    more: found.length > limit || refusals.length > limit,
  };
}

interface Found {
  readonly trace: number;
  readonly head: Row<'trace'>;
}

function lookUp(reader: Reader, { about, since }: TraceQuestion, limit: number): Found[] {
  const { first, next, indexed } = traceMeter(reader);
  const found: Found[] = [];
  // what the collector has not put into the index yet
  for (const { key, row: head } of scanRows(reader, 'trace', [], { reverse: true, skipDamaged: true, from: { trace: indexed }, before: { trace: next } })) {
    if (head.at < since || found.length >= limit) return found;
    if (isAbout(reader, head, about)) found.push({ trace: key.trace, head });
  }
  const keys = new Set([keyOfAddress(about), keyOfMessageId(about)]);
  for (let bucket = bucketOf(indexed - 1); bucket >= bucketOf(first); bucket--) {
    const newest = headOf(reader, Math.min(indexed, startOf(bucket + 1)) - 1);
    if (newest !== undefined && newest.at < since) break;
    const ids = new Set<number>();
    for (const of of keys) for (const { key } of scanRows(reader, 'traceIndex', [bucket, of], { skipDamaged: true })) ids.add(key.trace);
    for (const id of [...ids].sort((a, b) => b - a)) {
      const head = id < first ? undefined : headOf(reader, id);
      if (head === undefined || head.at < since || !isAbout(reader, head, about)) continue;
      if (found.push({ trace: id, head }) >= limit) return found;
    }
  }
  return found;
}

const headOf = (reader: Reader, id: number): Row<'trace'> | undefined => unlessDamaged(() => getRow(reader, 'trace', { trace: id }));

/** Two texts may have one key. */
function isAbout(reader: Reader, head: Row<'trace'>, about: string): boolean {
  const wanted = about.toLowerCase();
  if (head.messageId !== '' && bare(head.messageId) === bare(about)) return true;
  if ([head.envelopeFrom, ...head.named, ...head.remote].some((address) => address.toLowerCase() === wanted)) return true;
  return head.placed.some(({ account }) => addressOf(reader, account) === wanted);
}

const addressOf = (reader: Reader, account: number): string =>
  account === 0 ? '' : (unlessDamaged(() => getRow(reader, 'account', { account }))?.address ?? `account ${account}, which is gone`);

function messageOf(reader: Reader, id: number, head: Row<'trace'>): TracedMessage {
  const waiting: string[] = [];
  const held: string[] = [];
  for (const { row } of head.queue === 0 ? [] : scanRows(reader, 'queueRecipient', [head.queue], { skipDamaged: true }))
    (row.held > 0 ? held : waiting).push(row.address);
  return {
    trace: id,
    at: head.at,
    messageId: bare(head.messageId),
    from: head.envelopeFrom,
    to: head.named.length > 0 ? head.named : [...head.remote, ...head.placed.map((p) => addressOf(reader, p.account))],
    size: head.size,
    client: head.ip === '' ? null : { ip: head.ip, helo: head.helo, tls: head.tls, session: head.session },
    account: addressOf(reader, head.account),
    queue: head.queue,
    waiting,
    held,
    events: eventsOf(reader, id, head),
  };
}

function eventsOf(reader: Reader, id: number, head: Row<'trace'>): TraceEvent[] {
  const { at } = head;
  const events: TraceEvent[] = [{ at, kind: 'received', to: head.named }];
  for (const { account, mailbox, uid } of head.placed) {
    const name = unlessDamaged(() => getRow(reader, 'mailbox', { account, mailbox }))?.name ?? `mailbox ${mailbox}, which is gone`;
    const address = addressOf(reader, account);
    events.push({ at, kind: 'stored', to: [address], account: address, mailbox: name, uid });
  }
  if (head.remote.length > 0) events.push({ at, kind: 'queued', to: head.remote });
  for (const { row } of scanRows(reader, 'traceEvent', [id], { skipDamaged: true })) {
    const { host, ip, tls, code, words, next, by } = row;
    const told = Object.entries({ host, ip, tls, code, words, next, by }).filter(([, value]) => value !== '' && value !== 0);
    events.push({ at: row.at, kind: row.kind, to: row.to.map((n) => head.remote[n] ?? ''), ...Object.fromEntries(told) });
  }
  return events;
}

function refusalsOf(reader: Reader, { about, since }: TraceQuestion, limit: number): TracedRefusal[] {
  const wanted = about.toLowerCase();
  const found: TracedRefusal[] = [];
  for (const { row } of scanRows(reader, 'traceEvent', [0], { reverse: true, skipDamaged: true })) {
    if (row.at < since || found.length >= limit) break;
    if (row.address.toLowerCase() !== wanted && row.envelopeFrom.toLowerCase() !== wanted) continue;
    const { at, envelopeFrom: from, address: to, ip, host: helo, code, words, count } = row;
    found.push({ at, from, to, ip, helo, code, words, count });
  }
  return found;
}
