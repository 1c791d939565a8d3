// What the rest of the program may read of the store. Guarantees: every view is short, synchronous reads of rows; a view
// that yields many rows holds no cursor between two of them, so it may be consumed across awaits (call `refresh` after).
// Addresses are in storage/directory.ts, bodies in storage/bodies.ts.

import type { Endpoint } from '../actors/world.ts';
import { parseEndpoint } from './addresses.ts';
import type { Document, Relay } from './document.ts';
import type { Reader } from './engine.ts';
import { inboxName } from './names.ts';
import { type Entry, pageOf, readPage } from './page.ts';
import {
  decodeKey,
  decodeRow,
  encodeKey,
  getRow,
  type Key,
  type Keyed,
  octetText,
  prefixRange,
  type Range,
  type Row,
  RowDamaged,
  scanRange,
  scanRows,
  unlessDamaged,
} from './rows.ts';
import { heldDue, type TableName } from './schema.ts';

export { accountByAddress, isLocalDomain, mayFrom, type Resolution, type Resolved, resolveAddress } from './directory.ts';
export { blob, body, header, info, peekInfo } from './bodies.ts';
export { RowDamaged } from './rows.ts';
export { traceMeter } from './trace.ts';

export type AccountRow = Row<'account'>;
export type CertificateRow = Row<'certificate'>;
export type QueueRow = Row<'queue'>;
export type QueueRecipientRow = Row<'queueRecipient'>;
export interface MailboxView extends Row<'mailbox'> {
  readonly id: number;
}
export interface ConfigView {
  readonly rev: number;
  readonly appliedAt: number;
  readonly document: Document;
}
export interface QueuedView {
  readonly queue: number;
  readonly row: QueueRow;
  readonly recipients: readonly { readonly n: number; readonly row: QueueRecipientRow }[];
}

// The start of a config row tells its rev and its time: the same start is the same document, parsed before.
const configStart = 32;
const parsed = new WeakMap<Reader, { readonly start: string; readonly view: ConfigView }>();

/** The document in force, or null before the first one. Parsed once per rev and reader. */
export function config(reader: Reader): ConfigView | null {
  const at = encodeKey('config', {});
  const octets = reader.peek(at);
  if (!octets) return null;
  const start = `${octets.length} ${octetText(octets.subarray(0, configStart))}`;
  const known = parsed.get(reader);
  if (known?.start === start) return known.view;
  const row = decodeRow('config', octets, at);
  const view = { rev: row.rev, appliedAt: row.appliedAt, document: JSON.parse(row.document) as Document };
  parsed.set(reader, { start, view });
  return view;
}

export const account = (reader: Reader, id: number): AccountRow | undefined => getRow(reader, 'account', { account: id });

/** All mailboxes of an account: INBOX first, the others by name. */
export function mailboxes(reader: Reader, id: number): MailboxView[] {
  const out: MailboxView[] = [];
  for (const { key, row } of scanRows(reader, 'mailbox', [id], { skipDamaged: true })) out.push({ id: key.mailbox, ...row });
  const rank = (m: MailboxView): string => (m.name === 'INBOX' ? '' : m.name);
  return out.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

export function mailbox(reader: Reader, accountId: number, id: number): MailboxView | undefined {
  const row = getRow(reader, 'mailbox', { account: accountId, mailbox: id });
  return row && { id, ...row };
}

/** INBOX in any case (RFC 3501 §5.1); every other name as it is spelled. */
export function mailboxByName(reader: Reader, accountId: number, name: string): MailboxView | undefined {
  const found = getRow(reader, 'mailboxName', { account: accountId, name: inboxName(name) });
  return found && mailbox(reader, accountId, found.mailbox);
}

/** One page of messages, by its number; empty when there is none. */
export function page(reader: Reader, mailboxId: number, number: number): Entry[] {
  const key = encodeKey('page', { mailbox: mailboxId, page: number });
  const stored = reader.peek(key);
  return stored ? soundPage(key, stored) : [];
}

/** A damaged page hides its messages, and no others, until it is mended. */
function soundPage(key: Uint8Array, stored: Uint8Array): Entry[] {
  try {
    return readPage(decodeRow('page', stored, key));
  } catch (error) {
    if (error instanceof RowDamaged) return [];
    throw error;
  }
}

const step = 64;

/** Whole pages which hold UIDs of [fromUid, toUid], ascending. */
export function* pages(reader: Reader, mailboxId: number, fromUid: number, toUid: number): Generator<Entry[], void, undefined> {
  const last = pageOf(toUid);
  let next = pageOf(fromUid);
  while (next <= last) {
    const found: Entry[][] = [];
    let at = next;
    const { from, to } = scanRange('page', [mailboxId], { from: { mailbox: mailboxId, page: next } });
    for (const [key, stored] of reader.range(from, to, { limit: step })) {
      at = decodeKey('page', key).page;
      if (at <= last) found.push(soundPage(key, stored));
    }
    yield* found;
    if (found.length < step) return;
    next = at + 1;
  }
}

export function subscriptions(reader: Reader, accountId: number): string[] {
  return [...scanRows(reader, 'subscription', [accountId])].map(({ key }) => key.name);
}

/** UIDs expunged after `modseq`, as [low, high] pairs, ascending, not overlapping (RFC 7162 §3.2.5). */
export function vanishedSince(reader: Reader, mailboxId: number, modseq: number): number[] {
  const pairs: [number, number][] = [];
  for (const { row } of scanRows(reader, 'vanished', [mailboxId], { from: { mailbox: mailboxId, modseq: modseq + 1 } })) {
    for (let i = 0; i < row.ranges.length; i += 2) pairs.push([row.ranges[i] as number, row.ranges[i + 1] as number]);
  }
  pairs.sort((a, b) => a[0] - b[0]);
  const out: number[] = [];
  for (const [low, high] of pairs) {
    const end = out.length - 1;
    if (end > 0 && low <= (out[end] as number) + 1) out[end] = Math.max(out[end] as number, high);
    else out.push(low, high);
  }
  return out;
}

export const certificate = (reader: Reader, host: string): CertificateRow | undefined => getRow(reader, 'certificate', { host: host.toLowerCase() });

export interface DkimKey extends Row<'dkim'> {
  readonly selector: string;
}

/** The signing keys of a domain in the order of their selectors. One that is damaged signs nothing. */
export function dkimKeys(reader: Reader, domain: string): DkimKey[] {
  const found = scanRows(reader, 'dkim', [`${domain}/`], { skipDamaged: true });
  return [...found].map(({ key, row }) => ({ selector: key.name.slice(domain.length + 1), ...row }));
}

export const authFailures = (reader: Reader, key: string): Row<'authFailure'> | undefined => getRow(reader, 'authFailure', { key });

/** One message of the outbound queue. */
export function queued(reader: Reader, id: number): QueuedView | undefined {
  const row = getRow(reader, 'queue', { queue: id });
  return row && { queue: id, row, recipients: [...scanRows(reader, 'queueRecipient', [id], { skipDamaged: true })].map((r) => ({ n: r.key.n, row: r.row })) };
}

/** The outbound queue, oldest message first, behind the one numbered `after`. */
export function* queue(reader: Reader, after = 0): Generator<QueuedView, void, undefined> {
  for (const { key } of stepwise(reader, 'queue', (k: Key<'queue'>) => ({ queue: k.queue + 1 }), { queue: after + 1 })) {
    const found = queued(reader, key.queue);
    if (found) yield found;
  }
}

/** How much waits in the queue. `oldestAt`: when the oldest message came, ms since the epoch; null: there is none. */
export function queueSize(reader: Reader): { messages: number; recipients: number; held: number; oldestAt: number | null } {
  const [oldest] = scanRows(reader, 'queue', [], { limit: 1, skipDamaged: true });
  return {
    messages: countOf(reader, prefixRange('queue')),
    recipients: countOf(reader, prefixRange('queueRecipient')),
    held: countOf(reader, prefixRange('queueDue', heldDue)),
    oldestAt: oldest?.row.arrivedAt ?? null,
  };
}

/** What came of restoring the newest parked snapshot (storage/snapshot/proof.ts); undefined: nothing is known of it. */
export function lastProof(reader: Reader): Row<'proof'> | undefined {
  const row = unlessDamaged(() => getRow(reader, 'proof', {}));
  // a site that was restored has another history: what was proven of the old one says nothing of it
  return row?.lineage === unlessDamaged(() => getRow(reader, 'site', {}))?.lineage ? row : undefined;
}

/** Rows and bodies that are damaged and not mended yet. */
export const damageCount = (reader: Reader): number => countOf(reader, prefixRange('damage'));

function countOf(reader: Reader, { from, to }: Range): number {
  let count = 0;
  for (const _ of reader.keys(from, to)) count++;
  return count;
}

/** All rows of a table from `first` on, in short scans. `next`: the least key above one. */
function* stepwise<N extends TableName>(reader: Reader, table: N, next: (key: Key<N>) => Key<N>, first: Key<N>): Generator<Keyed<N>, void, undefined> {
  let from = first;
  for (;;) {
    const found = [...scanRows(reader, table, [], { limit: step, from })];
    yield* found;
    const last = found.at(-1);
    if (!last || found.length < step) return;
    from = next(last.key);
  }
}

/** Where mail for a domain goes instead of its MX, or null. */
export function relayFor(reader: Reader, domain: string): Relay | null {
  const relays = config(reader)?.document.outbound.relays ?? [];
  return relays.find((r) => r.for === domain.toLowerCase()) ?? relays.find((r) => r.for === '*') ?? null;
}

/** The name servers of the document; empty: those of the machine. */
export function resolvers(reader: Reader): Endpoint[] {
  const found: Endpoint[] = [];
  for (const text of config(reader)?.document.network.resolvers ?? []) {
    const endpoint = parseEndpoint(text, 53);
    if (endpoint) found.push(endpoint);
  }
  return found;
}

/** One record of a portal. */
export const record = (reader: Reader, kind: number, id: string): Row<'record'> | undefined => getRow(reader, 'record', { kind, id });

/** Records whose id starts with `prefix`, by id; with `after`, those behind it (before it, when `reverse`). */
export function records(
  reader: Reader,
  kind: number,
  prefix: string,
  { after, reverse, limit }: { readonly after?: string; readonly reverse: boolean; readonly limit: number },
): { readonly id: string; readonly row: Row<'record'> }[] {
  const edge = after === undefined ? {} : reverse ? { before: { kind, id: after } } : { from: { kind, id: `${after}\u0000` } };
  return [...scanRows(reader, 'record', [kind, prefix], { reverse, limit, ...edge })].map(({ key, row }) => ({ id: key.id, row }));
}

/** Is the mail of this site another machine's: superseded, or not yet ours? */
export const isFenced = (uplink: Row<'uplink'> | undefined): boolean => uplink?.state === 'superseded' || uplink?.state === 'standby';

/** The same, of a store. */
export const fenced = (reader: Reader): boolean => isFenced(getRow(reader, 'uplink', {}));
