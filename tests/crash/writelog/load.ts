// The load whose writes are recorded: the storage actor on a real engine, with several workers at once that deliver, append,
// flag, copy, move, expunge, make and remove mailboxes, work the queue, and apply configurations; the collector between.
//
//   bun load.ts ENGINE FOLDER MARKS SEED COMMANDS [end|kill]
//
// Each worker says what it knows in MARKS (marks.ts). With `kill` the process kills itself in the middle of it.

import { openSync, writeSync } from 'node:fs';
import { type Address, local, run } from '../../../actors/actor.ts';
import { realWorld } from '../../../actors/platform.ts';
import { type Answer, type Ask, isRefusal } from '../../../actors/wire.ts';
import { storage } from '../../../storage/actor.ts';
import type { Engine } from '../../../storage/engine.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { flag } from '../../../storage/page.ts';
import { decodeRow, encodeKey } from '../../../storage/rows.ts';
import { mailboxes } from '../../../storage/views.ts';
import { Random } from '../../sim/random.ts';
import { type Content, contentOfParts, documentOf, mailOf } from '../../unit/storage/fixture.ts';
import { engineRow } from './engines.ts';
import { addDigest, digestOf, type Fact, type Facts, type Mark, type Message, rowDigest } from './marks.ts';

type P = StoreProtocol;
type Kind = keyof P['calls'] & string;
type Asked<K extends Kind> = Omit<Ask<P, K>, 'now' | 'expiryMs' | 'windowMs'>;
interface Box {
  readonly id: number;
  readonly messages: Map<number, Message>;
}
const people = 5;
/** Takes deliveries only, from every worker. */
const shared = people;

class Load {
  private readonly store: Address<P>;
  readonly engine: Engine;
  private readonly say: (mark: Mark) => void;
  private readonly durable: () => number;
  private ops = 0;
  private readonly life = `${process.pid}`;
  /** Recipients in the queue, as they are known. */
  readonly queue = new Map<string, { readonly queue: number; readonly n: number; attempts: number; readonly address: string; lastCode: string }>();

  constructor(store: Address<P>, engine: Engine, say: (mark: Mark) => void, durable: () => number) {
    this.store = store;
    this.engine = engine;
    this.say = say;
    this.durable = durable;
  }

  /** Asks, and tells what it touches before, and what is true after. A refusal changed nothing. */
  async ask<K extends Kind>(kind: K, ask: Asked<K>, touches: readonly string[], facts: (answer: Answer<P, K>) => Facts): Promise<Answer<P, K> | null> {
    const op = `${this.life}.${++this.ops}`;
    this.say({ begin: op, touches });
    const answer = await this.store.ask(kind, { now: Date.now(), expiryMs: 1_000_000, windowMs: 1_000_000, ...ask } as never);
    const done = isRefusal(answer) ? null : (answer as Answer<P, K>);
    this.say({ done: op, facts: done === null ? {} : facts(done), durable: this.durable(), refused: isRefusal(answer) ? answer.refused : null });
    return done;
  }
}

class Worker {
  private readonly boxes = new Map<string, Box>();
  private made = 0;
  private readonly load: Load;
  private readonly random: Random;
  private readonly account: number;

  constructor(load: Load, random: Random, account: number) {
    this.load = load;
    this.random = random;
    this.account = account;
    // what another life of the load left in them is not ours to know
    for (const box of mailboxes(load.engine, account))
      if (/^(INBOX|Archive|Sent)$/.test(box.name)) this.boxes.set(box.name, { id: box.id, messages: new Map() });
  }

  private fact(box: number, uid: number, account = this.account): string {
    return `m/${account}/${box}/${uid}`;
  }
  private content(octets: number): Content {
    const head = Buffer.from(`Subject: ${this.random.next()}\r\nMessage-ID: <${this.random.next()}@example.test>\r\n\r\n`);
    return contentOfParts(head, this.random.octets(octets));
  }
  /** Small mostly; some that need many pages. */
  private octets(): number {
    const kind = this.random.below(100);
    return kind < 75 ? this.random.between(1, 2_500) : kind < 92 ? this.random.between(2_500, 20_000) : this.random.between(20_000, 90_000);
  }
  private static known(content: Content, flags: number, keywords: readonly string[]): Message {
    return { hash: Buffer.from(content.hash).toString('hex').slice(0, 24), flags, keywords: [...keywords].sort() };
  }

  async step(): Promise<void> {
    const kind = this.random.below(100);
    if (kind < 30) return this.deliver();
    if (kind < 42) return this.append();
    if (kind < 58) return this.flags();
    if (kind < 64) return this.storm();
    if (kind < 74) return this.copyOrMove();
    if (kind < 84) return this.expunge();
    if (kind < 93) return this.mailbox();
    if (kind < 97) return this.fail();
    await this.load.ask('collect', { transferAgeMs: 0 }, [], () => ({}));
  }

  private async deliver(): Promise<void> {
    let content = this.content(this.octets());
    const remote = this.random.chance(0.3) ? [`${this.random.next()}@one.test`, 'second@two.test'].slice(0, this.random.between(1, 2)) : [];
    if (this.random.chance(0.25)) content = (await this.stream(content)) ?? content;
    const to: [number, string][] = [[this.account, this.random.chance(0.8) ? 'INBOX' : 'Archive']];
    if (this.random.chance(0.2)) to.push([shared, 'INBOX']);
    const known = Worker.known(content, 0, []);
    await this.load.ask('deliver', { mails: [mailOf(content, to, remote)] }, [], ({ queues, placed }) => {
      const facts: Record<string, Fact> = {};
      for (const { account, mailbox, uid } of placed) facts[this.fact(mailbox, uid, account)] = known;
      const own = placed[0];
      for (const box of this.boxes.values()) if (box.id === own?.mailbox) box.messages.set(own.uid, known);
      for (const [n, address] of remote.entries()) {
        facts[`q/${queues[0]}/${n}`] = `${address} 0 `;
        this.load.queue.set(`${queues[0]}/${n}`, { queue: queues[0] as number, n, attempts: 0, address, lastCode: '' });
      }
      return facts;
    });
  }

  /** Chunks ahead of the message; now and then nobody claims them. */
  private async stream(content: Content): Promise<Content | null> {
    const begun = await this.load.ask('beginTransfer', {}, [], () => ({}));
    if (!begun) return null;
    const { transfer } = begun;
    for (let first = 0; first < content.chunks.length; first += 5)
      await this.load.ask('appendTransfer', { transfer, first, chunks: content.chunks.slice(first, first + 5) }, [], () => ({}));
    if (this.random.chance(0.8)) return { ...content, transfer, chunks: [] };
    if (this.random.chance(0.5)) await this.load.ask('dropTransfer', { transfer }, [], () => ({}));
    return null;
  }

  private async append(): Promise<void> {
    const [name, box] = this.random.pick([...this.boxes]);
    const content = this.content(this.octets());
    const flags = this.random.below(32);
    const keywords = this.random.some(['One', 'Two', 'Three'], 0.3);
    const known = Worker.known(content, flags, keywords);
    const ask = { account: this.account, mailbox: name, flags, keywords, internalDate: 1_700_000_000_000, content };
    await this.load.ask('append', ask, [], ({ mailbox, uid }) => {
      box.messages.set(uid, known);
      return { [this.fact(mailbox, uid)]: known };
    });
  }

  private picked(): { box: Box; uids: number[] } {
    const box = this.random.pick([...this.boxes.values()]);
    return { box, uids: this.random.some([...box.messages.keys()], this.random.pick([0.1, 0.5, 1])).sort((a, b) => a - b) };
  }

  private async flags(): Promise<void> {
    const { box, uids } = this.picked();
    if (uids.length > 0) await this.change(box, uids);
  }

  private async change(box: Box, uids: readonly number[]): Promise<void> {
    const mode = this.random.pick(['add', 'remove', 'replace'] as const);
    const flags = this.random.below(32);
    const keywords = this.random.some(['One', 'Two', 'Three'], 0.3);
    const ask = { account: this.account, mailbox: box.id, uids: uids.flatMap((uid) => [uid, uid]), mode, flags, keywords, unchangedSince: null };
    await this.load.ask('store', ask, this.names(box, uids), () => {
      const facts: Record<string, Fact> = {};
      for (const uid of uids) {
        const was = box.messages.get(uid) as Message;
        const words = mode === 'replace' ? keywords : mode === 'add' ? [...was.keywords, ...keywords] : was.keywords.filter((k) => !keywords.includes(k));
        const bits = mode === 'replace' ? flags : mode === 'add' ? was.flags | flags : was.flags & ~flags;
        const is: Message = { ...was, flags: bits, keywords: [...new Set(words)].sort() };
        box.messages.set(uid, is);
        facts[this.fact(box.id, uid)] = is;
      }
      return facts;
    });
  }

  private names = (box: Box, uids: readonly number[]): string[] => uids.map((uid) => this.fact(box.id, uid));

  /** Many STOREs at once, each of one message. */
  private async storm(): Promise<void> {
    const { box, uids } = this.picked();
    await Promise.all(uids.slice(0, 12).map((uid) => this.change(box, [uid])));
  }

  private async copyOrMove(): Promise<void> {
    const { box, uids } = this.picked();
    const [target, into] = this.random.pick([...this.boxes]);
    if (uids.length === 0 || into === box) return;
    const move = this.random.chance(0.6);
    const ask = { account: this.account, mailbox: box.id, uids: uids.flatMap((uid) => [uid, uid]), target, move };
    await this.load.ask('copy', ask, this.names(box, uids), ({ from, to }) => {
      const facts: Record<string, Fact> = {};
      const [sources, copies] = [each(from), each(to)];
      for (const [i, uid] of sources.entries()) {
        const known = box.messages.get(uid) as Message;
        into.messages.set(copies[i] as number, known);
        facts[this.fact(into.id, copies[i] as number)] = known;
        if (!move) continue;
        box.messages.delete(uid);
        facts[this.fact(box.id, uid)] = null;
      }
      return facts;
    });
  }

  private async expunge(): Promise<void> {
    const { box, uids } = this.picked();
    if (uids.length === 0) return;
    const touched = uids.filter((uid) => ((box.messages.get(uid) as Message).flags & flag.deleted) !== 0);
    await this.load.ask(
      'expunge',
      { account: this.account, mailbox: box.id, uids: uids.flatMap((uid) => [uid, uid]) },
      this.names(box, touched),
      ({ expunged }) => {
        const gone = each(expunged);
        if (JSON.stringify(gone) !== JSON.stringify(touched)) throw new Error(`expunged ${gone}, not ${touched}`);
        for (const uid of gone) box.messages.delete(uid);
        return Object.fromEntries(gone.map((uid) => [this.fact(box.id, uid), null]));
      },
    );
  }

  /** Makes one, renames one, or removes one with all that is in it. */
  private async mailbox(): Promise<void> {
    const { account } = this;
    const key = (name: string): string => `b/${account}/${name}`;
    const own = [...this.boxes].filter(([name]) => name.startsWith('Box'));
    const fresh = `Box ${process.pid} ${++this.made}`;
    if (own.length < 2) {
      await this.load.ask('createMailbox', { account, name: fresh, specialUse: '' }, [key(fresh)], ({ mailbox }) => {
        this.boxes.set(fresh, { id: mailbox, messages: new Map() });
        return { [key(fresh)]: mailbox };
      });
      return;
    }
    const [name, box] = this.random.pick(own);
    if (this.random.chance(0.3)) {
      const on = this.random.chance(0.5);
      await this.load.ask('subscribeMailbox', { account, name, on }, [`s/${account}/${name}`], () => ({ [`s/${account}/${name}`]: on }));
    } else if (this.random.chance(0.5)) {
      await this.load.ask('renameMailbox', { account, from: name, to: fresh }, [key(name), key(fresh)], () => {
        this.boxes.delete(name);
        this.boxes.set(fresh, box);
        return { [key(name)]: null, [key(fresh)]: box.id };
      });
    } else {
      const uids = [...box.messages.keys()];
      await this.load.ask('deleteMailbox', { account, name }, [key(name), ...this.names(box, uids)], () => {
        this.boxes.delete(name);
        return { [key(name)]: null, ...Object.fromEntries(uids.map((uid) => [this.fact(box.id, uid), null])) };
      });
    }
  }

  private async fail(): Promise<void> {
    const key = `of ${this.account}`;
    if (this.random.chance(0.3)) await this.load.ask('authSucceeded', { keys: [key] }, [`auth/${key}`], () => ({ [`auth/${key}`]: 0 }));
    else await this.load.ask('authFailed', { keys: [key] }, [`auth/${key}`], ({ counts }) => ({ [`auth/${key}`]: counts[0] as number }));
  }
}

/** Works the queue and applies documents: there is one of it. */
class Operator {
  private readonly load: Load;
  private readonly random: Random;

  constructor(load: Load, random: Random) {
    this.load = load;
    this.random = random;
  }

  async step(): Promise<void> {
    if (this.random.chance(0.15)) return void (await this.apply());
    const claimed = await this.load.ask('claimQueue', { leaseMs: 1, limit: 4, skipDomains: [] }, [], () => ({}));
    for (const { queue, n } of claimed?.due ?? []) if (this.load.queue.has(`${queue}/${n}`)) await this.report(queue, n);
  }

  private async report(queue: number, n: number): Promise<void> {
    const name = `${queue}/${n}`;
    const row = this.load.queue.get(name);
    if (!row) return;
    const outcome = this.random.pick(['done', 'later', 'later', 'failed'] as const);
    const code = `4.0.${this.random.below(9)}`;
    const result = {
      queue,
      n,
      outcome,
      due: Date.now() - 1,
      warned: false,
      attempted: true,
      code,
      error: 'no',
      host: 'mx.test',
      event: 'deferred' as const,
      ip: '',
      tls: '',
    };
    const bounce = contentOfParts(Buffer.from(`Subject: bounce ${this.random.next()}\r\n\r\n`), this.random.octets(900));
    const mails = outcome === 'failed' ? [mailOf(bounce, [[shared, 'INBOX']])] : [];
    await this.load.ask('reportQueue', { outcomes: [result], mails }, [`q/${name}`], () => {
      if (outcome === 'later') return { [`q/${name}`]: `${row.address} ${++row.attempts} ${(row.lastCode = code)}` };
      this.load.queue.delete(name);
      return { [`q/${name}`]: null };
    });
  }

  apply = async (): Promise<boolean> => {
    const name = `Name ${this.random.next()}`;
    const accounts = Array.from({ length: people }, (_, i) => ({ address: `p${i}@example.test`, name, password: 'none', quotaBytes: 0, enabled: true }));
    const applied = await this.load.ask('applyConfig', { document: JSON.stringify(documentOf({ accounts })) }, ['rev'], ({ rev }) => ({ rev }));
    return applied !== null;
  };
}

const each = (ranges: readonly number[]): number[] => {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) for (let uid = ranges[i] as number; uid <= (ranges[i + 1] as number); uid++) out.push(uid);
  return out;
};

/** The engine, telling of each commit before it is given to it. */
function telling(engine: Engine, say: (mark: Mark) => void, durable: (commit: number) => void): Engine {
  let sum = BigInt(`0x${digestOf(engine)}`);
  const siteKey = Buffer.from(encodeKey('site', {}));
  return {
    ...engine,
    async commit(writes, options) {
      let commit = 0;
      let next = sum;
      for (const [key, value] of writes) {
        const was = engine.get(key);
        if (was) next = addDigest(next, -rowDigest(key, was));
        if (value) next = addDigest(next, rowDigest(key, value));
        if (value && siteKey.equals(key)) ({ commit } = decodeRow('site', value));
      }
      say({ commit, digest: next.toString(16) });
      await engine.commit(writes, options);
      sum = next;
      durable(commit);
    },
  };
}

const [engineName = '', folder = '', marks = '', seed = '1', commands = '100', ending = 'end'] = process.argv.slice(2);
const fd = openSync(marks, 'a');
const say = (mark: Mark): void => void writeSync(fd, `${JSON.stringify(mark)}\n`);
let durable = 0;
const { engine } = await engineRow(engineName).open(folder);
const running = await run(
  realWorld(() => {}),
  storage,
  telling(engine, say, (commit) => (durable = commit)),
);
void running.crashed.then((error) => {
  writeSync(2, `the store crashed: ${String(error)}\n`);
  process.exit(1);
});
const random = new Random(Number(seed));
const load = new Load(local<P['calls'], P['events']>(running), engine, say, () => durable);
const operator = new Operator(load, new Random(random.next()));
/** A full disk is for a while. */
const applied = async (): Promise<void> => {
  for (let tries = 0; !(await operator.apply()); await Bun.sleep(100)) if (++tries === 150) throw new Error('service does not return');
};
await applied();
engine.refresh();
const workers = [operator, ...Array.from({ length: people - 1 }, (_, i) => new Worker(load, new Random(random.next()), i + 1))];
let left = Number(commands);
await Promise.all(
  workers.map(async (worker) => {
    while (left-- > 0) await worker.step();
    if (ending === 'kill') process.kill(process.pid, 'SIGKILL');
  }),
);
await applied();
process.exit(0);
