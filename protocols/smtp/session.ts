// The SMTP server session: relay (25) and submission (587, 465). Guarantees: M1 (250 after the durable commit, see
// deliver.ts); no open relay (recipients.ts); no smuggling (data.ts); each input has a limit and each wrong one a reply.
//
// States (RFC 5321 §3, §4.1.4): `connected` → EHLO/HELO → `greeted` → MAIL → `transaction` → RCPT… → DATA, or BDAT… LAST →
// **commit point: Store.deliver answers** → reply → `greeted`. EHLO, RSET: to `greeted`. STARTTLS: to `connected`, under TLS.
// QUIT, 421, end of stream: over; an unfinished message is dropped, and nothing of it is kept.

import { limits } from '../../actors/limits.ts';
import { config, RowDamaged } from '../../storage/views.ts';
import type { Session } from '../site.ts';
import { type Command, commands, longestLine } from './commands.ts';
import { Conversation } from './conversation.ts';
import { withheld } from './extensions.ts';
import { parseCommandLine } from './grammar.ts';

export const smtpSession: Session = async (site, connection, listener) => {
  site.view.refresh();
  const host = config(site.view)?.document.host;
  if (host === undefined) {
    connection.write('421 4.3.2 This site has no configuration yet\r\n');
    connection.end();
    return;
  }
  const s = new Conversation(site, connection, listener, host);
  s.reply(`220 ${host} ESMTP`);
  try {
    await converse(s);
  } finally {
    s.reset();
  }
  await linger(s);
};

/** A close with octets unread would be a reset, which can overtake our last reply; one that waits for the peer can last for ever. */
async function linger({ connection, reader, site: { world } }: Conversation): Promise<void> {
  connection.end();
  const until = world.monotonicMs() + limits.lingerMs;
  for (let left = limits.lingerMs; left > 0; left = until - world.monotonicMs()) {
    const more = await reader.chunk(limits.readChunk, left);
    if (more === null || more === 'timeout') break;
  }
  connection.destroy();
}

async function converse(s: Conversation): Promise<void> {
  while (!s.closing) {
    const unsent = s.flushWhenIdle();
    if (unsent !== null) await unsent;
    const line = await s.reader.line(limits.smtpAuthLine, limits.smtpCommandTimeoutMs);
    if (line.kind === 'end') return;
    if (line.kind === 'timeout') s.limit('smtpCommandTimeoutMs', '4.4.2', 'Nothing said for too long');
    else if (line.kind === 'tooLong') s.answer('500 5.5.2 The line is too long');
    // RFC 5321 §2.3.8: a line ends in CRLF, and nothing else is taken for its end
    else if (line.ending === 'lf') s.answer('500 5.5.2 LF without CR: lines end in CRLF');
    else {
      const reply = soundly(dispatch, s, line.bytes);
      s.answer(reply instanceof Promise ? await reply : reply);
    }
    if (!s.closing) checkPatience(s);
  }
  s.flush();
}

/** Damage to what a command needs is that command's, and for a while (RFC 3463 §3.4: X.3.0). */
function soundly(run: typeof dispatch, s: Conversation, bytes: Uint8Array): string | null | Promise<string | null> {
  const damaged = (error: unknown): string => {
    if (error instanceof RowDamaged) return '451 4.3.0 What it needs is damaged on the disk of this host: try again later';
    throw error;
  };
  try {
    const reply = run(s, bytes);
    return reply instanceof Promise ? reply.catch(damaged) : reply;
  } catch (error) {
    return damaged(error);
  }
}

function dispatch(s: Conversation, bytes: Uint8Array): string | null | Promise<string | null> {
  const line = parseCommandLine(bytes);
  if (typeof line === 'string') return `500 5.5.2 ${line}`;
  const { verb, argument } = line;
  const command = commands.get(verb);
  if (!command) return unknown(s, verb);
  if (bytes.length > longestLine(verb)) return '500 5.5.2 The line is too long';
  const refusal = outOfPlace(s, command, argument, line.ascii);
  if (refusal !== null) return refusal;
  if (command.idle) s.idleCommands++;
  return command.run(s, argument);
}

/** Why a command cannot be run now, as a reply. */
function outOfPlace(s: Conversation, command: Command, argument: string, ascii: boolean): string | null {
  if (!ascii && !command.utf8) return '500 5.5.2 Octets above 127 in a command';
  if (command.argument === 'none' && argument !== '') return '501 5.5.4 There is nothing to be said after this verb';
  if (command.argument === 'some' && argument === '') return '501 5.5.4 Something is missing after this verb';
  if (command.after !== undefined && s.greeting === null) return '503 5.5.1 EHLO first';
  if (command.extension !== undefined) {
    const refusal = withheld(command.extension, s);
    if (refusal !== null) return refusal;
  }
  if (command.login && s.submission && s.account === null) return '530 5.7.0 Log in first';
  if (command.after === 'transaction' && s.transaction === null) return '503 5.5.1 MAIL first';
  return null;
}

// A web page can make a browser say these to a mail port; what follows would be its mail.
const foreign = /^(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT)$/;

function unknown(s: Conversation, verb: string): string | null {
  if (foreign.test(verb)) {
    s.limit('protocol', '4.7.0', 'This is not a web server');
    return null;
  }
  // RFC 5321 §4.2.4: 502 for what the RFCs have and we do not
  return /^(?:TURN|ETRN|ATRN|SEND|SOML|SAML)$/.test(verb) ? '502 5.5.1 This verb is not offered' : '500 5.5.2 There is no such verb';
}

function checkPatience(s: Conversation): void {
  if (s.errors >= limits.smtpErrors) s.limit('smtpErrors', '4.7.0', 'Too many errors');
  else if (s.badRecipients >= limits.smtpBadRecipients) s.limit('smtpBadRecipients', '4.7.0', 'Too many unknown recipients');
  else if (s.idleCommands >= limits.smtpIdleCommands) s.limit('smtpIdleCommands', '4.7.0', 'Too many commands without mail');
}
