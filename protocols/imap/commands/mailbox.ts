// CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE. The commit point of each is the store's answer.

import { isRefusal } from '../../../actors/wire.ts';
import { type Parser, textOf } from '../grammar.ts';
import { badName, canonicalName } from '../names.ts';
import { refusal } from '../refused.ts';
import { no, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';

/** SP mailbox: the name inside. */
export function parseMailbox(p: Parser): string {
  p.space();
  return canonicalName(textOf(p.astring()));
}

interface Create {
  readonly name: string;
  readonly uses: readonly string[];
}

/** mailbox [SP "(" "USE" SP "(" use-attr… ")" ")"] (RFC 6154 §6). */
export function parseCreate(p: Parser): Create {
  const name = parseMailbox(p);
  const uses: string[] = [];
  if (!p.next(32)) return { name, uses };
  p.space();
  p.list(() => {
    if (!p.takeWord('USE')) return p.fail('There is no such parameter of CREATE');
    p.space();
    p.list(() => {
      p.expect(92, 'Special use');
      uses.push(p.word());
    }, true);
  });
  return { name, uses };
}

const specialUses: Readonly<Record<string, string>> = {
  ARCHIVE: '\\Archive',
  DRAFTS: '\\Drafts',
  FLAGGED: '\\Flagged',
  JUNK: '\\Junk',
  SENT: '\\Sent',
  TRASH: '\\Trash',
};

export async function create(s: ImapSession, { name, uses }: Create): Promise<Reply> {
  const wrong = badName(name);
  if (wrong !== null) return no(`[CANNOT] ${wrong}`);
  const specialUse = uses.length === 0 ? '' : specialUses[uses[0] as string];
  // RFC 6154 §3: one use a mailbox, and of those that a mailbox of mail can have
  if (specialUse === undefined || uses.length > 1) return no('[USEATTR] A mailbox cannot have that use');
  const answer = await s.site.store.ask('createMailbox', { now: s.site.world.now(), account: s.account, name, specialUse });
  return isRefusal(answer) ? refusal(answer) : ok('Created');
}

export async function deleteMailbox(s: ImapSession, name: string): Promise<Reply> {
  const answer = await s.site.store.ask('deleteMailbox', { account: s.account, name });
  if (isRefusal(answer)) return refusal(answer);
  if (s.selected?.watch.row.name === name) s.select(null);
  return ok('Deleted');
}

interface Rename {
  readonly from: string;
  readonly to: string;
}

export function parseRename(p: Parser): Rename {
  const from = parseMailbox(p);
  return { from, to: parseMailbox(p) };
}

export async function rename(s: ImapSession, { from, to }: Rename): Promise<Reply> {
  const wrong = badName(to);
  if (wrong !== null) return no(`[CANNOT] ${wrong}`);
  const answer = await s.site.store.ask('renameMailbox', { now: s.site.world.now(), account: s.account, from, to });
  if (isRefusal(answer)) return refusal(answer);
  // RFC 3501 §6.3.5: INBOX is empty now, and this may be where we are
  if (from === 'INBOX' && s.selected !== null) s.wrote(null);
  return ok('Renamed');
}

export async function subscribe(s: ImapSession, name: string): Promise<Reply> {
  // RFC 3501 §6.3.6: a name may be subscribed to that does not exist
  const wrong = badName(name);
  if (wrong !== null) return no(`[CANNOT] ${wrong}`);
  const answer = await s.site.store.ask('subscribeMailbox', { account: s.account, name, on: true });
  return isRefusal(answer) ? refusal(answer) : ok('Subscribed');
}

export async function unsubscribe(s: ImapSession, name: string): Promise<Reply> {
  const answer = await s.site.store.ask('subscribeMailbox', { account: s.account, name, on: false });
  return isRefusal(answer) ? refusal(answer) : ok('Unsubscribed');
}

export async function namespace(s: ImapSession): Promise<Reply> {
  s.out.line('* NAMESPACE (("" "/")) NIL NIL');
  return ok('Namespaces told');
}
