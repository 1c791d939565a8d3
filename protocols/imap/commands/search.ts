// SEARCH (RFC 3501 §6.4.4) and its extended answers (RFC 4731, RFC 7162 §3.1.5). Guarantees: others have their turn while
// a long search runs; the answer is kept as ranges, so that its size is bounded by the mailbox's.

import { type Entry, pageOf } from '../../../storage/page.ts';
import { page } from '../../../storage/views.ts';
import type { Call } from '../commands.ts';
import { Candidate, type Prepared, prepare } from '../matching.ts';
import { namesModseq, type Result, type Search } from '../program.ts';
import { quoted } from '../render.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { Selected } from '../selected.ts';
import { addToPairs, countPairs, setText } from '../sequence.ts';
import type { ImapSession } from '../session.ts';

export { parseProgram as parseSearch } from '../program.ts';

/** What was found: pairs of message numbers or UIDs, and the mod-sequences that answers carry. */
interface Found {
  readonly pairs: number[];
  highest: number;
  first: number;
  last: number;
}

export async function search(s: ImapSession, { key, give, badCharset }: Search, { tag, uid }: Call): Promise<Reply> {
  if (badCharset) return no('[BADCHARSET (US-ASCII UTF-8)] There is no such charset here');
  const selected = s.selected as Selected;
  const modseq = namesModseq(key);
  // RFC 7162 §3.1: a CONDSTORE enabling command
  if (modseq) s.condstore = true;
  selected.watch.update();
  const prepared = prepare(key, selected);
  if (prepared === null) return bad('There is no message of that number');
  s.site.view.refresh();
  const found = await find(s, selected, prepared, uid);
  if (give === null) answerPlain(s, found, modseq);
  else answerExtended(s, found, give, tag, uid, modseq);
  return ok('Searched');
}

async function find(s: ImapSession, selected: Selected, prepared: Prepared, uid: boolean): Promise<Found> {
  const found: Found = { pairs: [], highest: 0, first: 0, last: 0 };
  const { uids, count, watch } = selected;
  const candidate = new Candidate(s, selected);
  for (let i = 0; i < count; ) {
    const number = pageOf(uids[i] as number);
    const wait = s.pressure();
    if (wait !== null) await wait;
    const entries = page(s.site.view, watch.id, number);
    for (let k = 0; i < count && pageOf(uids[i] as number) === number; i++) {
      while (k < entries.length && (entries[k] as Entry).uid < (uids[i] as number)) k++;
      const entry = entries[k];
      if (!entry || entry.uid !== uids[i]) continue;
      let answer: boolean | Promise<boolean>;
      try {
        answer = candidate.look(entry, i).matches(prepared);
        if (typeof answer !== 'boolean') answer = await answer;
      } catch (error) {
        // Expunged by somebody else, and collected, just now; or damaged, which must not hide the others
        if (!(error instanceof Error) || (error.name !== 'BodyGone' && error.name !== 'RowDamaged')) throw error;
        continue;
      }
      if (!answer) continue;
      addToPairs(found.pairs, uid ? entry.uid : i + 1);
      found.highest = Math.max(found.highest, entry.modseq);
      if (found.first === 0) found.first = entry.modseq;
      found.last = entry.modseq;
    }
  }
  return found;
}

function answerPlain(s: ImapSession, { pairs, highest }: Found, modseq: boolean): void {
  const { out } = s;
  out.text('* SEARCH');
  for (let i = 0; i < pairs.length; i += 2) {
    for (let n = pairs[i] as number; n <= (pairs[i + 1] as number); n++) {
      out.octet(32);
      out.number(n);
    }
  }
  // RFC 7162 §3.1.5: only when something was found
  out.line(modseq && pairs.length > 0 ? ` (MODSEQ ${highest})` : '');
}

function answerExtended(s: ImapSession, found: Found, give: readonly Result[], tag: string, uid: boolean, modseq: boolean): void {
  const { pairs } = found;
  let text = `* ESEARCH (TAG ${quoted(tag)})${uid ? ' UID' : ''}`;
  // RFC 4731 §3.1: MIN, MAX and ALL are left out when nothing was found
  if (pairs.length > 0) {
    if (give.includes('MIN')) text += ` MIN ${pairs[0]}`;
    if (give.includes('MAX')) text += ` MAX ${pairs.at(-1)}`;
    if (give.includes('ALL')) text += ` ALL ${setText(pairs)}`;
  }
  if (give.includes('COUNT')) text += ` COUNT ${countPairs(pairs)}`;
  if (modseq && pairs.length > 0) text += ` MODSEQ ${modseqFor(found, give)}`;
  s.out.line(text);
}

/** RFC 4731 §3.2: of what is told: the first, the last, both, or all. */
function modseqFor({ first, last, highest }: Found, give: readonly Result[]): number {
  if (give.includes('ALL') || give.includes('COUNT')) return highest;
  if (give.includes('MIN') && give.includes('MAX')) return Math.max(first, last);
  return give.includes('MIN') ? first : last;
}
