// SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, EXPUNGE.

import { isRefusal } from '../../../actors/wire.ts';
import { mailboxByName } from '../../../storage/views.ts';
import type { Call } from '../commands.ts';
import type { Parser, SequenceSet } from '../grammar.ts';
import { refusal } from '../refused.ts';
import { mailboxFlags } from '../render.ts';
import { Selected } from '../selected.ts';
import { resolve, uidPairs } from '../sequence.ts';
import { no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { parseMailbox } from './mailbox.ts';
import { acquire, pagesOf } from '../watch.ts';

interface Select {
  readonly name: string;
  readonly condstore: boolean;
}

/** mailbox [SP "(" CONDSTORE ")"] (RFC 7162 §3.1.8). */
export function parseSelect(p: Parser): Select {
  const name = parseMailbox(p);
  let condstore = false;
  if (p.next(32)) {
    p.space();
    p.list(() => {
      if (p.takeWord('CONDSTORE')) condstore = true;
      else p.fail('There is no such parameter of SELECT');
    });
  }
  return { name, condstore };
}

export const select = (s: ImapSession, args: Select): Promise<Reply> => open(s, args, false);
export const examine = (s: ImapSession, args: Select): Promise<Reply> => open(s, args, true);

async function open(s: ImapSession, { name, condstore }: Select, readOnly: boolean): Promise<Reply> {
  const { site, out } = s;
  // RFC 3501 §6.3.1: the old mailbox is closed even if the new one cannot be opened
  if (s.selected !== null) {
    s.select(null);
    // RFC 7162 §3.2.11
    out.line('* OK [CLOSED] The mailbox of before is closed');
  }
  site.view.refresh();
  const box = mailboxByName(site.view, s.account, name);
  if (!box) return no('[NONEXISTENT] There is no such mailbox');
  if (condstore) s.condstore = true;
  const watch = acquire(site, s.account, box);
  const selected = new Selected(watch, readOnly);
  s.select(selected);
  const { row } = watch;
  if (!readOnly && watch.unclaimed) selected.addRecent(await watch.claim());
  else if (readOnly && row.recentUid < row.uidNext - 1) selected.addRecent([row.recentUid + 1, row.uidNext - 1]);
  selected.keywords = row.keywords.length;
  const flags = mailboxFlags(row);
  out.line(`* FLAGS (${flags})`);
  out.line(readOnly ? '* OK [PERMANENTFLAGS ()] Nothing can be changed' : `* OK [PERMANENTFLAGS (${flags} \\*)] Kept`);
  out.line(`* ${selected.count} EXISTS`);
  out.line(`* ${selected.recentCount} RECENT`);
  const unseen = watch.firstUnseen();
  if (unseen > 0 && unseen <= selected.count) out.line(`* OK [UNSEEN ${unseen}] The first unseen message`);
  out.line(`* OK [UIDVALIDITY ${row.uidValidity}] UIDs hold`);
  out.line(`* OK [UIDNEXT ${Math.max(row.uidNext, selected.lastUid + 1)}] The next UID`);
  out.line(`* OK [HIGHESTMODSEQ ${Math.max(1, selected.base)}] The highest`);
  return ok(readOnly ? '[READ-ONLY] Opened to look at' : '[READ-WRITE] Opened');
}

export const check = async (): Promise<Reply> => ok('All is on disk');

/** RFC 3501 §6.4.2: what is \Deleted goes, and nothing is said of it. */
export async function close(s: ImapSession): Promise<Reply> {
  const { selected } = s;
  if (selected !== null && !selected.readOnly && selected.count > 0) {
    const answer = await s.site.store.ask('expunge', { account: s.account, mailbox: selected.watch.id, uids: [1, selected.lastUid] });
    // A mailbox that is gone has nothing to expunge
    if (isRefusal(answer) && answer.refused !== 'noSuchMailbox') return refusal(answer);
    if (!isRefusal(answer)) selected.watch.note(answer.modseq, pagesOf(answer.expunged));
  }
  s.select(null);
  return ok('Closed');
}

export async function unselect(s: ImapSession): Promise<Reply> {
  s.select(null);
  return ok('Closed');
}

/** UID EXPUNGE names UIDs (RFC 4315 §2.1). */
export function parseExpunge(p: Parser, uid: boolean): SequenceSet | null {
  if (!uid) return null;
  p.space();
  return p.sequenceSet();
}

export async function expunge(s: ImapSession, set: SequenceSet | null, { uid }: Call): Promise<Reply> {
  const selected = s.selected as Selected;
  if (selected.readOnly) return no('[CANNOT] The mailbox is opened to look at');
  const { watch } = selected;
  const ranges = set === null ? [0, selected.count] : (resolve(set, selected.uids, selected.count, uid) ?? []);
  if (selected.count === 0 || ranges.length === 0) return ok('Nothing to expunge');
  const answer = await s.site.store.ask('expunge', { account: s.account, mailbox: watch.id, uids: uidPairs(ranges, selected.uids) });
  if (isRefusal(answer)) return refusal(answer);
  watch.note(answer.modseq, pagesOf(answer.expunged));
  // RFC 7162 §3.2.10
  const code = s.condstore && answer.expunged.length > 0 ? `[HIGHESTMODSEQ ${answer.modseq}] ` : '';
  return ok(`${code}Expunged`);
}
