// Delivery (M1: the 250). One commit holds body, index, flags, quota, queue and trace of every mail of the command.

import { type Answer, type Ask, isRefusal, type Refusal, refuse } from '../../actors/wire.ts';
import type { StoreProtocol } from '../messages.ts';
import { inboxName } from '../names.ts';
import { claim, dropTransfer } from './blob.ts';
import { addMessages, charge } from './folder.ts';
import { enqueue } from './queue.ts';
import type { Command } from './site.ts';
import { nextTrace, traceMail } from './trace.ts';
import type { Tx } from '../tx.ts';

export type Mail = Ask<StoreProtocol, 'deliver'>['mails'][number];
type Placed = Answer<StoreProtocol, 'deliver'>['placed'][number];

export const deliver: Command<'deliver'> = (tx, { now, expiryMs, mails }) => {
  const queues: number[] = [];
  const placed: Placed[] = [];
  for (const mail of mails) {
    const done = deliverMail(tx, mail, now, expiryMs);
    if (isRefusal(done)) return done;
    queues.push(done.queue);
    placed.push(...done.placed);
  }
  return { queues, placed };
};

export function deliverMail(tx: Tx, mail: Mail, now: number, expiryMs: number): { queue: number; placed: Placed[] } | Refusal {
  const refs = mail.local.length + (mail.remote.length > 0 ? 1 : 0);
  if (refs === 0) {
    if (mail.content.transfer !== 0) dropTransfer(tx, mail.content.transfer);
    return { queue: 0, placed: [] };
  }
  if (mail.skip > mail.content.size) return refuse('badContent', 'there is less than what is skipped');
  const blob = claim(tx, mail.content, refs);
  if (typeof blob !== 'number') return blob;
  const placed: Placed[] = [];
  for (const to of mail.local) {
    const account = tx.get('account', { account: to.account });
    if (!account?.present || !account.enabled) return refuse('noSuchAccount', `account ${to.account} takes no mail`);
    // A message that began to fit is taken whole: what is over shows at the next one.
    if (account.quotaBytes > 0 && account.usedBytes >= account.quotaBytes) return refuse('overQuota', account.address);
    const mailbox = target(tx, to.account, to.mailbox);
    if (mailbox === undefined) return refuse('noSuchMailbox', `account ${to.account} has no INBOX`);
    const message = { flags: to.flags & 31, keywords: 0, internalDate: now, size: mail.content.size, blob };
    const uid = addMessages(tx, { account: to.account, mailbox }, [message]);
    charge(tx, to.account, mail.content.size, 1);
    placed.push({ account: to.account, mailbox, uid });
  }
  const queue = mail.remote.length > 0 ? enqueue(tx, mail, blob, now, expiryMs, nextTrace(tx)) : 0;
  traceMail(tx, mail, now, queue, placed);
  return { queue, placed };
}

/** The named mailbox, or INBOX: a subaddress never loses mail. */
function target(tx: Tx, account: number, name: string): number | undefined {
  return (tx.get('mailboxName', { account, name: inboxName(name) }) ?? tx.get('mailboxName', { account, name: 'INBOX' }))?.mailbox;
}
