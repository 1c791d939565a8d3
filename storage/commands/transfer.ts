// Bodies that stream in, and what is left of bodies. Guarantees (M2): every chunk belongs to a blob, to a transfer or to
// garbage, in every commit.

import { limits } from '../../actors/limits.ts';
import { type Answer, type Ask, refuse } from '../../actors/wire.ts';
import { declaredSize } from '../bodies.ts';
import type { StoreProtocol } from '../messages.ts';
import { schemaVersion } from '../migrate.ts';
import { readPage } from '../page.ts';
import { RowDamaged } from '../rows.ts';
import type { Tx } from '../tx.ts';
import { countOf, dropTransfer as drop, release } from './blob.ts';
import { type Command, takeId } from './site.ts';
import { pruneTrace } from './trace.ts';

export const beginTransfer: Command<'beginTransfer'> = (tx, { now }) => {
  const transfer = takeId(tx, 'nextBlob');
  tx.put('transfer', { blob: transfer }, { startedAt: now, chunks: 0, octets: 0 });
  return { transfer };
};

export const appendTransfer: Command<'appendTransfer'> = (tx, { transfer, first, chunks }) => {
  const row = tx.get('transfer', { blob: transfer });
  if (!row) return refuse('noSuchTransfer');
  if (first !== row.chunks) return refuse('badContent', `chunk ${row.chunks} is next`);
  let { octets } = row;
  for (const [i, chunk] of chunks.entries()) {
    const size = declaredSize(chunk);
    // Only the header and the last chunk are short: with the octets of all of them, that settles each one's size.
    if (size < 0 || size > limits.chunk) return refuse('badContent', `chunk ${first + i} has the wrong size`);
    octets += size;
    tx.put('chunk', { blob: transfer, n: first + i }, chunk);
  }
  if (octets > limits.message) return refuse('limit', 'the message is too large');
  tx.put('transfer', { blob: transfer }, { ...row, chunks: row.chunks + chunks.length, octets });
  return {};
};

export const dropTransfer: Command<'dropTransfer'> = (tx, { transfer }) => {
  drop(tx, transfer);
  return {};
};

/** `alive`: transfers that grow still, however long ago they began. */
type Collect = Ask<StoreProtocol, 'collect'> & { readonly alive?: ReadonlySet<number> };

export const collect = (tx: Tx, { now, transferAgeMs, alive }: Collect): Answer<StoreProtocol, 'collect'> => {
  let room: number = limits.collectPerCommit;
  for (const { key, row } of tx.scan('transfer', [])) {
    if (room <= 0) return { chunks: 0, more: true };
    if (alive?.has(key.blob) || row.startedAt + transferAgeMs > now) continue;
    drop(tx, key.blob);
    room--;
  }
  for (const { key } of tx.scan('removed', [])) {
    room = emptyMailbox(tx, key.mailbox, room);
    if (room <= 0) return { chunks: 0, more: true };
    tx.delete('removed', key);
  }
  let removed = 0;
  for (const { key, row } of tx.scan('garbage', [])) {
    if (room <= 0) return { chunks: removed, more: true };
    const left = Math.max(0, row.chunks - room);
    for (let n = row.chunks - 1; n >= left; n--) tx.delete('chunk', { blob: key.blob, n });
    removed += row.chunks - left;
    room -= row.chunks - left;
    if (left === 0) tx.delete('garbage', key);
    else tx.put('garbage', key, { chunks: left });
  }
  room = forgetFailures(tx, now, room);
  room = pruneTrace(tx, now, room);
  return { chunks: removed, more: room <= 0 };
};

/** Releases what a deleted mailbox held, page by page. What is left of `room`; 0 or less: there may be more. */
function emptyMailbox(tx: Tx, mailbox: number, room: number): number {
  let left = room;
  for (const { key, row } of tx.scan('page', [mailbox], { limit: room })) {
    const blobs = readPage(row).map((e) => e.blob);
    release(tx, countOf(blobs));
    tx.delete('page', key);
    left -= blobs.length;
    if (left <= 0) return left;
  }
  for (const { key } of tx.scan('vanished', [mailbox], { limit: left })) {
    tx.delete('vanished', key);
    left--;
  }
  return left;
}

/** Failed logins whose window is long over. What is left of `room`. */
function forgetFailures(tx: Tx, now: number, room: number): number {
  for (const { key, row } of tx.scan('authFailure', [])) {
    if (room <= 0) break;
    if (row.since + 2 * limits.authWindowMs > now) continue;
    tx.delete('authFailure', key);
    room--;
  }
  return room;
}

/** What start makes of a store: its site row when it is new, and an end to the transfers, whose links are gone. */
export function recover(tx: Tx, lineage: string): void {
  if (tx.get('site', {}) === undefined) {
    const ids = { nextAccount: 1, nextMailbox: 1, nextBlob: 1, nextQueue: 1, lastUidValidity: 0 };
    tx.put('site', {}, { schema: schemaVersion, commit: 0, journalFloor: 0, ...ids, lineage, epoch: 1, rows: 0, sumA: 0, sumB: 0 });
  }
  try {
    for (const { key } of tx.scan('transfer', [])) drop(tx, key.blob);
  } catch (error) {
    if (!(error instanceof RowDamaged)) throw error; // what is left over is the collector's, once it is mended
  }
}
