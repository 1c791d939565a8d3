// Messages into and out of a mailbox. Guarantees: every change raises the mailbox's modseq (S1), a UID is given once
// (S2), the counters of mailbox and account follow the pages in the same transaction (S3, S5), expunged UIDs are kept.

import { assert } from '../../actors/assert.ts';
import { type Entry, flag, pageOf, readPage, writePage } from '../page.ts';
import { assertRanges, addUid, member, pageRanges, type Ranges } from '../ranges.ts';
import type { Row } from '../rows.ts';
import { mustHave, type Tx } from '../tx.ts';

export type MailboxRow = Row<'mailbox'>;
export interface Folder {
  readonly account: number;
  readonly mailbox: number;
}
export type NewMessage = Omit<Entry, 'uid' | 'modseq'>;

/** Above this many pages a range of them is scanned, not fetched one by one. */
const scanFrom = 16;
/** More pages than a change may name: subscribers look at all. */
const maxPages = 256;

export const folderRow = (tx: Tx, f: Folder): MailboxRow | undefined => tx.get('mailbox', { account: f.account, mailbox: f.mailbox });

function rowOf(tx: Tx, f: Folder): MailboxRow {
  return mustHave(tx, 'mailbox', { account: f.account, mailbox: f.mailbox });
}

/** The pages that may hold messages of the set, ascending. */
export function* pagesOf(tx: Tx, mailbox: number, uids: Ranges, uidNext: number): Generator<{ page: number; entries: Entry[] }> {
  assertRanges(uids);
  const spans = pageRanges(uids, uidNext);
  for (let i = 0; i < spans.length; i += 2) {
    const first = spans[i] as number;
    const last = spans[i + 1] as number;
    if (last - first < scanFrom) {
      for (let page = first; page <= last; page++) {
        const row = tx.get('page', { mailbox, page });
        if (row) yield { page, entries: readPage(row) };
      }
    } else {
      const span = { from: { mailbox, page: first }, before: { mailbox, page: last + 1 } };
      for (const { key, row } of tx.scan('page', [mailbox], span)) yield { page: key.page, entries: readPage(row) };
    }
  }
}

/** The messages of the set, ascending: all, or those of as many pages as give `atMost`. */
export function select(tx: Tx, f: Folder, uids: Ranges, atMost = Number.POSITIVE_INFINITY): Entry[] {
  const found: Entry[] = [];
  const wanted = member(uids);
  for (const { entries } of pagesOf(tx, f.mailbox, uids, rowOf(tx, f).uidNext)) {
    for (const e of entries) if (wanted(e.uid)) found.push(e);
    if (found.length >= atMost) break;
  }
  return found;
}

/** Puts messages at the end, in order. The first UID given. The account is charged by the caller. */
export function addMessages(tx: Tx, f: Folder, messages: readonly NewMessage[]): number {
  assert(messages.length > 0, 'there is something to add');
  const row = rowOf(tx, f);
  const modseq = row.modseq + 1;
  const first = row.uidNext;
  assert(first + messages.length < 2 ** 32, 'UIDs fit 32 bits');
  const touched: number[] = [];
  for (let at = 0; at < messages.length; ) {
    const page = pageOf(first + at);
    const was = tx.get('page', { mailbox: f.mailbox, page });
    const entries = was ? readPage(was) : [];
    for (; at < messages.length && pageOf(first + at) === page; at++) entries.push({ ...(messages[at] as NewMessage), uid: first + at, modseq });
    tx.put('page', { mailbox: f.mailbox, page }, writePage(entries));
    touched.push(page);
  }
  const sum = tally(messages);
  tx.put('mailbox', { ...f }, { ...counted(row, sum, 1), modseq, uidNext: first + messages.length });
  tx.changed({ ...f, modseq, kind: 'exists', pages: touched.length > maxPages ? [] : touched });
  return first;
}

export interface Removed {
  readonly entries: readonly Entry[];
  readonly uids: number[];
  /** 0: nothing was removed. */
  readonly modseq: number;
}

/** Takes messages of the set that `which` names out of the mailbox: all, or those of as many pages as give `atMost`. Their
 *  bodies and the account are the caller's. */
export function removeMessages(tx: Tx, f: Folder, uids: Ranges, which: (e: Entry) => boolean, atMost = Number.POSITIVE_INFINITY): Removed {
  const row = rowOf(tx, f);
  const wanted = member(uids);
  const removed: Entry[] = [];
  const gone: number[] = [];
  const touched: number[] = [];
  for (const { page, entries } of pagesOf(tx, f.mailbox, uids, row.uidNext)) {
    const kept = entries.filter((e) => {
      if (!wanted(e.uid) || !which(e)) return true;
      removed.push(e);
      addUid(gone, e.uid);
      return false;
    });
    if (kept.length === entries.length) continue;
    if (kept.length === 0) tx.delete('page', { mailbox: f.mailbox, page });
    else tx.put('page', { mailbox: f.mailbox, page }, writePage(kept));
    touched.push(page);
    if (removed.length >= atMost) break;
  }
  if (removed.length === 0) return { entries: [], uids: [], modseq: 0 };
  const modseq = row.modseq + 1;
  tx.put('mailbox', { ...f }, { ...counted(row, tally(removed), -1), modseq });
  tx.put('vanished', { mailbox: f.mailbox, modseq }, { ranges: gone });
  tx.changed({ ...f, modseq, kind: 'expunge', pages: touched.length > maxPages ? [] : touched });
  return { entries: removed, uids: gone, modseq };
}

export interface Tally {
  readonly exists: number;
  readonly unseen: number;
  readonly deleted: number;
  readonly bytes: number;
}
/** What messages count for (S3). */
export function tally(messages: Iterable<{ readonly flags: number; readonly size: number }>): Tally {
  let exists = 0;
  let unseen = 0;
  let deleted = 0;
  let bytes = 0;
  for (const m of messages) {
    exists++;
    if ((m.flags & flag.seen) === 0) unseen++;
    if ((m.flags & flag.deleted) !== 0) deleted++;
    bytes += m.size;
  }
  return { exists, unseen, deleted, bytes };
}

const counted = (row: MailboxRow, sum: Tally, sign: 1 | -1): MailboxRow => ({
  ...row,
  exists: row.exists + sign * sum.exists,
  unseen: row.unseen + sign * sum.unseen,
  deleted: row.deleted + sign * sum.deleted,
  bytes: row.bytes + sign * sum.bytes,
});

/** Adds to what an account uses (S5). */
export function charge(tx: Tx, account: number, bytes: number, messages: number): void {
  const row = mustHave(tx, 'account', { account });
  assert(row.usedBytes + bytes >= 0 && row.messages + messages >= 0, 'an account uses what it holds');
  tx.put('account', { account }, { ...row, usedBytes: row.usedBytes + bytes, messages: row.messages + messages });
}
