// The outbound queue (Q1): leases, reports, and bounces in the same commit.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { blob, queue, queued } from '../../../storage/views.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
const leaseMs = 1_000;
const outcome = { due: 0, warned: false, attempted: true, code: '', error: '', host: '', event: '', ip: '', tls: '' } as const;

beforeEach(async () => {
  store = await testStore();
});
afterEach(() => expect(store.problems()).toEqual([]));

const send = async (to: string[], text = 'out') => (await store.ok('deliver', { mails: [mailOf(contentOf(text), [], to)] })).queues[0] ?? 0;
const claim = (limit = 100, skipDomains: string[] = []) => store.ok('claimQueue', { leaseMs, limit, skipDomains });
const claimed = async (...args: Parameters<typeof claim>) => (await claim(...args)).due.map((d) => `${d.queue}/${d.n}`);
const report = (id: number, n: number, what: 'done' | 'later' | 'failed', more: object = {}) =>
  store.ok('reportQueue', { outcomes: [{ ...outcome, queue: id, n, outcome: what, ...more }], mails: [] });

test('every remote recipient is a row, due at once, and the body is held by the queue', async () => {
  const id = await send(['a@One.test', 'b@two.test']);
  expect(queued(store.engine, id)).toMatchObject({
    row: { recipients: 2, envelopeFrom: 'sender@elsewhere.test' },
    recipients: [{ n: 0, row: { domain: 'one.test' } }, { n: 1 }],
  });
  expect(blob(store.engine, queued(store.engine, id)?.row.blob ?? 0)?.refs).toBe(1);
  expect(await claim()).toEqual({
    due: [
      { queue: id, n: 0, domain: 'one.test' },
      { queue: id, n: 1, domain: 'two.test' },
    ],
    nextDue: store.world.time + leaseMs,
  });
});

test('Q1: what is leased is due again when the lease ends, and not before', async () => {
  const id = await send(['a@one.test']);
  expect(await claimed()).toEqual([`${id}/0`]);
  expect(await claim()).toEqual({ due: [], nextDue: store.world.time + leaseMs });
  store.world.time += leaseMs;
  expect(await claimed()).toEqual([`${id}/0`]);
});

test('oldest first, no more than the limit, and not the domains that are busy', async () => {
  const first = await send(['a@one.test', 'b@two.test', 'c@one.test'], 'first');
  store.world.time += 10;
  const second = await send(['d@three.test'], 'second');
  expect(await claim(1, ['one.test'])).toEqual({ due: [{ queue: first, n: 1, domain: 'two.test' }], nextDue: store.world.time - 10 });
  expect(await claimed(10, ['one.test'])).toEqual([`${second}/0`]);
  expect(await claimed()).toEqual([`${first}/0`, `${first}/2`]);
});

test('what waits for a busy domain does not hide the others', async () => {
  for (let i = 0; i < 3; i++)
    await send(
      Array.from({ length: 600 }, (_, j) => `a${i}-${j}@busy.test`),
      `busy ${i}`,
    );
  const other = await send(['a@one.test'], 'other');
  expect(await claim(10, ['busy.test'])).toEqual({ due: [], nextDue: store.world.time });
  expect(await claimed(10, ['busy.test'])).toEqual([`${other}/0`]);
  expect((await claim(10)).due.length).toBe(10);
  store.world.time += 5_000;
  expect((await claim(1_000)).due.length).toBe(1_000);
});

test('done and failed remove the recipient, and the last one the message and its body', async () => {
  const id = await send(['a@one.test', 'b@two.test']);
  await claim();
  await report(id, 0, 'done');
  expect(queued(store.engine, id)?.row.recipients).toBe(1);
  await report(id, 0, 'done'); // said twice: the first answer was lost
  await report(id, 1, 'failed');
  expect([...queue(store.engine)]).toEqual([]);
  expect([...store.engine.keys(new Uint8Array([9]), new Uint8Array([13]))].length).toBe(0);
});

test('later puts it back with what happened', async () => {
  const id = await send(['a@one.test']);
  await claim();
  await report(id, 0, 'later', { due: store.world.time + 50, warned: true, code: '4.4.1', error: 'no route', host: 'mx.one.test' });
  const state = { attempts: 1, leaseUntil: 0, warned: true, lastCode: '4.4.1', lastError: 'no route', lastHost: 'mx.one.test', due: store.world.time + 50 };
  expect(queued(store.engine, id)?.recipients[0]?.row).toMatchObject(state);
  expect(await claim()).toEqual({ due: [], nextDue: store.world.time + 50 });
  store.world.time += 50;
  expect(await claimed()).toEqual([`${id}/0`]);
  await report(id, 0, 'later', { due: store.world.time, attempted: false });
  expect(queued(store.engine, id)?.recipients[0]?.row).toMatchObject({ attempts: 1, warned: true });
});

test('the bounce is in the commit of the failure, and a refused bounce changes nothing', async () => {
  const id = await send(['a@one.test']);
  const bounce = (account: number) => ({
    outcomes: [{ ...outcome, queue: id, n: 0, outcome: 'failed' as const }],
    mails: [mailOf(contentOf('bounce'), [[account, 'INBOX']])],
  });
  expect(await store.no('reportQueue', bounce(99))).toBe('noSuchAccount');
  expect(queued(store.engine, id)?.recipients.length).toBe(1);
  const { commit } = await store.ok('stats', {});
  await store.ok('reportQueue', bounce(1));
  expect(await store.ok('stats', {})).toMatchObject({ commit: commit + 1, queued: 0 });
  expect(store.mailbox(1, 'INBOX').exists).toBe(1);
});

test('Q1: a report that is made again delivers nothing again, whatever its outcome was', async () => {
  const id = await send(['a@one.test', 'b@one.test']);
  await claim();
  const outcomes = [
    { ...outcome, queue: id, n: 0, outcome: 'failed' as const },
    { ...outcome, queue: id, n: 1, outcome: 'later' as const, due: store.world.time + 50, warned: true },
  ];
  for (const some of [outcomes.slice(1), outcomes]) {
    const message = { outcomes: some, mails: [mailOf(contentOf('bounce'), [[1, 'INBOX']])] };
    if (some.length > 1) await report(id, 1, 'later', { due: store.world.time + 70 });
    const before = store.mailbox(1, 'INBOX').exists;
    await store.ok('reportQueue', message);
    const { commit } = await store.ok('stats', {});
    expect(await store.no('reportQueue', message)).toBe('conflict');
    expect(await store.ok('stats', {})).toMatchObject({ commit });
    expect(store.mailbox(1, 'INBOX').exists).toBe(before + 1);
  }
  expect(queued(store.engine, id)?.recipients.map((r) => [r.n, r.row.due])).toEqual([[1, store.world.time + 50]]);
});

test('one message to us and to others is one body', async () => {
  await store.ok('deliver', {
    mails: [
      mailOf(
        contentOf('both'),
        [
          [1, 'INBOX'],
          [2, 'INBOX'],
        ],
        ['a@one.test', 'b@one.test'],
      ),
    ],
  });
  expect(blob(store.engine, store.messages(1, 'INBOX')[0]?.blob ?? 0)?.refs).toBe(3);
});

test('subscribers are told that something is due', async () => {
  const due: number[] = [];
  store.address.on('queued', (event) => due.push(event.due));
  await store.ok('subscribe', {});
  const id = await send(['a@one.test']);
  await report(id, 0, 'later', { due: store.world.time + 7 });
  expect(due).toEqual([0, store.world.time, store.world.time + 7]); // at once: there may be something due
});

test('the view of a long queue is in order and whole', async () => {
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 50 }, (_, j) => send([`a@d${j}.test`], `${i} ${j}`)));
  expect([...queue(store.engine)].map((q) => q.queue)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
  expect((await store.ok('stats', {})).queued).toBe(150);
});
