// One IMAP connection as a client lives it: its view of the selected mailbox, kept by EXISTS, EXPUNGE and FETCH alone.
// Guarantees: a response that breaks the bookkeeping (RFC 3501 §7.3, §7.4.1) or contradicts what was answered before
// is a broken rule, at once.

import type { Connection, World } from '../../actors/world.ts';
import { Dialog } from './dialog.ts';
import { type Box, Broken, type Ledger } from './ledger.ts';
import { idOf } from './mail.ts';
import { fetchItems, type Response, readResponse, textOf, type Value, values } from './response.ts';

export interface ImapOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly account: string;
  /** Flags which only this client changes. */
  readonly ownFlags: readonly string[];
  /** Is \Deleted of this message for this client to set? */
  readonly owns: (uid: number) => boolean;
  readonly nowUs: () => number;
}

/** How a command ended. `code`: what was in brackets. */
export interface Done {
  readonly status: string;
  readonly code: string;
  readonly text: string;
  readonly untagged: readonly Response[];
}

export class ImapClient {
  readonly dialog: Dialog;
  box: Box | null = null;
  mailbox = '';
  /** By sequence number less one; 0: not yet known. */
  view: number[] = [];
  /** Flags by UID as they were told, without \\Recent; what is not here nobody knows. */
  readonly flags = new Map<number, Set<string>>();
  /** Flags learnt before this moment are not sure: a cut-off command may still come. */
  unsureUntilUs = 0;
  /** Flags a command in flight is about to change: `uid flag`. */
  readonly changing = new Set<string>();
  private readonly o: ImapOptions;
  private nextTag = 1;

  constructor(o: ImapOptions, connection: Connection) {
    this.o = o;
    this.dialog = new Dialog(o.world, connection);
  }

  async greeting(): Promise<boolean> {
    const first = await readResponse(this.dialog);
    return first?.text.startsWith('OK') === true;
  }

  /** Runs a command to its tagged response. `literal` follows when the server asks for it, or at once (`plus`). */
  async command(text: string, literal?: Uint8Array, plus = false): Promise<Done> {
    const tag = `t${this.nextTag++}`;
    if (literal === undefined) this.dialog.send(`${tag} ${text}\r\n`);
    else {
      this.dialog.send(`${tag} ${text} {${literal.length}${plus ? '+' : ''}}\r\n`);
      if (plus) this.sendLiteral(literal);
    }
    const untagged: Response[] = [];
    for (;;) {
      const response = await readResponse(this.dialog);
      if (response === null) throw new Error('a response is due');
      if (response.tag === '+') {
        if (literal !== undefined && !plus) this.sendLiteral(literal);
      } else if (response.tag === '*') {
        untagged.push(response);
        this.untagged(response, text);
      } else if (response.tag === tag) return done(response, untagged);
      else throw new Broken('IMAP', `${response.tag} answers nothing (to ${text})`);
    }
  }

  private sendLiteral(literal: Uint8Array): void {
    this.dialog.connection.write(literal);
    this.dialog.send('\r\n');
  }

  /** Listens for `waitMs`, then ends the IDLE. */
  async idle(waitMs: number): Promise<Done> {
    const tag = `t${this.nextTag++}`;
    this.dialog.send(`${tag} IDLE\r\n`);
    const untilUs = this.o.nowUs() + waitMs * 1000;
    const untagged: Response[] = [];
    let said = false;
    for (;;) {
      const leftMs = Math.max(0, (untilUs - this.o.nowUs()) / 1000);
      const response = said ? await readResponse(this.dialog) : await readResponse(this.dialog, leftMs);
      if (response === null) {
        this.dialog.send('DONE\r\n');
        said = true;
      } else if (response.tag === '*') this.untagged(response, 'IDLE');
      else if (response.tag === tag) return done(response, untagged);
    }
  }

  /** Selects a mailbox and starts a new view. */
  async select(mailbox: string, verb: 'SELECT' | 'EXAMINE' = 'SELECT'): Promise<Done> {
    this.box = null;
    this.view = [];
    this.flags.clear();
    const { ledger, account } = this.o;
    const before = [...ledger.boxes.values()].map((box) => ({ box, uidNext: box.uidNext, highestModseq: box.highestModseq }));
    const result = await this.command(`${verb} ${mailbox} (CONDSTORE)`);
    if (result.status !== 'OK') return result;
    const number = (name: string): number => {
      for (const { text } of result.untagged) {
        const found = new RegExp(`^OK \\[${name} (\\d+)\\]`, 'i').exec(text);
        if (found) return Number(found[1]);
      }
      throw new Broken('IMAP', `${verb} without ${name}`);
    };
    const box = ledger.box(account, mailbox, number('UIDVALIDITY'));
    const was = before.find((b) => b.box === box);
    const uidNext = number('UIDNEXT');
    const highestModseq = number('HIGHESTMODSEQ');
    if (was && uidNext < was.uidNext) throw new Broken('S2', `${box.name}: UIDNEXT went from ${was.uidNext} to ${uidNext}`);
    if (was && highestModseq < was.highestModseq) throw new Broken('S1', `${box.name}: HIGHESTMODSEQ went from ${was.highestModseq} to ${highestModseq}`);
    box.uidNext = Math.max(box.uidNext, uidNext);
    box.highestModseq = Math.max(box.highestModseq, highestModseq);
    this.box = box;
    this.mailbox = mailbox;
    return result;
  }

  /** Learns UID, flags and number of each message of the view that is not known yet. */
  async learn(): Promise<void> {
    const first = this.view.indexOf(0);
    if (first < 0) return;
    await this.command(`FETCH ${first + 1}:${this.view.length} (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])`);
  }

  private untagged(response: Response, command: string): void {
    const match = /^(\d+) (EXISTS|EXPUNGE|FETCH)(?: |$)/i.exec(response.text);
    if (!match) {
      if (/^BYE/i.test(response.text)) this.view = [];
      return;
    }
    const n = Number(match[1]);
    const kind = (match[2] as string).toUpperCase();
    if (kind === 'EXISTS') this.exists(n);
    else if (kind === 'EXPUNGE') this.expunged(n, command);
    else this.fetched(n, response, command);
  }

  private exists(n: number): void {
    if (n < this.view.length) throw new Broken('IMAP', `EXISTS went from ${this.view.length} to ${n}`);
    while (this.view.length < n) this.view.push(0);
  }

  private expunged(n: number, command: string): void {
    // RFC 3501 §7.4.1: not while FETCH, STORE or SEARCH with sequence numbers is in progress
    if (/^(FETCH|STORE|SEARCH) /i.test(command)) throw new Broken('IMAP', `EXPUNGE during ${command}`);
    if (n < 1 || n > this.view.length) throw new Broken('IMAP', `EXPUNGE ${n} of ${this.view.length}`);
    const [uid] = this.view.splice(n - 1, 1);
    if (uid && this.box) this.box.gone(uid, this.o.nowUs());
  }

  private fetched(n: number, response: Response, command: string): void {
    if (n < 1 || n > this.view.length) throw new Broken('IMAP', `FETCH ${n} of ${this.view.length} (to ${command})`);
    const box = this.box;
    if (!box) return;
    const items = fetchItems(values(response.text, response.literals)[2] as Value);
    if (items.has('UID')) this.learnUid(n, Number(items.get('UID')));
    const uid = this.view[n - 1];
    if (!uid) return;
    const known = box.at(uid);
    const modseq = items.get('MODSEQ');
    if (Array.isArray(modseq)) known.modseq = Math.max(known.modseq, Number(modseq[0]));
    const header = [...items].find(([name]) => name === 'BODY[]');
    if (header) {
      const id = idOf(textOf(header[1]));
      if (id !== null) box.identify(uid, id, command);
    }
    const flags = items.get('FLAGS');
    if (!Array.isArray(flags)) return;
    const told = new Set(flags.map((f) => textOf(f).toLowerCase()));
    told.delete('\\recent');
    this.flags.set(uid, told);
    this.sawFlags(box, uid, told, command);
  }

  private learnUid(n: number, uid: number): void {
    const had = this.view[n - 1];
    if (had !== 0 && had !== uid) throw new Broken('IMAP', `message ${n} was UID ${had} and is UID ${uid}`);
    for (let i = n - 2; i >= 0; i--) {
      const lower = this.view[i] as number;
      if (lower === 0) continue;
      if (lower >= uid) throw new Broken('IMAP', `UIDs are not ascending: ${i + 1} is ${lower}, ${n} is ${uid}`);
      break;
    }
    this.view[n - 1] = uid;
  }

  /** What only this client changes is what it was answered, or (the first time) what it sees. */
  private sawFlags(box: Box, uid: number, flags: ReadonlySet<string>, command: string): void {
    const known = box.at(uid);
    const own = this.o.owns(uid) ? [...this.o.ownFlags, '\\Deleted'] : this.o.ownFlags;
    for (const flag of own) {
      const is = flags.has(flag.toLowerCase());
      const sure = known.flags.get(flag);
      if (this.changing.has(`${uid} ${flag}`)) continue;
      if (sure !== undefined && sure !== is && known.removed === 'no')
        throw new Broken('M1', `${box.name} UID ${uid}: ${flag} was answered ${sure} and is ${is} (${command})`);
      if (sure === undefined && this.o.nowUs() > this.unsureUntilUs) known.flags.set(flag, is);
    }
  }
}

function done(response: Response, untagged: readonly Response[]): Done {
  const match = /^(OK|NO|BAD|PREAUTH|BYE)(?: \[([^\]]*)\])?/i.exec(response.text);
  if (!match) throw new Broken('IMAP', `not a status: ${response.text}`);
  return { status: (match[1] as string).toUpperCase(), code: match[2] ?? '', text: response.text, untagged };
}
