// A client that sends numbered messages by SMTP, and again under the same Message-ID when it cannot know what became
// of them. It writes down what it was told, recipient by recipient.

import type { World } from '../../actors/world.ts';
import { Dialog, Hangup } from './dialog.ts';
import { Ledger } from './ledger.ts';
import { accountOf, compose, isAccount, localRecipients, type Message, passwordOf, remoteRecipients, stuff, targetsOf } from './mail.ts';
import type { Random } from './random.ts';

export interface SubmitterOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly name: string;
  readonly messages: number;
  /** The account it logs in as, or null: mail from elsewhere. */
  readonly account: string | null;
  readonly bigChance: number;
  readonly site: string;
}

type Outcome = 'acknowledged' | 'refused' | 'unknown' | 'unsent';

/** Ends when all its messages have been sent or given up. */
export async function submit(o: SubmitterOptions): Promise<void> {
  for (let n = 0; n < o.messages; n++) {
    const id = `${o.name}-${n}`;
    const from = o.account ?? 'somebody@other.test';
    const to = recipients(o);
    const message = compose(id, from, to, o.random, o.random.chance(o.bigChance));
    o.ledger.messages.set(id, message);
    o.ledger.senders.set(id, from);
    const attempts = o.random.between(1, 6);
    for (let attempt = 0; attempt < attempts; attempt++) {
      await o.world.sleep(o.random.below(attempt === 0 ? 300 : 3_000));
      const outcome = await tryOnce(o, message, from, to);
      if (outcome === 'acknowledged' || (outcome === 'unknown' && o.random.chance(0.3))) break;
    }
  }
}

function recipients(o: SubmitterOptions): string[] {
  const all = new Set<string>();
  const count = o.random.chance(0.6) ? 1 : o.random.between(2, 5);
  for (let i = 0; i < count; i++) {
    const remote = o.account !== null && o.random.chance(0.5);
    all.add(o.random.pick(remote ? remoteRecipients : localRecipients));
  }
  return [...all];
}

async function tryOnce(o: SubmitterOptions, message: Message, from: string, to: readonly string[]): Promise<Outcome> {
  const port = o.account === null ? 25 : 587;
  const connection = await o.world.connect({ address: o.site, port }, { timeoutMs: 30_000 }).catch(() => null);
  if (!connection) return 'unsent';
  const dialog = new Dialog(o.world, connection);
  const attempt = { accepted: [] as string[], outcome: 'unsent' as Outcome, sent: false };
  try {
    await converse(o, dialog, message, from, to, attempt);
  } catch (error) {
    if (!(error instanceof Hangup)) throw error;
    attempt.outcome = attempt.outcome === 'unsent' && attempt.sent ? 'unknown' : attempt.outcome;
  }
  dialog.close();
  account(o.ledger, message.id, attempt.accepted, attempt.outcome);
  return attempt.outcome;
}

/** One commit holds all of a message: so each mailbox has it once, however many of its addresses were named. */
function account(ledger: Ledger, id: string, accepted: readonly string[], outcome: Outcome): void {
  if (outcome !== 'acknowledged' && outcome !== 'unknown') return;
  const targets = new Set(accepted.flatMap(targetsOf));
  for (const mailbox of targets) {
    const target = accountOf(mailbox);
    const count = Ledger.count(isAccount(target) ? ledger.created : ledger.outgoing, `${target} ${id}`);
    if (outcome === 'acknowledged') count.sure++;
    else count.maybe++;
  }
  if (outcome === 'acknowledged') ledger.acknowledged++;
}

interface Attempt {
  readonly accepted: string[];
  outcome: Outcome;
  sent: boolean;
}

async function converse(o: SubmitterOptions, dialog: Dialog, message: Message, from: string, to: readonly string[], attempt: Attempt): Promise<void> {
  await reply(dialog);
  await command(dialog, 'EHLO client.test');
  if (o.account !== null) {
    if (o.random.chance(0.5)) {
      if ((await command(dialog, 'STARTTLS')) !== 220) return;
      await dialog.startTls();
      await command(dialog, 'EHLO client.test');
    }
    const code = await command(dialog, `AUTH PLAIN ${btoa(`\0${o.account}\0${passwordOf(o.account)}`)}`);
    if (code !== 235) return;
  }
  const bdat = o.random.chance(0.4);
  const size = o.random.chance(0.5) ? ` SIZE=${message.content.length}` : '';
  const head = [`MAIL FROM:<${from}>${size}`, ...to.map((t) => `RCPT TO:<${t}>`)];
  if (o.random.chance(0.5)) dialog.send(head.map((line) => `${line}\r\n`).join(''));
  else for (const line of head) dialog.send(`${line}\r\n`);
  const mail = await reply(dialog);
  for (const t of to) if ((await reply(dialog)) === 250 && mail === 250) attempt.accepted.push(t);
  if (attempt.accepted.length === 0) return;
  const code = bdat ? await chunking(o, dialog, message, attempt) : await data(dialog, message, attempt);
  attempt.outcome = code === 250 ? 'acknowledged' : attempt.sent && code === 451 ? 'unknown' : 'refused';
  if (o.random.chance(0.7)) await command(dialog, 'QUIT');
}

async function data(dialog: Dialog, message: Message, attempt: Attempt): Promise<number> {
  const go = await command(dialog, 'DATA');
  if (go !== 354) return go;
  attempt.sent = true;
  dialog.connection.write(stuff(message.content));
  return reply(dialog);
}

/** RFC 3030 §2: every chunk is answered; the last one's answer is the final one. */
async function chunking(o: SubmitterOptions, dialog: Dialog, message: Message, attempt: Attempt): Promise<number> {
  const { content } = message;
  let at = 0;
  for (;;) {
    const left = content.length - at;
    const size = o.random.chance(0.5) ? left : o.random.between(0, left);
    const last = size === left;
    if (last) attempt.sent = true;
    dialog.send(`BDAT ${size}${last ? ' LAST' : ''}\r\n`);
    dialog.connection.write(content.subarray(at, at + size));
    const code = await reply(dialog);
    at += size;
    if (last || code !== 250) return code;
  }
}

async function command(dialog: Dialog, line: string): Promise<number> {
  dialog.send(`${line}\r\n`);
  return reply(dialog);
}

/** The code of a reply, however many lines it has. */
async function reply(dialog: Dialog): Promise<number> {
  for (;;) {
    const line = await dialog.line();
    if (!/^\d{3}[ -]/.test(line)) throw new Error(`not an SMTP reply: ${line}`);
    if (line[3] === ' ') return Number(line.slice(0, 3));
  }
}
