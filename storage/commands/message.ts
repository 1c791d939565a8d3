// Commands on the messages of a mailbox: APPEND, STORE, COPY, MOVE, EXPUNGE and \Recent. MOVE and EXPUNGE take a bounded
// step, which the actor repeats: each message moves or goes whole, all of them together need not (RFC 6851 §3.3).

import { limits } from '../../actors/limits.ts';
import { refuse } from '../../actors/wire.ts';
import { normalizeName } from '../names.ts';
import { type Entry, flag, unionKeywords, withoutKeywords, writePage } from '../page.ts';
import { addUid, maxRanges, member } from '../ranges.ts';
import type { Row } from '../rows.ts';
import type { Tx } from '../tx.ts';
import { claim, countOf, release, retain } from './blob.ts';
import { addMessages, charge, type Folder, folderRow, type NewMessage, pagesOf, removeMessages, select, tally } from './folder.ts';
import { keywordSet, translator } from './keyword.ts';
import type { Command } from './site.ts';

const allFlags = flag.seen | flag.answered | flag.flagged | flag.deleted | flag.draft;
/** More pages than a change may name: subscribers look at all. */
const maxPages = 256;

/** Would these octets pass the quota? A client that appends or copies is told before (RFC 9208). */
const exceeds = (row: Row<'account'>, octets: number): boolean => row.quotaBytes > 0 && row.usedBytes + octets > row.quotaBytes;

export const append: Command<'append'> = (tx, ask) => {
  const account = tx.get('account', { account: ask.account });
  if (!account?.present || !account.enabled) return refuse('noSuchAccount');
  const found = tx.get('mailboxName', { account: ask.account, name: normalizeName(ask.mailbox) ?? '' });
  const folder: Folder = { account: ask.account, mailbox: found?.mailbox ?? 0 };
  const row = found && folderRow(tx, folder);
  if (!row) return refuse('noSuchMailbox', ask.mailbox);
  if (exceeds(account, ask.content.size)) return refuse('overQuota', account.address);
  const keywords = keywordSet(row.keywords, ask.keywords, true);
  if (!keywords) return refuse('limit', 'too many keywords in this mailbox');
  const blob = claim(tx, ask.content, 1);
  if (typeof blob !== 'number') return blob;
  if (keywords.list !== row.keywords) tx.put('mailbox', { ...folder }, { ...row, keywords: keywords.list });
  const message = { flags: ask.flags & allFlags, keywords: keywords.set, internalDate: ask.internalDate, size: ask.content.size, blob };
  const uid = addMessages(tx, folder, [message]);
  charge(tx, ask.account, ask.content.size, 1);
  return { mailbox: folder.mailbox, uidValidity: row.uidValidity, uid };
};

export const store: Command<'store'> = (tx, ask) => {
  const folder: Folder = { account: ask.account, mailbox: ask.mailbox };
  const row = folderRow(tx, folder);
  if (!row) return refuse('noSuchMailbox');
  const keywords = keywordSet(row.keywords, ask.keywords, ask.mode !== 'remove');
  if (!keywords) return refuse('limit', 'too many keywords in this mailbox');
  const flags = ask.flags & allFlags;
  const change = changer(ask.mode, flags, keywords.set);
  const modseq = row.modseq + 1;
  const wanted = member(ask.uids);
  const modified: number[] = [];
  const touched: number[] = [];
  let { unseen, deleted } = row;
  for (const { page, entries } of pagesOf(tx, ask.mailbox, ask.uids, row.uidNext)) {
    let changed = false;
    for (let i = 0; i < entries.length; i++) {
      const e = entries[i] as Entry;
      if (!wanted(e.uid)) continue;
      // RFC 7162 §3.1.3
      if (ask.unchangedSince !== null && e.modseq > ask.unchangedSince) {
        addUid(modified, e.uid);
        continue;
      }
      const next = change(e);
      if (next.flags === e.flags && next.keywords === e.keywords) continue;
      unseen += (e.flags & flag.seen) - (next.flags & flag.seen);
      if ((e.flags & flag.deleted) !== (next.flags & flag.deleted)) deleted += (next.flags & flag.deleted) !== 0 ? 1 : -1;
      entries[i] = { ...e, ...next, modseq };
      changed = true;
    }
    if (!changed) continue;
    tx.put('page', { mailbox: ask.mailbox, page }, writePage(entries));
    touched.push(page);
  }
  if (modified.length > maxRanges) return refuse('limit', 'too many ranges of UIDs');
  if (touched.length === 0) return { modseq: 0, modified };
  tx.put('mailbox', { ...folder }, { ...row, unseen, deleted, modseq, keywords: keywords.list });
  tx.changed({ ...folder, modseq, kind: 'flags', pages: touched.length > maxPages ? [] : touched });
  return { modseq, modified };
};

type Flags = { readonly flags: number; readonly keywords: number };

function changer(mode: 'add' | 'remove' | 'replace', flags: number, keywords: number): (e: Flags) => Flags {
  if (mode === 'replace') return () => ({ flags, keywords });
  if (mode === 'add') return (e) => ({ flags: e.flags | flags, keywords: unionKeywords(e.keywords, keywords) });
  return (e) => ({ flags: e.flags & ~flags, keywords: withoutKeywords(e.keywords, keywords) });
}

export const copy: Command<'copy'> = (tx, ask) => {
  const source: Folder = { account: ask.account, mailbox: ask.mailbox };
  const from = folderRow(tx, source);
  if (!from) return refuse('noSuchMailbox');
  const found = tx.get('mailboxName', { account: ask.account, name: normalizeName(ask.target) ?? '' });
  const target: Folder = { account: ask.account, mailbox: found?.mailbox ?? 0 };
  const to = found && folderRow(tx, target);
  const account = tx.get('account', { account: ask.account });
  if (!to) return refuse('noSuchMailbox', ask.target);
  if (!account) return refuse('noSuchAccount');
  const entries = select(tx, source, ask.uids, ask.move ? limits.messagesPerCommit : undefined);
  const uids: number[] = [];
  for (const e of entries) addUid(uids, e.uid);
  if (uids.length > maxRanges) return refuse('limit', 'too many ranges of UIDs');
  const answer = { uidValidity: to.uidValidity, targetMailbox: target.mailbox, from: uids };
  if (entries.length === 0) return { ...answer, to: [], modseq: 0 };
  const { bytes } = tally(entries);
  if (!ask.move && exceeds(account, bytes)) return refuse('overQuota', account.address);
  const first = place(tx, target, from.keywords, entries);
  const placed = [first, first + entries.length - 1];
  if (ask.move) return { ...answer, to: placed, modseq: removeMessages(tx, source, uids, () => true).modseq };
  retain(tx, countOf(entries.map((e) => e.blob)));
  charge(tx, ask.account, bytes, entries.length);
  return { ...answer, to: placed, modseq: to.modseq + 1 };
};

/** Adds copies of messages to a mailbox, with their flags, dates and keywords. The first UID. */
export function place(tx: Tx, target: Folder, keywordsOf: readonly string[], entries: readonly Entry[]): number {
  const row = folderRow(tx, target) as Row<'mailbox'>;
  const words = translator(keywordsOf, row.keywords);
  const messages: NewMessage[] = entries.map((e) => ({ ...e, keywords: words.translate(e.keywords) }));
  if (words.list() !== row.keywords) tx.put('mailbox', { ...target }, { ...row, keywords: words.list() });
  return addMessages(tx, target, messages);
}

export const expunge: Command<'expunge'> = (tx, ask) => {
  const folder: Folder = { account: ask.account, mailbox: ask.mailbox };
  if (!folderRow(tx, folder)) return refuse('noSuchMailbox');
  const removed = removeMessages(tx, folder, ask.uids, (e) => (e.flags & flag.deleted) !== 0, limits.messagesPerCommit);
  if (removed.uids.length > maxRanges) return refuse('limit', 'too many ranges of UIDs');
  if (removed.entries.length > 0) {
    release(tx, countOf(removed.entries.map((e) => e.blob)));
    charge(tx, ask.account, -tally(removed.entries).bytes, -removed.entries.length);
  }
  return { expunged: removed.uids, modseq: removed.modseq };
};

export const claimRecent: Command<'claimRecent'> = (tx, { account, mailbox }) => {
  const row = folderRow(tx, { account, mailbox });
  if (!row) return refuse('noSuchMailbox');
  if (row.recentUid !== row.uidNext - 1) tx.put('mailbox', { account, mailbox }, { ...row, recentUid: row.uidNext - 1 });
  return { recentUid: row.recentUid };
};
