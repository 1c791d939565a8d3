// The scrub: damage planted in each table is found, mended from what the row derives from or from a copy, and what cannot
// be mended stays on the list. After each mending the store is as it was, octet for octet or by `check`.

import { beforeEach, describe, expect, test } from 'vitest';
import type { Running } from '../../../actors/actor.ts';
import { check } from '../../../storage/check.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { encodeKey, getRow, type Key, prefixRange } from '../../../storage/rows.ts';
import { digestKey, marked } from '../../../storage/recount.ts';
import { listed, lookAt, scrubOnce, type Spare } from '../../../storage/scrub.ts';
import type { TableName } from '../../../storage/schema.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore } from './fixture.ts';
import { freshEngine } from '../engine.ts';

let store: TestStore;
let inbox: number;
let good: Map<string, Uint8Array>;
const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex');

beforeEach(async () => {
  store = await testStore();
  inbox = store.mailbox(1, 'INBOX').id;
  const both = [
    [1, 'INBOX'],
    [2, 'INBOX'],
  ] as const;
  await store.ok('deliver', { mails: [mailOf(contentOf('one', 20_000), both, ['x@one.test'])] });
  await store.ok('deliver', { mails: [mailOf(contentOf('two'), [[1, 'INBOX']])] });
  await store.ok('store', { account: 1, mailbox: inbox, uids: [2, 2], mode: 'add', flags: 9, keywords: ['Word'], unchangedSince: null });
  await store.ok('putCertificate', { host: 'mail.example.test', certificatePem: 'c', keyPem: 'k', notAfter: 1, selfSigned: true });
  await store.ok('authFailed', { windowMs: 1, keys: ['key'] });
  good = new Map([...store.engine.range(new Uint8Array([0]), new Uint8Array([255]))].map(([key, value]) => [hex(key), Uint8Array.from(value)]));
});

/** Everything as it was when `good` was taken. */
const spare: Spare = {
  row: async (key) => good.get(hex(key)) ?? null,
  body: (hash) => {
    const content = [contentOf('one', 20_000), contentOf('two')].find((c) => hex(c.hash) === hex(hash));
    return content === undefined
      ? null
      : (async function* () {
          for (const chunk of content.chunks) yield chunk.subarray(1);
        })();
  },
};
const infoOf = async () => contentOf('two').info;

async function scrub(options: { spare?: Spare; info?: boolean } = {}): Promise<void> {
  const served = {
    protocol: {} as never,
    crashed: store.crashed,
    receive: (kind: string, message: unknown) => store.address.ask(kind as 'collect', message as never),
  };
  await scrubOnce(store.world, store.engine, served as unknown as Running<StoreProtocol>, {
    spare: options.spare === undefined ? null : async () => options.spare as Spare,
    infoOf: options.info === false ? null : infoOf,
  });
}
/** Flips a bit of a stored row. */
async function flip<N extends TableName>(table: N, key: Key<N>): Promise<void> {
  const name = encodeKey(table, key);
  const stored = Uint8Array.from(store.engine.get(name) as Uint8Array);
  stored[stored.length - 1] = (stored.at(-1) as number) ^ 16;
  await store.engine.commit([[name, stored]]);
}
const lose = <N extends TableName>(table: N, key: Key<N>): Promise<void> => store.engine.commit([[encodeKey(table, key), null]]);
const same = (table: TableName, key: object): boolean => {
  const name = encodeKey(table, key as never);
  return hex(store.engine.get(name) ?? new Uint8Array(0)) === hex(good.get(hex(name)) ?? new Uint8Array(0));
};
const events = (): string[] => store.world.logged.map((l) => l.event).filter((e) => e === 'store.damaged' || e === 'store.healed');
const first = (): number => store.messages(1, 'INBOX')[0]?.blob ?? 0;
const hash = (): Uint8Array => (getRow(store.engine, 'blob', { blob: first() }) as { hash: Uint8Array }).hash;
const due = (): number => (getRow(store.engine, 'queueRecipient', { queue: 1, n: 0 }) as { due: number }).due;

test('a sound store has nothing to mend, and it is told when all was looked at', async () => {
  await scrub();
  expect([events(), listed(store.engine)]).toEqual([[], []]);
  expect(getRow(store.engine, 'scrub', {})).toMatchObject({ next: { length: 0 }, bodies: 2, found: 0, finishedAt: store.world.time });
  expect(check(store.engine, { deep: true }).problems).toEqual([]);
});

const derived: readonly [table: TableName, key: () => object][] = [
  ['domain', () => ({ name: 'example.test' })],
  ['address', () => ({ address: 'alice@example.test' })],
  ['account', () => ({ account: 1 })],
  ['mailboxName', () => ({ account: 1, name: 'INBOX' })],
  ['blob', () => ({ blob: first() })],
  ['hash', () => ({ hash: hash() })],
  ['queueDue', () => ({ due: due(), queue: 1, n: 0 })],
  ['subscription', () => ({ account: 1, name: 'INBOX' })],
  ['info', () => ({ blob: first() })],
];
describe('without a copy', () => {
  test.each(derived)('D1: a damaged row of %s is what it was', async (table, keyOf) => {
    const key = keyOf();
    await flip(table, key as never);
    expect(check(store.engine).found).toBeGreaterThan(0);
    await scrub();
    expect(same(table, key)).toBe(true);
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
    expect([events(), listed(store.engine)]).toEqual([['store.damaged', 'store.healed'], []]);
  });

  test.each(derived.filter(([table]) => table !== 'subscription'))('a table that is lost is made anew: %s', async (table) => {
    const { from, to } = prefixRange(table);
    await store.engine.commit([...store.engine.keys(from, to)].map((key) => [Uint8Array.from(key), null]));
    await scrub();
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });

  test('a mailbox has its messages and UIDs, and another UIDVALIDITY', async () => {
    const before = store.mailbox(1, 'INBOX');
    const messages = store.messages(1, 'INBOX').map(({ uid, flags, size }) => ({ uid, flags, size }));
    await flip('mailbox', { account: 1, mailbox: inbox });
    await scrub();
    const after = store.mailbox(1, 'INBOX');
    expect(after).toMatchObject({ exists: 2, unseen: before.unseen, bytes: before.bytes, uidNext: before.uidNext });
    expect(after.uidValidity).toBeGreaterThan(before.uidValidity);
    expect(store.messages(1, 'INBOX').map(({ uid, flags, size }) => ({ uid, flags, size }))).toEqual(messages);
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });

  test.each(['certificate', 'authFailure'] as const)('a row of %s goes: it is made anew by who needs it', async (table) => {
    await flip(table, (table === 'certificate' ? { host: 'mail.example.test' } : { key: 'key' }) as never);
    await scrub();
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
    expect(events()).toEqual(['store.damaged', 'store.healed']);
  });

  test.each(['page', 'queue', 'queueRecipient', 'config'] as const)('a row of %s stays on the list, and check says so', async (table) => {
    const keys = { page: { mailbox: inbox, page: 0 }, queue: { queue: 1 }, queueRecipient: { queue: 1, n: 0 }, config: {} };
    await flip(table, keys[table] as never);
    await scrub();
    await scrub();
    expect(listed(store.engine)).toMatchObject([{ table, foundAt: store.world.time }]);
    expect(check(store.engine).problems.some((p) => p.what.includes(`${table} ${hex(encodeKey(table, keys[table] as never))} is damaged and not mended`))).toBe(
      true,
    );
    expect(events()).toEqual(['store.damaged']);
    // and a copy that comes later mends it
    await scrub({ spare });
    expect([same(table, keys[table]), listed(store.engine)]).toEqual([true, []]);
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });
});

describe('with a copy', () => {
  test.each(['account', 'mailbox', 'page', 'queue', 'queueRecipient', 'config', 'certificate', 'authFailure', 'blob', 'info'] as const)(
    'D1: every row of %s is what it was',
    async (table) => {
      const { from, to } = prefixRange(table);
      const keys = [...store.engine.keys(from, to)].map((key) => Uint8Array.from(key));
      for (const key of keys) {
        const stored = Uint8Array.from(store.engine.get(key) as Uint8Array);
        stored[7] = (stored[7] as number) ^ 1;
        await store.engine.commit([[key, stored]]);
      }
      await scrub({ spare, info: false });
      for (const key of keys) expect(hex(store.engine.get(key) as Uint8Array), hex(key)).toBe(hex(good.get(hex(key)) as Uint8Array));
      expect(check(store.engine, { deep: true }).problems).toEqual([]);
    },
  );

  test('a body is mended by its hash, and not by octets that have another', async () => {
    await flip('chunk', { blob: first(), n: 2 });
    await lose('chunk', { blob: first(), n: 3 });
    await scrub();
    expect(listed(store.engine)).toMatchObject([{ table: 'chunk' }]);
    await scrub({
      spare: {
        ...spare,
        body: () =>
          (async function* () {
            yield new Uint8Array(20_000);
          })(),
      },
    });
    expect(listed(store.engine).length).toBe(1);
    await scrub({ spare });
    expect([events(), listed(store.engine)]).toEqual([['store.damaged', 'store.healed'], []]);
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });
});

test('it goes on where it was, and a row that was written meanwhile is sound', async () => {
  const { next, found } = lookAt(await freshEngine(), new Uint8Array(0));
  expect([next.length, found]).toEqual([0, []]);
  await store.ok('scrubbed', {
    next: encodeKey('blob', { blob: 0 }),
    rows: 5,
    bodies: 0,
    found: [{ table: 'mailbox', key: encodeKey('mailbox', { account: 1, mailbox: inbox }), what: 'then' }],
  });
  await flip('domain', { name: 'example.test' }); // lies before: found by the next one
  await scrub();
  expect(listed(store.engine)).toEqual([]);
  expect(check(store.engine).problems.some((p) => p.what.startsWith('domain'))).toBe(true);
  await scrub();
  expect(check(store.engine, { deep: true }).problems).toEqual([]);
});

describe('D1: the digest after a mend', () => {
  const readers = (): { full: number } => {
    const seen = { full: 0 };
    const { range } = store.engine;
    store.engine.range = (from, to, options) => {
      const rows = range.call(store.engine, from, to, options);
      return (function* () {
        let n = 0;
        for (const row of rows) {
          if (++n === 3_000) seen.full++;
          yield row;
        }
      })();
    };
    return seen;
  };
  const many = async (): Promise<void> => {
    const accounts = Array.from({ length: 3_000 }, (_, i) => ({ ...documentOf().accounts[0], address: `user${i}@example.test` }));
    await store.ok('applyConfig', { document: JSON.stringify({ ...documentOf(), accounts: [...documentOf().accounts, ...accounts] }) });
  };
  const domain = { name: 'example.test' };
  const mendDomain = () => store.ok('mend', { key: encodeKey('domain', domain), row: new Uint8Array(0) });
  const count = () => store.ok('mend', { key: digestKey, row: new Uint8Array(0) });

  test('no commit counts more than a step of rows, and the end is exact, whatever is committed meanwhile', async () => {
    await many();
    await flip('domain', domain);
    const seen = readers();
    expect(await mendDomain()).toEqual({ how: 'derived' });
    expect(marked(store.engine)).toBeDefined();
    expect(seen.full).toBe(0);
    const counting = count();
    // below and above what is counted already, and another mend
    for (let i = 0; i < 30; i++) {
      await store.ok('deliver', { mails: [mailOf(contentOf(`meanwhile ${i}`), [[1 + (i % 2), 'INBOX']], i % 3 === 0 ? ['x@one.test'] : [])] });
      if (i !== 10) continue;
      await flip('address', { address: 'user7@example.test' });
      await store.ok('mend', { key: encodeKey('address', { address: 'user7@example.test' }), row: new Uint8Array(0) });
    }
    expect(await counting).toEqual({ how: 'derived' });
    expect(seen.full).toBe(0);
    expect(marked(store.engine)).toBeUndefined();
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });

  test('a crash before the end forgets nothing: the next start counts', async () => {
    await flip('domain', domain);
    await mendDomain();
    expect(check(store.engine).problems.map(({ rule }) => rule)).toEqual(['D1', 'row']);
    store = await testStore({ engine: store.engine, document: null });
    await scrub();
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
    expect(events()).toEqual([]);
  });

  test('a row that goes unread, and was damaged, is counted likewise', async () => {
    await flip('info', { blob: store.messages(1, 'INBOX')[1]?.blob ?? 0 });
    await store.ok('expunge', { account: 1, mailbox: inbox, uids: [2, 2] });
    expect(marked(store.engine)).toMatchObject({ foundAt: store.world.time });
    await count();
    expect(check(store.engine, { deep: true }).problems).toEqual([]);
  });
});
