// Commands on mailboxes themselves: CREATE, DELETE, RENAME, SUBSCRIBE, and the mailboxes an account begins with.

import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { type Refusal, refuse } from '../../actors/wire.ts';
import { isBelow, normalizeName, parentsOf, separator } from '../names.ts';
import { maxRanges } from '../ranges.ts';
import type { Tx } from '../tx.ts';
import { charge, type Folder, folderRow, removeMessages, select } from './folder.ts';
import { place } from './message.ts';
import { type Command, takeId, takeUidValidity } from './site.ts';

/** What every account starts with (RFC 6154). */
const defaults = [
  ['INBOX', ''],
  ['Drafts', '\\Drafts'],
  ['Sent', '\\Sent'],
  ['Archive', '\\Archive'],
  ['Junk', '\\Junk'],
  ['Trash', '\\Trash'],
] as const;

export function createDefaults(tx: Tx, account: number, now: number): void {
  for (const [name, specialUse] of defaults) {
    addMailbox(tx, account, name, specialUse, now);
    tx.put('subscription', { account, name }, {});
  }
}

function addMailbox(tx: Tx, account: number, name: string, specialUse: string, now: number): { mailbox: number; uidValidity: number } {
  const mailbox = takeId(tx, 'nextMailbox');
  const uidValidity = takeUidValidity(tx, now);
  const empty = { exists: 0, unseen: 0, deleted: 0, bytes: 0, recentUid: 0, keywords: [] };
  tx.put('mailbox', { account, mailbox }, { name, uidValidity, uidNext: 1, modseq: 1, ...empty, specialUse, createdAt: now });
  tx.put('mailboxName', { account, name }, { mailbox });
  tx.changed({ account, mailbox, modseq: 1, kind: 'mailbox', pages: [] });
  return { mailbox, uidValidity };
}

/** The mailbox and the parents it lacks, or why not. */
function addWithParents(tx: Tx, account: number, name: string, specialUse: string, now: number): ReturnType<typeof addMailbox> | Refusal {
  const missing = parentsOf(name).filter((parent) => tx.get('mailboxName', { account, name: parent }) === undefined);
  if (tx.count('mailboxName', [account]) + missing.length + 1 > limits.mailboxesPerAccount) return refuse('limit', 'too many mailboxes');
  for (const parent of missing) addMailbox(tx, account, parent, '', now);
  return addMailbox(tx, account, name, specialUse, now);
}

export const createMailbox: Command<'createMailbox'> = (tx, ask) => {
  // RFC 3501 §6.3.3: a trailing separator only says that children are to come.
  const name = normalizeName(ask.name.endsWith(separator) ? ask.name.slice(0, -1) : ask.name);
  if (name === null) return refuse('badName', ask.name);
  if (!tx.get('account', { account: ask.account })) return refuse('noSuchAccount');
  if (tx.get('mailboxName', { account: ask.account, name })) return refuse('mailboxExists', name);
  return addWithParents(tx, ask.account, name, ask.specialUse, ask.now);
};

export const deleteMailbox: Command<'deleteMailbox'> = (tx, ask) => {
  const name = normalizeName(ask.name);
  if (name === 'INBOX') return refuse('inboxStays');
  const found = name === null ? undefined : tx.get('mailboxName', { account: ask.account, name });
  const row = found && folderRow(tx, { account: ask.account, mailbox: found.mailbox });
  if (!found || name === null || !row) return refuse('noSuchMailbox', ask.name);
  const { account } = ask;
  const { mailbox } = found;
  if (row.exists > 0) charge(tx, account, -row.bytes, -row.exists);
  // Its pages, and the bodies they name, are the collector's.
  if (row.uidNext > 1) tx.put('removed', { mailbox }, {});
  tx.delete('mailbox', { account, mailbox });
  tx.delete('mailboxName', { account, name });
  tx.changed({ account, mailbox, modseq: row.modseq + 1, kind: 'mailbox', pages: [] });
  return {};
};

export const renameMailbox: Command<'renameMailbox'> = (tx, ask) => {
  const { account, now } = ask;
  const from = normalizeName(ask.from);
  const to = normalizeName(ask.to.endsWith(separator) ? ask.to.slice(0, -1) : ask.to);
  if (to === null) return refuse('badName', ask.to);
  const found = from === null ? undefined : tx.get('mailboxName', { account, name: from });
  if (from === null || !found) return refuse('noSuchMailbox', ask.from);
  if (from === 'INBOX') return moveInbox(tx, { account, mailbox: found.mailbox }, to, now);
  if (tx.get('mailboxName', { account, name: to })) return refuse('mailboxExists', to);
  if (isBelow(to, from)) return refuse('badName', `${to} is below ${from}`);
  const moved = [{ name: from, mailbox: found.mailbox }];
  for (const { key, row } of tx.scan('mailboxName', [account, from + separator])) moved.push({ name: key.name, mailbox: row.mailbox });
  const names = moved.map(({ name }) => normalizeName(to + name.slice(from.length)));
  if (names.includes(null)) return refuse('badName', 'a name below it would be too long or too deep');
  for (const { name } of moved) tx.delete('mailboxName', { account, name });
  for (const parent of parentsOf(to)) if (!tx.get('mailboxName', { account, name: parent })) addMailbox(tx, account, parent, '', now);
  for (const [i, { mailbox }] of moved.entries()) {
    const name = names[i] as string;
    if (tx.get('mailboxName', { account, name })) return refuse('mailboxExists', name);
    const row = folderRow(tx, { account, mailbox });
    assert(row !== undefined, 'a name has its mailbox');
    tx.put('mailbox', { account, mailbox }, { ...row, name });
    tx.put('mailboxName', { account, name }, { mailbox });
    tx.changed({ account, mailbox, modseq: row.modseq, kind: 'mailbox', pages: [] });
  }
  return tx.count('mailboxName', [account]) > limits.mailboxesPerAccount ? refuse('limit', 'too many mailboxes') : {};
};

/** RFC 3501 §6.3.5: INBOX stays, and is empty; its children stay too. */
function moveInbox(tx: Tx, inbox: Folder, to: string, now: number): Refusal | Record<never, never> {
  if (tx.get('mailboxName', { account: inbox.account, name: to })) return refuse('mailboxExists', to);
  const made = addWithParents(tx, inbox.account, to, '', now);
  if ('refused' in made) return made;
  const row = folderRow(tx, inbox);
  assert(row !== undefined, 'an account has its INBOX');
  if (row.exists === 0) return {};
  const all = [1, row.uidNext - 1];
  place(tx, { account: inbox.account, mailbox: made.mailbox }, row.keywords, select(tx, inbox, all));
  return removeMessages(tx, inbox, all, () => true).uids.length > maxRanges ? refuse('limit', 'too many ranges of UIDs') : {};
}

export const subscribeMailbox: Command<'subscribeMailbox'> = (tx, ask) => {
  const { account } = ask;
  const name = normalizeName(ask.name);
  if (name === null) return refuse('badName', ask.name);
  const known = tx.get('subscription', { account, name }) !== undefined;
  if (known === ask.on) return {};
  if (!ask.on) tx.delete('subscription', { account, name });
  else if (tx.count('subscription', [account]) >= limits.mailboxesPerAccount) return refuse('limit', 'too many subscriptions');
  else tx.put('subscription', { account, name }, {});
  return {};
};
