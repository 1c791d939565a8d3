// A person with an IMAP client: appends, flags, copies, moves, expunges, idles, reads; comes back when cut off. It
// writes into the ledger what was answered OK, and what may or may not have happened. To know what must be there in
// spite of other clients of the same account, each flag has one client that changes it, and each message one client
// that copies, moves or deletes it.

import type { Connection, World } from '../../actors/world.ts';
import { Hangup } from './dialog.ts';
import { type Done, ImapClient } from './imapclient.ts';
import { Broken, type Known, Ledger } from './ledger.ts';
import { compose, passwordOf } from './mail.ts';
import type { Random } from './random.ts';
import { fetchItems, numbers, textOf, type Value, values } from './response.ts';

export interface UserOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly name: string;
  readonly account: string;
  /** This client's number among the `clients` of the account. */
  readonly index: number;
  readonly clients: number;
  readonly commands: number;
  /** Where it goes, and how long it may rest between commands. */
  readonly folders: readonly string[];
  readonly restMs: number;
  readonly bigChance: number;
  readonly site: string;
  readonly nowUs: () => number;
}

/** Watches INBOX by IDLE alone, for as long as the simulation goes on; comes back when cut off. */
export class Observer {
  client: ImapClient | null = null;
  private readonly o: Pick<UserOptions, 'world' | 'ledger' | 'account' | 'site' | 'nowUs'>;

  constructor(o: Observer['o']) {
    this.o = o;
  }

  async run(): Promise<never> {
    for (;;) {
      try {
        await this.watch();
      } catch (error) {
        if (!(error instanceof Hangup)) throw error;
      }
      this.client?.dialog.close();
      this.client = null;
      await this.o.world.sleep(1_000);
    }
  }

  private async watch(): Promise<void> {
    const { world, account, site } = this.o;
    const connection = await world.connect({ address: site, port: 143 }, { timeoutMs: 30_000 }).catch((): Connection | null => null);
    if (!connection) return;
    const client = new ImapClient({ ...this.o, ownFlags: [], owns: () => false }, connection);
    this.client = client;
    if (!(await client.greeting())) return;
    if ((await client.command(`LOGIN ${account} "${passwordOf(account)}"`)).status !== 'OK') return;
    if ((await client.select('INBOX')).status !== 'OK') return;
    for (;;) if ((await client.idle(1_200_000)).status !== 'OK') return;
  }
}

const systemFlags = ['\\Flagged', '\\Answered', '\\Draft'];
/** Longer than anything cut off can stay on its way. */
const SURE_AFTER_US = 60_000_000;

export class User {
  client: ImapClient | null = null;
  private readonly o: UserOptions;
  private readonly ownFlags: readonly string[];
  private left: number;
  private numbered = 0;
  /** Of the connection before: see ImapClient. */
  private unsureUntilUs = 0;

  constructor(o: UserOptions) {
    this.o = o;
    this.left = o.commands;
    this.ownFlags = [systemFlags[o.index] ?? '$none', `$k${o.index}`, ...(o.index === 0 ? ['\\Seen'] : [])];
  }

  /** Ends when it has done all its commands; its last connection stays open. */
  async run(): Promise<void> {
    await this.o.world.sleep(this.o.random.below(500));
    while (this.left > 0) {
      try {
        const client = await this.connect();
        if (client) await this.work(client);
      } catch (error) {
        if (!(error instanceof Hangup)) throw error;
        this.unsureUntilUs = this.client?.unsureUntilUs ?? this.unsureUntilUs;
        this.client?.dialog.close();
        this.client = null;
        await this.o.world.sleep(this.o.random.chance(0.3) ? 61_000 : this.o.random.below(2_000));
      }
    }
  }

  private async connect(): Promise<ImapClient | null> {
    this.left--;
    const { world, account, ledger, nowUs, index, clients, random } = this.o;
    const connection = await world.connect({ address: this.o.site, port: 143 }, { timeoutMs: 30_000 }).catch((): Connection | null => null);
    if (!connection) throw new Hangup('no connection');
    const client = new ImapClient({ world, ledger, account, ownFlags: this.ownFlags, owns: (uid) => uid % clients === index, nowUs }, connection);
    client.unsureUntilUs = this.unsureUntilUs;
    this.client = client;
    if (!(await client.greeting())) throw new Hangup('no greeting');
    if (random.chance(0.3)) {
      if ((await client.command('STARTTLS')).status !== 'OK') throw new Hangup('no TLS');
      await client.dialog.startTls();
    }
    const login = random.chance(0.5)
      ? await client.command(`LOGIN ${account} "${passwordOf(account)}"`)
      : await client.command(`AUTHENTICATE PLAIN ${btoa(`\0${account}\0${passwordOf(account)}`)}`);
    if (login.status !== 'OK') throw new Hangup('no login');
    if (random.chance(0.5)) await client.command('ENABLE CONDSTORE');
    const selected = await client.select(random.pick(this.o.folders));
    if (selected.status !== 'OK') throw new Hangup(`no ${client.mailbox}`);
    await client.learn();
    return client;
  }

  private async work(client: ImapClient): Promise<void> {
    const { random, world } = this.o;
    const deeds: readonly (readonly [number, () => Promise<unknown>])[] = [
      [3, () => client.command('NOOP')],
      [4, () => this.idle(client)],
      [5, () => this.store(client)],
      [3, () => this.append(client)],
      [2, () => this.copy(client, false)],
      [2, () => this.copy(client, true)],
      [3, () => this.remove(client)],
      [2, () => this.read(client)],
      [1, () => this.search(client)],
      [1, () => this.status(client)],
      [1, () => client.command('CHECK')],
      [1, () => this.close(client)],
      [1, () => this.scratch(client)],
    ];
    const total = deeds.reduce((sum, [weight]) => sum + weight, 0);
    while (this.left-- > 0) {
      if (random.chance(0.3)) await world.sleep(random.below(this.o.restMs));
      let at = random.below(total);
      const deed = deeds.find(([weight]) => (at -= weight) < 0);
      await deed?.[1]();
      await client.learn();
    }
  }

  // a command whose end is not known

  /** Runs a command that changes something. `unknown` runs when nobody can tell whether it happened. */
  private async change(client: ImapClient, run: () => Promise<Done>, unknown: () => void): Promise<Done | null> {
    let done: Done;
    try {
      done = await run();
    } catch (error) {
      if (error instanceof Hangup) unknown();
      throw error;
    }
    if (done.status === 'OK') {
      this.o.ledger.acknowledged++;
      return done;
    }
    if (done.status === 'BAD') throw new Broken('IMAP', `BAD: ${done.text}`);
    if (!/^(LIMIT|OVERQUOTA|TRYCREATE|NONEXISTENT)/i.test(done.code)) {
      unknown();
      client.unsureUntilUs = this.o.nowUs() + SURE_AFTER_US;
    }
    return null;
  }

  private choose(client: ImapClient, which: (known: Known) => boolean, probability = 0.3): number[] {
    const { box } = client;
    if (!box) return [];
    const may = client.view.filter((uid) => uid !== 0 && which(box.at(uid)));
    const some = this.o.random.some(may, probability);
    return some.length > 0 || may.length === 0 ? some : [this.o.random.pick(may)];
  }

  private readonly mine = (known: Known): boolean => known.id !== null && known.uid % this.o.clients === this.o.index;
  private readonly free = (known: Known): boolean => known.removed === 'no' && !known.deletedAsked;

  // the deeds

  private async idle(client: ImapClient): Promise<void> {
    const { random } = this.o;
    const done = await client.idle(random.chance(0.05) ? 600_000 : random.below(4 * this.o.restMs));
    if (done.status === 'BAD') throw new Broken('IMAP', `IDLE: ${done.text}`);
  }

  private async store(client: ImapClient): Promise<void> {
    const { random, clients } = this.o;
    const uids = this.choose(client, this.free);
    const box = client.box;
    if (!box || uids.length === 0) return;
    const replace = clients === 1 && random.chance(0.2);
    const on = random.chance(0.6);
    const flags = random.some(this.ownFlags, 0.6);
    if (flags.length === 0) flags.push(this.ownFlags[1] as string);
    const touched = replace ? this.ownFlags : flags;
    const before = this.unsure(client, uids, touched);
    const bySequence = random.chance(0.3);
    const set = (bySequence ? uids.map((uid) => client.view.indexOf(uid) + 1) : uids).join(',');
    const item = `${replace ? '' : on ? '+' : '-'}FLAGS${random.chance(0.4) ? '.SILENT' : ''}`;
    const unless = random.chance(0.15) ? ` (UNCHANGEDSINCE ${box.highestModseq})` : '';
    const text = `${bySequence ? '' : 'UID '}STORE ${set}${unless} ${item} (${flags.join(' ')})`;
    const done = await this.change(
      client,
      () => client.command(text),
      () => this.lost(client),
    );
    client.changing.clear();
    if (!done) return before.restore(client.unsureUntilUs > this.o.nowUs());
    const modified = /^MODIFIED (\S+)/i.exec(done.code)?.[1];
    const skipped = new Set(modified === undefined ? [] : numbers(modified).map((n) => (bySequence ? (client.view[n - 1] as number) : n)));
    before.restore(client.unsureUntilUs > this.o.nowUs());
    for (const uid of uids) {
      if (skipped.has(uid)) continue;
      if (item.endsWith('.SILENT')) applyFlags(client.flags.get(uid), replace, on, flags);
      if (client.unsureUntilUs > this.o.nowUs()) continue;
      for (const flag of touched) box.at(uid).flags.set(flag, replace ? flags.includes(flag) : on);
    }
  }

  /** From now until the answer, nobody knows these flags. */
  private unsure(client: ImapClient, uids: readonly number[], flags: readonly string[]): { restore(lost: boolean): void } {
    const { box } = client;
    const was: (readonly [Known, string, boolean | undefined])[] = [];
    for (const uid of uids) {
      for (const flag of flags) {
        const known = box?.at(uid);
        if (!known) continue;
        was.push([known, flag, known.flags.get(flag)]);
        known.flags.delete(flag);
        client.changing.add(`${uid} ${flag}`);
      }
    }
    return {
      restore: (lost) => {
        if (!lost) for (const [known, flag, value] of was) if (value !== undefined) known.flags.set(flag, value);
      },
    };
  }

  private lost(client: ImapClient): void {
    client.flags.clear();
    client.unsureUntilUs = this.o.nowUs() + SURE_AFTER_US;
  }

  private async append(client: ImapClient): Promise<void> {
    const { random, ledger, account, name } = this.o;
    const id = `${name}-a${this.numbered++}`;
    const message = compose(id, account, [account], random, random.chance(this.o.bigChance));
    ledger.messages.set(id, message);
    const count = Ledger.count(ledger.created, `${account} ${id}`);
    const target = random.pick(this.o.folders);
    const flags = random.some(this.ownFlags, 0.3);
    const done = await this.change(
      client,
      () => client.command(`APPEND ${target} (${flags.join(' ')}) "01-Jan-2026 00:00:00 +0000"`, message.content, random.chance(0.5)),
      () => void count.maybe++,
    );
    if (!done) return;
    count.sure++;
    const [, validity, uid] = /^APPENDUID (\d+) (\d+)/i.exec(done.code) ?? [];
    if (uid === undefined) throw new Broken('IMAP', `APPEND without APPENDUID: ${done.text}`);
    const known = ledger.box(account, target, Number(validity)).identify(Number(uid), id, 'APPENDUID');
    for (const flag of this.ownFlags) known.flags.set(flag, flags.includes(flag));
  }

  private async copy(client: ImapClient, move: boolean): Promise<void> {
    const { random, ledger, account, nowUs } = this.o;
    const uids = this.choose(client, (known) => this.mine(known) && this.free(known));
    const box = client.box;
    if (!box || uids.length === 0) return;
    const target = random.pick(this.o.folders);
    const known = uids.map((uid) => box.at(uid));
    if (move) for (const k of known) box.ask(k, true);
    const done = await this.change(
      client,
      () => client.command(`UID ${move ? 'MOVE' : 'COPY'} ${uids.join(',')} ${target}`),
      () => {
        if (!move) for (const k of known) Ledger.count(ledger.created, `${account} ${k.id}`).maybe++;
      },
    );
    if (!done) return;
    // RFC 6851 §4.3: COPYUID of a MOVE comes untagged
    const code = /^COPYUID/i.test(done.code) ? done.code : done.untagged.map((r) => /^OK \[(COPYUID [^\]]*)\]/i.exec(r.text)?.[1]).find((c) => c !== undefined);
    const [, validity, from, to] = /^COPYUID (\d+) (\S+) (\S+)/i.exec(code ?? '') ?? [];
    const pairs = from === undefined || to === undefined ? [] : numbers(from).map((uid, i) => [uid, numbers(to)[i] as number] as const);
    const copied = new Set(pairs.map(([uid]) => uid));
    for (const k of known) if (!copied.has(k.uid)) throw new Broken('M1', `${box.name} UID ${k.uid} (${k.id}) was left out: ${done.text}`);
    for (const [uid, newUid] of pairs) {
      const k = box.at(uid);
      const there = ledger.box(account, target, Number(validity));
      const copy = k.id === null ? there.at(newUid) : there.identify(newUid, k.id, 'COPYUID');
      for (const flag of this.ownFlags) {
        const value = k.flags.get(flag);
        if (value !== undefined && client.unsureUntilUs < nowUs()) copy.flags.set(flag, value);
      }
      if (move) box.gone(uid, nowUs());
      else if (k.id !== null) Ledger.count(ledger.created, `${account} ${k.id}`).sure++;
    }
    if (move) this.mustBeOutOfView(client, uids, done);
  }

  private mustBeOutOfView(client: ImapClient, uids: readonly number[], done: Done): void {
    for (const uid of uids) if (client.view.includes(uid)) throw new Broken('IMAP', `UID ${uid} is still in view after ${done.text}`);
  }

  /** Flags some as \Deleted, then expunges: those, or all that are. */
  private async remove(client: ImapClient): Promise<void> {
    const { random } = this.o;
    const uids = this.choose(client, (known) => this.mine(known) && this.free(known), 0.2);
    const { box } = client;
    if (!box || uids.length === 0) return;
    for (const uid of uids) box.at(uid).deletedAsked = true;
    const before = this.unsure(client, uids, ['\\Deleted']);
    const done = await this.change(
      client,
      () => client.command(`UID STORE ${uids.join(',')} +FLAGS (\\Deleted)`),
      () => this.lost(client),
    );
    client.changing.clear();
    if (!done) return before.restore(client.unsureUntilUs > this.o.nowUs());
    for (const uid of uids) box.at(uid).flags.set('\\Deleted', true);
    if (random.chance(0.7)) await this.expunge(client, random.chance(0.7) ? uids : null);
  }

  private async expunge(client: ImapClient, uids: readonly number[] | null): Promise<void> {
    const { box } = client;
    if (!box) return;
    const sure = this.askExpunge(client, uids);
    const done = await this.change(
      client,
      () => client.command(uids ? `UID EXPUNGE ${uids.join(',')}` : 'EXPUNGE'),
      () => {},
    );
    if (!done) return;
    for (const uid of sure) box.gone(uid, this.o.nowUs());
    this.mustBeOutOfView(client, sure, done);
  }

  /** Marks all that an EXPUNGE may remove; returns those it must: what this client was never told of may stay. */
  private askExpunge(client: ImapClient, uids: readonly number[] | null): number[] {
    const { box } = client;
    const sure: number[] = [];
    for (const known of box?.messages.values() ?? []) {
      if (!known.deletedAsked || (uids && !uids.includes(known.uid))) continue;
      box?.ask(known, false);
      if (known.flags.get('\\Deleted') === true && client.view.includes(known.uid)) sure.push(known.uid);
    }
    return sure;
  }

  private async close(client: ImapClient): Promise<void> {
    const { random } = this.o;
    const { box } = client;
    if (random.chance(0.5)) {
      const sure = this.askExpunge(client, null);
      client.box = null;
      client.view = [];
      if (
        await this.change(
          client,
          () => client.command('CLOSE'),
          () => {},
        )
      )
        for (const uid of sure) box?.gone(uid, this.o.nowUs());
    } else await client.command('UNSELECT');
    const selected = await client.select(random.pick(this.o.folders));
    if (selected.status !== 'OK') throw new Hangup(`no ${client.mailbox}`);
  }

  /** A body is what was sent, below the trace fields the site has added. */
  private async read(client: ImapClient): Promise<void> {
    const { ledger, random, index } = this.o;
    const uids = this.choose(client, this.free, 0.1);
    const { box } = client;
    if (!box || uids.length === 0) return;
    const seen = index === 0 && random.chance(0.5);
    const before = seen ? this.unsure(client, uids, ['\\Seen']) : null;
    const run = (): Promise<Done> => client.command(`UID FETCH ${uids.join(',')} (UID ${seen ? 'BODY[]' : 'BODY.PEEK[]'})`);
    const done = await this.change(client, run, () => seen && this.lost(client));
    client.changing.clear();
    before?.restore(client.unsureUntilUs > this.o.nowUs());
    if (!done) return;
    for (const response of done.untagged) {
      if (!/^\d+ FETCH/i.test(response.text)) continue;
      const items = fetchItems(values(response.text, response.literals)[2] as Value);
      const body = items.get('BODY[]');
      const uid = Number(items.get('UID'));
      if (body === undefined || !uids.includes(uid)) continue;
      checkBody(ledger, box.at(uid), textOf(body), box.name);
      // a full disk does not stop reading: then \Seen is not set, and not told
      const flags = items.get('FLAGS');
      const told = Array.isArray(flags) && flags.some((f) => textOf(f).toLowerCase() === '\\seen');
      if (told && client.unsureUntilUs < this.o.nowUs()) box.at(uid).flags.set('\\Seen', true);
    }
  }

  private async search(client: ImapClient): Promise<void> {
    const { box } = client;
    if (!box) return;
    const startedUs = this.o.nowUs();
    const must = client.view.filter((uid) => uid !== 0);
    const done = await client.command('UID SEARCH ALL');
    if (done.status !== 'OK') return;
    const found = new Set(done.untagged.filter((r) => /^SEARCH/i.test(r.text)).flatMap((r) => r.text.split(' ').slice(1).map(Number)));
    for (const uid of must) if (!found.has(uid) && box.at(uid).removed === 'no') throw new Broken('M2', `${box.name} UID ${uid} is not found by SEARCH ALL`);
    for (const uid of found) {
      const known = box.messages.get(uid);
      if (known?.removed === 'yes' && known.removedAtUs < startedUs && !must.includes(uid)) throw new Broken('S2', `${box.name} UID ${uid} came back`);
    }
  }

  private async status(client: ImapClient): Promise<void> {
    const { account, ledger, random } = this.o;
    const target = random.pick(this.o.folders);
    const before = [...ledger.boxes.values()].map((box) => [box, box.uidNext] as const);
    const done = await client.command(`STATUS ${target} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)`);
    if (done.status !== 'OK') return;
    const items = fetchItems(values(done.untagged.find((r) => /^STATUS/i.test(r.text))?.text ?? '', [])[2] as Value);
    const box = ledger.box(account, target, Number(items.get('UIDVALIDITY')));
    const was = before.find(([b]) => b === box)?.[1] ?? 1;
    const uidNext = Number(items.get('UIDNEXT'));
    if (uidNext < was) throw new Broken('S2', `${box.name}: STATUS UIDNEXT went from ${was} to ${uidNext}`);
    box.uidNext = Math.max(box.uidNext, uidNext);
  }

  /** A mailbox is made, filled, renamed, deleted, made again: its UIDVALIDITY grows and nothing of it is left. */
  private async scratch(client: ImapClient): Promise<void> {
    const { account, name, random } = this.o;
    const mailbox = `Scratch-${name}-${this.numbered++}`;
    const step = (text: string): Promise<Done | null> =>
      this.change(
        client,
        () => client.command(text),
        () => {},
      );
    if (!(await step(`CREATE ${mailbox}`))) return;
    const first = await this.validityOf(client, mailbox);
    const message = compose(`${mailbox}-m`, account, [account], random, false);
    await this.change(
      client,
      () => client.command(`APPEND ${mailbox}`, message.content),
      () => {},
    );
    const renamed = `${mailbox}-renamed`;
    const moved = random.chance(0.5) ? await step(`RENAME ${mailbox} ${renamed}`) : null;
    if (!(await step(`DELETE ${moved ? renamed : mailbox}`))) return;
    if (!(await step(`CREATE ${mailbox}`))) return;
    const second = await this.validityOf(client, mailbox);
    if (first !== null && second !== null && second.validity <= first.validity)
      throw new Broken('S2', `${mailbox}: UIDVALIDITY ${second.validity} after ${first.validity}`);
    if (second !== null && second.messages > 0) throw new Broken('M2', `${mailbox} is new and has ${second.messages} messages`);
    await step(`DELETE ${mailbox}`);
  }

  private async validityOf(client: ImapClient, mailbox: string): Promise<{ validity: number; messages: number } | null> {
    const done = await client.command(`STATUS ${mailbox} (MESSAGES UIDVALIDITY)`);
    if (done.status !== 'OK') return null;
    const items = fetchItems(values(done.untagged.find((r) => /^STATUS/i.test(r.text))?.text ?? '', [])[2] as Value);
    return { validity: Number(items.get('UIDVALIDITY')), messages: Number(items.get('MESSAGES')) };
  }
}

/** What a client does to its own copy after a silent STORE. */
function applyFlags(to: Set<string> | undefined, replace: boolean, on: boolean, flags: readonly string[]): void {
  if (replace) to?.clear();
  for (const flag of flags) {
    if (on || replace) to?.add(flag.toLowerCase());
    else to?.delete(flag.toLowerCase());
  }
}

/** Throws when a body is not the message its number names. */
export function checkBody(ledger: Ledger, known: Known, body: string, where: string): void {
  const message = known.id === null ? undefined : ledger.messages.get(known.id);
  if (!message) return;
  const want = Buffer.from(message.content).toString('latin1');
  if (!body.endsWith(want)) throw new Broken('M1', `${where} UID ${known.uid} (${known.id}) has another body: ${body.length} octets for ${want.length}`);
}
