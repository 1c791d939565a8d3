// A store for the tests of storage: the real actor and handlers over the engine of tests (../engine.ts), with a world whose
// clock stands still until it is told, and a check that runs after each test that asks for it.

import { type Address, local, run } from '../../../actors/actor.ts';
import { limits } from '../../../actors/limits.ts';
import { type Answer, type Ask, isRefusal } from '../../../actors/wire.ts';
import type { World } from '../../../actors/world.ts';
import { storage } from '../../../storage/actor.ts';
import { check } from '../../../storage/check.ts';
import type { Document } from '../../../storage/document.ts';
import type { Engine } from '../../../storage/engine.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { type MailboxView, mailboxByName, mailboxes, pages } from '../../../storage/views.ts';
import { freshEngine, type TestEngine } from '../engine.ts';

export type Content = Ask<StoreProtocol, 'append'>['content'];
export type Mail = Ask<StoreProtocol, 'deliver'>['mails'][number];
type P = StoreProtocol;

export interface TestWorld extends World {
  time: number;
  readonly logged: { event: string; fields: Readonly<Record<string, unknown>> }[];
}

export function testWorld(): TestWorld {
  let seed = 7;
  const world: TestWorld = {
    time: 1_700_000_000_000,
    logged: [],
    now: () => world.time,
    monotonicMs: () => world.time,
    random: (octets) => new Uint8Array(octets).map(() => (seed = (seed * 48_271) % 2_147_483_647) & 255),
    after: (ms, step) => {
      const timer = setTimeout(step, ms);
      return { cancel: () => clearTimeout(timer) };
    },
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
    connect: () => Promise.reject(new Error('no network')),
    exchange: () => Promise.reject(new Error('no network')),
    log: (event, fields) => void world.logged.push({ event, fields }),
  };
  return world;
}

export const documentOf = (change: Partial<Document> = {}): Document => ({
  schema: 1,
  host: 'mail.example.test',
  domains: [{ name: 'example.test', aliasOf: null, catchAll: null, subaddress: '+' }],
  accounts: ['alice', 'bob'].map((name) => ({ address: `${name}@example.test`, name, password: `hash of ${name}`, quotaBytes: 0, enabled: true })),
  aliases: [],
  outbound: { relays: [] },
  network: { resolvers: [] },
  snapshots: null,
  ...change,
});

/** A message whose octets follow from `text`, as the intake would hand it over. */
export function contentOf(text: string, size = 0): Content {
  const header = Buffer.from(`Subject: ${text}\r\n\r\n`);
  const body = Buffer.alloc(Math.max(0, size - header.length), text === '' ? 'x' : text);
  return contentOfParts(header, body);
}

export function contentOfParts(header: Uint8Array, body: Uint8Array): Content {
  const raw = Buffer.concat([header, body]);
  const first = Math.min(header.length, limits.chunk);
  const chunks: Uint8Array[] = [raw.subarray(0, first)];
  for (let at = first; at < raw.length; at += limits.chunk) chunks.push(raw.subarray(at, at + limits.chunk));
  const texts = { envelope: Buffer.from('("envelope")'), structure: Buffer.from('("structure")'), body: Buffer.from('("body")'), parts: new Uint8Array([1]) };
  return {
    hash: new Uint8Array(new Bun.CryptoHasher('sha256').update(raw).digest()),
    size: raw.length,
    headerSize: header.length,
    transfer: 0,
    chunks: chunks.map((c) => {
      const chunk = new Uint8Array(c.length + 1);
      chunk.set(c, 1);
      return chunk;
    }),
    chunkCount: chunks.length,
    info: { ...texts, sentDate: null, messageId: '<1@example.test>', references: [], subject: 'subject' },
  };
}

export const mailOf = (content: Content, to: readonly (readonly [account: number, mailbox: string])[], remote: readonly string[] = []): Mail => ({
  envelopeFrom: 'sender@elsewhere.test',
  content,
  local: to.map(([account, mailbox]) => ({ account, mailbox, flags: 0 })),
  remote: remote.map((address) => ({ address, notify: 0, orcpt: '' })),
  ret: '',
  envid: '',
  smtputf8: false,
  eightBit: false,
  skip: 0,
  account: 0,
  origin: { session: 's.1', ip: '192.0.2.9', helo: 'client.test', tls: '', named: [] },
});

type AskOf<K extends keyof P['calls']> = Ask<P, K>;
type Timed = { readonly now: number };
export interface TestStore {
  readonly world: TestWorld;
  readonly engine: TestEngine;
  readonly address: Address<P> & { gone(): void };
  readonly crashed: Promise<unknown>;
  /** Asks and expects an answer. `now` and `expiryMs` are filled in. */
  ok<K extends keyof P['calls'] & string>(kind: K, ask: Omit<AskOf<K>, 'now' | 'expiryMs'> & Partial<Timed>): Promise<Answer<P, K>>;
  /** Asks and expects a refusal: its code. */
  no<K extends keyof P['calls'] & string>(kind: K, ask: Omit<AskOf<K>, 'now' | 'expiryMs'> & Partial<Timed>): Promise<string>;
  mailbox(account: number, name: string): MailboxView;
  names(account: number): string[];
  /** UID, flags and keywords of every message. */
  messages(account: number, name: string): { uid: number; flags: number; keywords: string[]; modseq: number; blob: number; size: number }[];
  problems(): string[];
  /** Sends the chunks of a content ahead of it. */
  stream(content: Content, until?: number): Promise<Content>;
  connect(): Address<P> & { gone(): void };
}

/** Starts a store with two accounts: 1 is alice, 2 is bob. */
export async function testStore(options: { engine?: TestEngine; wrap?: (engine: Engine) => Engine; document?: Document | null } = {}): Promise<TestStore> {
  const world = testWorld();
  const engine = options.engine ?? (await freshEngine());
  const running = await run(world, storage, options.wrap?.(engine) ?? engine);
  const connect = () => local<P['calls'], P['events']>(running);
  const address = connect();
  const ask = (kind: string, message: object): Promise<object> => address.ask(kind as 'store', { now: world.time, expiryMs: 1_000_000, ...message } as never);
  const store: TestStore = {
    world,
    engine,
    address,
    crashed: running.crashed,
    connect,
    async ok(kind, message) {
      const answer = await ask(kind, message);
      if (isRefusal(answer)) throw new Error(`${kind} refused: ${answer.refused} ${answer.detail}`);
      return answer as never;
    },
    async no(kind, message) {
      const answer = await ask(kind, message);
      if (!isRefusal(answer)) throw new Error(`${kind} was not refused: ${JSON.stringify(answer)}`);
      return answer.refused;
    },
    mailbox(account, name) {
      const found = mailboxByName(engine, account, name);
      if (!found) throw new Error(`no mailbox ${name}`);
      return found;
    },
    names: (account) => mailboxes(engine, account).map((m) => m.name),
    messages(account, name) {
      const box = store.mailbox(account, name);
      return [...pages(engine, box.id, 1, box.uidNext)]
        .flat()
        .map(({ keywords, internalDate: _, ...e }) => ({ ...e, keywords: box.keywords.filter((_, p) => Math.floor(keywords / 2 ** p) % 2 === 1) }));
    },
    async stream(content, until = content.chunks.length) {
      const { transfer } = await store.ok('beginTransfer', {});
      for (let first = 0; first < until; first += 32)
        await store.ok('appendTransfer', { transfer, first, chunks: content.chunks.slice(first, Math.min(until, first + 32)) });
      return { ...content, transfer, chunks: [] };
    },
    problems: () => check(engine, { deep: true }).problems.map((p) => `${p.rule}: ${p.what}`),
  };
  if (options.document !== null) await store.ok('applyConfig', { document: JSON.stringify(options.document ?? documentOf()) });
  return store;
}
