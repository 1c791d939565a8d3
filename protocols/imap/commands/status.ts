// STATUS (RFC 3501 §6.3.10), also inside LIST (RFC 5819). Everything stands in the mailbox's row, but \Recent.

import { limits } from '../../../actors/limits.ts';
import { type MailboxView, mailboxByName, pages } from '../../../storage/views.ts';
import type { Parser } from '../grammar.ts';
import { nameText } from '../render.ts';
import { no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { parseMailbox } from './mailbox.ts';

const items: Readonly<Record<string, (s: ImapSession, box: MailboxView) => number>> = {
  MESSAGES: (_s, box) => box.exists,
  RECENT: recentOf,
  UIDNEXT: (_s, box) => box.uidNext,
  UIDVALIDITY: (_s, box) => box.uidValidity,
  UNSEEN: (_s, box) => box.unseen,
  // RFC 7162 §3.1.5
  HIGHESTMODSEQ: (_s, box) => Math.max(1, box.modseq),
  // RFC 8438
  SIZE: (_s, box) => box.bytes,
  // RFC 9051 §6.3.11
  DELETED: (_s, box) => box.deleted,
  // RFC 7889 §3
  APPENDLIMIT: () => limits.message,
};

function recentOf(s: ImapSession, box: MailboxView): number {
  let count = 0;
  if (box.recentUid >= box.uidNext - 1) return 0;
  for (const entries of pages(s.site.view, box.id, box.recentUid + 1, box.uidNext)) {
    for (const { uid } of entries) if (uid > box.recentUid) count++;
  }
  return count;
}

/** "(" status-att… ")". */
export function parseStatusItems(p: Parser): readonly string[] {
  const out: string[] = [];
  p.list(() => {
    const item = p.word();
    if (items[item] === undefined) p.fail('There is no such status item');
    else if (!out.includes(item)) out.push(item);
  });
  return out;
}

interface Status {
  readonly name: string;
  readonly wanted: readonly string[];
}

export function parseStatus(p: Parser): Status {
  const name = parseMailbox(p);
  p.space();
  return { name, wanted: parseStatusItems(p) };
}

export async function status(s: ImapSession, { name, wanted }: Status): Promise<Reply> {
  s.site.view.refresh();
  const box = mailboxByName(s.site.view, s.account, name);
  if (!box) return no('[NONEXISTENT] There is no such mailbox');
  writeStatus(s, box, wanted);
  return ok('Status told');
}

export function writeStatus(s: ImapSession, box: MailboxView, wanted: readonly string[]): void {
  // RFC 7162 §3.1: a CONDSTORE enabling command
  if (wanted.includes('HIGHESTMODSEQ')) s.condstore = true;
  const told = wanted.map((item) => `${item} ${items[item]?.(s, box) ?? 0}`);
  s.out.line(`* STATUS ${nameText(box.name)} (${told.join(' ')})`);
}
