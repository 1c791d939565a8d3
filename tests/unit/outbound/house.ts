// A site for tests of the queue: the real store on an engine in memory, a world of the test's own, and what one wants to
// ask of both.

import { type Address, LinkLost, local, run } from '../../../actors/actor.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { contentOf, Intake } from '../../../protocols/mime/intake.ts';
import type { Addresses, MailExchanges, Resolver } from '../../../protocols/dns/resolver.ts';
import type { Keyring } from '../../../protocols/dkim/keyring.ts';
import type { Site, WorkProtocol } from '../../../protocols/site.ts';
import type { Mail } from '../../../protocols/smtp/bounce.ts';
import { runOutbound } from '../../../protocols/smtp/outbound.ts';
import { storage } from '../../../storage/actor.ts';
import { validateDocument } from '../../../storage/document.ts';
import { accountByAddress, body, blob, mailboxByName, pages, queue } from '../../../storage/views.ts';
import { limits } from '../../../actors/limits.ts';
import { dkimKeys } from '../../sim/dkimkeys.ts';
import { FakeWorld } from './network.ts';
import { freshEngine } from '../engine.ts';

export const alice = 'alice@our.test';

interface Rows {
  readonly domains?: readonly object[];
  readonly accounts?: readonly object[];
  readonly aliases?: readonly object[];
  readonly relays?: readonly object[];
}
function documentText(rows: Rows): string {
  const found = validateDocument(
    JSON.stringify({
      schema: 1,
      host: 'mail.our.test',
      domains: [{ name: 'our.test', aliasOf: null, catchAll: null, subaddress: '+' }, ...(rows.domains ?? [])],
      accounts: [accountRow(alice), ...(rows.accounts ?? [])],
      aliases: rows.aliases ?? [],
      outbound: { relays: rows.relays ?? [] },
      network: { resolvers: [] },
      snapshots: null,
    }),
  );
  if (!found.ok) throw new Error(JSON.stringify(found.errors));
  return JSON.stringify(found.document);
}
export const accountRow = (address: string, more: object = {}): object => ({
  address,
  name: '',
  password: `$2b$10$${'a'.repeat(53)}`,
  quotaBytes: 0,
  enabled: true,
  ...more,
});

export interface House {
  readonly world: FakeWorld;
  readonly site: Site;
  readonly store: Address<StoreProtocol>;
  /** MX hosts by domain; `null`, `notFound` and `failed` as such. */
  readonly zone: Map<string, MailExchanges>;
  readonly hosts: Map<string, Addresses>;
  apply(rows: Rows): Promise<void>;
  submit(mail: Partial<Mail>, text?: string): Promise<number>;
  /** Messages in an INBOX, oldest first. */
  inbox(address?: string): string[];
  /** What is left in the queue. */
  left(): { to: string; attempts: number; due: number; code: string; error: string; warned: boolean }[];
  /** `keys`: else the same ones for every domain. */
  startOutbound(site?: Site, keys?: Keyring): void;
}

const orFail = <T extends object>(answer: T): Exclude<T, { refused: string }> => {
  if ('refused' in answer) throw new Error(JSON.stringify(answer));
  return answer as Exclude<T, { refused: string }>;
};

export async function house(rows: Rows = {}): Promise<House> {
  const world = new FakeWorld();
  const engine = await freshEngine();
  const running = await run(world, storage, engine);
  const store = local(running) as Address<StoreProtocol>;
  const site = siteOf(world, store, engine);
  const zone = new Map<string, MailExchanges>();
  const hosts = new Map<string, Addresses>();
  const resolver: Resolver = {
    mx: async (domain) => zone.get(domain) ?? { kind: 'found', implicit: false, hosts: [{ preference: 10, host: `mx.${domain}` }] },
    addresses: async (host) => hosts.get(host) ?? { kind: 'found', addresses: ['192.0.2.1'] },
    txt: async () => ({ kind: 'notFound' }),
    records: async () => ({ kind: 'none', aliases: [], authentic: false }),
  };
  const apply = async (more: Rows): Promise<void> => void orFail(await store.ask('applyConfig', { now: world.now(), document: documentText(more) }));
  await apply(rows);
  await store.ask('subscribe', {});
  return {
    world,
    site,
    store,
    zone,
    hosts,
    apply,
    async submit(mail, text = 'Subject: hello\r\nMessage-ID: <1@our.test>\r\n\r\nhello\r\n') {
      const prefix = `Return-Path: <${mail.envelopeFrom ?? alice}>\r\n`;
      const whole: Mail = {
        envelopeFrom: alice,
        content: await contentIn(world, store, Buffer.from(prefix + text)),
        local: [],
        remote: [remote('bob@remote.test')],
        ret: '',
        envid: '',
        smtputf8: false,
        eightBit: false,
        skip: prefix.length,
        account: 1,
        origin: { session: 's.1', ip: '192.0.2.9', helo: 'client.test', tls: '', named: [] },
        ...mail,
      };
      const answer = orFail(await store.ask('deliver', { now: world.now(), expiryMs: limits.queueExpiryMs, mails: [whole] }));
      return answer.queues[0] as number;
    },
    inbox(address = alice) {
      const found = accountByAddress(engine, address);
      const box = found && mailboxByName(engine, found.account, 'INBOX');
      const out: string[] = [];
      if (!box) return out;
      for (const page of pages(engine, box.id, 1, 2 ** 32 - 1)) {
        for (const entry of page) out.push(Buffer.concat([...body(engine, entry.blob, 0, blob(engine, entry.blob)?.size ?? 0)]).toString());
      }
      return out;
    },
    left: () =>
      [...queue(engine)].flatMap((q) =>
        q.recipients.map(({ row }) => ({
          to: row.address,
          attempts: row.attempts,
          due: row.due,
          code: row.lastCode,
          error: row.lastError,
          warned: row.warned,
        })),
      ),
    startOutbound: (at = site, keys = fixedKeys) => void runOutbound(at, resolver, keys),
  };
}

async function contentIn(world: FakeWorld, store: Address<StoreProtocol>, bytes: Uint8Array): Promise<Mail['content']> {
  if (bytes.length <= limits.inlineBody) return contentOf(bytes);
  const intake = new Intake(world, store);
  await intake.write(bytes);
  return intake.finish();
}
export const remote = (address: string, notify = 0, orcpt = ''): Mail['remote'][number] => ({ address, notify, orcpt });

export function siteOf(world: FakeWorld, store: Address<StoreProtocol>, view: Site['view']): Site {
  const work: Address<WorkProtocol> = { ask: () => Promise.reject(new LinkLost('work')), on: () => () => {} };
  return { world, store, work, view, changes: { mailbox: () => () => {}, account: () => () => {} }, refused: () => {}, plaintextOnLoopback: false };
}

const fixedKeys: Keyring = {
  current: async () => [
    { selector: 's1', algorithm: 'rsa', privateKey: dkimKeys.rsaPrivate },
    { selector: 's2', algorithm: 'ed25519', privateKey: dkimKeys.ed25519Private },
  ],
  keep: async () => true,
};

/** The same store through a link that a test may break. */
export function through(store: Address<StoreProtocol>, ask: Address<StoreProtocol>['ask']): Address<StoreProtocol> {
  return { ask, on: (kind, run) => store.on(kind, run) };
}
