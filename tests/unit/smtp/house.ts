// A site for tests of SMTP: the real store on an engine in memory, hashes that cost nothing, connections in memory.

import { type Address, local, run } from '../../../actors/actor.ts';
import type { ListenerKind, Site, WorkProtocol } from '../../../protocols/site.ts';
import { refusalGatherer } from '../../../protocols/smtp/refusals.ts';
import { smtpSession } from '../../../protocols/smtp/session.ts';
import { storage } from '../../../storage/actor.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { accountByAddress, blob, body, mailboxByName, mailboxes, pages, type QueuedView, queue } from '../../../storage/views.ts';
import { End, FakeWorld, settle } from '../outbound/network.ts';
import { freshEngine } from '../engine.ts';

export { settle };
export const alice = 'alice@our.test';
export const bob = 'bob@our.test';

/** What fakeHash makes of a password looks like bcrypt, as far as the document can tell. */
export const fakeHash = (password: string): string => `$2b$10$${Buffer.from(password).toString('hex').padEnd(53, '0').slice(0, 53)}`;

const account = (address: string, password: string, more: object = {}): object => ({
  address,
  name: '',
  password: fakeHash(password),
  quotaBytes: 0,
  enabled: true,
  ...more,
});

const document = {
  schema: 1,
  host: 'mail.our.test',
  domains: [
    { name: 'our.test', aliasOf: null, catchAll: null, subaddress: '+' },
    { name: 'also.test', aliasOf: 'our.test', catchAll: null, subaddress: '+' },
    { name: 'all.test', aliasOf: null, catchAll: alice, subaddress: '+' },
  ],
  accounts: [
    account(alice, 'wonder'),
    account(bob, 'builder'),
    account('small@our.test', 'small', { quotaBytes: 2_000 }),
    account('off@our.test', 'off', { enabled: false }),
  ],
  aliases: [
    { address: 'both@our.test', to: [alice, bob] },
    { address: 'away@our.test', to: ['far@remote.test'] },
    { address: 'mixed@our.test', to: [alice, 'far@remote.test'] },
  ],
  outbound: { relays: [] },
  network: { resolvers: [] },
  snapshots: null,
};

export interface House {
  readonly world: FakeWorld;
  readonly site: Site & { plaintextOnLoopback: boolean };
  readonly store: Address<StoreProtocol>;
  /** Hashes that were computed. */
  readonly hashed: string[];
  /** Replaces the store behind the site, once: for refusals and lost links. */
  ask: Address<StoreProtocol>['ask'] | null;
  dial(name?: ListenerKind['name'], from?: string): Client;
  /** The messages of a folder, oldest first. */
  folder(address?: string, name?: string): string[];
  queued(): QueuedView[];
}

export async function house(): Promise<House> {
  const world = new FakeWorld();
  const engine = await freshEngine();
  const store = local(await run(world, storage, engine)) as Address<StoreProtocol>;
  const applied = await store.ask('applyConfig', { now: world.now(), document: JSON.stringify(document) });
  if ('refused' in applied) throw new Error(JSON.stringify(applied));
  const hashed: string[] = [];
  const work = {
    on: () => () => {},
    async ask(_kind: string, { password, hash }: { password: string; hash: string }) {
      hashed.push(password);
      await settle(2);
      return { ok: hash === fakeHash(password), better: '' };
    },
  } as unknown as Address<WorkProtocol>;
  const changes = { mailbox: () => () => {}, account: () => () => {} };
  const h: House = {
    world,
    store,
    hashed,
    ask: null,
    site: {
      world,
      view: engine,
      changes,
      work,
      refused: refusalGatherer(world, store),
      plaintextOnLoopback: false,
      store: { on: store.on, ask: (kind, message) => (h.ask ?? store.ask)(kind, message) },
    },
    dial: (name = 'smtp', from = '192.0.2.7') => new Client(h, { name, tls: name === 'submissions' }, from),
    folder(address = alice, name = 'INBOX') {
      const found = accountByAddress(engine, address);
      const box = found && mailboxByName(engine, found.account, name);
      if (!box) throw new Error(`${address} has no ${name}: ${found ? mailboxes(engine, found.account).map((m) => m.name) : 'no account'}`);
      const out: string[] = [];
      for (const page of pages(engine, box.id, 1, 2 ** 32 - 1)) {
        for (const entry of page) out.push(Buffer.concat([...body(engine, entry.blob, 0, blob(engine, entry.blob)?.size ?? 0)]).toString());
      }
      return out;
    },
    queued: () => [...queue(engine)],
  };
  return h;
}

/** A client that writes what it is told and hands back what came. */
export class Client {
  readonly end: End;
  /** The session's own end of things. */
  readonly session: Promise<void>;
  writes = 0;
  private readonly server: End;
  private heard = '';

  constructor(house: House, listener: ListenerKind, from: string) {
    const near = { address: from, port: 40_000 };
    const here = { address: '192.0.2.1', port: 25 };
    const host = { serve: 'silent' as const };
    this.end = new End(near, here, host);
    this.server = new End(here, near, host);
    this.end.peer = this.server;
    this.server.peer = this.end;
    if (listener.tls) this.server.tls = { protocol: 'TLSv1.3', cipher: 'FAKE', authorized: false };
    this.session = smtpSession(house.site, this.server, listener);
    void this.listen();
  }

  private async listen(): Promise<void> {
    for (let bytes = await this.end.read(); bytes !== null; bytes = await this.end.read()) {
      this.heard += Buffer.from(bytes).toString();
      this.writes++;
    }
  }

  get closed(): boolean {
    return this.end.closed || this.server.closed;
  }
  get secured(): boolean {
    return this.server.tls !== null;
  }

  /** Writes `text` as it is, and hands back what came since the last call. */
  async raw(text: string | Uint8Array): Promise<string> {
    this.end.write(typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'utf8')) : text);
    return this.heardNow();
  }
  /** Writes lines. */
  say(...lines: string[]): Promise<string> {
    return this.raw(lines.map((line) => `${line}\r\n`).join(''));
  }
  async heardNow(): Promise<string> {
    await settle(12);
    const heard = this.heard;
    this.heard = '';
    return heard;
  }
  /** The codes of replies, enhanced where there is one. */
  async codes(...lines: string[]): Promise<string[]> {
    return codesOf(await this.say(...lines));
  }
}

export const codesOf = (text: string): string[] =>
  text
    .split('\r\n')
    .filter((line) => line !== '' && line[3] !== '-')
    .map((line) => /^[0-9]{3}(?: [245]\.[0-9]{1,3}\.[0-9]{1,3})?/.exec(line)?.[0] ?? line);

/** A client that has said EHLO and heard the answer. */
export async function greeted(h: House, name: ListenerKind['name'] = 'smtp', from?: string): Promise<Client> {
  const c = h.dial(name, from);
  await c.say('EHLO client.test');
  return c;
}

export const plain = (login: string, password: string, authzid = ''): string => Buffer.from(`${authzid}\0${login}\0${password}`).toString('base64');

/** A client that has logged in for submission. */
export async function loggedIn(h: House, login = alice, password = 'wonder'): Promise<Client> {
  const c = await greeted(h, 'submissions');
  const reply = await c.say(`AUTH PLAIN ${plain(login, password)}`);
  if (!reply.startsWith('235')) throw new Error(reply);
  return c;
}
