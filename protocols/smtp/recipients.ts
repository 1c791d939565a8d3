// Who gets the message (RFC 5321 §4.1.1.3). Guarantees: no open relay: an address that is not ours is taken only from
// who has logged in; a mailbox named by several recipients gets one copy; the work is bounded, whatever aliases say.

import { limits } from '../../actors/limits.ts';
import { notify } from '../../storage/messages.ts';
import { account, type Resolution, resolveAddress } from '../../storage/views.ts';
import type { Mail } from './bounce.ts';
import type { Conversation, Transaction } from './conversation.ts';
import { type Mailbox, parsePath } from './grammar.ts';
import { type RcptParameters, rcptParameters } from './parameters.ts';

type Local = Mail['local'][number];
type Remote = Mail['remote'][number];

/** Local and remote deliveries together that one message may have, after aliases; the command to the store takes as many of each. */
const deliveries = 10_000;

export class Recipients {
  /** RCPT commands that were answered 250. */
  accepted = 0;
  /** As the client wrote the first. */
  first = '';
  /** As the client wrote them, each once. */
  get named(): readonly string[] {
    return [...this.names];
  }
  /** Who asked to hear of success, and is local. */
  readonly confirmed: { readonly address: string; readonly orcpt: string }[] = [];
  private readonly names = new Set<string>();
  private readonly locals = new Map<string, Local>();
  private readonly remotes = new Map<string, Remote>();

  get local(): readonly Local[] {
    return [...this.locals.values()];
  }

  get remote(): readonly Remote[] {
    return [...this.remotes.values()];
  }

  get remoteCount(): number {
    return this.remotes.size;
  }

  get localCount(): number {
    return this.locals.size;
  }

  /** Is there room for so many more? */
  hasRoom(targets: number): boolean {
    return this.locals.size + this.remotes.size + targets <= deliveries;
  }

  add(address: string, targets: readonly Resolution[], parameters: RcptParameters): void {
    if (this.accepted++ === 0) this.first = address;
    this.names.add(address);
    let local = false;
    for (const target of targets) {
      if (target.kind === 'local') {
        local = true;
        const key = `${target.account}/${target.mailbox}`;
        if (!this.locals.has(key)) this.locals.set(key, { account: target.account, mailbox: target.mailbox, flags: 0 });
      } else {
        const key = remoteKey(target.address);
        if (!this.remotes.has(key)) this.remotes.set(key, { address: target.address, ...parameters });
      }
    }
    if (local && (parameters.notify & notify.success) !== 0) this.confirmed.push({ address, orcpt: parameters.orcpt });
  }
}

/** Local parts of others may tell case apart (RFC 5321 §2.4), domains do not. */
function remoteKey(address: string): string {
  const at = address.lastIndexOf('@');
  return address.slice(0, at) + address.slice(at).toLowerCase();
}

/** RCPT TO:<path> parameters. */
export function rcpt(s: Conversation, transaction: Transaction, argument: string): string | null {
  const word = /^TO:[ \t]*/i.exec(argument);
  if (!word) return '501 5.5.4 Syntax: RCPT TO:<address>';
  const path = parsePath(argument.slice(word[0].length));
  if (!path.ok) return `501 5.1.3 ${path.why}`;
  if (path.mailbox === null) return '501 5.1.3 A recipient cannot be <>';
  const { smtputf8 } = transaction.parameters;
  const parameters = rcptParameters(path.rest, smtputf8);
  if (typeof parameters === 'string') return parameters;
  // RFC 6531 §3.5
  if (!smtputf8 && /[^ -~]/.test(path.mailbox.address)) return '553 5.6.7 The address needs SMTPUTF8 in MAIL';
  const { recipients } = transaction;
  // RFC 5321 §4.5.3.1.10: the client sends the rest in another transaction
  if (recipients.accepted >= limits.smtpRecipients) return `452 4.5.3 At most ${limits.smtpRecipients} recipients a message`;
  const found = resolve(s, transaction, path.mailbox);
  if (typeof found === 'string') return refuse(s, transaction, path.mailbox, found);
  if (!recipients.hasRoom(found.length)) return '452 4.5.3 Too many recipients: send the message to the rest again';
  recipients.add(path.mailbox.address, found, parameters);
  return '250 2.1.5 OK';
}

/** An address that gets nothing counts apart: a mailing list has some, who guesses has many. */
function refuse(s: Conversation, transaction: Transaction, mailbox: Mailbox, reply: string): null {
  s.refused(transaction.reversePath, mailbox.address, reply);
  if (reply.startsWith('5')) s.badRecipients++;
  s.reply(reply);
  return null;
}

const refusals = {
  unknown: '550 5.1.1 There is no such address here',
  disabled: '550 5.2.1 The mailbox is disabled',
  full: '452 4.2.2 The mailbox is full',
  loop: '550 5.4.6 The aliases of this address lead nowhere',
  notOurs: '550 5.7.1 Relaying denied: this host does not take mail for that domain',
} as const;

/** Where a recipient leads, or the reply that refuses it. */
function resolve(s: Conversation, transaction: Transaction, mailbox: Mailbox): readonly Resolution[] | string {
  const { view } = s.site;
  view.refresh();
  const found = resolveAddress(view, mailbox.address);
  if ('error' in found) {
    if (found.error === 'notOurs' && s.account !== null) return [{ kind: 'remote', address: mailbox.address }];
    return refusals[found.error];
  }
  const { size } = transaction.parameters;
  if (size > 0 && found.targets.every((t) => t.kind === 'local' && !hasRoom(s, t.account, size))) return refusals.full;
  return found.targets;
}

/** RFC 1870 §6.1: said at RCPT, a message that will not fit costs nothing. */
function hasRoom(s: Conversation, number: number, size: number): boolean {
  const row = account(s.site.view, number);
  return row === undefined || row.quotaBytes === 0 || row.usedBytes + size <= row.quotaBytes;
}
