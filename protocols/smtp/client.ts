// The sending side of an SMTP connection. Guarantees: every wait has a deadline (RFC 5321 §4.5.3.2), every reply a
// limit; each recipient gets exactly one verdict; a password is sent only under verified TLS, or to this machine.
//
// States: connected → greeted → (TLS → greeted again) → (authenticated) → idle ⇄ in a transaction → gone.
// The commit point of a transaction is the peer's reply to the final dot. A connection lost after the dot and before
// the reply leaves it open whether the peer has the message; it is sent again (RFC 5321 §4.5.3.2.6).

import { limits } from '../../actors/limits.ts';
import type { Connection, Endpoint, World } from '../../actors/world.ts';
import { notify } from '../../storage/messages.ts';
import { dnsName } from '../dns/packet.ts';
import { LineReader } from '../reader.ts';
import { DotStuffing, failed, later, parseReplyLine, type SmtpReply, type Verdict, verdictOf } from './reply.ts';

/** One address of one host, and how to speak to it. */
export interface Hop {
  readonly host: string;
  readonly endpoint: Endpoint;
  /** TLS from the first octet (RFC 8314 §3.3). */
  readonly implicitTls: boolean;
  readonly login: { readonly user: string; readonly password: string } | null;
}
export interface OutgoingRecipient {
  readonly address: string;
  readonly notify: number;
  /** `type;xtext` as it came; empty: none. */
  readonly orcpt: string;
}
/** One message for one destination. */
export interface Outgoing {
  readonly envelopeFrom: string;
  readonly recipients: readonly OutgoingRecipient[];
  /** Octets. */
  readonly size: number;
  readonly eightBit: boolean;
  readonly smtputf8: boolean;
  readonly ret: '' | 'FULL' | 'HDRS';
  /** xtext as it came; empty: none. */
  readonly envid: string;
  /** Each call starts over and gives what yields the next octets, or null at the end. */
  readonly body: () => () => Uint8Array | null;
  /** The same as 7-bit MIME (RFC 6152 §3), or null when it cannot be made so. */
  readonly sevenBit: () => (() => Uint8Array | null) | null;
  /** The fields that go before the message in that form; empty: it is not signed. */
  readonly signature: (form: 'whole' | 'sevenBit') => Promise<Uint8Array>;
}
/** `refused`: the host took nothing from us at all; another may. */
export type Sent = { readonly kind: 'answered'; readonly verdicts: readonly Verdict[] } | { readonly kind: 'refused'; readonly verdict: Verdict };

/** The connection is of no more use. */
class Broken extends Error {
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    super(verdict.reason);
    this.verdict = verdict;
  }
}

/** Opens a connection ready for `send`, or says why there is none. `self`: our own host name. */
export async function openClient(world: World, hop: Hop, self: string): Promise<SmtpClient | Verdict> {
  const first = await attempt(world, hop, self, true);
  // RFC 7435 §3: where TLS is not required, a failed handshake must not stop the mail.
  return first === 'handshake failed' ? ((await attempt(world, hop, self, false)) as SmtpClient | Verdict) : first;
}

async function attempt(world: World, hop: Hop, self: string, tls: boolean): Promise<SmtpClient | Verdict | 'handshake failed'> {
  const tlsNeeded = hop.login !== null && !isLoopback(hop.endpoint.address);
  const options = { serverName: hop.host, verify: tlsNeeded };
  let connection: Connection;
  try {
    connection = await world.connect(hop.endpoint, { timeoutMs: limits.outboundConnectMs, ...(hop.implicitTls ? { tls: options } : {}) });
  } catch (error) {
    return later('4.4.1', `cannot connect to ${hop.host} [${hop.endpoint.address}]: ${messageOf(error)}`);
  }
  const client = new SmtpClient(world, hop, connection);
  try {
    await client.greet(self);
    if (connection.tls === null && tls && client.offers('STARTTLS') && (await client.ask('STARTTLS', limits.outboundReplyMs)).code === 220) {
      try {
        await client.secure(options);
      } catch (error) {
        client.destroy();
        return tlsNeeded ? later('4.7.5', `TLS with ${hop.host} failed: ${messageOf(error)}`) : 'handshake failed';
      }
      await client.hello(self);
    }
    if (hop.login !== null) {
      if (tlsNeeded && connection.tls?.authorized !== true) throw new Broken(later('4.7.10', `${hop.host} offers no verified TLS: the password is not sent`));
      await client.authenticate(hop.login.user, hop.login.password);
    }
    return client;
  } catch (error) {
    client.destroy();
    if (error instanceof Broken) return error.verdict;
    throw error;
  }
}

export class SmtpClient {
  readonly hop: Hop;
  private readonly world: World;
  private readonly connection: Connection;
  private readonly reader: LineReader;
  private extensions: ReadonlyMap<string, string> = new Map();
  private broken = false;
  private sent = 0;
  /** Has the peer taken a MAIL that neither a message nor RSET has ended? */
  private begun = false;

  constructor(world: World, hop: Hop, connection: Connection) {
    this.world = world;
    this.hop = hop;
    this.connection = connection;
    this.reader = new LineReader(connection, world);
  }

  offers(extension: string): boolean {
    return this.extensions.has(extension);
  }
  get tls(): string {
    return this.connection.tls?.protocol ?? '';
  }
  /** May another message go over it? Not when the peer said more than it was asked: that would be taken for later replies. */
  get reusable(): boolean {
    return !this.broken && !this.connection.closed && this.reader.pending === 0 && this.sent < limits.outboundReuse;
  }
  destroy(): void {
    this.broken = true;
    this.connection.destroy();
  }

  async greet(self: string): Promise<void> {
    const greeting = await this.reply(limits.outboundReplyMs);
    if (greeting.code !== 220) {
      // RFC 7504 §3: 521 means that this host never takes mail. Any other 5xx here may pass.
      const verdict = verdictOf(greeting);
      throw new Broken(greeting.code === 521 || greeting.code === 556 ? verdict : { ...verdict, kind: 'later', status: softened(verdict.status) });
    }
    this.refuseOurselves(greeting, self);
    await this.hello(self);
  }

  async hello(self: string): Promise<void> {
    let reply = await this.ask(`EHLO ${self}`, limits.outboundReplyMs);
    // RFC 5321 §3.2: a server which does not know EHLO is spoken to with HELO.
    const extended = reply.code === 250;
    if (!extended && reply.code >= 500) reply = await this.ask(`HELO ${self}`, limits.outboundReplyMs);
    if (reply.code !== 250) {
      const verdict = verdictOf(reply);
      throw new Broken({ ...verdict, kind: 'later', status: softened(verdict.status) });
    }
    this.refuseOurselves(reply, self);
    const extensions = new Map<string, string>();
    if (extended) {
      for (const line of reply.lines.slice(1)) {
        const [keyword = '', ...rest] = line.split(/[ =]/);
        extensions.set(keyword.toUpperCase(), `${extensions.get(keyword.toUpperCase()) ?? ''} ${rest.join(' ')}`.trim());
      }
    }
    this.extensions = extensions;
  }

  /** RFC 5321 §6.3: a host that greets with our own name is us. */
  private refuseOurselves(reply: SmtpReply, self: string): void {
    const name = (reply.lines[0] ?? '').split(' ')[0]?.toLowerCase();
    if (name === self.toLowerCase()) throw new Broken(failed('5.4.6', `mail for it loops back to ${self} by ${this.hop.endpoint.address}`));
  }

  async secure(options: { readonly serverName: string; readonly verify: boolean }): Promise<void> {
    this.reader.drop();
    await this.connection.secureClient(options);
  }

  async authenticate(user: string, password: string): Promise<void> {
    const mechanisms = (this.extensions.get('AUTH') ?? '').toUpperCase().split(' ');
    let reply: SmtpReply;
    if (mechanisms.includes('PLAIN')) reply = await this.ask(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`, limits.outboundReplyMs);
    else if (mechanisms.includes('LOGIN')) {
      reply = await this.ask('AUTH LOGIN', limits.outboundReplyMs);
      if (reply.code === 334) reply = await this.ask(base64(user), limits.outboundReplyMs);
      if (reply.code === 334) reply = await this.ask(base64(password), limits.outboundReplyMs);
    } else throw new Broken(later('4.7.0', `${this.hop.host} offers neither AUTH PLAIN nor LOGIN`));
    // The document may be corrected before the mail expires, so a refused login is not final.
    if (reply.code !== 235) throw new Broken({ ...verdictOf(reply), kind: 'later', status: '4.7.8' });
  }

  /** One transaction. Recipients the peer has no room for (452 after others were taken) follow in further ones. Never rejects. */
  async send(message: Outgoing): Promise<Sent> {
    const unfit = this.unfit(message);
    if (unfit) return { kind: 'answered', verdicts: message.recipients.map(() => unfit) };
    const signature = await message.signature(this.mustConvert(message) ? 'sevenBit' : 'whole');
    const verdicts: Verdict[] = [];
    let rest = message.recipients.map((recipient, index) => ({ recipient, index }));
    while (rest.length > 0) {
      const batch = rest.slice(0, limits.outboundRecipients);
      const round = await this.transaction({ ...message, recipients: batch.map((r) => r.recipient) }, signature);
      if (round.kind === 'refused' && rest.length === message.recipients.length) return round;
      const told = round.kind === 'refused' ? batch.map(() => round.verdict) : round.verdicts;
      const progress = told.some((v) => v.kind === 'relayed');
      const again = new Set<number>();
      told.forEach((verdict, i) => {
        const index = (batch[i] as (typeof batch)[number]).index;
        // RFC 5321 §4.5.3.1.10
        if (progress && this.reusable && /^(452|552) /.test(verdict.reply) && verdict.kind !== 'relayed') again.add(index);
        else verdicts[index] = verdict;
      });
      rest = rest.filter((r) => again.has(r.index) || verdicts[r.index] === undefined);
    }
    return { kind: 'answered', verdicts };
  }

  /** What this peer can never take. */
  private unfit(message: Outgoing): Verdict | null {
    const most = Number(this.extensions.get('SIZE') ?? 0);
    // RFC 1870 §6.1
    if (most > 0 && message.size > most) return failed('5.3.4', `the message has ${message.size} octets, ${this.hop.host} takes ${most}`);
    // RFC 6531 §3.2: it cannot be sent to a host that does not know it.
    if (message.smtputf8 && !this.offers('SMTPUTF8')) return failed('5.6.7', `${this.hop.host} does not take internationalized addresses (SMTPUTF8)`);
    // RFC 6152 §3: convert, or fail; never just send 8.
    if (this.mustConvert(message) && message.sevenBit() === null)
      return failed('5.6.3', `${this.hop.host} takes 7 bits only and the message cannot be converted`);
    return null;
  }
  private mustConvert(message: Outgoing): boolean {
    return message.eightBit && !this.offers('8BITMIME');
  }

  private async transaction(message: Outgoing, signature: Uint8Array): Promise<Sent> {
    this.sent++;
    let taken: readonly Verdict[] | null = null;
    try {
      await this.reset();
      const envelope = await this.envelope(message, message.size + signature.length);
      if (envelope.kind === 'refused') return envelope;
      if (envelope.data === null) return { kind: 'answered', verdicts: envelope.verdicts };
      taken = envelope.verdicts;
      return { kind: 'answered', verdicts: instead(taken, ended(this.hop.host, await this.data(message, signature))) };
    } catch (error) {
      this.destroy();
      if (!(error instanceof Broken)) throw error;
      return taken ? { kind: 'answered', verdicts: instead(taken, error.verdict) } : { kind: 'refused', verdict: error.verdict };
    }
  }

  /**
   * Ends what the last transaction left open when nobody was taken (RFC 5321 §4.1.1.5): else the next MAIL, of a message
   * that has nothing to do with it, would be answered with 503.
   */
  private async reset(): Promise<void> {
    if (!this.begun) return;
    const reply = await this.ask('RSET', limits.outboundReplyMs);
    if (reply.code !== 250) throw new Broken({ ...verdictOf(reply), kind: 'later', status: '4.5.1' });
    this.begun = false;
  }

  /** MAIL, RCPT and DATA. `data` is the 354, or null when there is nobody to send it to. */
  private async envelope(
    message: Outgoing,
    size: number,
  ): Promise<Exclude<Sent, { kind: 'answered' }> | { kind: 'ready'; verdicts: Verdict[]; data: SmtpReply | null }> {
    const commands = [this.mail(message, size), ...message.recipients.map((r) => this.rcpt(r)), 'DATA'];
    const pipelining = this.offers('PIPELINING');
    // RFC 2920 §3.1: the group may go at once, DATA last.
    if (pipelining) this.connection.write(`${commands.join('\r\n')}\r\n`);
    const next = async (n: number): Promise<SmtpReply> => {
      if (!pipelining) this.connection.write(`${commands[n]}\r\n`);
      return this.reply(n === commands.length - 1 ? limits.outboundDataMs : limits.outboundReplyMs);
    };
    const mail = await next(0);
    const taken = mail.code === 250;
    this.begun = taken;
    if (!taken && !pipelining) return this.refusedMail(mail, message);
    const verdicts: Verdict[] = [];
    for (let n = 1; n <= message.recipients.length; n++) verdicts.push(verdictOf(await next(n)));
    const someone = taken && verdicts.some((v) => v.kind === 'relayed');
    if (!someone && !pipelining) return { kind: 'ready', verdicts, data: null };
    const data = await next(commands.length - 1);
    if (!someone && data.code === 354) {
      // RFC 2920 §3.1: a server that began DATA without a recipient is given an empty message, which it must refuse.
      this.connection.write('.\r\n');
      await this.reply(limits.outboundDoneMs);
      this.begun = false;
    }
    if (!taken) return this.refusedMail(mail, message);
    if (data.code === 354) return { kind: 'ready', verdicts, data: someone ? data : null };
    if (!someone) return { kind: 'ready', verdicts, data: null };
    const no = data.code < 400 ? later('4.5.0', `${this.hop.host} answered DATA with ${data.code}`) : verdictOf(data);
    return { kind: 'ready', verdicts: instead(verdicts, no), data: null };
  }

  private async refusedMail(
    mail: SmtpReply,
    message: Outgoing,
  ): Promise<Exclude<Sent, { kind: 'answered' }> | { kind: 'ready'; verdicts: Verdict[]; data: null }> {
    // Where mail went before, 503 is about the order of commands: a connection of its own will tell what holds for this message.
    if (mail.code === 503 && this.sent > 1) throw new Broken({ ...verdictOf(mail), kind: 'later', status: '4.5.1' });
    const verdict = mail.code < 400 ? later('4.5.0', `${this.hop.host} answered MAIL with ${mail.code}`) : verdictOf(mail);
    if (verdict.kind === 'failed') return { kind: 'ready', verdicts: message.recipients.map(() => verdict), data: null };
    return { kind: 'refused', verdict };
  }

  private mail(message: Outgoing, size: number): string {
    let line = `MAIL FROM:<${asciiDomain(message.envelopeFrom)}>`;
    if (this.offers('SIZE') && !this.mustConvert(message)) line += ` SIZE=${size}`;
    if (message.eightBit && this.offers('8BITMIME')) line += ' BODY=8BITMIME';
    if (message.smtputf8) line += ' SMTPUTF8';
    // RFC 3461 §5.2.1: passed on to whom knows them.
    if (this.offers('DSN') && message.ret !== '') line += ` RET=${message.ret}`;
    if (this.offers('DSN') && message.envid !== '') line += ` ENVID=${message.envid}`;
    return line;
  }

  private rcpt(recipient: OutgoingRecipient): string {
    let line = `RCPT TO:<${asciiDomain(recipient.address)}>`;
    if (!this.offers('DSN')) return line;
    if (recipient.notify !== 0) line += ` NOTIFY=${notifyNames(recipient.notify)}`;
    if (recipient.orcpt !== '') line += ` ORCPT=${recipient.orcpt}`;
    return line;
  }

  /** Streams the body; its end is the commit point. */
  private async data(message: Outgoing, signature: Uint8Array): Promise<SmtpReply> {
    const stuffing = new DotStuffing();
    this.connection.write(signature);
    const next = (this.mustConvert(message) && message.sevenBit()) || message.body();
    for (let chunk = next(); chunk !== null; chunk = next()) {
      this.connection.write(stuffing.push(chunk));
      if (this.connection.unsent >= limits.readChunk) await this.drained();
      if (this.connection.closed) break;
    }
    this.connection.write(stuffing.finish());
    await this.drained();
    const reply = await this.reply(limits.outboundDoneMs);
    this.begun = false;
    return reply;
  }

  private async drained(): Promise<void> {
    let late = false;
    const timer = this.world.after(limits.outboundBlockMs, () => {
      late = true;
      this.connection.destroy();
    });
    await this.connection.drained();
    timer.cancel();
    if (late) throw new Broken(later('4.4.2', `${this.hop.host} took no data for ${limits.outboundBlockMs / 1000} s`));
  }

  async ask(command: string, timeoutMs: number): Promise<SmtpReply> {
    this.connection.write(`${command}\r\n`);
    return this.reply(timeoutMs);
  }

  private async reply(timeoutMs: number): Promise<SmtpReply> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.reader.line(limits.smtpLine, timeoutMs);
      if (line.kind === 'timeout') throw this.lost('no reply in time');
      if (line.kind === 'end') throw this.lost('connection lost');
      const parsed = line.kind === 'line' ? parseReplyLine(line.bytes) : null;
      if (parsed === null || lines.length >= limits.outboundReplyLines) throw this.lost('what it said is not SMTP');
      lines.push(parsed.text);
      if (!parsed.last) continue;
      // RFC 5321 §3.8: after 421 the peer closes.
      if (parsed.code === 421) this.broken = true;
      return { code: parsed.code, lines };
    }
  }

  private lost(what: string): Broken {
    this.broken = true;
    return new Broken(later('4.4.2', `${this.hop.host} [${this.hop.endpoint.address}]: ${what}`));
  }

  /** RFC 5321 §4.1.1.10. Never rejects. */
  async quit(): Promise<void> {
    if (!this.broken && !this.connection.closed) await this.ask('QUIT', 5_000).catch(() => {});
    this.destroy();
  }
}

/** What becomes of the recipients that were taken. */
const instead = (verdicts: readonly Verdict[], done: Verdict): Verdict[] => verdicts.map((v) => (v.kind === 'relayed' ? done : v));
/** Only 2xx ends DATA well; another 354 is no answer (RFC 5321 §4.3.2). */
const ended = (host: string, reply: SmtpReply): Verdict =>
  reply.code >= 300 && reply.code < 400 ? later('4.5.0', `${host} answered the message with ${reply.code}`) : verdictOf(reply);
const notifyWords = [
  [notify.never, 'NEVER'],
  [notify.success, 'SUCCESS'],
  [notify.failure, 'FAILURE'],
  [notify.delay, 'DELAY'],
] as const;
/** RFC 3461 §4.1. */
const notifyNames = (bits: number): string => notifyWords.flatMap(([bit, word]) => ((bits & bit) !== 0 ? [word] : [])).join(',');
/** A 5xx that is not believed yet. */
const softened = (status: string): string => `4${status.slice(1)}`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
export const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** U-labels are only for SMTPUTF8; A-labels are understood everywhere (RFC 5891 §4). Address literals stay. */
function asciiDomain(address: string): string {
  const at = address.lastIndexOf('@');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is the range
  if (at < 0 || /^[\x00-\x7f]*$/.test(address.slice(at + 1))) return address;
  return `${address.slice(0, at + 1)}${dnsName(address.slice(at + 1)) ?? address.slice(at + 1)}`;
}
