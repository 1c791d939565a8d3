// Messages: delivery, APPEND, STORE, COPY, MOVE, EXPUNGE, and what they do to bodies, counters and quota.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { codec } from '../../../storage/bodies.ts';
import { flag } from '../../../storage/page.ts';
import { sizeOf } from '../../../storage/ranges.ts';
import { account, blob, body, header, info, peekInfo, vanishedSince } from '../../../storage/views.ts';
import { contentOf, contentOfParts, documentOf, mailOf, type TestStore, testStore } from './fixture.ts';
import { rowCount } from '../engine.ts';

let store: TestStore;
const alice = 1;
const bob = 2;
const none: string[] = [];

beforeEach(async () => {
  store = await testStore();
});
afterEach(() => expect(store.problems()).toEqual([]));

const deliver = (text: string, to: [number, string][] = [[alice, 'INBOX']], size = 0) => store.ok('deliver', { mails: [mailOf(contentOf(text, size), to)] });
const append = (text: string, more: object = {}) =>
  store.ok('append', { account: alice, mailbox: 'INBOX', flags: 0, keywords: none, internalDate: 5, content: contentOf(text), ...more });
const inbox = () => store.mailbox(alice, 'INBOX');
const change = (uids: number[], mode: 'add' | 'remove' | 'replace', flags: number, keywords: string[] = [], unchangedSince: number | null = null) =>
  store.ok('store', { account: alice, mailbox: inbox().id, uids, mode, flags, keywords, unchangedSince });
const read = (id: number, from = 0, to = Number.MAX_SAFE_INTEGER) => Buffer.concat([...body(store.engine, id, from, to)]).toString('latin1');

describe('delivery', () => {
  test('M1: one commit holds body, index, counters and quota', async () => {
    const answer = await deliver('hello', [[alice, 'INBOX']], 100);
    expect(answer).toEqual({ queues: [0], placed: [{ account: alice, mailbox: inbox().id, uid: 1 }] });
    expect(inbox()).toMatchObject({ exists: 1, unseen: 1, bytes: 100, uidNext: 2, modseq: 2 });
    expect(account(store.engine, alice)).toMatchObject({ usedBytes: 100, messages: 1 });
    const [message] = store.messages(alice, 'INBOX');
    expect(read(message?.blob ?? 0)).toBe(`Subject: hello\r\n\r\n${'hello'.repeat(20).slice(0, 82)}`);
  });

  test('M2: equal bodies are one blob with as many references', async () => {
    await deliver('same', [
      [alice, 'INBOX'],
      [bob, 'INBOX'],
      [alice, 'Archive'],
    ]);
    await deliver('same', [[bob, 'INBOX']]);
    const [message] = store.messages(alice, 'INBOX');
    expect(blob(store.engine, message?.blob ?? 0)).toMatchObject({ refs: 4 });
    expect(store.messages(bob, 'INBOX').map((m) => m.blob)).toEqual([message?.blob, message?.blob]);
  });

  test('a subaddress folder that is not there is INBOX', async () => {
    await deliver('a', [[alice, 'Archive']]);
    await deliver('b', [[alice, 'Nowhere']]);
    expect([store.mailbox(alice, 'Archive').exists, inbox().exists]).toEqual([1, 1]);
  });

  test('all mails of a command, or none', async () => {
    const mails = [mailOf(contentOf('one'), [[alice, 'INBOX']]), mailOf(contentOf('two'), [[99, 'INBOX']])];
    expect(await store.no('deliver', { mails })).toBe('noSuchAccount');
    expect(inbox().exists).toBe(0);
    expect(rowCount(store.engine)).toBe(rowCount((await testStore()).engine));
  });

  test('a mail for nobody leaves nothing', async () => {
    expect(await store.ok('deliver', { mails: [mailOf(contentOf('x'), [])] })).toEqual({ queues: [0], placed: [] });
  });

  test('bodies of any shape are read back octet by octet, in any range', async () => {
    const long = limits.chunk;
    const shapes: [number, number][] = [
      [0, 0],
      [0, 10],
      [20, 0],
      [long, 0],
      [long - 1, 1],
      [long + 1, 5],
      [3 * long, long],
      [50, 2 * long],
      [50, 2 * long + 1],
    ];
    for (const [headerSize, bodySize] of shapes) {
      const bytes = Buffer.from(Array.from({ length: headerSize + bodySize }, (_, i) => (i * 7 + headerSize) & 255));
      await store.ok('deliver', { mails: [mailOf(contentOfParts(bytes.subarray(0, headerSize), bytes.subarray(headerSize)), [[alice, 'INBOX']])] });
      const id = store.messages(alice, 'INBOX').at(-1)?.blob ?? 0;
      expect(read(id)).toBe(bytes.toString('latin1'));
      expect(Buffer.from(header(store.engine, id)).equals(bytes.subarray(0, headerSize))).toBe(true);
      for (const [from, to] of [
        [0, 1],
        [headerSize, headerSize + 10],
        [long - 1, long + 1],
        [bytes.length - 1, bytes.length],
        [5, 5],
        [bytes.length, bytes.length + 9],
      ] as const) {
        expect(read(id, from, to)).toBe(bytes.subarray(from, to).toString('latin1'));
      }
    }
  });

  test('compressed chunks count for what they hold', async () => {
    const plain = contentOf('z', 3 * limits.chunk);
    const chunks = plain.chunks.map((c, i) => (i === 0 ? c : new Uint8Array([codec.zstd, ...Bun.zstdCompressSync(c.subarray(1))])));
    const lying = chunks.map((c, i) => (i === 1 ? new Uint8Array([codec.zstd, ...Bun.zstdCompressSync(new Uint8Array(77))]) : c));
    expect(await store.no('deliver', { mails: [mailOf({ ...plain, chunks: lying }, [[alice, 'INBOX']])] })).toBe('badContent');
    await store.ok('deliver', { mails: [mailOf({ ...plain, chunks }, [[alice, 'INBOX']])] });
    expect(read(store.messages(alice, 'INBOX')[0]?.blob ?? 0).length).toBe(3 * limits.chunk);
  });

  test('content that does not agree with itself is refused', async () => {
    const good = contentOf('good', 500);
    const bad = [
      { ...good, headerSize: 501 },
      { ...good, size: 499 },
      { ...good, chunkCount: 3 },
      { ...good, chunks: good.chunks.slice(1) },
      { ...good, chunks: [good.chunks[1], good.chunks[0]] as Uint8Array[] },
      { ...good, chunks: [good.chunks[0], new Uint8Array([7, 1])] as Uint8Array[] },
    ];
    for (const content of bad) expect(await store.no('deliver', { mails: [mailOf(content, [[alice, 'INBOX']])] })).toBe('badContent');
    await deliver('good', [[alice, 'INBOX']], 500);
    expect(await store.no('deliver', { mails: [mailOf({ ...good, size: 999 }, [[alice, 'INBOX']])] })).toBe('badContent');
  });

  test('info is served whole and peeked at', async () => {
    const content = contentOf('i');
    const rendered = { ...content.info, envelope: new Uint8Array(300).fill(1), structure: new Uint8Array(70_000).fill(2), body: new Uint8Array(3).fill(3) };
    await store.ok('deliver', { mails: [mailOf({ ...content, info: rendered }, [[alice, 'INBOX']])] });
    const id = store.messages(alice, 'INBOX')[0]?.blob ?? 0;
    expect(info(store.engine, id)).toMatchObject({ messageId: '<1@example.test>', subject: 'subject' });
    const peeked = peekInfo(store.engine, id);
    expect([peeked?.envelope, peeked?.structure, peeked?.body].map((b) => [b?.length, b?.[0], b?.at(-1)])).toEqual([
      [300, 1, 1],
      [70_000, 2, 2],
      [3, 3, 3],
    ]);
  });
});

describe('quota (S5)', () => {
  beforeEach(async () => {
    const accounts = documentOf().accounts.map((a) => ({ ...a, quotaBytes: 1_000 }));
    await store.ok('applyConfig', { document: JSON.stringify(documentOf({ accounts })) });
  });

  test('delivery takes a message that begins to fit, and then no more', async () => {
    await deliver('a', [[alice, 'INBOX']], 900);
    await deliver('b', [[alice, 'INBOX']], 900);
    expect(
      await store.no('deliver', {
        mails: [
          mailOf(contentOf('c'), [
            [bob, 'INBOX'],
            [alice, 'INBOX'],
          ]),
        ],
      }),
    ).toBe('overQuota');
    expect(store.mailbox(bob, 'INBOX').exists).toBe(0);
  });

  test('APPEND and COPY are held to it exactly', async () => {
    await append('a', { content: contentOf('a', 600) });
    expect(await store.no('append', { account: alice, mailbox: 'INBOX', flags: 0, keywords: [], internalDate: 5, content: contentOf('b', 401) })).toBe(
      'overQuota',
    );
    const copy = { account: alice, mailbox: inbox().id, uids: [1, 1], target: 'Archive' };
    expect(await store.no('copy', { ...copy, move: false })).toBe('overQuota');
    await store.ok('copy', { ...copy, move: true });
    await append('b', { content: contentOf('b', 400) });
    expect(account(store.engine, alice)?.usedBytes).toBe(1_000);
  });
});

describe('APPEND', () => {
  test('keeps flags, keywords and date', async () => {
    const answer = await append('a', { flags: flag.seen | flag.draft, keywords: ['$Forwarded', 'Work'], internalDate: -86_400_000 });
    expect(answer).toEqual({ mailbox: inbox().id, uidValidity: inbox().uidValidity, uid: 1 });
    expect(store.messages(alice, 'INBOX')).toMatchObject([{ uid: 1, flags: 17, keywords: ['$Forwarded', 'Work'] }]);
    expect(inbox().unseen).toBe(0);
  });

  test('finds INBOX in any case and refuses a mailbox that is not there', async () => {
    await append('a', { mailbox: 'inbox' });
    expect(await store.no('append', { account: alice, mailbox: 'None', flags: 0, keywords: [], internalDate: 5, content: contentOf('b') })).toBe(
      'noSuchMailbox',
    );
    expect(await store.no('append', { account: 77, mailbox: 'INBOX', flags: 0, keywords: [], internalDate: 5, content: contentOf('b') })).toBe('noSuchAccount');
  });
});

describe('STORE', () => {
  beforeEach(async () => {
    for (let i = 0; i < 70; i++) await append(`m${i}`);
  });

  test('S1, S3: changes what is named, counts it, and raises the modseq once', async () => {
    const before = inbox().modseq;
    expect(await change([1, 3, 40, 40, 900, 4_000_000_000], 'add', flag.seen | flag.deleted)).toEqual({ modseq: before + 1, modified: [] });
    expect(inbox()).toMatchObject({ unseen: 66, deleted: 4, modseq: before + 1 });
    expect(
      store
        .messages(alice, 'INBOX')
        .filter((m) => m.modseq === before + 1)
        .map((m) => m.uid),
    ).toEqual([1, 2, 3, 40]);
    await change([1, 2], 'remove', flag.seen);
    await change([3, 3], 'replace', flag.flagged);
    expect(inbox()).toMatchObject({ unseen: 69, deleted: 3 });
  });

  test('what changes nothing writes nothing, and its modseq is 0: not that of another change', async () => {
    await change([1, 70], 'add', flag.seen);
    const { commit } = await store.ok('stats', {});
    expect(await change([1, 70], 'add', flag.seen)).toEqual({ modseq: 0, modified: [] });
    expect(await change([1, 70], 'remove', flag.draft, ['Unknown'])).toEqual({ modseq: 0, modified: [] });
    expect(await change([500, 600], 'replace', 0, ['New'])).toEqual({ modseq: 0, modified: [] });
    expect(await store.ok('stats', {})).toMatchObject({ commit });
    expect(inbox().keywords).toEqual([]);
  });

  test('RFC 7162 §3.1.3: UNCHANGEDSINCE leaves newer ones alone and names them', async () => {
    const { modseq } = inbox();
    await change([5, 6], 'add', flag.seen);
    expect(await change([4, 8], 'add', flag.flagged, [], modseq)).toEqual({ modseq: modseq + 2, modified: [5, 6] });
    expect(
      store
        .messages(alice, 'INBOX')
        .filter((m) => m.flags === flag.flagged)
        .map((m) => m.uid),
    ).toEqual([4, 7, 8]);
    expect(await change([1, 70], 'add', flag.answered, [], 0)).toMatchObject({ modified: [1, 70] });
  });

  test('keywords compare without case, and there are at most 48', async () => {
    await change([1, 2], 'add', 0, ['Work']);
    await change([2, 3], 'add', 0, ['WORK', 'home']);
    expect(
      store
        .messages(alice, 'INBOX')
        .slice(0, 3)
        .map((m) => m.keywords),
    ).toEqual([['Work'], ['Work', 'home'], ['Work', 'home']]);
    await change([3, 3], 'remove', 0, ['wORk']);
    expect(store.messages(alice, 'INBOX')[2]?.keywords).toEqual(['home']);
    await change(
      [4, 4],
      'add',
      0,
      Array.from({ length: 46 }, (_, i) => `k${i}`),
    );
    const ask = { account: alice, mailbox: inbox().id, uids: [5, 5], mode: 'add', flags: 0, unchangedSince: null } as const;
    expect(await store.no('store', { ...ask, keywords: ['k0', 'oneMore'] })).toBe('limit');
    expect(store.messages(alice, 'INBOX')[3]?.keywords.length).toBe(46);
    await change([4, 4], 'replace', 0, ['k45', 'home']);
    expect(store.messages(alice, 'INBOX')[3]?.keywords).toEqual(['home', 'k45']);
  });

  test('many messages are a few pages', async () => {
    const before = await store.ok('stats', {});
    await change([1, 70], 'add', flag.seen);
    expect(await store.ok('stats', {})).toMatchObject({ commit: before.commit + 1 });
    expect(await store.no('store', { account: bob, mailbox: inbox().id, uids: [1, 1], mode: 'add', flags: 1, keywords: [], unchangedSince: null })).toBe(
      'noSuchMailbox',
    );
  });
});

describe('COPY, MOVE, EXPUNGE', () => {
  beforeEach(async () => {
    for (let i = 1; i <= 40; i++) await append(`m${i}`, { flags: i % 2 ? flag.seen : 0, keywords: i === 3 ? ['Three'] : [] });
  });
  const copy = (uids: number[], target: string, move = false) => store.ok('copy', { account: alice, mailbox: inbox().id, uids, target, move });

  test('COPY names both sides in order and keeps flags and keywords', async () => {
    await append('x', { mailbox: 'Archive', keywords: ['Other'] });
    const answer = await copy([2, 4, 39, 50], 'Archive');
    expect(answer).toMatchObject({
      from: [2, 4, 39, 40],
      to: [2, 6],
      uidValidity: store.mailbox(alice, 'Archive').uidValidity,
      targetMailbox: store.mailbox(alice, 'Archive').id,
    });
    expect(store.messages(alice, 'Archive').map((m) => [m.uid, m.flags, m.keywords])).toEqual([
      [1, 0, ['Other']],
      [2, 0, []],
      [3, 1, ['Three']],
      [4, 0, []],
      [5, 1, []],
      [6, 0, []],
    ]);
    expect(answer.modseq).toBe(store.mailbox(alice, 'Archive').modseq);
    expect(inbox().exists).toBe(40);
  });

  test('S2: MOVE takes them away, for good', async () => {
    const answer = await copy([1, 35], 'Trash', true);
    expect(answer).toMatchObject({ from: [1, 35], to: [1, 35], modseq: inbox().modseq });
    expect(inbox()).toMatchObject({ exists: 5, uidNext: 41 });
    expect(vanishedSince(store.engine, inbox().id, 0)).toEqual([1, 35]);
    expect(account(store.engine, alice)?.messages).toBe(40);
  });

  test('COPY and MOVE within one mailbox', async () => {
    await copy([1, 2], 'INBOX');
    expect(await copy([1, 2], 'inbox', true)).toMatchObject({ from: [1, 2], to: [43, 44] });
    expect(store.messages(alice, 'INBOX').map((m) => m.uid)).toEqual([...Array.from({ length: 38 }, (_, i) => i + 3), 41, 42, 43, 44]);
  });

  test('nothing to copy is no error; no target is', async () => {
    expect(await copy([100, 200], 'Trash')).toMatchObject({ from: [], to: [] });
    expect(await store.no('copy', { account: alice, mailbox: inbox().id, uids: [1, 1], target: 'None', move: false })).toBe('noSuchMailbox');
    expect(await store.no('copy', { account: alice, mailbox: 999, uids: [1, 1], target: 'Trash', move: false })).toBe('noSuchMailbox');
  });

  test('EXPUNGE removes what is \\Deleted among the named, and its bodies', async () => {
    await change([1, 10], 'add', flag.deleted);
    const before = rowCount(store.engine);
    expect(await store.ok('expunge', { account: alice, mailbox: inbox().id, uids: [3, 4, 9, 30] })).toEqual({
      expunged: [3, 4, 9, 10],
      modseq: inbox().modseq,
    });
    expect(inbox()).toMatchObject({ exists: 36, deleted: 6, uidNext: 41 });
    // blob, info, hash and a chunk each; one vanished and one journal row more
    expect(rowCount(store.engine)).toBe(before - 4 * 4 + 2);
    expect(vanishedSince(store.engine, inbox().id, inbox().modseq - 1)).toEqual([3, 4, 9, 10]);
    expect(await store.ok('expunge', { account: alice, mailbox: inbox().id, uids: [3, 4] })).toMatchObject({ expunged: [] });
  });

  test('of a large folder are several commits, and one answer', async () => {
    const many = 5_000;
    for (let i = 0; i < many / 1_000; i++) {
      await store.ok('deliver', {
        mails: [
          mailOf(
            contentOf('many'),
            Array.from({ length: 1_000 }, () => [bob, 'INBOX'] as const),
          ),
        ],
      });
    }
    const box = () => store.mailbox(bob, 'INBOX');
    const { commit } = await store.ok('stats', {});
    const moved = await store.ok('copy', { account: bob, mailbox: box().id, uids: [1, 4_500], target: 'Junk', move: true });
    expect([moved.from, moved.to].map(sizeOf)).toEqual([4_500, 4_500]);
    expect((await store.ok('stats', {})).commit).toBe(commit + 3);
    expect([box().exists, store.mailbox(bob, 'Junk').exists]).toEqual([500, 4_500]);
    const junk = store.mailbox(bob, 'Junk').id;
    await store.ok('store', { account: bob, mailbox: junk, uids: [1, 9_000], mode: 'add', flags: flag.deleted, keywords: [], unchangedSince: null });
    const gone = await store.ok('expunge', { account: bob, mailbox: junk, uids: [1, 300, 302, 9_000] });
    expect([sizeOf(gone.expunged), gone.modseq, store.mailbox(bob, 'Junk').exists]).toEqual([4_499, store.mailbox(bob, 'Junk').modseq, 1]);
  });

  test('\\Recent is claimed once', async () => {
    const claim = () => store.ok('claimRecent', { account: alice, mailbox: inbox().id });
    expect([await claim(), await claim()]).toEqual([{ recentUid: 0 }, { recentUid: 40 }]);
    await append('late');
    expect([await claim(), await claim()]).toEqual([{ recentUid: 40 }, { recentUid: 41 }]);
  });
});

describe('transfers', () => {
  const big = () => contentOf('big', 40 * limits.chunk);
  const send = (content = big(), until?: number) => store.stream(content, until);

  test('a streamed body is claimed by its command', async () => {
    const content = await send();
    await store.ok('deliver', { mails: [mailOf(content, [[alice, 'INBOX']])] });
    expect(read(store.messages(alice, 'INBOX')[0]?.blob ?? 0).length).toBe(content.size);
    expect(
      await store.no('append', {
        account: alice,
        mailbox: 'INBOX',
        flags: 0,
        keywords: [],
        internalDate: 0,
        content: { ...content, hash: new Uint8Array(32) },
      }),
    ).toBe('noSuchTransfer');
  });

  test('what is not whole is not claimed', async () => {
    const content = await send(big(), 30);
    expect(await store.no('deliver', { mails: [mailOf(content, [[alice, 'INBOX']])] })).toBe('badContent');
    expect(await store.no('appendTransfer', { transfer: content.transfer, first: 32, chunks: [new Uint8Array([0, 1])] })).toBe('badContent');
    expect(await store.no('appendTransfer', { transfer: content.transfer, first: 30, chunks: [new Uint8Array([9, 1])] })).toBe('badContent');
    expect(await store.no('appendTransfer', { transfer: 999, first: 0, chunks: [] })).toBe('noSuchTransfer');
  });

  test('M2: a body that is known already is not kept twice; large ones are collected later', async () => {
    for (let i = 0; i < 2; i++) await store.ok('deliver', { mails: [mailOf(await send(), [[alice, 'INBOX']])] });
    expect(new Set(store.messages(alice, 'INBOX').map((m) => m.blob)).size).toBe(1);
    expect(store.problems()).toEqual([]);
    expect(await store.ok('collect', { transferAgeMs: 1_000 })).toEqual({ chunks: 41, more: false });
    await change([1, 2], 'add', flag.deleted);
    await store.ok('expunge', { account: alice, mailbox: inbox().id, uids: [1, 2] });
    expect(store.problems()).toEqual([]);
    expect(await store.ok('collect', { transferAgeMs: 1_000 })).toEqual({ chunks: 41, more: false });
    expect(await store.ok('collect', { transferAgeMs: 1_000 })).toEqual({ chunks: 0, more: false });
  });

  test('a lost link drops its transfers, and nobody else may add to them', async () => {
    const other = store.connect();
    const began = await other.ask('beginTransfer', { now: store.world.time });
    const transfer = 'transfer' in began ? began.transfer : 0;
    expect(await store.no('appendTransfer', { transfer, first: 0, chunks: [] })).toBe('noSuchTransfer');
    await other.ask('appendTransfer', { transfer, first: 0, chunks: big().chunks.slice(0, 20) });
    other.gone();
    await store.ok('stats', {});
    await store.ok('claimRecent', { account: alice, mailbox: inbox().id });
    expect(await store.ok('collect', { transferAgeMs: 1e9 })).toEqual({ chunks: 20, more: false });
  });

  test('a transfer that still grows is not collected, however old; one that stands still is, though its link lives', async () => {
    const content = big();
    const slow = await send(content, 8);
    const idle = await send(content, 8);
    for (let first = 8; first < content.chunks.length; first += 8) {
      store.world.time += 1_000;
      await store.ok('collect', { transferAgeMs: 1_500 });
      await store.ok('appendTransfer', { transfer: slow.transfer, first, chunks: content.chunks.slice(first, first + 8) });
    }
    expect(await store.no('appendTransfer', { transfer: idle.transfer, first: 8, chunks: [] })).toBe('noSuchTransfer');
    await store.ok('deliver', { mails: [mailOf(slow, [[alice, 'INBOX']])] });
    expect(read(store.messages(alice, 'INBOX')[0]?.blob ?? 0).length).toBe(slow.size);
  });

  test('an old transfer is collected, and so are all when the store starts again', async () => {
    const old = await send(big(), 8);
    store.world.time += 2_000;
    const young = await send(big(), 16);
    await store.ok('collect', { transferAgeMs: 1_500 });
    expect(await store.no('appendTransfer', { transfer: old.transfer, first: 8, chunks: [] })).toBe('noSuchTransfer');
    const again = await testStore({ engine: store.engine, document: null });
    expect(again.problems()).toEqual([]);
    expect(await again.no('appendTransfer', { transfer: young.transfer, first: 16, chunks: [] })).toBe('noSuchTransfer');
  });
});
