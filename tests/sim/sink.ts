// SMTP servers of other domains, and their DNS. They take, refuse and hang up as the recipient's name and the seed say,
// and write down what they took before anybody can know whether the final reply arrives.

import dnsPacket from 'dns-packet';
import type { Connection, World } from '../../actors/world.ts';
import { Dialog, Hangup } from './dialog.ts';
import type { Ledger } from './ledger.ts';
import { failuresIn, idOf } from './mail.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { Life } from './scheduler.ts';

export interface SinkOptions {
  readonly world: World;
  readonly life: Life;
  readonly network: Network;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Takes care of an error of a conversation. */
  readonly guard: (work: Promise<void>) => void;
  /** Chance of an accident at each point where one may happen. */
  faults: number;
}

const hosts: Readonly<Record<string, string>> = { 'mx1.remote.test': '192.0.2.1', 'mx2.remote.test': '192.0.2.2', 'other.test': '192.0.2.3' };
const NXDOMAIN = 3;
const SERVFAIL = 2;

/** Opens the sinks and their name server. */
export function openSinks(o: SinkOptions): void {
  for (const address of Object.values(hosts)) {
    o.network.listen({ address, port: 25 }, () => ({ life: o.life, accepted: (connection) => o.guard(serve(o, connection)) }));
  }
  o.network.answer({ address: '192.0.2.53', port: 53 }, (datagram) => answer(o, datagram));
}

function answer(o: SinkOptions, datagram: Uint8Array): Uint8Array | null {
  const query = dnsPacket.decode(Buffer.from(datagram));
  const question = query.questions?.[0];
  if (!question) return null;
  const reply = (rcode: number, answers: dnsPacket.Answer[]): Uint8Array =>
    new Uint8Array(dnsPacket.encode({ type: 'response', id: query.id ?? 0, flags: 0x0180 | rcode, questions: [question], answers }));
  if (o.random.chance(o.faults)) return reply(SERVFAIL, []);
  const name = question.name.toLowerCase();
  const mx = (exchange: string, preference: number): dnsPacket.Answer => ({ type: 'MX', name, ttl: 300, data: { exchange, preference } });
  if (question.type === 'MX') {
    if (name === 'remote.test') return reply(0, [mx('mx2.remote.test', 20), mx('mx1.remote.test', 10)]);
    if (name === 'nullmx.test') return reply(0, [mx('.', 0)]);
  }
  if (question.type === 'A' && hosts[name] !== undefined) return reply(0, [{ type: 'A', name, ttl: 300, data: hosts[name] }]);
  const exists = name in hosts || name === 'remote.test' || name === 'nullmx.test';
  return reply(exists ? 0 : NXDOMAIN, []);
}

interface Transaction {
  from: string | null;
  to: string[];
}

async function serve(o: SinkOptions, connection: Connection): Promise<void> {
  const dialog = new Dialog(o.world, connection);
  try {
    if (o.random.chance(o.faults)) {
      if (o.random.chance(0.5)) dialog.send('421 not now\r\n');
    } else await converse(o, dialog);
  } catch (error) {
    if (!(error instanceof Hangup)) throw error;
  }
  connection.end();
  await o.world.sleep(1_000);
  connection.destroy();
}

async function converse(o: SinkOptions, dialog: Dialog): Promise<void> {
  dialog.send('220 sink ESMTP\r\n');
  const t: Transaction = { from: null, to: [] };
  let last: { confirmed: boolean }[] = [];
  for (;;) {
    const line = await dialog.line();
    for (const taken of last) taken.confirmed = true;
    last = [];
    if (o.random.chance(o.faults / 4)) return;
    if (o.random.chance(o.faults / 8)) await o.world.sleep(o.random.below(290_000));
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'QUIT') return dialog.send('221 bye\r\n');
    if (verb === 'EHLO') dialog.send(`250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-STARTTLS\r\n250-SIZE 52428800\r\n250-SMTPUTF8\r\n250 DSN\r\n`);
    else if (verb === 'STAR') {
      dialog.send('220 go\r\n');
      await dialog.startTlsAsServer();
    } else if (verb === 'MAIL') begin(o, dialog, t, line);
    else if (verb === 'RCPT') recipient(o, dialog, t, line);
    else if (verb === 'DATA') last = await data(o, dialog, t);
    else {
      if (verb === 'RSET') reset(t);
      dialog.send('250 ok\r\n');
    }
  }
}

const addressIn = (line: string): string => /<([^>]*)>/.exec(line)?.[1] ?? '';
const reset = (t: Transaction): void => {
  t.from = null;
  t.to = [];
};

function begin(o: SinkOptions, dialog: Dialog, t: Transaction, line: string): void {
  // RFC 5321 §4.1.4: as Postfix does
  if (t.from !== null) {
    dialog.send('503 5.5.1 nested MAIL\r\n');
    return;
  }
  const now = !o.random.chance(o.faults);
  if (now) t.from = addressIn(line);
  dialog.send(now ? '250 ok\r\n' : '451 4.3.0 try later\r\n');
}

function recipient(o: SinkOptions, dialog: Dialog, t: Transaction, line: string): void {
  const to = addressIn(line);
  const soon = !to.startsWith('never') && !o.random.chance(to.startsWith('later') ? 0.5 : o.faults);
  if (t.from === null) dialog.send('503 5.5.1 no sender\r\n');
  else if (to.startsWith('bad')) dialog.send('550 5.1.1 no such user\r\n');
  else if (!soon) dialog.send('450 4.2.1 later\r\n');
  else {
    t.to.push(to);
    dialog.send('250 ok\r\n');
  }
}

async function data(o: SinkOptions, dialog: Dialog, t: Transaction): Promise<{ confirmed: boolean }[]> {
  if (t.to.length === 0) {
    dialog.send('503 5.5.1 no recipients\r\n');
    return [];
  }
  dialog.send('354 go\r\n');
  const lines: string[] = [];
  for (;;) {
    const line = await dialog.line();
    if (line === '.') break;
    lines.push(line.startsWith('.') ? line.slice(1) : line);
  }
  const text = lines.join('\n');
  const failures = failuresIn(text);
  const id = idOf(text) ?? `bounce of ${failures?.id ?? '?'}`;
  const to = t.to.slice();
  reset(t);
  const fate = o.random.chance(o.faults * 2) ? o.random.below(4) : 4;
  if (fate === 0) {
    dialog.send('452 4.3.1 full\r\n');
    return [];
  }
  if (fate === 1) {
    for (const recipient of to) o.ledger.refused.add(`${recipient} ${id}`);
    dialog.send('554 5.6.0 we do not like it\r\n');
    return [];
  }
  if (fate === 2) throw new Hangup('before it was taken');
  const taken = to.map((recipient) => ({ id, recipient, atUs: o.network.scheduler.nowUs, confirmed: false }));
  o.ledger.taken.push(...taken);
  for (const recipient of failures?.recipients ?? []) o.ledger.bounced.push(...taken.map((t) => ({ key: `${recipient} ${failures?.id}`, taken: t })));
  checkContent(o.ledger, id, lines);
  if (fate === 3) throw new Hangup('taken, and nobody was told');
  dialog.send('250 2.0.0 taken\r\n');
  return taken;
}

/** What arrives is what was sent, below the trace fields the site has added. */
function checkContent(ledger: Ledger, id: string, lines: readonly string[]): void {
  const message = ledger.messages.get(id);
  if (!message) return;
  const got = `${lines.join('\r\n')}\r\n`;
  const want = Buffer.from(message.content).toString('latin1');
  if (!got.endsWith(want)) throw new Error(`M1: a sink got another ${id} than was sent: ${got.length} octets for ${want.length}`);
}
