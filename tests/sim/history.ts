// S1 and S2 over history: looks at every durable commit as it happens. Guarantees: modseq of a mailbox and of a message
// never goes back, and grows when flags change; uidNext never goes back; a UID, a mailbox number, a blob number and a
// UIDVALIDITY are used once.

import type { Changed } from './disk.ts';
import { Broken } from './ledger.ts';
import { type Entry, readPage } from '../../storage/page.ts';
import { decodeKey, decodeRow, octetText, type Row, tableOf } from '../../storage/rows.ts';
import { unpackKeys } from '../../storage/journal.ts';

const entriesOf = (row: Uint8Array | null): Map<number, Entry> => new Map((row === null ? [] : readPage(decodeRow('page', row))).map((e) => [e.uid, e]));

export class History {
  /** Rows of mailboxes as they were last, also of those that are gone. */
  private readonly mailboxes = new Map<number, { row: Row<'mailbox'>; gone: boolean }>();
  private readonly validities = new Set<string>();

  /** Looks at the rows of one commit. */
  commit(changes: readonly Changed[]): void {
    const before = new Map<number, number>();
    journal(changes);
    for (const change of changes) {
      const table = tableOf(change.key);
      if (table === 'mailbox') this.mailbox(change, before);
      if (table === 'site') this.site(change);
    }
    for (const change of changes) if (tableOf(change.key) === 'page') this.page(change, before);
  }

  private mailbox({ key, now }: Changed, before: Map<number, number>): void {
    const { account, mailbox } = decodeKey('mailbox', key);
    const known = this.mailboxes.get(mailbox);
    if (now === null) {
      if (known) known.gone = true;
      return;
    }
    const row = decodeRow('mailbox', now);
    if (known) {
      if (known.gone) throw new Broken('S2', `mailbox number ${mailbox} is used again`);
      const was = known.row;
      if (row.uidValidity !== was.uidValidity) throw new Broken('S2', `mailbox ${mailbox}: UIDVALIDITY went from ${was.uidValidity} to ${row.uidValidity}`);
      if (row.uidNext < was.uidNext) throw new Broken('S2', `mailbox ${mailbox}: uidNext went from ${was.uidNext} to ${row.uidNext}`);
      if (row.modseq < was.modseq) throw new Broken('S1', `mailbox ${mailbox}: modseq went from ${was.modseq} to ${row.modseq}`);
      before.set(mailbox, was.uidNext);
      known.row = row;
      return;
    }
    const incarnation = `${account} ${row.name} ${row.uidValidity}`;
    if (this.validities.has(incarnation)) throw new Broken('S2', `UIDVALIDITY ${row.uidValidity} of ${row.name} is used again`);
    this.validities.add(incarnation);
    before.set(mailbox, 1);
    this.mailboxes.set(mailbox, { row, gone: false });
  }

  private site({ was, now }: Changed): void {
    if (was === null) return;
    if (now === null) throw new Broken('S2', 'the counters are gone');
    const a = decodeRow('site', was);
    const b = decodeRow('site', now);
    for (const counter of ['commit', 'nextAccount', 'nextMailbox', 'nextBlob', 'nextQueue', 'lastUidValidity'] as const) {
      if (b[counter] < a[counter]) throw new Broken('S2', `${counter} went from ${a[counter]} to ${b[counter]}`);
    }
  }

  private page({ key, was, now }: Changed, before: Map<number, number>): void {
    const { mailbox } = decodeKey('page', key);
    const known = this.mailboxes.get(mailbox);
    if (!known) throw new Broken('S3', `a page of no mailbox (${mailbox})`);
    const old = entriesOf(was);
    const { row } = known;
    const firstNew = before.get(mailbox) ?? row.uidNext;
    for (const entry of entriesOf(now).values()) {
      const had = old.get(entry.uid);
      const name = `mailbox ${mailbox} UID ${entry.uid}`;
      if (entry.modseq > row.modseq) throw new Broken('S1', `${name}: modseq ${entry.modseq} is above its mailbox's ${row.modseq}`);
      if (!had) {
        if (entry.uid < firstNew || entry.uid >= row.uidNext) throw new Broken('S2', `${name} appears, uidNext went from ${firstNew} to ${row.uidNext}`);
        continue;
      }
      if (had.blob !== entry.blob || had.size !== entry.size || had.internalDate !== entry.internalDate)
        throw new Broken('S2', `${name} became another message`);
      const same = had.flags === entry.flags && had.keywords === entry.keywords;
      if (entry.modseq < had.modseq || (!same && entry.modseq === had.modseq))
        throw new Broken('S1', `${name}: modseq went from ${had.modseq} to ${entry.modseq}`);
    }
  }
}

/** The journal row of a commit names what the commit touched (DESIGN §5). */
function journal(changes: readonly Changed[]): void {
  const row = changes.find((c) => tableOf(c.key) === 'journal' && c.was === null && c.now !== null)?.now;
  if (!row) throw new Broken('M2', 'a commit without its journal row');
  const named = new Set(unpackKeys(row).map(octetText));
  for (const { key } of changes) {
    if (tableOf(key) !== 'journal' && !named.has(octetText(key))) throw new Broken('M2', `a commit touched a row of ${tableOf(key)} and does not say so`);
  }
}
