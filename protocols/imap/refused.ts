// The store's refusals as response codes (RFC 5530), in one table.

import type { Refusal } from '../../actors/wire.ts';
import type { RefusalCode } from '../../storage/messages.ts';
import type { Reply } from './reply.ts';

const texts: Readonly<Record<RefusalCode | 'busy' | 'linkLost' | 'crowded', string>> = {
  noSuchAccount: '[UNAVAILABLE] The account is closed',
  noSuchMailbox: '[NONEXISTENT] There is no such mailbox',
  mailboxExists: '[ALREADYEXISTS] There is a mailbox of that name',
  badName: '[CANNOT] A mailbox cannot have that name',
  overQuota: '[OVERQUOTA] The account has no room for it',
  limit: '[LIMIT] A limit of this server is reached',
  full: '[LIMIT] The disk of the server is full, try again later',
  noSuchTransfer: '[UNAVAILABLE] The store started again, try once more',
  badContent: '[UNAVAILABLE] The message did not arrive whole, try once more',
  locked: '[NOPERM] The configuration is locked',
  conflict: '[INUSE] Somebody else changed it at the same time, try again',
  inboxStays: '[CANNOT] INBOX stays',
  unneeded: '[CANNOT] There is nothing to do',
  superseded: '[UNAVAILABLE] This mail has moved to another server',
  damaged: '[SERVERBUG] What it needs is damaged on the disk of the server',
  busy: '[UNAVAILABLE] The store is busy, try again',
  crowded: '[LIMIT] Too much mail is on its way in, try again later',
  linkLost: '[UNAVAILABLE] Lost contact with the store, try again',
};

/** NO, with the code that says why. */
export function refusal({ refused }: Pick<Refusal, 'refused'>): Reply {
  return { status: 'NO', text: (texts as Readonly<Record<string, string>>)[refused] ?? '[UNAVAILABLE] The store refused it' };
}

/** The same for commands with a target: without it the client may create it (RFC 3501 §6.3.11). */
export const refusalOfTarget = (answer: Pick<Refusal, 'refused'>): Reply =>
  answer.refused === 'noSuchMailbox' ? { status: 'NO', text: '[TRYCREATE] There is no such mailbox' } : refusal(answer);
