// SMTP and IMAP load whose every answer is written down, to be compared with what is there in the end (M1, Q1):
// kept: the server said yes, so it is there exactly once; unsure: the connection ended before the answer, or the answer
// was "try again", so it is there at most once (the sender would have to repeat); refused: said no before the end of data, so it is not there.

import { Imap, Smtp } from '../bench/lib/conn.ts';
import { withImap } from '../clients/mailbox.ts';
import { sleep } from '../clients/programs.ts';
import { password, type Site } from '../clients/site.ts';

type Fate = 'kept' | 'unsure' | 'refused';
export interface Entry {
  readonly user: string;
  readonly mailbox: string;
  fate: Fate;
  /** When the server said yes, ms since the epoch. */
  keptAt: number;
  /** Keywords whose STORE was answered OK, and when. */
  readonly flags: string[];
  readonly flaggedAt: number[];
}

export class Ledger {
  readonly entries = new Map<string, Entry>();
  readonly counts = { smtpKept: 0, appendKept: 0, storeKept: 0, unsure: 0, refused: 0, reconnects: 0, sessionsHung: 0 };
  private next = 0;
  private stopped = false;
  private readonly workers: Promise<void>[] = [];
  private readonly site: Site;
  private readonly users: readonly string[];
  private readonly pauseMs: number;

  /** `pauseMs`: between two messages of a session. */
  constructor(site: Site, users: readonly string[], pauseMs = 0) {
    this.site = site;
    this.users = users;
    this.pauseMs = pauseMs;
  }

  begin(smtp: number, imap: number): void {
    for (let i = 0; i < smtp; i++) this.workers.push(this.forever(() => this.smtpSession()));
    for (let i = 0; i < imap; i++) this.workers.push(this.forever(() => this.imapSession()));
  }

  /** Waits for every answer still due. A session that never gets one is a defect: it is counted. */
  async end(): Promise<void> {
    this.stopped = true;
    let running = this.workers.length;
    for (const worker of this.workers) void worker.then(() => running--);
    await Promise.race([Promise.all(this.workers), sleep(30_000)]);
    this.counts.sessionsHung = running;
  }

  private async forever(session: () => Promise<void>): Promise<void> {
    while (!this.stopped) {
      try {
        await session();
      } catch {
        this.counts.reconnects++;
        await sleep(10);
      }
    }
  }

  private enter(mailbox: string): { id: string; user: string; entry: Entry; source: Buffer } {
    const i = this.next++;
    const user = this.users[i % this.users.length] as string;
    const id = `ledger-${i}`;
    const entry: Entry = { user, mailbox, fate: 'refused', keptAt: 0, flags: [], flaggedAt: [] };
    this.entries.set(id, entry);
    // one in twenty is streamed in chunks; the others travel inside the command
    const body = i % 20 === 0 ? 'A line of a large message, which is told again and again.\r\n'.repeat(8_000) : `Message ${i}\r\n`.repeat(1 + (i % 200));
    return {
      id,
      user,
      entry,
      source: Buffer.from(`From: load@elsewhere.test\r\nTo: ${user}@example.test\r\nSubject: ${id}\r\nMessage-ID: <${id}@elsewhere.test>\r\n\r\n${body}`),
    };
  }

  private async smtpSession(): Promise<void> {
    const client = await Smtp.open(this.site.address, this.site.port('smtp'));
    try {
      for (let k = 0; k < 20 && !this.stopped; k++) {
        const { user, entry, source } = this.enter('INBOX');
        entry.fate = 'unsure';
        const { code } = await client.send('load@elsewhere.test', `${user}@example.test`, source, Buffer.alloc(0));
        if (code === 250) this.keep(entry, 'smtpKept');
        else this.counts.unsure++;
        if (this.pauseMs > 0) await sleep(this.pauseMs);
      }
      await client.quit();
    } finally {
      client.close();
    }
  }

  private keep(entry: Entry, what: 'smtpKept' | 'appendKept'): void {
    entry.fate = 'kept';
    entry.keptAt = Date.now();
    this.counts[what]++;
  }

  private async imapSession(): Promise<void> {
    const { user } = this.enter('Archive'); // only to draw a user: never sent
    const client = await Imap.open(this.site.address, this.site.port('imaps'), true);
    try {
      await client.login(`${user}@example.test`, password);
      await client.must('SELECT Archive');
      for (let k = 0; k < 10 && !this.stopped; k++) {
        await this.appendAndFlag(client, user);
        if (this.pauseMs > 0) await sleep(this.pauseMs);
      }
      await client.logout();
    } finally {
      client.close();
    }
  }

  private async appendAndFlag(client: Imap, user: string): Promise<void> {
    const { id, entry: drawn, source } = this.enter('Archive');
    const entry: Entry = { ...drawn, user, fate: 'unsure', flags: [], flaggedAt: [] };
    this.entries.set(id, entry);
    const appended = await client.append('Archive', '\\Seen', [source]);
    if (!appended.ok) {
      this.counts.unsure++;
      return;
    }
    this.keep(entry, 'appendKept');
    const uid = /APPENDUID \d+ (\d+)/.exec(appended.text)?.[1];
    if (uid === undefined) throw new Error(`no APPENDUID: ${appended.text}`);
    for (const flag of ['\\Flagged', '$Ledger']) {
      const stored = await client.cmd(`UID STORE ${uid} +FLAGS.SILENT (${flag})`);
      if (!stored.ok) continue;
      entry.flags.push(flag);
      entry.flaggedAt.push(Date.now());
      this.counts.storeKept++;
    }
  }

  /** What is wrong, by comparison with the mailboxes; empty: every promise was kept. */
  async compare(): Promise<string[]> {
    const there = new Map<string, { times: number; flags: Set<string>; whole: boolean }>();
    for (const user of this.users) {
      for (const mailbox of ['INBOX', 'Archive']) {
        for (const { id, flags, whole } of await listing(this.site, user, mailbox)) {
          const key = `${user}/${mailbox}/${id}`;
          const before = there.get(key);
          there.set(key, { times: (before?.times ?? 0) + 1, flags, whole });
        }
      }
    }
    const wrong: string[] = [];
    for (const [id, entry] of this.entries) {
      const found = there.get(`${entry.user}/${entry.mailbox}/${id}`);
      const times = found?.times ?? 0;
      if (entry.fate === 'kept' && times !== 1) wrong.push(`${id}: answered yes, there ${times} times`);
      if (entry.fate === 'unsure' && times > 1) wrong.push(`${id}: unsure, there ${times} times`);
      if (entry.fate === 'refused' && times > 0) wrong.push(`${id}: refused, there ${times} times`);
      if (found !== undefined && !found.whole) wrong.push(`${id}: its size and its octets differ`);
      for (const flag of entry.flags) if (found?.flags.has(flag) !== true) wrong.push(`${id}: ${flag} was answered OK and is not there`);
    }
    return wrong;
  }
}

function listing(site: Site, user: string, mailbox: string): Promise<{ id: string; flags: Set<string>; whole: boolean }[]> {
  return withImap(site, user, async (client) => {
    const box = await client.mailboxOpen(mailbox, { readOnly: true });
    if (box.exists === 0) return [];
    const found = await client.fetchAll('1:*', { uid: true, envelope: true, flags: true, size: true, source: true });
    return found.map((message) => ({
      id: message.envelope?.subject ?? '',
      flags: message.flags ?? new Set<string>(),
      whole: message.size === message.source?.length,
    }));
  });
}
