// `check` finds each planted damage, and says nothing of a sound store. Every rule is broken once.

import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { check } from '../../../storage/check.ts';
import { flag, readPage, writePage } from '../../../storage/page.ts';
import { encodeKey, encodeRow, getRow, type Key, type Row } from '../../../storage/rows.ts';
import type { TableName } from '../../../storage/schema.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
let inbox: number;

/** A site with something in every table. */
beforeEach(async () => {
  store = await testStore();
  inbox = store.mailbox(1, 'INBOX').id;
  await store.ok('deliver', {
    mails: [
      mailOf(
        contentOf('small'),
        [
          [1, 'INBOX'],
          [2, 'INBOX'],
        ],
        ['a@one.test', 'b@two.test'],
      ),
    ],
  });
  await store.ok('deliver', { mails: [mailOf(contentOf('long', 3 * limits.chunk), [[1, 'INBOX']])] });
  for (const text of ['gone', 'seen']) await store.ok('deliver', { mails: [mailOf(contentOf(text), [[1, 'INBOX']])] });
  const flags = (uid: number, bits: number) =>
    store.ok('store', { account: 1, mailbox: inbox, uids: [uid, uid], mode: 'add', flags: bits, keywords: ['Word'], unchangedSince: null });
  await flags(3, flag.deleted);
  await flags(4, flag.seen);
  await store.ok('expunge', { account: 1, mailbox: inbox, uids: [1, 4] });
  await store.ok('beginTransfer', {});
  await store.stream(contentOf('streaming', 5 * limits.chunk));
  // the second one is known: its chunks are garbage
  for (let i = 0; i < 2; i++) await store.ok('deliver', { mails: [mailOf(await store.stream(contentOf('big', 30 * limits.chunk)), [[1, 'Trash']])] });
  await store.ok('deliver', { mails: [mailOf(contentOf('removed'), [[2, 'Trash']])] });
  await store.ok('deleteMailbox', { account: 2, name: 'Trash' });
  await store.ok('putCertificate', { host: 'mail.example.test', certificatePem: 'c', keyPem: 'k', notAfter: 1, selfSigned: true });
  await store.ok('authFailed', { windowMs: 1, keys: ['key'] });
});

function get<N extends TableName>(table: N, key: Key<N>): Row<N> {
  const row = getRow(store.engine, table, key);
  if (row === undefined) throw new Error(`no ${table}`);
  return row;
}
const set = <N extends TableName>(table: N, key: Key<N>, row: Row<N> | null): Promise<void> =>
  store.engine.commit([[encodeKey(table, key), row === null ? null : encodeRow(table, row)]]);
const change = <N extends TableName>(table: N, key: Key<N>, part: Partial<Row<N>>): Promise<void> => set(table, key, { ...get(table, key), ...part });
const entry = (at: number, part: object): Promise<void> =>
  set('page', { mailbox: inbox, page: 0 }, writePage(readPage(get('page', { mailbox: inbox, page: 0 })).map((e, i) => (i === at ? { ...e, ...part } : e))));
const raw = (key: number[], value: number[]): Promise<void> => store.engine.commit([[new Uint8Array(key), new Uint8Array(value)]]);
const box = (): Key<'mailbox'> => ({ account: 1, mailbox: inbox });
const first = (): number => store.messages(1, 'INBOX')[0]?.blob ?? 0;
const long = (): number => store.messages(1, 'INBOX')[1]?.blob ?? 0;
const due = (): number => get('queueRecipient', { queue: 1, n: 0 }).due;

test('a sound store has no problems, and the counts are right', () => {
  const { problems, counts } = check(store.engine, { deep: true });
  expect(problems).toEqual([]);
  expect(counts).toMatchObject({ accounts: 2, mailboxes: 11, messages: 6, bodies: 5, queued: 1 });
  expect(check(store.engine.snapshot()).problems).toEqual([]);
});

const damages: readonly [rule: string, what: string, damage: () => Promise<void>, deepOnly?: boolean][] = [
  ['row', 'a row of no table', () => raw([200, 1], [1])],
  ['row', 'a row of a table above all', () => raw([255, 255], [1])],
  ['row', 'a row of a retired number', () => raw([0], [1])],
  ['row', 'a value that is no record', () => raw([...encodeKey('account', { account: 1 })], [0xc1])],
  ['row', 'a value of the wrong arity', () => raw([...encodeKey('blob', { blob: first() })], [0x99, 1, 1, 1, 1, 1, 1, 1, 1, 1])],
  ['row', 'a key of the wrong length', () => raw([6, 0, 0, 1], [0x90])],
  ['row', 'no site row', () => set('site', {}, null)],
  ['row', 'a site of another schema', () => change('site', {}, { schema: 3 })],
  ['row', 'a page that is no page', () => set('page', { mailbox: inbox, page: 7 }, new Uint8Array(45))],
  ['row', 'a document that is no document', () => change('config', {}, { document: '{' })],

  ['M2', 'a journal row is missing', () => set('journal', { commit: 3 }, null)],
  ['M2', 'a journal row of the future', () => set('journal', { commit: 999 }, new Uint8Array([0, 1, 1]))],
  ['M2', 'the journal names what is no key', () => set('journal', { commit: 3 }, new Uint8Array([0, 1, 99]))],
  ['row', 'the journal is cut', () => set('journal', { commit: 3 }, new Uint8Array([0, 9, 1]))],
  ['M2', 'a domain too many', () => set('domain', { name: 'other.test' }, { aliasOf: null, catchAll: null, subaddress: '' })],
  ['M2', 'an alias domain of nothing', () => change('domain', { name: 'example.test' }, { aliasOf: 'nowhere.test' })],
  ['M2', 'an address too many', () => set('address', { address: 'x@example.test' }, { kind: 'alias', account: 0, to: [] })],
  ['M2', 'an address of another account', () => change('address', { address: 'bob@example.test' }, { account: 1 })],
  ['M2', 'an account without its address', () => set('address', { address: 'bob@example.test' }, null)],

  ['S5', 'octets of an account', () => change('account', { account: 1 }, { usedBytes: 1 })],
  ['S5', 'messages of an account', () => change('account', { account: 1 }, { messages: 9 })],
  ['S2', 'an account above the counter', () => change('site', {}, { nextAccount: 2 })],
  ['M2', 'a mailbox of no account', () => set('mailbox', { account: 9, mailbox: 4 }, get('mailbox', box()))],
  ['S2', 'a mailbox of two accounts', () => set('mailbox', { account: 2, mailbox: inbox }, get('mailbox', box()))],
  ['S2', 'a mailbox above the counter', () => change('site', {}, { nextMailbox: 2 })],
  ['S2', 'a UIDVALIDITY not given yet', () => change('site', {}, { lastUidValidity: 5 })],
  ['M2', 'a mailbox of another name', () => change('mailbox', box(), { name: 'Other' })],
  ['M2', 'a name that is none', () => change('mailbox', box(), { name: 'a//b' })],
  ['M2', 'a name of no mailbox', () => set('mailboxName', { account: 1, name: 'Ghost' }, { mailbox: 999 })],
  ['M2', 'no name for a mailbox', () => set('mailboxName', { account: 1, name: 'INBOX' }, null)],
  ['M2', 'a subscription of nobody', () => set('subscription', { account: 77, name: 'x' }, {})],
  ['M2', 'pages of no mailbox', () => set('page', { mailbox: 999, page: 0 }, get('page', { mailbox: inbox, page: 0 }))],
  ['M2', 'expunged UIDs of no mailbox', () => set('vanished', { mailbox: 999, modseq: 1 }, { ranges: [1, 1] })],
  ['M2', 'pages of a removed mailbox that nobody releases', () => store.engine.commit([[encodeKey('removed', { mailbox: 12 }), null]])],
  ['M2', 'a mailbox that is removed and there', () => set('removed', { mailbox: inbox }, {})],
  ['M2', 'an empty page', () => set('page', { mailbox: inbox, page: 5 }, new Uint8Array(0))],

  ...(['exists', 'unseen', 'deleted', 'bytes'] as const).map((name): [string, string, () => Promise<void>] => [
    'S3',
    `the counter ${name}`,
    () => change('mailbox', box(), { [name]: 77 }),
  ]),
  ['S3', 'flags that do not exist', () => entry(0, { flags: 64 })],
  ['S3', 'keywords that do not exist', () => entry(0, { keywords: 2 })],
  ['S1', 'a message newer than its mailbox', () => entry(0, { modseq: 999 })],
  ['S1', 'a message without a modseq', () => entry(0, { modseq: 0 })],
  ['S1', 'an expunge newer than its mailbox', () => set('vanished', { mailbox: inbox, modseq: 999 }, { ranges: [1, 1] })],
  ['S2', 'a UID at or above UIDNEXT', () => change('mailbox', box(), { uidNext: 4, recentUid: 0 })],
  ['S2', 'a UID on another page', () => set('page', { mailbox: inbox, page: 3 }, get('page', { mailbox: inbox, page: 0 }))],
  ['S2', 'a UID that was expunged', () => set('vanished', { mailbox: inbox, modseq: 3 }, { ranges: [1, 2] })],
  ['S2', 'expunged UIDs that never were', () => set('vanished', { mailbox: inbox, modseq: 3 }, { ranges: [50, 60] })],
  ['S2', 'expunged UIDs out of order', () => set('vanished', { mailbox: inbox, modseq: 3 }, { ranges: [3, 1] })],
  ['S2', '\\Recent above the UIDs', () => change('mailbox', box(), { recentUid: 99 })],

  ['S4', 'too many references', () => change('blob', { blob: first() }, { refs: 9 })],
  ['S4', 'too few references', () => change('blob', { blob: first() }, { refs: 1 })],
  ['S4', 'a message whose body is not there', () => entry(0, { blob: 900 })],
  ['S4', 'a message whose body is far beyond', () => entry(0, { blob: 2 ** 40 })],
  ['S4', 'a queue row whose body is not there', () => change('queue', { queue: 1 }, { blob: 900 })],
  ['S4', 'a body without a reference', () => change('blob', { blob: first() }, { refs: 0 })],
  ['M2', 'a size that is not the body’s', () => entry(0, { size: 1 })],
  ['M2', 'no info', () => set('info', { blob: first() }, null)],
  ['M2', 'info of no body', () => set('info', { blob: 800 }, get('info', { blob: first() }))],
  ['M2', 'no hash', () => set('hash', { hash: get('blob', { blob: first() }).hash }, null)],
  ['M2', 'a hash of no body', () => set('hash', { hash: new Uint8Array(32) }, { blob: 800 })],
  ['M2', 'a hash of another body', () => set('hash', { hash: new Uint8Array(32) }, { blob: first() })],
  ['M2', 'the first chunk is missing', () => set('chunk', { blob: long(), n: 0 }, null)],
  ['M2', 'a chunk in the middle is missing', () => set('chunk', { blob: long(), n: 1 }, null)],
  ['M2', 'the last chunk is missing', () => set('chunk', { blob: long(), n: 3 }, null)],
  ['M2', 'a chunk too many', () => set('chunk', { blob: long(), n: 4 }, new Uint8Array([0, 1]))],
  ['M2', 'chunks of nobody', () => set('chunk', { blob: 800, n: 0 }, new Uint8Array([0, 1]))],
  ['S2', 'chunks far beyond', () => set('chunk', { blob: 2 ** 40, n: 0 }, new Uint8Array([0, 1]))],
  ['M2', 'chunks that do not make the size', () => change('blob', { blob: long() }, { chunks: 3 })],
  ['M2', 'a transfer of other chunks', () => change('transfer', { blob: 5 }, { chunks: 3 })],
  ['M2', 'a transfer that is gone', () => set('transfer', { blob: 6 }, null)],
  ['M2', 'garbage of other chunks', () => change('garbage', { blob: 8 }, { chunks: 3 })],
  ['M2', 'garbage that is a body', () => set('garbage', { blob: first() }, { chunks: 1 })],
  ['S2', 'a body above the counter', () => change('site', {}, { nextBlob: 2 })],
  ['M2', 'an octet of a body', () => set('chunk', { blob: long(), n: 2 }, new Uint8Array(limits.chunk + 1)), true],
  ['M2', 'a chunk of another size', () => set('chunk', { blob: long(), n: 2 }, new Uint8Array(limits.chunk)), true],
  ['M2', 'a chunk of an unknown codec', () => set('chunk', { blob: first(), n: 0 }, new Uint8Array([9, 1])), true],

  ['D1', 'a row that is sound and not the one that was written', () => change('authFailure', { key: 'key' }, { count: 7 })],
  ['D1', 'a row is gone that nothing else names', () => set('certificate', { host: 'mail.example.test' }, null)],
  ['D1', 'the sums of the digest', () => change('site', {}, { sumB: 1 })],
  ['D1', 'the rows of the digest', () => change('site', {}, { rows: 1 })],

  ['Q1', 'a recipient is missing', () => set('queueRecipient', { queue: 1, n: 1 }, null)],
  ['Q1', 'a message without recipients', () => change('queue', { queue: 1 }, { recipients: 0 })],
  ['Q1', 'a recipient without a message', () => set('queue', { queue: 1 }, null)],
  ['Q1', 'a recipient that is never due', () => set('queueDue', { due: due(), queue: 1, n: 0 }, null)],
  ['Q1', 'something due that is not there', () => set('queueDue', { due: 5, queue: 1, n: 0 }, {})],
  ['Q1', 'a lease that ends at another time', () => change('queueRecipient', { queue: 1, n: 0 }, { leaseUntil: 77 })],
  ['S2', 'a queue number not given yet', () => change('site', {}, { nextQueue: 1 })],
];

describe('it finds', () => {
  test.each(damages)('%s: %s', async (rule, _what, damage, deepOnly) => {
    await damage();
    const deep = check(store.engine, { deep: true });
    expect(deep.problems.map((p) => p.rule)).toContain(rule);
    const shallow = check(store.engine);
    if (deepOnly) expect(shallow.problems).toEqual([]);
    else expect(shallow.problems.map((p) => p.rule)).toContain(rule);
  });
});

test('a store without anything is sound, and one with rows and no site is not', async () => {
  const empty = await testStore({ document: null });
  expect(check(empty.engine, { deep: true })).toMatchObject({ found: 0 });
  await empty.engine.commit([
    [encodeKey('site', {}), null],
    [encodeKey('journal', { commit: 1 }), null],
  ]);
  expect(check(empty.engine)).toMatchObject({ found: 0, counts: { commit: 0 } });
});

test('what it says is bounded, what it counts is not', async () => {
  const rows = Array.from({ length: 3_000 }, (_, i) => [new Uint8Array([99, i >> 8, i & 255]), new Uint8Array([1])] as const);
  await store.engine.commit(rows);
  const { problems, found } = check(store.engine);
  expect([problems.length, found]).toEqual([1_000, 3_001]); // the digest is one of them
});
