// IDLE (RFC 2177): changes are told as they are committed. Guarantees: a push that cannot be sent now, because the client
// does not read, is not made; what it would have said is said later.

import { limits } from '../../../actors/limits.ts';
import { textOf } from '../grammar.ts';
import type { Line } from '../../reader.ts';
import { bad, ok, type Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';
import { sync } from '../sync.ts';

const options = { expunge: true, uid: false, own: null, push: true } as const;

/** The pushes of one IDLE, one after the other. */
class Pusher {
  running: Promise<void> | null = null;
  gone = false;
  error: unknown = null;
  /** Called when the mailbox is gone or a push failed. */
  ended: (() => void) | null = null;
  private readonly session: ImapSession;

  constructor(session: ImapSession) {
    this.session = session;
  }

  /** Never throws and never waits. */
  push(): void {
    if (this.running !== null || this.session.connection.unsent > limits.imapUnsent) return;
    this.running = this.pushAll().catch((error: unknown) => {
      this.error = error ?? new Error('a push failed');
      this.ended?.();
    });
  }

  private async pushAll(): Promise<void> {
    const { session } = this;
    do {
      if (!(await sync(session, options))) {
        this.gone = true;
        this.ended?.();
      }
    } while (!this.gone && session.selected?.stale === true && session.connection.unsent <= limits.imapUnsent);
    this.running = null;
  }
}

export async function idle(s: ImapSession): Promise<Reply | null> {
  s.out.line('+ idling');
  s.out.flush();
  const pusher = new Pusher(s);
  const ended = new Promise<null>((done) => {
    pusher.ended = () => done(null);
  });
  s.idling = () => pusher.push();
  if (s.selected?.stale) pusher.push();
  let line: Line | null;
  try {
    line = await Promise.race([s.reader.line(limits.imapLine, limits.imapAutologoutMs), ended]);
  } finally {
    s.idling = null;
  }
  if (pusher.running !== null) await pusher.running;
  if (pusher.error !== null) throw pusher.error;
  if (pusher.gone || line === null) s.bye('The selected mailbox was deleted');
  else if (line.kind === 'timeout') s.bye('Autologout: idle for too long');
  else if (line.kind === 'end') s.phase = 'over';
  else if (line.kind === 'tooLong' || textOf(line.bytes).trim().toUpperCase() !== 'DONE') return bad('DONE ends IDLE');
  else return ok('Idle no more');
  return null;
}
