// DATA and BDAT: the octets of a message off the connection (RFC 5321 §4.1.1.4, RFC 3030). Guarantees: whatever is wrong
// with a message, its octets are taken to their real end and never read as commands; a peer that sends too slowly or too
// much is cut off.

import { limits } from '../../actors/limits.ts';
import type { Conversation, Transaction } from './conversation.ts';
import { DataDecoder } from './data.ts';
import { deliver, incoming } from './deliver.ts';
import { parseBdat } from './grammar.ts';
import type { Incoming } from './incoming.ts';

// RFC 5321 §2.3.8: CR and LF only as CRLF. Anything else is where two hosts read two different messages.
const bareEnding = '550 5.6.11 The message has CR or LF alone: lines end in CRLF';
/** Octets of a refused message that are read to its end, before the session is cut. */
const patience = 2 * limits.message;
const paceMs = 60_000;

/** The octets of a message as they come. null: there are no more, and the session is over. */
class Octets {
  private readonly s: Conversation;
  private taken = 0;
  private windowTaken = 0;
  private windowStart: number;

  constructor(s: Conversation) {
    this.s = s;
    this.windowStart = s.site.world.monotonicMs();
  }

  async next(max: number): Promise<Uint8Array | null> {
    const { s } = this;
    // RFC 2920 §3.2: nobody waits for octets with replies held back
    const unsent = s.reader.pending === 0 ? s.flush() : null;
    if (unsent !== null) await unsent;
    const chunk = await s.reader.chunk(max, limits.smtpDataTimeoutMs);
    if (chunk === null) {
      s.closing = true;
      return null;
    }
    if (chunk === 'timeout') return this.cut('smtpDataTimeoutMs', '4.4.2', 'No data for too long');
    this.taken += chunk.length;
    if (this.taken > patience) return this.cut('message', '4.3.0', 'The message is far too large');
    this.windowTaken += chunk.length;
    const now = s.site.world.monotonicMs();
    if (now - this.windowStart < paceMs) return chunk;
    if (this.windowTaken < (limits.smtpMinRate * paceMs) / 1000) return this.cut('smtpMinRate', '4.4.2', 'The data comes too slowly');
    this.windowStart = now;
    this.windowTaken = 0;
    return chunk;
  }

  private cut(limit: string, code: string, why: string): null {
    this.s.limit(limit, code, why);
    return null;
  }
}

/** DATA, after 354. */
export async function data(s: Conversation, transaction: Transaction): Promise<string | null> {
  s.reply('354 Send the message; end it with <CRLF>.<CRLF>');
  const unsent = s.flush();
  if (unsent !== null) await unsent;
  const decoder = new DataDecoder();
  const octets = new Octets(s);
  const message = incoming(s, transaction);
  transaction.incoming = message;
  while (!decoder.ended) {
    const chunk = await octets.next(limits.readChunk);
    if (chunk === null) return null;
    const { message: part, taken } = decoder.push(chunk);
    if (taken < chunk.length) s.reader.unread(chunk.subarray(taken));
    if (decoder.bare) message.refuse(bareEnding);
    const stored = message.write(part);
    if (stored !== null) await stored;
  }
  return end(s, transaction, message);
}

/** The last octet is here: the transaction ends, whatever the answer (RFC 5321 §4.1.1.4). */
async function end(s: Conversation, transaction: Transaction, message: Incoming): Promise<string> {
  const reply = await deliver(s, transaction, message);
  s.transaction = null;
  if (reply.startsWith('250')) {
    s.errors = 0;
    s.badRecipients = 0;
    s.idleCommands = 0;
  }
  return reply;
}

/** BDAT size [LAST]. The octets follow whatever we think of them, so they are taken first of all (RFC 3030 §2). */
export async function bdat(s: Conversation, argument: string): Promise<string | null> {
  const chunk = parseBdat(argument);
  if (chunk === null) {
    // where the octets end is unknown: nothing after this can be told from a command
    s.closing = true;
    return '501 5.5.4 Syntax: BDAT size [LAST]';
  }
  const { transaction } = s;
  const ready = transaction !== null && transaction.recipients.accepted > 0 ? transaction : null;
  if (ready) ready.incoming ??= incoming(s, ready);
  if (!(await takeChunk(s, chunk.size, ready))) return null;
  if (!ready?.incoming) return transaction ? '554 5.5.1 No valid recipients' : '503 5.5.1 MAIL and RCPT first';
  const message = ready.incoming;
  if (chunk.last) {
    ready.endings.finish();
    if (ready.endings.bare) message.refuse(bareEnding);
    return end(s, ready, message);
  }
  // RFC 3030 §2: after a failure every chunk is refused until RSET, or until LAST ends it
  if (message.refusal !== null) return message.refusal;
  if (chunk.size === 0) s.idleCommands++;
  return `250 2.0.0 ${chunk.size} octets`;
}

/** false: the session is over. `into` null: the octets are dropped. */
async function takeChunk(s: Conversation, size: number, into: Transaction | null): Promise<boolean> {
  const octets = new Octets(s);
  for (let left = size; left > 0; ) {
    const bytes = await octets.next(Math.min(left, limits.readChunk));
    if (bytes === null) return false;
    left -= bytes.length;
    if (!into?.incoming) continue;
    into.endings.push(bytes);
    if (into.endings.bare) into.incoming.refuse(bareEnding);
    const stored = into.incoming.write(bytes);
    if (stored !== null) await stored;
  }
  return true;
}
