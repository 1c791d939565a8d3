// The check of accounts and mailboxes: S1, S2, S3, S5, and that names and mailboxes agree both ways.

import { type Checking, readable, tryRow } from './check.ts';
import type { Tally } from './commands/folder.ts';
import { normalizeName } from './names.ts';
import { type Entry, flag, pageOf, readPage } from './page.ts';
import { member } from './ranges.ts';
import { decodeKey, prefixRange, type Row } from './rows.ts';
import type { TableName } from './schema.ts';
import { vanishedSince } from './views.ts';

export function checkMailboxes(c: Checking): void {
  const mailboxes = new Set<number>();
  for (const { key, row } of readable(c, 'account')) checkAccount(c, key.account, row, mailboxes);
  for (const { key } of readable(c, 'mailbox')) {
    if (!tryRow(c, 'account', { account: key.account })) c.say('M2', `mailbox ${key.mailbox} is of account ${key.account}, which is not there`);
  }
  for (const { key, row } of readable(c, 'mailboxName')) {
    if (tryRow(c, 'mailbox', { account: key.account, mailbox: row.mailbox })?.name !== key.name)
      c.say('M2', `name ${JSON.stringify(key.name)} of account ${key.account} is of mailbox ${row.mailbox}, which is not its`);
  }
  for (const { key } of readable(c, 'subscription'))
    if (!tryRow(c, 'account', { account: key.account })) c.say('M2', `a subscription of account ${key.account}, which is not there`);
  for (const { key } of readable(c, 'removed')) if (mailboxes.has(key.mailbox)) c.say('M2', `mailbox ${key.mailbox} is removed and there`);
  for (const table of ['page', 'vanished'] as const) {
    for (const mailbox of distinct(c, table)) {
      if (!mailboxes.has(mailbox) && !tryRow(c, 'removed', { mailbox })) c.say('M2', `${table} rows of mailbox ${mailbox}, which is not there`);
    }
  }
}

/** The mailboxes that have rows in a table, by jumping from one to the next. */
function* distinct(c: Checking, table: 'page' | 'vanished'): Generator<number> {
  const { to } = prefixRange(table);
  for (let next: number | null = 0; next !== null; ) {
    const { from } = prefixRange(table, next);
    next = null;
    for (const key of c.reader.keys(from, to)) {
      const { mailbox } = decodeKey(table as TableName & 'page', key);
      yield mailbox;
      next = mailbox + 1;
      break;
    }
  }
}

function checkAccount(c: Checking, account: number, row: Row<'account'>, mailboxes: Set<number>): void {
  c.counts.accounts++;
  if (account >= c.site.nextAccount) c.say('S2', `account ${account} is not below ${c.site.nextAccount}`);
  if (row.present && tryRow(c, 'address', { address: row.address })?.account !== account)
    c.say('M2', `account ${account} (${row.address}) is not found by its address`);
  let bytes = 0;
  let messages = 0;
  for (const { key, row: mailbox } of readable(c, 'mailbox', [account])) {
    if (mailboxes.has(key.mailbox)) c.say('S2', `mailbox ${key.mailbox} is there twice`);
    mailboxes.add(key.mailbox);
    const sum = checkMailbox(c, account, key.mailbox, mailbox);
    bytes += sum.bytes;
    messages += sum.exists;
  }
  if (!tryRow(c, 'mailboxName', { account, name: 'INBOX' })) c.say('M2', `account ${account} has no INBOX`);
  if (row.usedBytes !== bytes) c.say('S5', `account ${account} uses ${row.usedBytes} octets and holds ${bytes}`);
  if (row.messages !== messages) c.say('S5', `account ${account} counts ${row.messages} messages and holds ${messages}`);
}

function checkMailbox(c: Checking, account: number, mailbox: number, row: Row<'mailbox'>): Tally {
  c.counts.mailboxes++;
  const me = `mailbox ${mailbox}`;
  if (mailbox >= c.site.nextMailbox) c.say('S2', `${me} is not below ${c.site.nextMailbox}`);
  if (row.uidValidity > c.site.lastUidValidity) c.say('S2', `${me} has UIDVALIDITY ${row.uidValidity}, above the last one given`);
  if (normalizeName(row.name) !== row.name) c.say('M2', `${me} has the name ${JSON.stringify(row.name)}`);
  if (tryRow(c, 'mailboxName', { account, name: row.name })?.mailbox !== mailbox) c.say('M2', `${me} is not found by its name ${JSON.stringify(row.name)}`);
  if (row.recentUid >= row.uidNext) c.say('S2', `${me} has had recent messages up to ${row.recentUid}, above its UIDs`);
  const sum = checkPages(c, mailbox, row);
  checkVanished(c, mailbox, row);
  for (const name of ['exists', 'unseen', 'deleted', 'bytes'] as const) {
    if (row[name] !== sum[name]) c.say('S3', `${me} counts ${name} ${row[name]}, a recount gives ${sum[name]}`);
  }
  c.counts.messages += sum.exists;
  return sum;
}

function checkPages(c: Checking, mailbox: number, row: Row<'mailbox'>): Tally {
  const me = `mailbox ${mailbox}`;
  const gone = member(vanishedRanges(c, mailbox));
  const sum = { exists: 0, unseen: 0, deleted: 0, bytes: 0 };
  let last = 0;
  for (const { key, row: octets } of readable(c, 'page', [mailbox])) {
    let entries: Entry[];
    try {
      entries = readPage(octets);
    } catch (error) {
      c.say('row', `${me} page ${key.page}: ${String(error)}`);
      continue;
    }
    if (entries.length === 0) c.say('M2', `${me} page ${key.page} is empty`);
    for (const e of entries) {
      if (e.uid <= last || pageOf(e.uid) !== key.page) c.say('S2', `${me}: UID ${e.uid} is out of order on page ${key.page}`);
      if (e.uid >= row.uidNext) c.say('S2', `${me}: UID ${e.uid} is not below UIDNEXT ${row.uidNext}`);
      if (gone(e.uid)) c.say('S2', `${me}: UID ${e.uid} was expunged and is there`);
      if (e.modseq > row.modseq || e.modseq < 1) c.say('S1', `${me}: UID ${e.uid} has modseq ${e.modseq}, the mailbox ${row.modseq}`);
      if (e.flags > 31 || e.keywords >= 2 ** row.keywords.length) c.say('S3', `${me}: UID ${e.uid} has flags or keywords that do not exist`);
      last = e.uid;
      sum.exists++;
      sum.bytes += e.size;
      if ((e.flags & flag.seen) === 0) sum.unseen++;
      if ((e.flags & flag.deleted) !== 0) sum.deleted++;
    }
  }
  return sum;
}

function vanishedRanges(c: Checking, mailbox: number): number[] {
  try {
    return vanishedSince(c.reader, mailbox, 0);
  } catch {
    return []; // said by checkVanished
  }
}

function checkVanished(c: Checking, mailbox: number, row: Row<'mailbox'>): void {
  for (const { key, row: gone } of readable(c, 'vanished', [mailbox])) {
    if (key.modseq > row.modseq) c.say('S1', `mailbox ${mailbox}: expunged at modseq ${key.modseq}, the mailbox has ${row.modseq}`);
    const ordered = gone.ranges.length % 2 === 0 && gone.ranges.every((uid, i) => uid < row.uidNext && (i === 0 || uid >= (gone.ranges[i - 1] as number)));
    if (!ordered || gone.ranges.length === 0) c.say('S2', `mailbox ${mailbox}: the UIDs expunged at modseq ${key.modseq} are no UIDs of it`);
  }
}
