// D1: the digest of a site equals a recount of its rows, whatever was committed, and says which rows are there, not in
// which order or on what engine.

import { expect, test } from 'vitest';
import { addRow, covered, type Digest, digestOf, digestText, removeRow, rowSum } from '../../../storage/digest.ts';
import { encodeKey, getRow, type Row } from '../../../storage/rows.ts';
import { type TableName, tables } from '../../../storage/schema.ts';
import { contentOf, mailOf, testStore } from './fixture.ts';
import { freshEngine } from '../engine.ts';

const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test('the hashes of a row are these, for good', () => {
  expect(rowSum(octets('\u0005key'), octets('value'))).toEqual([3_470_046_404, 276_662_989]);
  expect(digestText({ sumA: 10, sumB: 4_000_000_000 })).toBe('0000000aee6b2800');
});

test('D1: rows added and removed in any order leave the same digest; other rows another', () => {
  const rows = Array.from({ length: 50 }, (_, i) => [octets(`\u0005key ${i}`), octets(`value ${i % 7}`)] as const);
  const some: Digest = { rows: 0, sumA: 0, sumB: 0 };
  for (const [key, value] of rows) addRow(some, key, value);
  const other: Digest = { rows: 0, sumA: 0, sumB: 0 };
  addRow(other, octets('\u0005gone'), octets('x'));
  for (const [key, value] of rows.toReversed()) addRow(other, key, value);
  removeRow(other, octets('\u0005gone'), octets('x'));
  expect(other).toEqual(some);
  // two values change places
  for (const [i, j] of [
    [0, 1],
    [1, 0],
  ] as const) {
    removeRow(other, (rows[i] as (typeof rows)[0])[0], (rows[i] as (typeof rows)[0])[1]);
    addRow(other, (rows[i] as (typeof rows)[0])[0], (rows[j] as (typeof rows)[0])[1]);
  }
  expect(other.rows).toBe(some.rows);
  expect([other.sumA, other.sumB]).not.toEqual([some.sumA, some.sumB]);
});

test('D1: a recount covers all but what comes and goes by itself', async () => {
  const engine = await freshEngine();
  const numbers = [...Object.values(tables).map((t) => t.number), 200, 255];
  await engine.commit(numbers.map((n) => [new Uint8Array([n, 1, 2]), new Uint8Array([1])]));
  const without: readonly TableName[] = ['site', 'journal', 'chunk', 'transfer', 'garbage'];
  expect(digestOf(engine).rows).toBe(numbers.length - without.length);
  for (const table of without) expect(covered(new Uint8Array([tables[table].number]))).toBe(false);
});

test('D1: it follows every kind of write: new, changed, removed, blind, and refused', async () => {
  const store = await testStore();
  const digest = (): Row<'site'> => getRow(store.engine, 'site', {}) as Row<'site'>;
  const recounted = (): void => expect(digest()).toMatchObject(digestOf(store.engine));
  recounted();
  const empty = digest();
  const inbox = store.mailbox(1, 'INBOX').id;
  await store.ok('deliver', { mails: [mailOf(contentOf('a', 20_000), [[1, 'INBOX']], ['x@one.test'])] });
  recounted();
  expect(digest().rows).toBe(empty.rows + 9); // page, blob, info, hash, queue, queueRecipient, queueDue, trace, traceMeter
  await store.ok('store', { account: 1, mailbox: inbox, uids: [1, 1], mode: 'add', flags: 8, keywords: ['Word'], unchangedSince: null });
  recounted();
  const before = digest();
  expect(
    await store.no('deliver', {
      mails: [
        mailOf(contentOf('b'), [
          [1, 'INBOX'],
          [99, 'INBOX'],
        ]),
      ],
    }),
  ).toBe('noSuchAccount');
  expect(digest()).toEqual(before);
  await store.ok('expunge', { account: 1, mailbox: inbox, uids: [1, 1] });
  await store.ok('deleteMailbox', { account: 1, name: 'Trash' });
  await store.ok('collect', { transferAgeMs: 1 });
  recounted();
  const { from, key } = { from: digest(), key: encodeKey('site', {}) };
  expect(covered(key)).toBe(false);
  await store.ok('subscribeMailbox', { account: 1, name: 'Sent', on: false });
  await store.ok('subscribeMailbox', { account: 1, name: 'Sent', on: true });
  expect(digest()).toMatchObject({ rows: from.rows, sumA: from.sumA, sumB: from.sumB });
});
