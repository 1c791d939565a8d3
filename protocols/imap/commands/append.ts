// APPEND (RFC 3501 §6.3.11). Guarantees: a message that cannot be taken is refused before its octets are asked for; what
// comes unasked is read away; memory does not grow with the message. The commit point is the store's answer to `append`.
//
// States: parsed → checked → `+` → streaming into an Intake → end of the line → finished → committed → APPENDUID.

import { limits } from '../../../actors/limits.ts';
import { isRefusal } from '../../../actors/wire.ts';
import { pageOf } from '../../../storage/page.ts';
import { account as accountOf, mailboxByName } from '../../../storage/views.ts';
import { type Content, Intake, IntakeFailed } from '../../mime/intake.ts';
import type { Call } from '../commands.ts';
import type { Announced } from '../grammar.ts';
import { type Append, endOfCommand, nextChunk } from '../receive.ts';
import { refusal, refusalOfTarget } from '../refused.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';

export async function append(s: ImapSession, args: Append, { literal }: Call): Promise<Reply | null> {
  if (literal === null) return bad('A message as a literal expected');
  const refused = refuseEarly(s, args, literal);
  // What was announced and not taken is read away after the reply, see session.ts
  if (refused !== null) return refused;
  s.literal = null;
  const { site } = s;
  if (literal.sync) {
    s.out.line('+ Go ahead');
    s.out.flush();
  }
  const intake = new Intake(site.world, site.store);
  let claimed = false;
  try {
    const content = await take(s, intake, literal);
    if (content === null || 'status' in content) return content;
    const { name, flags, internalDate } = args;
    const now = site.world.now();
    claimed = true;
    const answer = await site.store.ask('append', {
      now,
      account: s.account,
      mailbox: name,
      flags: flags.system,
      keywords: flags.keywords,
      internalDate: internalDate ?? now,
      content,
    });
    if (isRefusal(answer)) {
      claimed = false;
      return refusalOfTarget(answer);
    }
    if (s.selected?.watch.id === answer.mailbox) s.wrote([pageOf(answer.uid)]);
    return ok(`[APPENDUID ${answer.uidValidity} ${answer.uid}] Appended`);
  } finally {
    if (claimed) intake.release();
    else intake.abort();
  }
}

/** Why the message cannot be taken, as far as that is known before it comes. */
function refuseEarly(s: ImapSession, { name }: Append, { size }: Announced): Reply | null {
  const { view } = s.site;
  view.refresh();
  if (!mailboxByName(view, s.account, name)) return no('[TRYCREATE] There is no such mailbox');
  // RFC 7889 §2
  if (size > limits.message) return no(`[TOOBIG] A message has at most ${limits.message} octets`);
  // RFC 3502 §6.3.11: a literal of no octets is none
  if (size === 0) return no('[CANNOT] A message of no octets');
  const row = accountOf(view, s.account);
  if (row && row.quotaBytes > 0 && row.usedBytes + size > row.quotaBytes) return refusal({ refused: 'overQuota' });
  return null;
}

/** The message, whole; or a reply; null when the session is over. */
async function take(s: ImapSession, intake: Intake, { size }: Announced): Promise<Content | Reply | null> {
  let failure: IntakeFailed | null = null;
  for (let left = size; left > 0; ) {
    const chunk = await nextChunk(s, left);
    if (chunk === null) return null;
    left -= chunk.length;
    if (failure !== null) continue;
    failure = await attempt(() => intake.write(chunk));
  }
  const line = await s.reader.line(limits.imapLine, limits.imapLoginTimeoutMs);
  if (line.kind === 'end' || line.kind === 'timeout') {
    s.phase = 'over';
    return null;
  }
  // RFC 3501 §6.3.11: one message, and then the end of the line
  if (line.kind === 'tooLong' || line.bytes.length > 0) {
    if (line.kind === 'line') {
      s.reader.unread(Buffer.concat([line.bytes, Buffer.from('\r\n')]));
      await endOfCommand(s);
    }
    return bad('The end of the line expected after the message');
  }
  if (failure !== null) return refusal({ refused: failure.code });
  let content: Content | null = null;
  failure = await attempt(async () => {
    content = await intake.finish();
  });
  return failure === null ? content : refusal({ refused: failure.code });
}

async function attempt(run: () => Promise<void>): Promise<IntakeFailed | null> {
  try {
    await run();
    return null;
  } catch (error) {
    if (error instanceof IntakeFailed) return error;
    throw error;
  }
}
