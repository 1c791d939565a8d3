// COPY and MOVE (RFC 3501 §6.4.7, RFC 6851, RFC 4315 §3). All messages or none, in one commit.

import { isRefusal } from '../../../actors/wire.ts';
import type { Call } from '../commands.ts';
import type { Parser, SequenceSet } from '../grammar.ts';
import { refusalOfTarget } from '../refused.ts';
import type { Selected } from '../selected.ts';
import { resolve, setText, uidPairs } from '../sequence.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { parseMailbox } from './mailbox.ts';
import { pagesOf } from '../watch.ts';

interface Copy {
  readonly set: SequenceSet;
  readonly target: string;
}

export function parseCopy(p: Parser): Copy {
  p.space();
  const set = p.sequenceSet();
  return { set, target: parseMailbox(p) };
}

export const copy = (s: ImapSession, args: Copy, call: Call): Promise<Reply> => transfer(s, args, call, false);
export const move = (s: ImapSession, args: Copy, call: Call): Promise<Reply> => transfer(s, args, call, true);

async function transfer(s: ImapSession, { set, target }: Copy, { uid }: Call, moves: boolean): Promise<Reply> {
  const selected = s.selected as Selected;
  const { watch } = selected;
  if (moves && selected.readOnly) return no('[CANNOT] The mailbox is opened to look at');
  const ranges = resolve(set, selected.uids, selected.count, uid);
  if (ranges === null) return bad('There is no message of that number');
  if (ranges.length === 0) return ok('No messages');
  const uids = uidPairs(ranges, selected.uids);
  const answer = await s.site.store.ask('copy', { now: s.site.world.now(), account: s.account, mailbox: watch.id, uids, target, move: moves });
  if (isRefusal(answer)) return refusalOfTarget(answer);
  if (moves) watch.note(answer.modseq, answer.targetMailbox === watch.id ? null : pagesOf(answer.from));
  else if (answer.targetMailbox === watch.id) s.wrote(pagesOf(answer.to));
  // RFC 2180 §4.4.2: some may have been expunged by others; what is left was copied
  if (answer.from.length === 0) return no('[EXPUNGEISSUED] The messages are gone');
  const code = `[COPYUID ${answer.uidValidity} ${setText(answer.from)} ${setText(answer.to)}]`;
  if (!moves) return ok(`${code} Copied`);
  // RFC 6851 §4.3: before the EXPUNGEs
  s.out.line(`* OK ${code} Moved`);
  return ok('Moved');
}
