// The end of a simulation: what is there against what was promised. Each rule that does not hold is thrown by its number.

import type { World } from '../../actors/world.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Reader } from '../../storage/engine.ts';
import { header, queue } from '../../storage/views.ts';
import { ImapClient } from './imapclient.ts';
import { Broken, type Known, type Ledger, type Taken } from './ledger.ts';
import { accounts, failuresIn, idOf, isAccount, passwordOf } from './mail.ts';
import { fetchItems, textOf, type Value, values } from './response.ts';
import { checkBody } from './user.ts';
import type { Warden } from './warden.ts';

/** A mailbox as a fresh client finds it. */
export interface Found {
  readonly account: string;
  readonly mailbox: string;
  readonly uidValidity: number;
  readonly messages: ReadonlyMap<number, { readonly id: string | null; readonly flags: ReadonlySet<string>; readonly text: string }>;
}

export interface VerifyOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly site: string;
  readonly nowUs: () => number;
}

/** Logs in afresh and looks at everything. `bodies`: also at the octets of each message. */
export async function look(o: VerifyOptions, bodies: boolean): Promise<Found[]> {
  const found: Found[] = [];
  for (const account of accounts) {
    const connection = await o.world.connect({ address: o.site, port: 143 }, { timeoutMs: 30_000 });
    const client = new ImapClient({ world: o.world, ledger: o.ledger, account, ownFlags: [], owns: () => false, nowUs: o.nowUs }, connection);
    await client.greeting();
    await must(client, `LOGIN ${account} "${passwordOf(account)}"`);
    const list = await must(client, 'LIST "" *');
    for (const { text, literals } of list.untagged) {
      const items = values(text, literals);
      const noSelect = Array.isArray(items[1]) && items[1].some((a) => /noselect|nonexistent/i.test(textOf(a)));
      if (items[0] === 'LIST' && !noSelect) found.push(await lookInto(client, account, textOf(items[3] as Value), bodies));
    }
    await must(client, 'LOGOUT');
    client.dialog.close();
  }
  return found;
}

async function must(client: ImapClient, command: string): ReturnType<ImapClient['command']> {
  const done = await client.command(command);
  if (done.status !== 'OK') throw new Broken('IMAP', `${command} with nothing wrong: ${done.text}`);
  return done;
}

async function lookInto(client: ImapClient, account: string, mailbox: string, bodies: boolean): Promise<Found> {
  const selected = await client.select(mailbox, 'EXAMINE');
  const { box } = client;
  if (!box) throw new Broken('IMAP', `EXAMINE ${mailbox} with nothing wrong: ${selected.text}`);
  const messages = new Map<number, { id: string | null; flags: Set<string>; text: string }>();
  const exists = client.view.length;
  if (exists > 0) {
    const fetched = await must(client, `FETCH 1:* (UID FLAGS MODSEQ ${bodies ? 'BODY.PEEK[]' : 'BODY.PEEK[HEADER]'})`);
    for (const response of fetched.untagged) {
      if (!/^\d+ FETCH/i.test(response.text)) continue;
      const items = fetchItems(values(response.text, response.literals)[2] as Value);
      const text = textOf(items.get('BODY[]'));
      const flags = new Set((items.get('FLAGS') as Value[]).map((f) => textOf(f).toLowerCase()));
      messages.set(Number(items.get('UID')), { id: idOf(text), flags, text });
    }
    if (messages.size !== exists) throw new Broken('S3', `${box.name}: EXISTS ${exists}, FETCH 1:* gives ${messages.size}`);
  }
  return { account, mailbox, uidValidity: box.uidValidity, messages };
}

/** What a client has seen by EXISTS and EXPUNGE alone is what a fresh SELECT shows. */
export function agree(client: ImapClient, found: readonly Found[]): void {
  const { box, view } = client;
  if (!box) return;
  const fresh = found.find((f) => f.account === box.account && f.mailbox === box.mailbox && f.uidValidity === box.uidValidity);
  const uids = [...(fresh?.messages.keys() ?? [])].join(' ');
  if (view.join(' ') !== uids) throw new Broken('IMAP', `${box.name}: a client has [${view.join(' ')}], a fresh SELECT shows [${uids}]`);
  for (const [uid, told] of client.flags) {
    const is = fresh?.messages.get(uid)?.flags;
    const text = (flags: ReadonlySet<string> | undefined): string =>
      [...(flags ?? [])]
        .filter((f) => f !== '\\recent')
        .sort()
        .join(' ');
    if (is && text(is) !== text(told)) throw new Broken('IMAP', `${box.name} UID ${uid}: a client was told (${text(told)}), a fresh FETCH shows (${text(is)})`);
  }
}

/** Who idles has been told of every message that came and went, without asking. */
export function pushed(client: ImapClient, found: readonly Found[]): void {
  const { box, view } = client;
  const fresh = found.find((f) => f.account === box?.account && f.mailbox === box.mailbox && f.uidValidity === box.uidValidity);
  if (fresh && view.length !== fresh.messages.size)
    throw new Broken('IMAP', `${box?.name}: IDLE has told of ${view.length} messages, there are ${fresh.messages.size}`);
}

/** M1, M2: messages, their places, flags and bodies are as answered. */
export function verifyMailboxes(ledger: Ledger, found: readonly Found[]): void {
  const copies = new Map<string, number>();
  for (const place of found) {
    const box = ledger.box(place.account, place.mailbox, place.uidValidity);
    for (const [uid, { id, flags, text }] of place.messages) {
      const known = id === null ? box.at(uid) : box.identify(uid, id, 'at the end');
      if (known.removed === 'yes') throw new Broken('M1', `${box.name} UID ${uid} (${id}) was removed, and is there`);
      verifyFlags(box.name, known, flags);
      checkBody(ledger, known, text, box.name);
      if (id !== null) copies.set(`${place.account} ${id}`, (copies.get(`${place.account} ${id}`) ?? 0) + 1);
    }
    for (const known of box.messages.values()) {
      if (known.removed === 'no' && !place.messages.has(known.uid)) throw new Broken('M1', `${box.name} UID ${known.uid} (${known.id}) is lost`);
    }
  }
  verifyCounts(ledger, copies);
}

function verifyFlags(where: string, known: Known, flags: ReadonlySet<string>): void {
  for (const [flag, on] of known.flags) {
    if (flags.has(flag.toLowerCase()) !== on) throw new Broken('M1', `${where} UID ${known.uid} (${known.id}): ${flag} was answered ${on}, and is not so`);
  }
}

/** Every copy that came in is there, or was expunged; a move changes nothing. */
function verifyCounts(ledger: Ledger, copies: ReadonlyMap<string, number>): void {
  const expunged = new Map<string, { sure: number; maybe: number }>();
  for (const box of ledger.boxes.values()) {
    for (const known of box.messages.values()) {
      if (known.id === null || known.moved || known.removed === 'no') continue;
      const key = `${box.account} ${known.id}`;
      const count = expunged.get(key) ?? { sure: 0, maybe: 0 };
      if (known.removed === 'yes') count.sure++;
      else count.maybe++;
      expunged.set(key, count);
    }
  }
  for (const [key, made] of ledger.created) {
    const there = copies.get(key) ?? 0;
    const gone = expunged.get(key) ?? { sure: 0, maybe: 0 };
    if (there + gone.sure + gone.maybe < made.sure)
      throw new Broken('M1', `${key} is lost: acknowledged ${made.sure} times, there ${there}, expunged ${gone.sure}`);
    if (there + gone.sure > made.sure + made.maybe)
      throw new Broken('M1', `${key} is there ${there} times, expunged ${gone.sure}; acknowledged ${made.sure}, unknown ${made.maybe}`);
  }
  for (const [key, there] of copies) {
    const id = key.slice(key.indexOf(' ') + 1);
    if (!ledger.created.has(key) && ledger.messages.has(id) && !id.startsWith('Scratch'))
      throw new Broken('M1', `${key} is there ${there} times, and nobody sent it`);
  }
}

/** How long after a final reply a report may still be on its way into the store. */
const REPORT_US = 120_000_000;

/** Q1: each recipient of each accepted message is delivered, bounced or pending; twice only where nobody could know. */
export function verifyOutgoing(ledger: Ledger, found: readonly Found[], reader: Reader, expired: boolean, warden: Warden): void {
  const bounced = ledger.bounced.map((b) => b.key);
  for (const place of found) {
    for (const { text } of place.messages.values()) {
      const failures = failuresIn(text);
      if (failures) bounced.push(...failures.recipients.map((r) => `${r} ${failures.id}`));
    }
  }
  const pending = pendingOf(reader);
  for (const [key, promised] of ledger.outgoing) {
    const [recipient, id] = key.split(' ') as [string, string];
    const taken = ledger.taken.filter((t) => t.recipient === recipient && t.id === id);
    const bounces = bounced.filter((b) => b === key).length;
    const waiting = pending.get(key) ?? 0;
    const ends = taken.length + bounces + waiting;
    const count = `accepted ${promised.sure}, unknown ${promised.maybe}: delivered ${taken.length}, bounced ${bounces}, pending ${waiting}`;
    if (ends < promised.sure && !bounceMayBeGone(ledger, pending, id, expired) && !warden.says(reader, key)) throw new Broken('Q1', `${key} is lost: ${count}`);
    const told = ledger.bounced.filter((b) => b.key === key).map((b) => b.taken);
    if (expired && waiting > 0) throw new Broken('Q1', `${key} is pending after its time: ${count}`);
    const excused = [...taken, ...told].filter((t) => nobodyCouldKnow(ledger, t)).length;
    if (ends - excused > promised.sure + promised.maybe) throw new Broken('Q1', `${key} came too often: ${count}, excused ${excused}`);
    if (bounces > 0 && !mayBounce(ledger, key, recipient, expired)) throw new Broken('Q1', `${key} was bounced without a reason: ${count}`);
  }
  for (const { id, recipient } of ledger.taken) {
    if (ledger.messages.has(id) && !ledger.outgoing.has(`${recipient} ${id}`)) throw new Broken('Q1', `${recipient} got ${id}, and nobody sent it`);
  }
}

/** The bounce is itself in the queue, or could not be delivered either: then it ends (RFC 5321 §6.1). */
function bounceMayBeGone(ledger: Ledger, pending: ReadonlyMap<string, number>, id: string, expired: boolean): boolean {
  const sender = ledger.senders.get(id) ?? '';
  if (pending.has(`${sender} bounce`)) return true;
  return isAccount(sender) ? expired && ledger.limited.has(sender) : ledger.refused.has(`${sender} bounce of ${id}`);
}

const nobodyCouldKnow = (ledger: Ledger, taken: Taken): boolean =>
  !taken.confirmed || ledger.crashesUs.some((at) => at >= taken.atUs && at < taken.atUs + REPORT_US);

const mayBounce = (ledger: Ledger, key: string, recipient: string, expired: boolean): boolean =>
  expired || /^(bad|nobody)/.test(recipient) || ledger.refused.has(key);

/** `recipient id` of what is still in the queue. */
function pendingOf(reader: Reader): Map<string, number> {
  const pending = new Map<string, number>();
  reader.refresh();
  for (const { row, recipients } of queue(reader)) {
    const id = idOf(Buffer.from(header(reader, row.blob)).toString('latin1')) ?? 'bounce';
    for (const { row: recipient } of recipients) {
      const key = `${recipient.address} ${id}`;
      pending.set(key, (pending.get(key) ?? 0) + 1);
    }
  }
  return pending;
}

/** A refusal where nothing may be refused. */
export function granted<T extends object>(answer: T, what: string): T {
  if (isRefusal(answer)) throw new Error(`${what}: refused, ${answer.refused} ${answer.detail}`);
  return answer;
}
