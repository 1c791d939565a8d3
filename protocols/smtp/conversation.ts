// What one SMTP session knows (RFC 5321 §4.1.4), and how it answers. Guarantees: replies go out in the order of their
// commands, many in one write (RFC 2920 §3.2); a peer that does not read them is not read either.

import { limits } from '../../actors/limits.ts';
import type { Connection } from '../../actors/world.ts';
import { LineReader } from '../reader.ts';
import type { ListenerKind, Site } from '../site.ts';
import type { LineEndings } from './data.ts';
import type { Incoming } from './incoming.ts';
import type { MailParameters } from './parameters.ts';
import type { Recipients } from './recipients.ts';

/** One mail transaction, from MAIL to the end of its data (RFC 5321 §3.3). */
export interface Transaction {
  /** Empty: the null reverse-path. */
  readonly reversePath: string;
  readonly parameters: MailParameters;
  readonly recipients: Recipients;
  /** The octets have begun to come. Between two BDAT it waits for the next. */
  incoming: Incoming | null;
  /** The line endings in the chunks of BDAT. */
  readonly endings: LineEndings;
}

export class Conversation {
  readonly site: Site;
  readonly connection: Connection;
  readonly listener: ListenerKind;
  readonly reader: LineReader;
  /** Our name, from the document. */
  readonly host: string;
  /** For the log and for Received. */
  readonly id: string;
  greeting: { readonly verb: 'HELO' | 'EHLO'; readonly name: string } | null = null;
  account: { readonly account: number; readonly address: string } | null = null;
  transaction: Transaction | null = null;
  /** The session ends when the replies are out. */
  closing = false;
  errors = 0;
  badRecipients = 0;
  idleCommands = 0;
  authTries = 0;
  messages = 0;
  private out = '';

  constructor(site: Site, connection: Connection, listener: ListenerKind, host: string) {
    this.site = site;
    this.connection = connection;
    this.listener = listener;
    this.host = host;
    this.reader = new LineReader(connection, site.world);
    this.id = Buffer.from(site.world.random(6)).toString('hex');
  }

  /** Mail is handed in by its author here: who does it must log in (RFC 6409 §4.3). */
  get submission(): boolean {
    return this.listener.name !== 'smtp';
  }

  reply(line: string): void {
    this.out += `${line}\r\n`;
  }

  /** What a verb answers. 5yz counts as an error of the client: too many of them end the session. */
  answer(line: string | null): void {
    if (line === null) return;
    if (line.startsWith('5')) this.errors++;
    this.reply(line);
  }

  /** The last reply. RFC 5321 §3.8: 421 with the name of the host. */
  close(code: string, why: string): void {
    this.reply(`421 ${code} ${this.host} ${why}`);
    this.closing = true;
  }

  /** Mail is refused with `reply`, for the log and for who asks what became of it. `to`: the recipient it is about, or the first. */
  refused(from: string, to: string, reply: string): void {
    const { world } = this.site;
    const { address } = this.connection.remote;
    const end = reply.indexOf(' ', 4);
    const [code, words] = [reply.slice(0, end), reply.slice(end + 1)];
    world.log('smtp.refused', { session: this.id, remote: address, from, ...(to === '' ? {} : { to }), code, reason: words });
    this.site.refused({ at: world.now(), envelopeFrom: from, address: to, ip: address, helo: this.greeting?.name ?? '', code, words, count: 1 });
  }

  /** A limit ends the session. */
  limit(name: string, code: string, why: string): void {
    this.site.world.log('session.limit', { protocol: 'smtp', remote: this.connection.remote.address, limit: name });
    this.close(code, why);
  }

  /** No transaction (RFC 5321 §4.1.1.5). */
  reset(): void {
    this.transaction?.incoming?.abort();
    this.transaction = null;
  }

  /** Sends the replies there are. A promise only when the peer does not take them. */
  flush(): Promise<void> | null {
    if (this.out !== '') this.connection.write(this.out);
    this.out = '';
    return this.connection.unsent > limits.readChunk ? this.drained() : null;
  }

  /** Before a command is read: replies are gathered while more commands are here. */
  flushWhenIdle(): Promise<void> | null {
    return this.out.length > 16_384 || !this.reader.buffered() ? this.flush() : null;
  }

  private async drained(): Promise<void> {
    const timer = this.site.world.after(limits.smtpCommandTimeoutMs, () => this.connection.destroy());
    await this.connection.drained();
    timer.cancel();
  }
}
