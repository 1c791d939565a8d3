// A client that believes what it is told: its picture of a mailbox is built from responses alone, and checked against
// RFC 3501's rules as they come.

import type { Client } from './house.ts';

interface Seen {
  uid: number | null;
  /** Sorted; null: never told. */
  flags: string | null;
}

export class Follower {
  readonly client: Client;
  readonly name: string;
  messages: Seen[] = [];
  constructor(client: Client, name: string) {
    this.client = client;
    this.name = name;
  }

  /** Takes lines in. `command`: what runs, since EXPUNGE must not come with some. */
  take(text: string, command: string): void {
    for (const line of text.split('\r\n')) {
      const match = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)(.*)$/.exec(line);
      if (!match) continue;
      const n = Number(match[1]);
      if (match[2] === 'EXISTS') {
        if (n < this.messages.length) throw new Error(`${this.name}: EXISTS went down from ${this.messages.length} to ${n}`);
        while (this.messages.length < n) this.messages.push({ uid: null, flags: null });
        continue;
      }
      const message = this.messages[n - 1];
      if (!message) throw new Error(`${this.name}: ${line} of ${this.messages.length}, in ${command}`);
      if (match[2] === 'EXPUNGE') {
        // RFC 3501 §7.4.1
        if (/^(?:FETCH|STORE|SEARCH)/.test(command)) throw new Error(`${this.name}: EXPUNGE in ${command}`);
        this.messages.splice(n - 1, 1);
        continue;
      }
      const items = match[3] ?? '';
      const uid = /UID (\d+)/.exec(items)?.[1];
      if (uid !== undefined) {
        if (message.uid !== null && message.uid !== Number(uid)) throw new Error(`${this.name}: message ${n} was ${message.uid} and is ${uid}, in ${command}`);
        message.uid = Number(uid);
      }
      const flags = /FLAGS \(([^)]*)\)/.exec(items)?.[1];
      if (flags !== undefined) message.flags = sortedFlags(flags);
    }
    const uids = this.messages.map((m) => m.uid).filter((uid) => uid !== null);
    for (let i = 1; i < uids.length; i++)
      if ((uids[i] as number) <= (uids[i - 1] as number)) throw new Error(`${this.name}: UIDs do not ascend after ${command}`);
  }

  async say(command: string): Promise<string> {
    const heard = await this.client.say(command);
    if (/^t\d+ BAD/m.test(heard)) throw new Error(`${this.name}: ${command}\n${heard}`);
    this.take(heard, command);
    return heard;
  }

  /** STORE .SILENT: what is not told is as it was, but for what was stored. */
  async sayStore(set: string, sign: string, flag: string): Promise<void> {
    const command = `STORE ${set} ${sign}FLAGS.SILENT (${flag})`;
    const heard = await this.client.say(command);
    const [a, b] = set.split(':').map(Number) as [number, number];
    if (/ OK /.test(heard)) {
      for (const m of this.messages.slice(Math.min(a, b) - 1, Math.max(a, b))) {
        if (m.flags === null) continue;
        const others = m.flags.split(' ').filter((f) => f !== flag);
        m.flags = sign === '' ? flag : sortedFlags([...others, sign === '+' ? flag : ''].join(' '));
      }
    } else for (const m of this.messages) m.flags = null;
    this.take(heard, command);
  }

  async select(mailbox: string, condstore = false): Promise<void> {
    this.messages = [];
    await this.say(`SELECT ${mailbox}${condstore ? ' (CONDSTORE)' : ''}`);
    await this.say('UID FETCH 1:* (FLAGS)');
  }

  /** What it believes: UID and flags of each message. */
  picture(): string {
    return this.messages.map((m) => `${m.uid ?? '?'}(${m.flags ?? '?'})`).join(' ');
  }
}

export const sortedFlags = (flags: string): string =>
  flags
    .split(' ')
    .filter((flag) => flag !== '' && flag !== '\\Recent')
    .sort()
    .join(' ');
