// A site for tests of IMAP: the real store on an engine in memory, hashes that cost nothing, connections in memory.

import { type Address, local, run } from '../../../actors/actor.ts';
import { realWorld } from '../../../actors/platform.ts';
import type { World } from '../../../actors/world.ts';
import { changeFeed } from '../../../protocols/feed.ts';
import { imapSession } from '../../../protocols/imap/session.ts';
import { contentOf } from '../../../protocols/mime/intake.ts';
import type { ListenerKind, Site, WorkProtocol } from '../../../protocols/site.ts';
import { storage } from '../../../storage/actor.ts';
import type { Engine } from '../../../storage/engine.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { accountByAddress } from '../../../storage/views.ts';
import type { Transport } from '../../dialogs/run.ts';
import { type MemoryEnd, memoryPair } from './pair.ts';
import { freshEngine } from '../engine.ts';

export const fakeHash = (password: string): string => `$2b$10$${Buffer.from(password).toString('hex').padEnd(53, '0').slice(0, 53)}`;

export interface House {
  readonly site: Site & { plaintextOnLoopback: boolean };
  readonly store: Address<StoreProtocol>;
  readonly engine: Engine;
  /** Stands before the store: for refusals and lost links. */
  ask: Address<StoreProtocol>['ask'] | null;
  account(address?: string): number;
  apply(more?: object): Promise<void>;
  dial(from?: string, tls?: boolean): Client;
  /** Another process of the same site. `delay`: what its link takes, in ms; order is kept, as on a socket. */
  edge(delay: () => number): Promise<House>;
  /** Sessions that crashed. */
  readonly crashed: unknown[];
}

const account = (name: string, more: object = {}): object => ({
  address: `${name}@our.test`,
  name: '',
  password: fakeHash(name),
  quotaBytes: 0,
  enabled: true,
  ...more,
});

const documentOf = (more: object): string =>
  JSON.stringify({
    schema: 1,
    host: 'mail.our.test',
    domains: [{ name: 'our.test', aliasOf: null, catchAll: null, subaddress: '+' }],
    accounts: [account('alice'), account('bob'), account('small', { quotaBytes: 2_000 })],
    aliases: [],
    outbound: { relays: [] },
    network: { resolvers: [] },
    snapshots: null,
    ...more,
  });

export async function house(given?: Engine): Promise<House> {
  const engine = given ?? (await freshEngine());
  const real = realWorld(() => {});
  // A wrong password costs a second; not here
  const world: World = { ...real, sleep: (ms) => (ms === 0 ? new Promise((done) => setImmediate(done)) : real.sleep(Math.min(ms, 5))) };
  const running = await run(world, storage, engine);
  const crashed: unknown[] = [];
  const h = await edgeOf(world, engine, crashed, running, undefined);
  await h.apply();
  return h;
}

type Deliver = (what: string, step: () => void) => void;

/** One process: its link to the store, its feed. */
async function edgeOf(
  world: World,
  engine: Engine,
  crashed: unknown[],
  running: Awaited<ReturnType<typeof run>>,
  deliver: Deliver | undefined,
): Promise<House> {
  const store = local(running as never, deliver) as unknown as Address<StoreProtocol>;
  const changes = changeFeed(world, store);
  const work = {
    on: () => () => {},
    ask: async (_kind: string, { password, hash }: { password: string; hash: string }) => ({ ok: hash === fakeHash(password), better: '' }),
  } as unknown as Address<WorkProtocol>;
  const h: House = {
    store,
    engine,
    ask: null,
    crashed,
    site: {
      world,
      view: engine,
      changes,
      work,
      refused: () => {},
      plaintextOnLoopback: true,
      store: { on: store.on, ask: (kind, message) => (h.ask ?? store.ask)(kind, message) },
    },
    account: (address = 'alice@our.test') => accountByAddress(engine, address)?.account ?? 0,
    async apply(more = {}) {
      const applied = await store.ask('applyConfig', { now: world.now(), document: documentOf(more) });
      if ('refused' in applied) throw new Error(JSON.stringify(applied));
    },
    dial: (from, tls = false) => new Client(h, from, tls),
    edge: (delay) => edgeOf(world, engine, crashed, running, inOrder(delay)),
  };
  await changes.resume();
  return h;
}

/** Delivers each step after its delay and after those before it. */
function inOrder(delay: () => number): Deliver {
  let last: Promise<void> = Promise.resolve();
  return (_what, step) => {
    const ms = delay();
    last = last.then(async () => {
      if (ms > 0) await new Promise((done) => setTimeout(done, ms));
      step();
    });
  };
}

/** A client that says lines and hands back what it hears up to the tagged reply. */
export class Client {
  readonly end: MemoryEnd;
  readonly server: MemoryEnd;
  readonly session: Promise<void>;
  private rest = '';
  private tags = 0;
  private waiting: (() => void) | null = null;
  closed = false;
  paused = false;

  constructor(h: House, from?: string, tls = false) {
    const { server, client } = memoryPair(from);
    this.end = client;
    this.server = server;
    if (tls) server.tls = { protocol: 'TLSv1.3', cipher: 'TEST', authorized: false };
    const listener: ListenerKind = { name: tls ? 'imaps' : 'imap', tls };
    this.session = imapSession(h.site, server, listener).catch((error: unknown) => {
      h.crashed.push(error);
      server.destroy();
    });
    void this.listen();
  }

  private async listen(): Promise<void> {
    for (;;) {
      while (this.paused) await new Promise((done) => setTimeout(done, 5));
      const bytes = await this.end.read();
      if (bytes === null) break;
      this.rest += Buffer.from(bytes).toString('latin1');
      this.waiting?.();
    }
    this.closed = true;
    this.waiting?.();
  }

  write(text: string | Uint8Array): void {
    this.end.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Everything heard up to and with the first line that matches. Throws when it does not come. */
  async until(pattern: RegExp): Promise<string> {
    for (const end = Date.now() + 20_000; ; ) {
      const match = pattern.exec(this.rest);
      if (match) {
        const at = this.rest.indexOf('\n', match.index + match[0].length - 1) + 1 || this.rest.length;
        const heard = this.rest.slice(0, at);
        this.rest = this.rest.slice(at);
        return heard;
      }
      if (this.closed || Date.now() > end) throw new Error(`${pattern} did not come: ${JSON.stringify(this.rest.slice(-2000))}`);
      await new Promise<void>((done) => {
        const timer = setTimeout(done, 100);
        this.waiting = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
  }

  /** Says a command and hands back all lines up to its tagged reply. */
  async say(command: string): Promise<string> {
    const tag = `t${++this.tags}`;
    this.write(`${tag} ${command}\r\n`);
    return this.until(new RegExp(`^${tag} .*\\r$`, 'm'));
  }

  /** What has come and was not asked for. */
  async heard(ms = 30): Promise<string> {
    await new Promise((done) => setTimeout(done, ms));
    const heard = this.rest;
    this.rest = '';
    return heard;
  }

  async login(name = 'alice'): Promise<this> {
    await this.until(/^\* OK .*\r$/m);
    const reply = await this.say(`LOGIN ${name}@our.test ${name}`);
    if (!/ OK /.test(reply)) throw new Error(reply);
    return this;
  }

  async append(mailbox: string, message: string, flags = ''): Promise<string> {
    return this.say(`APPEND ${mailbox} ${flags === '' ? '' : `(${flags}) `}{${Buffer.byteLength(message, 'latin1')}+}\r\n${message}`);
  }
}

export const message = (subject: string, body = 'Hello\r\n', more = ''): string =>
  `From: Ann <ann@else.test>\r\nTo: alice@our.test\r\nSubject: ${subject}\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <${subject.replace(/\W/g, '')}@else.test>\r\n${more}\r\n${body}`;

/** Puts messages into a folder without a session. */
export async function deliver(h: House, messages: readonly string[], mailbox = 'INBOX', flags = 0): Promise<void> {
  await Promise.all(
    messages.map(async (text) => {
      const answer = await h.store.ask('append', {
        now: h.site.world.now(),
        account: h.account(),
        mailbox,
        flags,
        keywords: [],
        internalDate: 1_000_000_000_000,
        content: contentOf(Buffer.from(text, 'latin1')),
      });
      if ('refused' in answer) throw new Error(answer.refused);
    }),
  );
}

/** A dialog's transport: an account in a fresh site. */
export async function inProcess(): Promise<Transport & { readonly house: House }> {
  const h = await house();
  return {
    house: h,
    user: 'alice@our.test',
    password: 'alice',
    async dial() {
      const { server, client } = memoryPair();
      void imapSession(h.site, server, { name: 'imap', tls: false }).catch((error: unknown) => {
        h.crashed.push(error);
        server.destroy();
      });
      return { write: (bytes) => client.write(bytes), read: () => client.read(), close: () => client.destroy() };
    },
  };
}
