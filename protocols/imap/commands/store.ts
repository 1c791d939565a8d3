// STORE (RFC 3501 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3). The commit point is the store's answer.

import { isRefusal } from '../../../actors/wire.ts';
import { type Entry, pageOf } from '../../../storage/page.ts';
import { mailbox, page, pages } from '../../../storage/views.ts';
import type { Call } from '../commands.ts';
import type { Flags, Parser, SequenceSet } from '../grammar.ts';
import { refusal } from '../refused.ts';
import type { Selected } from '../selected.ts';
import { addToPairs, indexOf, inPairs, resolve, setText, uidPairs } from '../sequence.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { tellKeywords, writeChange } from '../sync.ts';
import { pagesOf } from '../watch.ts';

interface Store {
  readonly set: SequenceSet;
  readonly mode: 'add' | 'remove' | 'replace';
  readonly silent: boolean;
  readonly unchangedSince: number | null;
  readonly flags: Flags;
}

const modes: Readonly<Record<string, Store['mode']>> = { '+': 'add', '-': 'remove' };

export function parseStore(p: Parser): Store {
  p.space();
  const set = p.sequenceSet();
  p.space();
  let unchangedSince: number | null = null;
  if (p.next(40)) {
    p.list(() => {
      if (!p.takeWord('UNCHANGEDSINCE')) return p.fail('There is no such modifier of STORE');
      p.space();
      unchangedSince = p.modseq();
    });
    p.space();
  }
  const item = p.word();
  const match = /^([+-]?)FLAGS(\.SILENT)?$/.exec(item);
  if (!match) p.fail('FLAGS expected');
  p.space();
  return { set, mode: modes[match?.[1] ?? ''] ?? 'replace', silent: match?.[2] !== undefined, unchangedSince, flags: p.flags() };
}

export async function store(s: ImapSession, { set, mode, silent, unchangedSince, flags }: Store, { uid }: Call): Promise<Reply> {
  const selected = s.selected as Selected;
  const { watch } = selected;
  if (selected.readOnly) return no('[CANNOT] The mailbox is opened to look at');
  // RFC 7162 §3.1: a CONDSTORE enabling command
  if (unchangedSince !== null) s.condstore = true;
  const ranges = resolve(set, selected.uids, selected.count, uid);
  if (ranges === null) return bad('There is no message of that number');
  if (ranges.length === 0) return ok('No messages');
  const uids = uidPairs(ranges, selected.uids);
  s.site.view.refresh();
  const expected = silent ? await silentModseq(s, selected, uids) : 0;
  const answer = await s.site.store.ask('store', {
    account: s.account,
    mailbox: watch.id,
    uids,
    mode,
    flags: flags.system,
    keywords: flags.keywords,
    unchangedSince,
  });
  if (isRefusal(answer)) return refusal(answer);
  watch.note(answer.modseq, pagesOf(uids));
  watch.update();
  tellKeywords(s, selected);
  const told = await tell(s, selected, ranges, answer.modified, silent ? answer.modseq : null, uid);
  if (!silent || answer.modseq === expected) s.own = { modseq: answer.modseq, uids };
  if (answer.modified.length > 0) return ok(`[MODIFIED ${modifiedText(selected, answer.modified, uid)}] Some had changed`);
  // RFC 2180 §4.2.1: what others have expunged cannot be changed
  return told || uid ? ok('Stored') : no('[EXPUNGEISSUED] Some of the messages are gone');
}

/**
 * May a STORE be silent? Only when the client knows what the messages were: a change by somebody else that it was not told
 * of takes the modseq of the STORE, and silence would hide it. Then, the modseq that the STORE must have; else 0.
 */
async function silentModseq(s: ImapSession, selected: Selected, uids: readonly number[]): Promise<number> {
  const { watch } = selected;
  const row = mailbox(s.site.view, s.account, watch.id);
  if (!row) return 0;
  for (const entries of pages(s.site.view, watch.id, uids[0] as number, uids.at(-1) as number)) {
    for (const e of entries) if (!selected.knows(e) && inPairs(uids, e.uid)) return 0;
    const wait = s.pressure();
    if (wait !== null) await wait;
  }
  return row.modseq + 1;
}

/** FETCH responses for what was stored. `silentAt`: only what changed at that modseq, and only for CONDSTORE. False: some are gone. */
async function tell(
  s: ImapSession,
  selected: Selected,
  ranges: readonly number[],
  modified: readonly number[],
  silentAt: number | null,
  uid: boolean,
): Promise<boolean> {
  const { watch, uids } = selected;
  let whole = true;
  let number = -1;
  let entries: Entry[] = [];
  let k = 0;
  for (let r = 0; r < ranges.length; r += 2) {
    for (let i = ranges[r] as number; i < (ranges[r + 1] as number); i++) {
      const wanted = uids[i] as number;
      if (pageOf(wanted) !== number) {
        const wait = s.pressure();
        if (wait !== null) await wait;
        number = pageOf(wanted);
        entries = page(s.site.view, watch.id, number);
        k = 0;
      }
      while (k < entries.length && (entries[k] as Entry).uid < wanted) k++;
      const entry = entries[k];
      if (entry?.uid !== wanted) whole = false;
      else if (silentAt !== null) {
        // RFC 7162 §3.1.3: the new mod-sequence is told even in silence
        if (s.condstore && entry.modseq === silentAt) writeChange(s, selected, entry, i, uid, false);
      } else if (!inPairs(modified, wanted)) writeChange(s, selected, entry, i, uid, true);
    }
  }
  return whole;
}

/** MODIFIED names what it names as the command did (RFC 7162 §3.1.3). */
function modifiedText(selected: Selected, modified: readonly number[], uid: boolean): string {
  if (uid) return setText(modified);
  const numbers: number[] = [];
  for (let i = 0; i < modified.length; i += 2) {
    for (let u = modified[i] as number; u <= (modified[i + 1] as number); u++) {
      const index = indexOf(selected.uids, selected.count, u);
      if (index >= 0) addToPairs(numbers, index + 1);
    }
  }
  return setText(numbers);
}
