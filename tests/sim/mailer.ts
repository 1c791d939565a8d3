// Everything that can happen to the rows of a site, in any order: mail comes and goes, folders and documents change,
// bodies are streamed and given up. Messages to alice stay; they are written down with when they were acknowledged.

import { LinkLost } from '../../actors/actor.ts';
import { isRefusal } from '../../actors/wire.ts';
import { contentOf } from '../../protocols/mime/intake.ts';
import type { Site } from '../../protocols/site.ts';
import { mailboxByName } from '../../storage/views.ts';
import type { Branch } from './branch.ts';
import { accounts, compose } from './mail.ts';
import type { Random } from './random.ts';

const day = 24 * 3_600_000;
const bob = 2;
const folders = ['Work', 'Archive', 'Work/Old'] as const;

export class Mailer {
  private readonly random: Random;
  private readonly document: string;
  /** Of bodies so big and so random that they fill packs. */
  private readonly bigChance: number;
  private sent = 0;

  constructor(random: Random, document: string, bigChance: number) {
    this.random = random;
    this.document = document;
    this.bigChance = bigChance;
  }

  /** One change. Rejects with LinkLost. */
  async change({ store, view, world }: Site, branch: Branch): Promise<void> {
    const { random } = this;
    const now = world.now();
    view.refresh();
    const inbox = mailboxByName(view, bob, 'INBOX');
    const uids = inbox ? [random.between(1, inbox.uidNext), inbox.uidNext + 3] : [];
    const mailbox = inbox?.id ?? 0;
    const changes = [
      () => this.deliver(store, branch, now),
      () => this.deliver(store, branch, now),
      () =>
        store.ask('append', { now, account: bob, mailbox: 'INBOX', flags: random.below(8), keywords: [], internalDate: now, content: this.content('to bob') }),
      () => store.ask('append', { now, account: bob, mailbox: 'INBOX', flags: 0, keywords: ['$Work'], internalDate: now, content: this.content('to bob') }),
      () => store.ask('store', { account: bob, mailbox, uids, mode: 'add', flags: random.pick([1, 2, 4, 8]), keywords: [], unchangedSince: null }),
      () => store.ask('copy', { now, account: bob, mailbox, uids, target: random.pick(folders), move: random.chance(0.5) }),
      async () => {
        await store.ask('store', { account: bob, mailbox, uids, mode: 'add', flags: 8, keywords: [], unchangedSince: null });
        return store.ask('expunge', { account: bob, mailbox, uids });
      },
      () => store.ask('createMailbox', { now, account: bob, name: random.pick(folders), specialUse: '' }),
      () => store.ask('deleteMailbox', { account: bob, name: random.pick(folders) }),
      () => store.ask('renameMailbox', { now, account: bob, from: random.pick(folders), to: `Kept ${random.below(3)}` }),
      () => store.ask('applyConfig', { now, document: this.configured() }),
      () => this.stream(store, now),
      () => store.ask('collect', { now, transferAgeMs: random.pick([0, 60_000]) }),
    ];
    await random.pick(changes)();
  }

  private async deliver(store: Site['store'], branch: Branch, now: number): Promise<void> {
    const { random } = this;
    const id = `n${++this.sent}`;
    const promised = { askedAt: branch.commit, ackedAt: null as number | null };
    branch.promised.set(id, promised);
    const remote = random.chance(0.3) ? [{ address: 'good1@remote.test', notify: 0, orcpt: '' }] : [];
    const local = [{ account: 1, mailbox: 'INBOX', flags: 0 }, ...(random.chance(0.4) ? [{ account: bob, mailbox: random.pick(folders), flags: 0 }] : [])];
    const rest = {
      ret: '',
      envid: '',
      smtputf8: false,
      eightBit: false,
      skip: 0,
      account: 0,
      origin: { session: '', ip: '192.0.2.9', helo: '', tls: '', named: [] },
    } as const;
    const mails = [{ envelopeFrom: 'x@elsewhere.test', content: this.content(id), local, remote, ...rest }];
    const answer = await store.ask('deliver', { now, expiryMs: day, mails });
    if (!isRefusal(answer)) promised.ackedAt = branch.commit;
  }

  /** The same text is the same body. */
  private content(id: string): ReturnType<typeof contentOf> {
    const { random } = this;
    const big = random.chance(this.bigChance);
    const lines = big ? [Buffer.from(random.octets(random.between(50_000, 150_000))).toString('base64')] : [];
    const text = Buffer.from(compose(id, accounts[0], [accounts[1]], random, false).content);
    return contentOf(
      new Uint8Array(
        Buffer.concat([id === 'to bob' && random.chance(0.5) ? Buffer.from('Subject: the same\r\n\r\n') : text, ...lines.map((l) => Buffer.from(l))]),
      ),
    );
  }

  private configured(): string {
    const first = JSON.parse(this.document) as { readonly aliases: readonly object[] };
    return JSON.stringify({ ...first, aliases: [...first.aliases, { address: `extra${this.random.below(5)}@example.test`, to: ['alice@example.test'] }] });
  }

  /** A body ahead of its message: claimed, dropped, or left. */
  private async stream(store: Site['store'], now: number): Promise<void> {
    const content = this.content('streamed');
    const begun = await store.ask('beginTransfer', { now });
    if (isRefusal(begun)) return;
    const { transfer } = begun;
    const until = this.random.pick([1, content.chunks.length]);
    await store.ask('appendTransfer', { transfer, first: 0, chunks: content.chunks.slice(0, until) });
    if (until < content.chunks.length || this.random.chance(0.3)) return;
    if (this.random.chance(0.3)) await store.ask('dropTransfer', { transfer });
    else
      await store.ask('append', {
        now,
        account: bob,
        mailbox: 'INBOX',
        flags: 0,
        keywords: [],
        internalDate: now,
        content: { ...content, transfer, chunks: [] },
      });
  }
}

/** What lost its store too long ago has lost it. */
export const patient = <T>(work: Promise<T>, sleep: (ms: number) => Promise<void>): Promise<T> =>
  Promise.race([
    work,
    sleep(60_000).then((): never => {
      throw new LinkLost('store');
    }),
  ]);
