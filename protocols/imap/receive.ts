// One command from the connection: its line, and the literals it announces. Guarantees: at most limits.imapCommand
// octets are kept, whatever the client announces; what it sends regardless is read and dropped, or the session ends; the
// octets of a message are left to APPEND, which streams them.

import { limits } from '../../actors/limits.ts';
import { parseMailbox } from './commands/mailbox.ts';
import { type Announced, announcedLiteral, type Flags, Parser } from './grammar.ts';
import type { ImapSession } from './session.ts';

export interface Received {
  /** Lines and literals, without the last line ending. For APPEND without the announcement of its message. */
  readonly bytes: Uint8Array;
  /** The message that APPEND has announced and nobody has read. */
  readonly literal: Announced | null;
}

/** The next command; null when there is none to run: it was refused, or the session is over. */
export async function receive(s: ImapSession): Promise<Received | null> {
  let pieces: Uint8Array[] | null = null;
  let size = 0;
  for (;;) {
    const line = await nextLine(s, pieces === null);
    if (line === null) return null;
    const literal = announcedLiteral(line);
    if (literal === null) return { bytes: pieces === null ? line : join([...pieces, line]), literal: null };
    const head = line.subarray(0, literal.from);
    const before = pieces === null ? head : join([...pieces, head]);
    if (appendTakes(before)) return { bytes: before, literal };
    if (literal.size > limits.imapLiteral || size + literal.size > limits.imapCommand) {
      await refuse(s, before, literal);
      return null;
    }
    if (literal.sync) {
      s.out.line('+ OK');
      s.out.flush();
    }
    const octets = await readOctets(s, literal.size);
    if (octets === null) return null;
    size += line.length + literal.size;
    pieces = [...(pieces ?? []), line, crlf, octets];
  }
}

const crlf = new Uint8Array([13, 10]);
const join = (pieces: readonly Uint8Array[]): Uint8Array => (pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces));

/** A line of the client, or null: the session is over, or the line was refused. */
async function nextLine(s: ImapSession, first: boolean): Promise<Uint8Array | null> {
  const line = await s.reader.line(limits.imapLine, s.timeoutMs);
  if (line.kind === 'line') {
    if (!line.bytes.includes(0)) return line.bytes;
    s.errors++;
    s.out.line(`${tagOf(line.bytes, first)} BAD NUL in a command`);
  } else if (line.kind === 'tooLong') {
    s.errors++;
    s.out.line('* BAD [TOOBIG] The line is too long');
  } else if (line.kind === 'timeout') {
    if (s.phase === 'unauthenticated') s.limit('imapLoginTimeoutMs', '[UNAVAILABLE] Nobody logged in');
    else s.bye('Autologout: idle for too long');
  } else s.phase = 'over';
  return null;
}

function tagOf(bytes: Uint8Array, first: boolean): string {
  const parser = new Parser(bytes);
  const tag = parser.tag();
  return first && parser.ok ? tag : '*';
}

/** A literal that is too large. RFC 7888 §4: what comes without being asked for is read away, or the session ends. */
async function refuse(s: ImapSession, before: Uint8Array, literal: Announced): Promise<void> {
  s.errors++;
  const tag = tagOf(before, true);
  if (!literal.sync && !(await discard(s, literal.size))) return;
  s.out.line(`${tag} BAD [TOOBIG] The literal is too large`);
  if (!literal.sync) await endOfCommand(s);
}

/** Reads octets away; false when the session is over. */
async function discard(s: ImapSession, size: number): Promise<boolean> {
  if (size > limits.message) {
    s.limit('imapLiteral', '[TOOBIG] The literal is too large');
    return false;
  }
  for (let left = size; left > 0; ) {
    const chunk = await nextChunk(s, left);
    if (chunk === null) return false;
    left -= chunk.length;
  }
  return true;
}

/** Reads the rest of a command whose literal was refused, with all that it announces. */
export async function endOfCommand(s: ImapSession): Promise<void> {
  for (;;) {
    const line = await nextLine(s, false);
    const literal = line === null ? null : announcedLiteral(line);
    // Nothing is sent for a literal that waits for our `+`
    if (literal === null || literal.sync || !(await discard(s, literal.size))) return;
  }
}

async function readOctets(s: ImapSession, size: number): Promise<Uint8Array | null> {
  const out = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const chunk = await nextChunk(s, size - at);
    if (chunk === null) return null;
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** The next octets of a literal; null ends the session. */
export async function nextChunk(s: ImapSession, max: number): Promise<Uint8Array | null> {
  const chunk = await s.reader.chunk(max, limits.imapLoginTimeoutMs);
  if (chunk === 'timeout') s.limit('imapLoginTimeoutMs', 'The literal does not come');
  if (chunk !== null && chunk !== 'timeout') return chunk;
  s.phase = 'over';
  return null;
}

export interface Append {
  readonly name: string;
  readonly flags: Flags;
  /** null: now. */
  readonly internalDate: number | null;
}

/** mailbox [SP flag-list] [SP date-time] SP, and then the literal, which is not in the octets. */
export function parseAppend(p: Parser): Append {
  const name = parseMailbox(p);
  p.space();
  let flags: Flags = { system: 0, keywords: [], recent: false };
  let internalDate: number | null = null;
  if (p.next(40)) {
    flags = p.flags();
    p.space();
  }
  if (p.next(34)) {
    internalDate = p.dateTime();
    p.space();
  }
  if (!p.ended) p.fail('A message as a literal expected');
  return { name, flags, internalDate };
}

/** Is the literal that follows these octets the message of an APPEND, and not its mailbox? */
function appendTakes(before: Uint8Array): boolean {
  const p = new Parser(before);
  p.tag();
  p.space();
  if (!p.takeWord('APPEND')) return false;
  parseMailbox(p);
  p.space();
  return p.ok;
}

/** A message that was announced and not taken: what the client sends without being asked is read away. */
export async function dropMessage(s: ImapSession, literal: Announced): Promise<void> {
  if (literal.sync) return;
  if (await discard(s, literal.size)) await endOfCommand(s);
}
