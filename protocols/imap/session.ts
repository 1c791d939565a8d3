// The IMAP server session (RFC 3501). Guarantees: commands run strictly in order, and so do their tagged replies; a
// success is said only after the store has answered (M1: the commit points are the `ask`s of APPEND, STORE, COPY, MOVE,
// EXPUNGE, CREATE, DELETE, RENAME, SUBSCRIBE); every input has a limit; a client that does not read is waited for.
//
// States (RFC 3501 §3): `unauthenticated` → LOGIN, AUTHENTICATE → `authenticated` ⇄ SELECT, EXAMINE / CLOSE, UNSELECT
// ⇄ `selected` → LOGOUT, BYE, end of the stream: over. STARTTLS stays in `unauthenticated` and forgets what was received.
// A command: line → literals… → parsed → run → changes of the mailbox → tagged reply. Sent when no more input waits.

import { LinkLost } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import type { Connection, World } from '../../actors/world.ts';
import { account as accountOf, mailbox, RowDamaged } from '../../storage/views.ts';
import { LineReader } from '../reader.ts';
import { mayTakePasswords } from '../sasl/origin.ts';
import type { ListenerKind, Session, Site } from '../site.ts';
import { type Command, capabilityText, rows } from './commands.ts';
import { type Announced, Parser } from './grammar.ts';
import { dropMessage, type Received, receive } from './receive.ts';
import { refusal } from './refused.ts';
import { Output } from './render.ts';
import type { Reply } from './reply.ts';
import type { Selected } from './selected.ts';
import { type Own, sync } from './sync.ts';
import { release } from './watch.ts';

export type Phase = 'unauthenticated' | 'authenticated' | 'selected' | 'over';

/** Longest run of work before the others of the process have their turn. */
const SLICE_MS = 8;

/** Sessions of one process with more to write, in the order in which they go on. */
const resting = new WeakMap<World, (() => void)[]>();

/** One session goes on in each turn of the event loop: what comes in waits for one slice, not for one of each session. */
function turnOf(world: World): Promise<void> {
  return new Promise((go) => {
    const waiting = resting.get(world);
    if (waiting !== undefined) return void waiting.push(go);
    const queue = [go];
    resting.set(world, queue);
    void (async () => {
      for (; queue.length > 0; queue.shift()?.()) await world.sleep(0);
      resting.delete(world);
    })();
  });
}

export class ImapSession {
  readonly site: Site;
  readonly connection: Connection;
  readonly listener: ListenerKind;
  readonly reader: LineReader;
  readonly out: Output;
  phase: Phase = 'unauthenticated';
  account = 0;
  address = '';
  selected: Selected | null = null;
  /** The client has shown that it knows CONDSTORE (RFC 7162 §3.1). */
  condstore = false;
  errors = 0;
  authTries = 0;
  /** What the current command has changed, and tells by itself. */
  own: Own | null = null;
  /** A message that APPEND has announced, while nobody has taken it. */
  literal: Announced | null = null;
  /** Runs at each notice of the selected mailbox while the session is in IDLE. */
  idling: (() => void) | null = null;
  private configSeen = 0;
  private sliceFrom = 0;

  constructor(site: Site, connection: Connection, listener: ListenerKind) {
    this.site = site;
    this.connection = connection;
    this.listener = listener;
    this.reader = new LineReader(connection, site.world);
    this.out = new Output(connection);
  }

  /** RFC 3501 §6.2.3, RFC 9051 §11.1: a password must not travel where anyone can read it. */
  get mayLogIn(): boolean {
    return mayTakePasswords(this.site, this.connection);
  }

  get over(): boolean {
    return this.phase === 'over';
  }

  get capabilities(): string {
    return capabilityText(this);
  }

  get timeoutMs(): number {
    return this.phase === 'unauthenticated' ? limits.imapLoginTimeoutMs : limits.imapAutologoutMs;
  }

  /** What to wait for before writing more: the client, or the others. null: nothing. */
  pressure(): Promise<void> | null {
    const { monotonicMs } = this.site.world;
    if (this.connection.unsent > limits.imapUnsent) return this.drained();
    const now = monotonicMs();
    if (now - this.sliceFrom < SLICE_MS) return null;
    return this.rest();
  }

  private async rest(): Promise<void> {
    await turnOf(this.site.world);
    this.sliceFrom = this.site.world.monotonicMs();
    this.site.view.refresh();
  }

  /** Waits until the client has read most of it, but not for ever. */
  async drained(): Promise<void> {
    const timer = this.site.world.after(limits.imapAutologoutMs, () => this.connection.destroy());
    await this.connection.drained(limits.imapUnsent);
    timer.cancel();
    await turnOf(this.site.world);
    this.sliceFrom = this.site.world.monotonicMs();
    this.site.view.refresh();
  }

  beginSlice(): void {
    this.sliceFrom = this.site.world.monotonicMs();
  }

  bye(text: string): void {
    this.out.line(`* BYE ${text}`);
    this.phase = 'over';
  }

  /** BYE because of a limit, which is logged. */
  limit(name: string, text: string): void {
    this.site.world.log('session.limit', { protocol: 'imap', remote: this.connection.remote.address, limit: name });
    this.bye(text);
  }

  select(selected: Selected | null): void {
    if (this.selected !== null) {
      this.selected.watch.listeners.delete(this.changed);
      release(this.selected.watch);
    }
    this.selected = selected;
    selected?.watch.listeners.add(this.changed);
    this.phase = selected === null ? 'authenticated' : 'selected';
  }

  /** Something was written to the selected mailbox by this session: which pages, null for any. */
  wrote(touched: readonly number[] | null): void {
    if (this.selected === null) return;
    const { watch } = this.selected;
    this.site.view.refresh();
    const row = mailbox(this.site.view, this.account, watch.id);
    if (row) watch.note(row.modseq, touched);
  }

  private readonly changed = (): void => this.idling?.();

  /** Is the account still there? Looked at when the configuration has changed. */
  accountHolds(): boolean {
    const now = configuration(this.site);
    if (this.account === 0 || now.changes === this.configSeen) return true;
    this.configSeen = now.changes;
    this.site.view.refresh();
    const row = accountOf(this.site.view, this.account);
    return row?.enabled === true && row.present;
  }
}

/** How often the configuration of a site has changed, as far as this process knows. */
const configurations = new WeakMap<Site, { changes: number }>();
function configuration(site: Site): { changes: number } {
  let found = configurations.get(site);
  if (!found) {
    const made = { changes: 0 };
    configurations.set(site, (found = made));
    site.store.on('configured', () => {
      made.changes++;
    });
  }
  return found;
}

export const imapSession: Session = async (site, connection, listener) => {
  configuration(site);
  const s = new ImapSession(site, connection, listener);
  s.out.line(`* OK [CAPABILITY ${s.capabilities}] mailsite ready`);
  s.out.flush();
  try {
    while (!s.over && !connection.closed) {
      const received = await receive(s);
      s.beginSlice();
      if (received !== null) {
        s.own = null;
        s.literal = received.literal;
        await execute(s, received);
        if (s.literal !== null && !s.over) await dropMessage(s, s.literal);
      }
      if (s.errors >= limits.imapErrors && !s.over) s.limit('imapErrors', '[LIMIT] Too many errors');
      if (!s.reader.buffered() || s.over) s.out.flush();
      const wait = connection.unsent > limits.imapUnsent ? s.drained() : null;
      if (wait !== null) await wait;
    }
    s.out.flush();
  } finally {
    s.idling = null;
    if (s.selected !== null) s.select(null);
  }
  connection.end();
};

/** One command from its octets to its tagged reply. */
async function execute(s: ImapSession, { bytes, literal }: Received): Promise<void> {
  const parser = new Parser(bytes);
  const tag = parser.tag();
  if (!parser.ok) return bad(s, '*', 'Tag expected');
  parser.space();
  const found = commandOf(parser);
  if (found === null) return bad(s, tag, parser.ok ? 'Unknown command' : 'Command expected');
  const { command, uid } = found;
  if (!s.accountHolds()) return s.bye('[UNAVAILABLE] The account is closed');
  const misplaced = outOfPlace(s, command);
  if (misplaced !== null) return bad(s, tag, misplaced);
  const args = command.parse(parser, uid);
  if (command.verb !== 'APPEND') parser.end();
  if (!parser.ok) return bad(s, tag, parser.error ?? 'Syntax error');
  let reply: Reply | null;
  try {
    reply = await command.run(s, args, { tag, uid, literal });
  } catch (error) {
    if (error instanceof RowDamaged) return finish(s, tag, refusal({ refused: 'damaged' }));
    if (!(error instanceof LinkLost)) throw error;
    // Nobody can tell whether it was done: only what may be done twice is answered
    if (!command.repeatable) return s.bye('[UNAVAILABLE] Lost contact with the store: look whether it was done');
    reply = { status: 'NO', text: '[UNAVAILABLE] Lost contact with the store, try again' };
  }
  if (reply === null || s.over) return finish(s, tag, reply);
  if (s.selected !== null && command.sequence !== 'none') {
    const there = await sync(s, { expunge: command.sequence === 'breaks' || uid, uid, own: s.own, push: false });
    if (!there) {
      finish(s, tag, reply);
      return s.bye('The selected mailbox was deleted');
    }
  }
  finish(s, tag, reply);
}

function finish(s: ImapSession, tag: string, reply: Reply | null): void {
  if (reply === null) return;
  if (reply.status === 'BAD') s.errors++;
  s.out.line(`${tag} ${reply.status} ${reply.text}`);
}

function bad(s: ImapSession, tag: string, text: string): void {
  s.errors++;
  s.out.line(`${tag} BAD ${text}`);
}

/** The row of the command that comes next, with UID taken for what it is: a prefix (RFC 3501 §6.4.8). */
function commandOf(parser: Parser): { readonly command: Command; readonly uid: boolean } | null {
  let verb = parser.word();
  const uid = verb === 'UID' && parser.next(32);
  if (uid) {
    parser.space();
    verb = parser.word();
  }
  const command = rows.get(verb);
  if (!command || !parser.ok || (uid && command.uid === 'never')) return null;
  return { command, uid };
}

function outOfPlace(s: ImapSession, command: Command): string | null {
  if (command.phase === 'any' || command.phase === s.phase) return null;
  if (command.phase === 'authenticated' && s.phase === 'selected') return null;
  if (command.phase === 'unauthenticated') return 'Already logged in';
  return s.phase === 'unauthenticated' ? 'Log in first' : 'Select a mailbox first';
}
