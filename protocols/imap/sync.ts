// What has changed in the selected mailbox, told to the client: EXPUNGE, EXISTS, RECENT, FETCH FLAGS. Guarantees: message
// numbers change only here; without `expunge` no number changes its message; after it, the session knows all that
// the log of its mailbox held when it began.

import type { Entry } from '../../storage/page.ts';
import { pages } from '../../storage/views.ts';
import { mailboxFlags, writeFlags } from './render.ts';
import type { Selected } from './selected.ts';
import { indexOf, inPairs } from './sequence.ts';
import type { ImapSession } from './session.ts';

export interface SyncOptions {
  /** May EXPUNGE be sent here (RFC 3501 §7.4.1)? */
  readonly expunge: boolean;
  /** Do FETCH responses carry the UID (RFC 3501 §6.4.8)? */
  readonly uid: boolean;
  /** What the command itself has told, or was asked not to tell: null, or UID pairs changed at a modseq. */
  readonly own: Own | null;
  /** Send at once what is found, before \Recent is claimed. */
  readonly push: boolean;
}

export interface Own {
  readonly modseq: number;
  readonly uids: readonly number[];
}

/** Resolves to false when the mailbox is gone. */
export async function sync(s: ImapSession, options: SyncOptions): Promise<boolean> {
  const { selected } = s;
  if (selected === null) return true;
  const { watch } = selected;
  const { own } = options;
  if (!selected.stale) return !watch.gone;
  watch.update();
  if (watch.gone) return false;
  const { seen } = selected;
  const notice = watch.since(seen, selected.heard);
  const known = selected.lastUid;
  selected.seen = watch.end;
  selected.heard = watch.heard;
  const before = selected.count;
  if (adopt(s, selected, options.expunge)) s.out.line(`* ${selected.count} EXISTS`);
  if (options.push) s.out.flush();
  const appended = selected.count > 0 && selected.lastUid > known;
  // \Recent first, so that the flags told are right; when pushing, the EXISTS has gone out already
  if (appended && !selected.readOnly && watch.unclaimed) selected.addRecent(await watch.claim());
  if (appended || selected.count !== before) s.out.line(`* ${selected.recentCount} RECENT`);
  tellKeywords(s, selected);
  const since = Math.max(notice.from, selected.base);
  const isNews = (e: Entry): boolean =>
    e.modseq > since && e.uid <= known && !(own !== null && e.modseq === own.modseq && inPairs(own.uids, e.uid)) && !watch.wasNoted(e, seen);
  await tellFlags(s, selected, notice.pages, known, isNews, options.uid);
  if (options.push) s.out.flush();
  return true;
}

/** Takes over the list in force, telling what is expunged. True: there are new messages. */
function adopt(s: ImapSession, selected: Selected, mayExpunge: boolean): boolean {
  const { watch } = selected;
  if (selected.generation !== watch.generation) {
    // EXISTS must not go below what the client knows without EXPUNGE, so both wait
    if (!mayExpunge) return false;
    let kept = 0;
    let at = 0;
    for (let i = 0; i < selected.count; i++) {
      const uid = selected.uids[i] as number;
      while (at < watch.count && (watch.uids[at] as number) < uid) at++;
      if (at < watch.count && watch.uids[at] === uid) kept++;
      else {
        s.out.text('* ');
        s.out.number(kept + 1);
        s.out.text(' EXPUNGE\r\n');
      }
    }
    selected.generation = watch.generation;
    selected.count = kept;
  }
  const appended = watch.count > selected.count;
  selected.uids = watch.uids;
  selected.count = watch.count;
  return appended;
}

/** RFC 3501 §7.2.6: new keywords are named before a message carries them. */
export function tellKeywords(s: ImapSession, selected: Selected): void {
  const { row } = selected.watch;
  if (row.keywords.length === selected.keywords) return;
  selected.keywords = row.keywords.length;
  s.out.line(`* FLAGS (${mailboxFlags(row)})`);
  if (!selected.readOnly) s.out.line(`* OK [PERMANENTFLAGS (${mailboxFlags(row)} \\*)] Kept`);
}

async function tellFlags(
  s: ImapSession,
  selected: Selected,
  touched: readonly number[] | null,
  known: number,
  isNews: (entry: Entry) => boolean,
  uid: boolean,
): Promise<void> {
  const { watch } = selected;
  if (touched === null) {
    for (const entries of pages(watch.site.view, watch.id, 1, known)) {
      tellPage(s, selected, entries, isNews, uid);
      const wait = s.pressure();
      if (wait !== null) await wait;
    }
    return;
  }
  for (const number of touched) {
    tellPage(s, selected, watch.page(number), isNews, uid);
    const wait = s.pressure();
    if (wait !== null) await wait;
  }
}

function tellPage(s: ImapSession, selected: Selected, entries: readonly Entry[], isNews: (entry: Entry) => boolean, uid: boolean): void {
  for (const entry of entries) {
    if (!isNews(entry)) continue;
    const index = indexOf(selected.uids, selected.count, entry.uid);
    if (index >= 0) writeChange(s, selected, entry, index, uid, true);
  }
}

/** An untagged FETCH with what STORE may change. */
export function writeChange(s: ImapSession, selected: Selected, entry: Entry, index: number, uid: boolean, flags: boolean): void {
  const { out } = s;
  out.text('* ');
  out.number(index + 1);
  out.text(' FETCH (');
  if (uid) {
    out.text('UID ');
    out.number(entry.uid);
    if (flags || s.condstore) out.octet(32);
  }
  if (flags) {
    out.text('FLAGS ');
    writeFlags(out, entry.flags, selected.isRecent(entry.uid), entry.keywords, selected.watch.row.keywords);
  }
  if (s.condstore) {
    out.text(flags ? ' MODSEQ (' : 'MODSEQ (');
    out.number(entry.modseq);
    out.octet(41);
  }
  out.text(')\r\n');
}
