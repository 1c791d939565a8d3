// The verbs of SMTP, one row each: what it needs, what it may be given, who runs it (STYLE 5). session.ts dispatches.

import { limits } from '../../actors/limits.ts';
import { account, mayFrom } from '../../storage/views.ts';
import { auth, startTls } from './auth.ts';
import type { Conversation, Transaction } from './conversation.ts';
import { LineEndings } from './data.ts';
import { ehloLines, type ExtensionName } from './extensions.ts';
import { parsePath } from './grammar.ts';
import { mailParameters } from './parameters.ts';
import { Recipients, rcpt } from './recipients.ts';
import { bdat, data } from './transfer.ts';

type Reply = string | null;

export interface Command {
  readonly rfc: string;
  /** Only while this extension is offered. */
  readonly extension?: ExtensionName;
  /** `greeting`: after EHLO or HELO. `transaction`: after MAIL. */
  readonly after?: 'greeting' | 'transaction';
  /** RFC 6409 §4.3: on the submission ports only for who has logged in. */
  readonly login?: true;
  readonly argument: 'none' | 'some' | 'any';
  /** Octets above 127 may stand in the argument (RFC 6531). */
  readonly utf8?: true;
  /** Brings no mail nearer: too many of them end the session. */
  readonly idle?: true;
  /** Answers with the reply, or null when it has said all. */
  readonly run: (s: Conversation, argument: string) => Reply | Promise<Reply>;
}

const row = (command: Command): Command => command;

export const commands: ReadonlyMap<string, Command> = new Map([
  ['EHLO', row({ rfc: 'RFC 5321 §4.1.1.1', argument: 'some', idle: true, run: (s, name) => greet(s, 'EHLO', name) })],
  ['HELO', row({ rfc: 'RFC 5321 §4.1.1.1', argument: 'some', idle: true, run: (s, name) => greet(s, 'HELO', name) })],
  ['STARTTLS', row({ rfc: 'RFC 3207', extension: 'STARTTLS', argument: 'none', run: startTls })],
  ['AUTH', row({ rfc: 'RFC 4954', extension: 'AUTH', after: 'greeting', argument: 'some', run: auth })],
  ['MAIL', row({ rfc: 'RFC 5321 §4.1.1.2', after: 'greeting', login: true, argument: 'some', utf8: true, run: mail })],
  ['RCPT', row({ rfc: 'RFC 5321 §4.1.1.3', after: 'transaction', login: true, argument: 'some', utf8: true, run: inTransaction(rcpt) })],
  ['DATA', row({ rfc: 'RFC 5321 §4.1.1.4', after: 'transaction', login: true, argument: 'none', run: inTransaction(startData) })],
  // RFC 3030 §2: its octets must be taken even out of order, so it looks at the order itself
  ['BDAT', row({ rfc: 'RFC 3030', extension: 'CHUNKING', argument: 'any', run: bdat })],
  ['RSET', row({ rfc: 'RFC 5321 §4.1.1.5', argument: 'none', idle: true, run: rset })],
  ['NOOP', row({ rfc: 'RFC 5321 §4.1.1.9', argument: 'any', utf8: true, idle: true, run: () => '250 2.0.0 OK' })],
  // RFC 5321 §3.5.3, §7.3: whether an address exists is said at RCPT, to who brings mail
  ['VRFY', row({ rfc: 'RFC 5321 §4.1.1.6', argument: 'some', utf8: true, idle: true, run: () => '252 2.1.5 Send some mail, and you will know' })],
  ['EXPN', row({ rfc: 'RFC 5321 §4.1.1.7', argument: 'some', utf8: true, idle: true, run: () => '502 5.5.1 Lists are not told' })],
  ['HELP', row({ rfc: 'RFC 5321 §4.1.1.8', argument: 'any', idle: true, run: () => `214 2.0.0 ${[...commands.keys()].join(' ')}` })],
  ['QUIT', row({ rfc: 'RFC 5321 §4.1.1.10', argument: 'none', run: quit })],
]);

/** EHLO and HELO begin anew (RFC 5321 §4.1.4). The name is not checked: no mail is lost for it (§4.1.4). */
function greet(s: Conversation, verb: 'HELO' | 'EHLO', name: string): string {
  if (name.length > 255) return '501 5.5.4 The name is too long';
  s.reset();
  s.greeting = { verb, name };
  return verb === 'HELO' ? `250 ${s.host}` : ehloLines(s);
}

function quit(s: Conversation): string {
  s.closing = true;
  return '221 2.0.0 Goodbye';
}

function rset(s: Conversation): string {
  s.reset();
  return '250 2.0.0 OK';
}

type Within = (s: Conversation, transaction: Transaction, argument: string) => Reply | Promise<Reply>;

/** For what stands between MAIL and the first octets of the message (RFC 3030 §2: BDAT has begun, only BDAT goes on). */
function inTransaction(run: Within): Command['run'] {
  return (s, argument) => {
    const { transaction } = s;
    if (transaction === null || transaction.incoming !== null) return '503 5.5.1 Not between two BDAT';
    return run(s, transaction, argument);
  };
}

function startData(s: Conversation, transaction: Transaction): Reply | Promise<Reply> {
  // RFC 5321 §3.3: no 354 for nobody, so that with pipelining no message is sent in vain
  if (transaction.recipients.accepted === 0) return '554 5.5.1 No valid recipients';
  return data(s, transaction);
}

/** MAIL FROM:<path> parameters. */
function mail(s: Conversation, argument: string): string {
  if (s.transaction !== null) return '503 5.5.1 There is a transaction already: RSET ends it';
  // Outlook puts a space after the colon
  const word = /^FROM:[ \t]*/i.exec(argument);
  if (!word) return '501 5.5.4 Syntax: MAIL FROM:<address>';
  const path = parsePath(argument.slice(word[0].length));
  if (!path.ok) return `501 5.1.7 ${path.why}`;
  if (path.mailbox?.domain === '') return '501 5.1.7 the address has no domain';
  const parameters = mailParameters(path.rest);
  if (typeof parameters === 'string') return parameters;
  const reversePath = path.mailbox?.address ?? '';
  // RFC 6531 §3.5
  if (!parameters.smtputf8 && /[^ -~]/.test(reversePath)) return '553 5.6.7 The address needs SMTPUTF8';
  const refusal = s.account === null ? null : senderRefusal(s, s.account.account, reversePath);
  if (refusal !== null) {
    s.refused(reversePath, '', refusal);
    return refusal;
  }
  s.transaction = { reversePath, parameters, recipients: new Recipients(), incoming: null, endings: new LineEndings() };
  return '250 2.1.0 OK';
}

/**
 * RFC 6409 §6.1: mail is handed in under one's own addresses. The null reverse-path belongs to everyone: RFC 8098 §2.1
 * prescribes it for the read receipts that mail clients send, and it names no one.
 */
function senderRefusal(s: Conversation, number: number, reversePath: string): string | null {
  const { view } = s.site;
  view.refresh();
  const row = account(view, number);
  if (!row?.enabled || !row.present) return '550 5.7.1 The account is disabled';
  return reversePath === '' || mayFrom(view, number, reversePath) ? null : '550 5.7.1 That address is not yours';
}

/** The longest line of a verb, without CRLF (RFC 5321 §4.5.3.1.4, RFC 4954 §4). */
export const longestLine = (verb: string): number => (verb === 'AUTH' ? limits.smtpAuthLine : limits.smtpLine);
