// Mailboxes: names, CREATE, DELETE, RENAME, SUBSCRIBE.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { inboxName, normalizeName } from '../../../storage/names.ts';
import { mailboxByName, mailboxes, subscriptions } from '../../../storage/views.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
const account = 1;
const defaults = ['INBOX', 'Archive', 'Drafts', 'Junk', 'Sent', 'Trash'];

beforeEach(async () => {
  store = await testStore();
});
afterEach(() => expect(store.problems()).toEqual([]));

const create = (name: string, specialUse = '') => store.ok('createMailbox', { account, name, specialUse });
const deliver = (name: string, count = 1) =>
  store.ok('deliver', {
    mails: [
      mailOf(
        contentOf(`for ${name}`),
        Array.from({ length: count }, () => [account, name] as const),
      ),
    ],
  });

test('an account begins with the mailboxes of RFC 6154, all subscribed', () => {
  expect(mailboxes(store.engine, account).map((m) => [m.name, m.specialUse])).toEqual([
    ['INBOX', ''],
    ['Archive', '\\Archive'],
    ['Drafts', '\\Drafts'],
    ['Junk', '\\Junk'],
    ['Sent', '\\Sent'],
    ['Trash', '\\Trash'],
  ]);
  expect(subscriptions(store.engine, account)).toEqual(['Archive', 'Drafts', 'INBOX', 'Junk', 'Sent', 'Trash']);
  expect(new Set(mailboxes(store.engine, account).map((m) => m.uidValidity)).size).toBe(6);
});

test('names have one spelling, and many have none', () => {
  expect(['inbox', 'InBoX/a', 'Inboxes', 'INBOX', 'inboxa/b'].map(inboxName)).toEqual(['INBOX', 'INBOX/a', 'Inboxes', 'INBOX', 'inboxa/b']);
  for (const bad of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a\u0000',
    'a\nb',
    'a\u007f',
    'a\u0085',
    '\ud800',
    'x'.repeat(1001),
    'ü'.repeat(501),
    `${'a/'.repeat(limits.mailboxDepth)}a`,
  ])
    expect(normalizeName(bad)).toBeNull();
  for (const good of ['a', 'Entwürfe', '日本語', 'a b', '&', '%*', 'a/b/c', 'ü'.repeat(500)]) expect(normalizeName(good)).toBe(good);
});

test('CREATE makes what is missing above it', async () => {
  await create('Work/2024/Q1');
  expect(store.names(account)).toEqual([...defaults, 'Work', 'Work/2024', 'Work/2024/Q1']);
  await create('Work/2025/');
  expect(store.names(account)).toContain('Work/2025');
  await create('inbox/Child', '\\Flagged');
  expect(mailboxByName(store.engine, account, 'INBOX/Child')?.specialUse).toBe('\\Flagged');
});

test('CREATE refuses what is there and what is no name', async () => {
  const ask = { account, specialUse: '' };
  for (const name of ['Inbox', 'Sent', 'Sent/']) expect(await store.no('createMailbox', { ...ask, name })).toBe('mailboxExists');
  for (const name of ['a//b', '', '\u0001']) expect(await store.no('createMailbox', { ...ask, name })).toBe('badName');
  expect(await store.no('createMailbox', { ...ask, account: 99, name: 'a' })).toBe('noSuchAccount');
});

test('S2: UIDVALIDITY only grows, whatever the clock does', async () => {
  const first = await create('A');
  store.world.time -= 10_000_000;
  await store.ok('deleteMailbox', { account, name: 'A' });
  const second = await create('A');
  expect(second.uidValidity).toBe(first.uidValidity + 1);
  expect(second.mailbox).toBeGreaterThan(first.mailbox);
  store.world.time += 1e9;
  expect((await create('B')).uidValidity).toBe(Math.floor(store.world.time / 1000));
});

test('DELETE removes it and its messages; children stay; INBOX stays', async () => {
  await create('A/B');
  await deliver('A', 40);
  await store.ok('deleteMailbox', { account, name: 'A' });
  expect(store.names(account)).toEqual([...['INBOX', 'A/B'], ...defaults.slice(1)]);
  expect(await store.no('deleteMailbox', { account, name: 'A' })).toBe('noSuchMailbox');
  expect(await store.no('deleteMailbox', { account, name: 'inBOX' })).toBe('inboxStays');
  expect(await store.no('deleteMailbox', { account, name: 'a//' })).toBe('noSuchMailbox');
  const kept = () => [...store.engine.keys(new Uint8Array([8]), new Uint8Array([13]))].length;
  expect(kept()).toBe(2 + 4);
  expect(store.problems()).toEqual([]);
  await store.ok('collect', { transferAgeMs: 1 });
  expect(kept()).toBe(0);
});

test('a large mailbox is deleted at once and released in steps', async () => {
  await create('Big');
  for (let i = 0; i < 5; i++) await deliver('Big', 1_000);
  const copied = { account, mailbox: store.mailbox(account, 'Big').id, uids: [1, 10], target: 'Archive' };
  await store.ok('copy', { ...copied, move: true });
  await store.ok('deleteMailbox', { account, name: 'Big' });
  for (const more of [true, true, false]) {
    expect((await store.ok('collect', { transferAgeMs: 1 })).more).toBe(more);
    expect(store.problems()).toEqual([]);
  }
  expect(store.mailbox(account, 'Archive').exists).toBe(10);
  const rows = (table: number) => [...store.engine.keys(new Uint8Array([table]), new Uint8Array([table + 1]))].length;
  expect([rows(8), rows(15), rows(23)]).toEqual([1, 0, 0]);
});

test('RENAME takes what is below it along, and makes parents', async () => {
  await create('A/B/C');
  await create('AB');
  await deliver('A/B', 3);
  const was = store.mailbox(account, 'A/B');
  await store.ok('renameMailbox', { account, from: 'A', to: 'X/Y' });
  expect(store.names(account)).toEqual(['INBOX', 'AB', ...defaults.slice(1), 'X', 'X/Y', 'X/Y/B', 'X/Y/B/C']);
  expect(store.mailbox(account, 'X/Y/B')).toEqual({ ...was, name: 'X/Y/B' });
});

test('RENAME refuses what is taken, what is below itself, and what is not there', async () => {
  await create('A/B');
  await create('C/B');
  const rename = (from: string, to: string) => store.no('renameMailbox', { account, from, to });
  expect(await rename('A', 'C')).toBe('mailboxExists');
  expect(await rename('A', 'A')).toBe('mailboxExists');
  expect(await rename('A', 'A/B/D')).toBe('badName');
  expect(await rename('None', 'D')).toBe('noSuchMailbox');
  expect(await rename('A', 'x//y')).toBe('badName');
  expect(await rename('A', `${'d/'.repeat(24)}d`)).toBe('badName');
  expect(store.names(account)).toEqual(['INBOX', 'A', 'A/B', ...['Archive', 'C', 'C/B'], ...defaults.slice(2)]);
});

test('RENAME of a mailbox whose child would land on another refuses whole', async () => {
  await create('A/B');
  await create('C/B');
  await store.ok('deleteMailbox', { account, name: 'C' });
  expect(await store.no('renameMailbox', { account, from: 'A', to: 'C' })).toBe('mailboxExists');
  expect(store.names(account)).toContain('A/B');
});

test('RFC 3501 §6.3.5: RENAME INBOX moves its messages and leaves it and its children', async () => {
  await create('INBOX/Child');
  await deliver('INBOX', 40);
  const inbox = store.mailbox(account, 'INBOX');
  await store.ok('store', { account, mailbox: inbox.id, uids: [2, 2], mode: 'add', flags: 1, keywords: ['Kept'], unchangedSince: null });
  await store.ok('renameMailbox', { account, from: 'inbox', to: 'Old/Mail' });
  expect(store.mailbox(account, 'INBOX')).toMatchObject({ id: inbox.id, exists: 0, uidNext: 41, uidValidity: inbox.uidValidity });
  expect(
    store
      .messages(account, 'Old/Mail')
      .slice(0, 3)
      .map((m) => [m.uid, m.flags, m.keywords]),
  ).toEqual([
    [1, 0, []],
    [2, 1, ['Kept']],
    [3, 0, []],
  ]);
  expect(store.names(account)).toContain('INBOX/Child');
  expect(await store.no('renameMailbox', { account, from: 'INBOX', to: 'Sent' })).toBe('mailboxExists');
});

test('RFC 3501 §6.3.6: a name may be subscribed and not exist', async () => {
  await store.ok('subscribeMailbox', { account, name: 'Nowhere/Yet', on: true });
  await store.ok('subscribeMailbox', { account, name: 'Trash', on: false });
  const { commit } = await store.ok('stats', {});
  await store.ok('subscribeMailbox', { account, name: 'Trash', on: false });
  await store.ok('subscribeMailbox', { account, name: 'inbox', on: true });
  expect(subscriptions(store.engine, account)).toEqual(['Archive', 'Drafts', 'INBOX', 'Junk', 'Nowhere/Yet', 'Sent']);
  expect((await store.ok('stats', {})).commit).toBe(commit);
  await store.ok('deleteMailbox', { account, name: 'Junk' });
  expect(subscriptions(store.engine, account)).toContain('Junk');
  expect(await store.no('subscribeMailbox', { account, name: 'a//b', on: true })).toBe('badName');
});

test('an account has at most so many mailboxes', async () => {
  for (let i = 0; i < 207; i++) await create(`m${i}/${'x/'.repeat(22)}y`);
  for (let i = store.names(account).length; i < limits.mailboxesPerAccount - 1; i++) await create(`last${i}`);
  expect(await store.no('createMailbox', { account, name: 'a/b', specialUse: '' })).toBe('limit');
  await create('a');
  expect(await store.no('createMailbox', { account, name: 'b', specialUse: '' })).toBe('limit');
  expect(await store.no('renameMailbox', { account, from: 'a', to: 'x/y' })).toBe('limit');
});
