// The storage actor: group commit, order, what is answered when, a full disk, a failing disk, a failing handler.

import { afterEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { isRefusal } from '../../../actors/wire.ts';
import { DiskFull, type Engine, type Write } from '../../../storage/engine.ts';
import { unpackKeys } from '../../../storage/journal.ts';
import { getRow, octetText, prefixRange, scanRows } from '../../../storage/rows.ts';
import { collector } from '../../../storage/process.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

/** Commits wait until they are let go. */
function gate() {
  const held: { writes: readonly Write[]; go: (error?: Error) => Promise<void> }[] = [];
  let closed = false;
  const wrap = (engine: Engine): Engine => ({
    ...engine,
    commit: (writes) => {
      if (!closed) return engine.commit(writes);
      return new Promise((resolve, reject) => {
        held.push({ writes, go: async (error) => (error ? reject(error) : engine.commit(writes).then(resolve)) });
      });
    },
  });
  return { held, wrap, close: () => (closed = true), open: () => (closed = false) };
}
const turns = async (count = 20): Promise<void> => {
  for (let i = 0; i < count; i++) await Promise.resolve();
};

let store: TestStore | null = null;
afterEach(() => {
  expect(store?.problems() ?? []).toEqual([]);
  store = null;
});
const ask = (s: TestStore, text: string) => s.address.ask('deliver', { now: 1, expiryMs: 1, mails: [mailOf(contentOf(text), [[1, 'INBOX']])] });
const flag = (s: TestStore, uid: number, flags = 1) =>
  s.address.ask('store', { account: 1, mailbox: s.mailbox(1, 'INBOX').id, uids: [uid, uid], mode: 'add', flags, keywords: [], unchangedSince: null });

test('M1: nothing is answered before the commit, and what came meanwhile is one commit', async () => {
  const g = gate();
  store = await testStore({ wrap: g.wrap });
  const { commit } = await store.ok('stats', {});
  g.close();
  const answered: string[] = [];
  for (const text of ['a', 'b', 'c', 'd']) {
    void ask(store, text).then(() => answered.push(text));
    if (text === 'a') await turns();
  }
  await turns();
  expect([g.held.length, answered]).toEqual([1, []]);
  await g.held[0]?.go();
  await turns();
  expect([g.held.length, answered]).toEqual([2, ['a']]);
  await g.held[1]?.go();
  await turns();
  expect(answered).toEqual(['a', 'b', 'c', 'd']);
  expect((await store.ok('stats', {})).commit).toBe(commit + 2);
});

test('a command sees the ones before it in its batch, and a refused one leaves nothing', async () => {
  store = await testStore();
  const s = store;
  const box = s.mailbox(1, 'INBOX').id;
  const answers = await Promise.all([
    ask(s, 'first'),
    s.address.ask('createMailbox', { now: 1, account: 1, name: 'New', specialUse: '' }),
    s.address.ask('deliver', {
      now: 1,
      expiryMs: 1,
      mails: [
        mailOf(contentOf('x'), [
          [1, 'New'],
          [99, 'INBOX'],
        ]),
      ],
    }),
    s.address.ask('copy', { now: 1, account: 1, mailbox: box, uids: [1, 1], target: 'New', move: true }),
    s.address.ask('createMailbox', { now: 1, account: 1, name: 'New', specialUse: '' }),
  ]);
  expect(answers.map((a) => (isRefusal(a) ? a.refused : 'ok'))).toEqual(['ok', 'ok', 'noSuchAccount', 'ok', 'mailboxExists']);
  expect(s.messages(1, 'New').map((m) => m.uid)).toEqual([1]);
  expect((await s.ok('stats', {})).batches).toBe(2); // the document, and this
});

test('a batch is bounded by commands and by octets', async () => {
  const g = gate();
  store = await testStore({ wrap: g.wrap });
  const s = store;
  g.close();
  const all = Promise.all([
    ask(s, 'first'),
    ...Array.from({ length: limits.batchCommands + 5 }, () => s.address.ask('claimRecent', { account: 1, mailbox: s.mailbox(1, 'INBOX').id })),
  ]);
  await turns();
  await g.held[0]?.go();
  await turns();
  g.open();
  await all;
  const before = (await s.ok('stats', {})).batches;
  expect(before).toBe(2); // the document, and the first of the two
  const big = Array.from({ length: 160 }, (_, i) =>
    s.address.ask('deliver', { now: 1, expiryMs: 1, mails: [mailOf(contentOf(`big ${i}`, 250_000), [[2, 'INBOX']])] }),
  );
  await Promise.all(big);
  expect((await s.ok('stats', {})).batches - before).toBe(5); // 8 MiB each
});

test('changes are told after the commit, merged by mailbox and kind', async () => {
  const g = gate();
  store = await testStore({ wrap: g.wrap });
  const s = store;
  const told: string[] = [];
  s.address.on('changed', ({ commit, changes }) => told.push(`${commit}: ${changes.map((c) => `${c.kind} ${c.modseq} [${c.pages}]`).join(', ')}`));
  const { commit } = await s.ok('subscribe', {});
  g.close();
  const mails = [
    mailOf(contentOf('refused'), [
      [2, 'INBOX'],
      [99, 'INBOX'],
    ]),
  ];
  const refused = s.address.ask('deliver', { now: 1, expiryMs: 1, mails });
  const all = [ask(s, 'a'), ask(s, 'b'), flag(s, 1), flag(s, 2), flag(s, 1), refused];
  await turns();
  expect(told).toEqual([]);
  await g.held[0]?.go();
  await Promise.all(all);
  expect(told).toEqual([`${commit + 1}: exists 3 [0], flags 5 [0]`]);
  g.open();
  s.address.gone();
  await ask(s, 'c');
  expect(told.length).toBe(1);
});

test('many pages are told as all', async () => {
  store = await testStore();
  const s = store;
  const box = s.mailbox(1, 'INBOX').id;
  const told: (readonly number[])[] = [];
  for (let i = 0; i < 9; i++)
    await s.ok('deliver', {
      mails: [
        mailOf(
          contentOf('same'),
          Array.from({ length: 1_000 }, () => [1, 'INBOX'] as const),
        ),
      ],
    });
  s.address.on('changed', ({ changes }) => told.push(...changes.map((c) => c.pages)));
  await s.ok('subscribe', {});
  await s.ok('store', { account: 1, mailbox: box, uids: [1, 8_000], mode: 'add', flags: 1, keywords: [], unchangedSince: null });
  await s.ok('store', { account: 1, mailbox: box, uids: [1, 9_000], mode: 'add', flags: 1, keywords: [], unchangedSince: null });
  await s.ok('store', { account: 1, mailbox: box, uids: [1, 9_000], mode: 'add', flags: 2, keywords: [], unchangedSince: null });
  expect(told.map((pages) => pages.length)).toEqual([251, 32, 0]);
});

test('each commit has a journal row with the keys it touched', async () => {
  store = await testStore();
  const { commit } = await store.ok('stats', {});
  await ask(store, 'a');
  const row = getRow(store.engine, 'journal', { commit: commit + 1 }) as Uint8Array;
  const keys = unpackKeys(row).map(octetText);
  expect(new Set(keys.map((k) => k.charCodeAt(0)))).toEqual(new Set([1, 5, 6, 8, 9, 10, 11, 12, 30, 33]));
  expect(new Set(keys).size).toBe(keys.length);
});

test('the journal is pruned to its limit, a few rows a commit', async () => {
  store = await testStore();
  const s = store;
  const site = getRow(s.engine, 'site', {});
  // as if many commits had been: rows that are long enough ago
  const jump = limits.journalCommits + 10;
  const { from, to } = prefixRange('journal');
  const old = [...s.engine.keys(from, to)].map((key): Write => [key, null]);
  const { encodeKey, encodeRow } = await import('../../../storage/rows.ts');
  const rows = Array.from({ length: 20 }, (_, i): Write => [encodeKey('journal', { commit: i + 1 }), encodeKey('site', {})]);
  await s.engine.commit([...old, ...rows, [encodeKey('site', {}), encodeRow('site', { ...(site as NonNullable<typeof site>), commit: jump })]]);
  const again = await testStore({ engine: s.engine, document: null });
  for (let i = 0; i < 6; i++) await ask(again, `m${i}`);
  expect(getRow(s.engine, 'site', {})).toMatchObject({ journalFloor: 16, commit: jump + 6 });
  expect([...scanRows(s.engine, 'journal', [])].map((r) => r.key.commit)).toEqual([17, 18, 19, 20, ...Array.from({ length: 6 }, (_, i) => jump + i + 1)]);
  store = null; // the rows between are missing on purpose
});

test('M1: on a full disk each command is refused, reading goes on, and service returns by itself', async () => {
  let full = false;
  store = await testStore({
    wrap: (engine) => ({ ...engine, commit: (writes) => (full ? Promise.reject(new DiskFull('no room')) : engine.commit(writes)) }),
  });
  const s = store;
  await ask(s, 'before');
  full = true;
  const answers = await Promise.all([ask(s, 'a'), ask(s, 'b'), s.address.ask('claimRecent', { account: 1, mailbox: s.mailbox(1, 'INBOX').id })]);
  expect(answers.map((a) => isRefusal(a) && a.refused)).toEqual(['full', 'full', 'full']);
  expect(await s.no('deliver', { mails: [mailOf(contentOf('c'), [[1, 'INBOX']])] })).toBe('full');
  expect((await s.ok('stats', {})).full).toBe(true);
  expect(s.messages(1, 'INBOX').length).toBe(1);
  s.world.time += 500;
  full = false;
  await ask(s, 'after');
  expect(s.world.logged.filter((l) => l.event !== 'store.open')).toEqual([
    { event: 'store.full', fields: { error: 'disk full: no room' } },
    { event: 'store.room', fields: { sinceMs: 500 } },
  ]);
  expect([s.messages(1, 'INBOX').length, (await s.ok('stats', {})).full]).toEqual([2, false]);
});

test('on a full disk what frees room gets through beside what needs it, into the reserve', async () => {
  let full = false;
  store = await testStore({
    wrap: (engine) => ({
      ...engine,
      commit: (writes, options) => (full && options?.reserve !== true ? Promise.reject(new DiskFull('little room')) : engine.commit(writes)),
    }),
  });
  const s = store;
  await s.ok('deliver', { mails: [mailOf(contentOf('a', 50_000), [[1, 'INBOX']])] });
  full = true;
  const big = s.address.ask('deliver', { now: 1, expiryMs: 1, mails: [mailOf(contentOf('b', 50_000), [[1, 'INBOX']])] });
  const flagged = flag(s, 1, 8);
  expect(await big).toMatchObject({ refused: 'full' });
  expect(isRefusal(await flagged)).toBe(false);
  expect(await s.ok('expunge', { account: 1, mailbox: s.mailbox(1, 'INBOX').id, uids: [1, 1] })).toMatchObject({ expunged: [1, 1] });
  expect((await s.ok('stats', {})).full).toBe(true);
});

test('a start on a full disk serves what is there', async () => {
  store = await testStore();
  const { transfer } = await store.ok('beginTransfer', {});
  const wrap = (engine: Engine): Engine => ({ ...engine, commit: () => Promise.reject(new DiskFull('no room')) });
  const again = await testStore({ engine: store.engine, wrap, document: null });
  expect((await again.ok('stats', {})).full).toBe(true);
  expect(await again.no('appendTransfer', { transfer, first: 0, chunks: [] })).toBe('noSuchTransfer');
  await expect(testStore({ wrap, document: null })).rejects.toThrow('disk full');
});

test('an engine that fails crashes the actor: nobody is answered, nothing more is written', async () => {
  const g = gate();
  store = await testStore({ wrap: g.wrap });
  const s = store;
  g.close();
  const first = ask(s, 'a');
  await turns();
  const second = ask(s, 'b');
  await turns();
  void g.held[0]?.go(new Error('EIO'));
  await expect(first).rejects.toThrow('link to storage lost');
  await expect(second).rejects.toThrow('link to storage lost');
  expect(String(await s.crashed)).toContain('EIO');
  await expect(ask(s, 'c')).rejects.toThrow('link to storage lost');
  expect([g.held.length, s.world.logged.filter((l) => l.event === 'actor.crash').length]).toEqual([1, 1]);
});

test('a handler that throws crashes the actor, and nothing of its batch is applied', async () => {
  store = await testStore();
  const s = store;
  const odd = s.address.ask('store', {
    account: 1,
    mailbox: s.mailbox(1, 'INBOX').id,
    uids: [5, 1],
    mode: 'add',
    flags: 1,
    keywords: [],
    unchangedSince: null,
  });
  await expect(Promise.all([ask(s, 'a'), odd])).rejects.toThrow('link to storage lost');
  expect(String(await s.crashed)).toContain('ranges ascend');
  expect(s.mailbox(1, 'INBOX').exists).toBe(0);
});

test('the collector goes on until nothing is left', async () => {
  store = await testStore();
  const s = store;
  for (let i = 0; i < 4; i++) await s.ok('deliver', { mails: [mailOf(await s.stream(contentOf(`big ${i}`, 900 * limits.chunk)), [[1, 'INBOX']])] });
  await s.ok('deleteMailbox', { account: 1, name: 'Trash' });
  await s.ok('copy', { account: 1, mailbox: s.mailbox(1, 'INBOX').id, uids: [1, 4], target: 'Junk', move: true });
  await s.ok('deleteMailbox', { account: 1, name: 'Junk' });
  const chunks = () => [...s.engine.keys(prefixRange('chunk').from, prefixRange('chunk').to)].length;
  expect(chunks()).toBe(4 * 901);
  expect(s.problems()).toEqual([]);
  const served = { protocol: {} as never, crashed: s.crashed, receive: (kind: string, message: unknown) => s.address.ask(kind as 'collect', message as never) };
  void collector(s.world, served);
  // it says so once the commit that took the last of them is over
  for (let i = 0; i < 500 && s.world.logged.at(-1)?.event !== 'store.collected'; i++) await new Promise((done) => setTimeout(done, 10));
  expect(chunks()).toBe(0);
  expect(s.world.logged.at(-1)).toEqual({ event: 'store.collected', fields: { chunks: 3_604 } });
});

test('on a full disk records may go, into the reserve, and none may come', async () => {
  let full = false;
  store = await testStore({
    wrap: (engine) => ({
      ...engine,
      commit: (writes, options) => (full && options?.reserve !== true ? Promise.reject(new DiskFull('little room')) : engine.commit(writes)),
    }),
  });
  const s = store;
  const change = (id: string, body: string | null) => ({ reads: [], writes: [{ kind: 1, id, body }] });
  await s.ok('changeRecords', change('a', '{}'));
  full = true;
  expect(await s.no('changeRecords', change('b', '{}'))).toBe('full');
  expect(await s.no('changeRecords', { reads: [], writes: [...change('a', null).writes, ...change('b', '{}').writes] })).toBe('full');
  await s.ok('changeRecords', change('a', null));
  expect([...scanRows(s.engine, 'record', [])]).toEqual([]);
});
