// What is remembered of messages (M2, Q1): written by the commit that did it, found by its names, pruned by age and size;
// and what an administrator does to the queue.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { pruneTrace } from '../../../storage/commands/trace.ts';
import { sealBatch } from '../../../storage/journal.ts';
import { digestKey } from '../../../storage/recount.ts';
import { encodeKey, getRow } from '../../../storage/rows.ts';
import { heldDue } from '../../../storage/schema.ts';
import { trace, traceMeter } from '../../../storage/trace.ts';
import { createBatch } from '../../../storage/tx.ts';
import { queued, queueSize } from '../../../storage/views.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
beforeEach(async () => {
  store = await testStore();
});
afterEach(() => expect(store.problems()).toEqual([]));

const send = async (to: string[], id = 'm1', local: [number, string][] = []): Promise<number> => {
  const content = contentOf(`mail ${id}`);
  const mail = mailOf({ ...content, info: { ...content.info, messageId: `<${id}@example.test>` } }, local, to);
  const answer = await store.ok('deliver', { mails: [{ ...mail, origin: { ...mail.origin, named: ['As@Named.test', ...to] } }] });
  return answer.queues[0] ?? 0;
};
const ask = (about: string, since = 0, limit = 10) => trace(store.engine, { about, since, limit });
const kinds = (about: string) => ask(about).messages.map((m) => m.events.map((e) => e.kind));
const claim = () => store.ok('claimQueue', { leaseMs: 1_000, limit: 100, skipDomains: [] });
const claimed = async () => (await claim()).due.map((d) => `${d.queue}/${d.n}`);
type Event = 'delivered' | 'deferred' | 'bounced' | '';
const report = (queue: number, n: number, event: Event, more: object = {}) => {
  const outcome = ({ delivered: 'done', deferred: 'later', bounced: 'failed', '': 'later' } as const)[event];
  const words = { code: '4.7.1', error: '451 4.7.1 come back', host: 'mx.one.test', ip: '192.0.2.5', tls: 'TLSv1.3' };
  return store.ok('reportQueue', {
    outcomes: [{ queue, n, outcome, due: store.world.time + 60_000, warned: false, attempted: event !== '', event, ...words, ...more }],
    mails: [],
  });
};
const tend = (verb: 'holdQueue' | 'releaseQueue' | 'retryQueue', queue: number, n = 0) => store.ok(verb, { by: 'root', of: [{ queue, n }] });
const drop = (queue: number, n = 0, more: object = {}) => store.ok('deleteQueue', { by: 'root', alone: false, of: [{ queue, n }], mails: [], ...more });
const row = (queue: number, n = 0) => queued(store.engine, queue)?.recipients.find((r) => r.n === n)?.row;

test('acceptance is told in its own commit: whence, for whom, where stored, as what queued', async () => {
  const { commit } = await store.ok('stats', {});
  const queue = await send(['far@one.test'], 'm1', [[1, 'Archive']]);
  expect((await store.ok('stats', {})).commit).toBe(commit + 1);
  const [found] = ask('<m1@example.test>').messages;
  expect(found).toMatchObject({
    messageId: 'm1@example.test',
    from: 'sender@elsewhere.test',
    to: ['As@Named.test', 'far@one.test'],
    client: { ip: '192.0.2.9', helo: 'client.test' },
    queue,
    waiting: ['far@one.test'],
    events: [{ kind: 'received' }, { kind: 'stored', account: 'alice@example.test', mailbox: 'Archive', uid: 1 }, { kind: 'queued', to: ['far@one.test'] }],
  });
});

test.each(['at once', 'by the index'])('a message is found by each of its names, in any case, and by no other: %s', async (how) => {
  await send(['far@one.test'], 'm1', [[2, 'INBOX']]);
  if (how !== 'at once') await collectAll();
  expect([...store.engine.keys(new Uint8Array([32]), new Uint8Array([33]))].length).toBe(how === 'at once' ? 0 : 5);
  for (const about of ['m1@example.test', '<m1@example.test>', 'SENDER@elsewhere.test', 'as@named.test', 'Far@One.test', 'bob@example.test'])
    expect(ask(about).messages.length, about).toBe(1);
  for (const about of ['alice@example.test', 'far@one.tes', 'm2@example.test', '']) expect(ask(about).messages.length, about).toBe(0);
});

test('a command that is refused leaves no trace', async () => {
  await store.no('deliver', { mails: [mailOf(contentOf('a'), [[99, 'INBOX']], ['far@one.test'])] });
  expect(ask('far@one.test').messages).toEqual([]);
  expect(traceMeter(store.engine)).toMatchObject({ next: 1, received: 0 });
});

test('each attempt is told with the words of the other host, the same fate of several recipients once', async () => {
  const queue = await send(['a@one.test', 'b@one.test', 'c@two.test']);
  await claim();
  const base = { queue, outcome: 'later' as const, due: store.world.time + 60_000, warned: false, attempted: true, event: 'deferred' as const };
  const words = { code: '4.7.1', error: '451 4.7.1 come back', host: 'mx.one.test', ip: '192.0.2.5', tls: 'TLSv1.3' };
  await store.ok('reportQueue', { outcomes: [0, 1].map((n) => ({ ...base, ...words, n, due: base.due + n })), mails: [] });
  await report(queue, 2, 'delivered', { error: '250 2.0.0 taken as 77' });
  await report(queue, 0, 'bounced', { code: '5.1.1', error: '550 5.1.1 no such user' });
  await report(queue, 1, '', { due: store.world.time }); // given back untried: nothing to tell
  const [found] = ask('c@two.test').messages;
  expect(found?.events.slice(2)).toEqual([
    { at: store.world.time, kind: 'deferred', to: ['a@one.test', 'b@one.test'], ...wordsOf(words), next: base.due },
    { at: store.world.time, kind: 'delivered', to: ['c@two.test'], ...wordsOf({ ...words, error: '250 2.0.0 taken as 77' }), next: base.due },
    { at: store.world.time, kind: 'bounced', to: ['a@one.test'], ...wordsOf({ ...words, code: '5.1.1', error: '550 5.1.1 no such user' }), next: base.due },
  ]);
  expect(found?.waiting).toEqual(['b@one.test']);
  expect(traceMeter(store.engine)).toMatchObject({ received: 1, deferred: 2, delivered: 1, bounced: 1 });
});
const wordsOf = ({ error, ...rest }: { code: string; error: string; host: string; ip: string; tls: string }) => ({ ...rest, words: error });

test('a report that is made again is told once', async () => {
  const queue = await send(['a@one.test']);
  await claim();
  await report(queue, 0, 'delivered');
  await report(queue, 0, 'delivered');
  expect(kinds('a@one.test')).toEqual([['received', 'queued', 'delivered']]);
});

test('the newest come first, as many as are asked for, not older than asked for, over many buckets of the index', async () => {
  for (let i = 0; i < 2_100; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => send([i % 500 === 0 && j === 0 ? 'rare@one.test' : 'often@one.test'], `m${i + j}`)));
    store.world.time += 1_000;
    if (i === 1_600) await collectAll();
  }
  expect(ask('rare@one.test').messages.map((m) => m.messageId)).toEqual([2000, 1500, 1000, 500, 0].map((i) => `m${i}@example.test`));
  expect(ask('rare@one.test', store.world.time - 7_000).messages.length).toBe(2);
  expect(ask('often@one.test', 0, 7)).toMatchObject({ more: true, messages: { length: 7 } });
});

test('refusals are found by sender and recipient, and the oldest of too many go', async () => {
  const one = (address: string, count = 1) => ({
    at: store.world.time,
    envelopeFrom: 'X@spam.test',
    address,
    ip: '192.0.2.3',
    helo: 'h',
    code: '550 5.1.1',
    words: 'There is no such address here',
    count,
  });
  await store.ok('recordRefused', { refusals: [one('No@example.test'), one('nobody@example.test', 40)] });
  expect(ask('no@example.test').refusals).toMatchObject([{ from: 'X@spam.test', to: 'No@example.test', ip: '192.0.2.3', code: '550 5.1.1', count: 1 }]);
  expect(ask('x@spam.test').refusals.map((r) => r.count)).toEqual([40, 1]);
  for (let i = 0; i < limits.traceRefused; i += 1_000)
    await store.ok('recordRefused', { refusals: Array.from({ length: 1_000 }, (_, j) => one(`n${i + j}@example.test`)) });
  expect(ask('no@example.test').refusals).toEqual([]);
  expect(ask(`n${limits.traceRefused - 1}@example.test`).refusals.length).toBe(1);
  expect(traceMeter(store.engine).refused).toBe(41 + limits.traceRefused);
}, 60_000);

test('what is old goes, in small steps, by the collector', async () => {
  for (let i = 0; i < 30; i++) await send(['a@one.test'], `old${i}`);
  await store.ok('recordRefused', {
    refusals: [{ at: store.world.time, envelopeFrom: '', address: 'r@example.test', ip: '', helo: '', code: '', words: '', count: 1 }],
  });
  const queue = await send(['b@one.test'], 'kept');
  store.world.time += limits.traceAgeMs - 1;
  await store.ok('collect', { transferAgeMs: 1_000 });
  expect(ask('a@one.test', 0, 50).messages.length).toBe(30);
  await send(['c@one.test'], 'new');
  store.world.time += 1;
  await store.ok('collect', { transferAgeMs: 1_000 });
  expect(ask('a@one.test', 0, 50).messages).toEqual([]);
  expect(ask('r@example.test').refusals).toEqual([]);
  expect(kinds('c@one.test')).toEqual([['received', 'queued']]);
  expect(traceMeter(store.engine)).toMatchObject({ first: 32, next: 33 });
  // what waits still, beyond its own trace, is counted when it ends
  await claim();
  await report(queue, 0, 'delivered');
  expect(traceMeter(store.engine)).toMatchObject({ delivered: 1 });
});

/** All that the collector has to do. */
async function collectAll(): Promise<void> {
  while ((await store.ok('collect', { transferAgeMs: 1_000 })).more);
  while ((await store.ok('indexTrace', {})).more);
}

test.each([
  ['number', { traceMessages: 1_200, traceOctets: 1e12 }],
  ['size', { traceMessages: 1e9, traceOctets: 440_000 }],
])('the oldest go when there are too many by %s, their index too', async (_by, most) => {
  for (let i = 0; i < 2_500; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => send(['a@one.test'], `m${i + j}`)));
  await collectAll();
  const before = traceMeter(store.engine);
  for (let left = 0; left <= 0; ) {
    const batch = createBatch(store.engine);
    left = pruneTrace(batch, store.world.time, 300, { traceAgeMs: 1e12, ...most });
    if (batch.empty) break;
    sealBatch(batch);
    await store.engine.commit(batch.writes());
    expect(store.problems()).toEqual([]);
  }
  const { first, next, octets } = traceMeter(store.engine);
  expect(next - first).toBeLessThanOrEqual(most.traceMessages);
  expect(octets).toBeLessThanOrEqual(most.traceOctets);
  expect(octets).toBeGreaterThan(0.9 * Math.min(most.traceOctets, (1_200 / 2_500) * before.octets));
  const [oldest] = store.engine.keys(new Uint8Array([32]), new Uint8Array([33]));
  expect(Buffer.from(oldest as Uint8Array).readUInt32BE(1)).toBe(Math.floor(first / 1_024));
  expect(ask('<m0@example.test>').messages).toEqual([]);
});

test('damage to what is remembered stops no mail, and is mended', async () => {
  await send(['a@one.test'], 'm1');
  const damage = async (key: Uint8Array): Promise<void> => {
    const found = Uint8Array.from(store.engine.get(key) as Uint8Array);
    found[found.length - 1] = (found[found.length - 1] as number) ^ 1;
    await store.engine.commit([[key, found]]);
  };
  const meter = encodeKey('traceMeter', {});
  await damage(meter);
  const queue = await send(['b@one.test'], 'm2');
  await claim();
  await report(queue, 0, 'delivered');
  expect(kinds('b@one.test')).toEqual([]);
  await store.ok('mend', { key: meter, row: new Uint8Array() });
  expect(getRow(store.engine, 'traceMeter', {})?.first).toBe(1);
  await damage(encodeKey('trace', { trace: 1 }));
  await send(['c@one.test'], 'm3');
  expect(kinds('c@one.test')).toEqual([['received', 'queued']]);
  await store.ok('mend', { key: encodeKey('trace', { trace: 1 }), row: new Uint8Array() });
  expect(kinds('a@one.test')).toEqual([]);
  await store.ok('mend', { key: digestKey, row: new Uint8Array() }); // what was mended is counted anew
});

test('held is neither tried nor expires, stays to be seen, and has its time again when released', async () => {
  const queue = await send(['a@one.test', 'b@one.test']);
  const expiresAt = queued(store.engine, queue)?.row.expiresAt as number;
  expect(await tend('holdQueue', queue)).toEqual({ done: 1, leased: 0 });
  expect(await tend('holdQueue', queue)).toEqual({ done: 0, leased: 0 });
  expect(row(queue)).toMatchObject({ held: store.world.time, due: heldDue });
  expect(queueSize(store.engine)).toMatchObject({ messages: 1, recipients: 2, held: 1 });
  expect(await claimed()).toEqual([`${queue}/1`]);
  await report(queue, 1, 'delivered');
  store.world.time += 5_000_000;
  expect(await claim()).toEqual({ due: [], nextDue: null });
  expect(await tend('retryQueue', queue)).toEqual({ done: 0, leased: 0 });
  expect(await tend('releaseQueue', queue)).toEqual({ done: 1, leased: 0 });
  expect(await tend('releaseQueue', queue)).toEqual({ done: 0, leased: 0 });
  expect(queued(store.engine, queue)?.row.expiresAt).toBe(expiresAt + 5_000_000);
  expect(await claimed()).toEqual([`${queue}/0`]);
  expect(ask('a@one.test').messages[0]?.events.slice(2)).toMatchObject([
    { kind: 'held', to: ['a@one.test'], by: 'root' },
    { kind: 'delivered', to: ['b@one.test'] },
    { kind: 'released', to: ['a@one.test'], by: 'root' },
  ]);
});

test('held while it is tried: that attempt ends as it ends, and there is no other', async () => {
  const queue = await send(['a@one.test', 'b@one.test', 'c@one.test']);
  await claim();
  for (const n of [0, 1, 2]) expect(await tend('holdQueue', queue, n)).toEqual({ done: 1, leased: 1 });
  await report(queue, 0, 'delivered');
  await report(queue, 1, '', { due: store.world.time + 5_000 }); // its lease is made longer
  expect(row(queue, 1)).toMatchObject({ leaseUntil: store.world.time + 5_000, due: store.world.time + 5_000 });
  await report(queue, 1, 'deferred');
  expect(row(queue, 0)).toBeUndefined();
  expect(row(queue, 1)).toMatchObject({ due: heldDue, leaseUntil: 0, attempts: 1, lastError: '451 4.7.1 come back' });
  // whoever tried the third is gone
  store.world.time += 1_000;
  expect(await claimed()).toEqual([]);
  expect(row(queue, 2)).toMatchObject({ due: heldDue, leaseUntil: 0 });
});

test('Q1: a delay notice for who is held meanwhile is sent once', async () => {
  const queue = await send(['a@one.test']);
  await claim();
  await tend('holdQueue', queue);
  const words = { code: '4.0.0', error: 'no', host: '', ip: '', tls: '' };
  const outcome = { queue, n: 0, outcome: 'later' as const, due: store.world.time + 50, warned: true, attempted: true, event: 'deferred' as const, ...words };
  const message = { outcomes: [outcome], mails: [mailOf(contentOf('delayed'), [[1, 'INBOX']])] };
  await store.ok('reportQueue', message);
  expect(await store.no('reportQueue', message)).toBe('conflict');
  expect(store.mailbox(1, 'INBOX').exists).toBe(1);
});

test('retry is due now with new waits, and leaves alone what is being tried', async () => {
  const queue = await send(['a@one.test']);
  await claim();
  expect(await tend('retryQueue', queue)).toEqual({ done: 0, leased: 1 });
  await report(queue, 0, 'deferred');
  expect(await claimed()).toEqual([]);
  expect(await tend('retryQueue', queue)).toEqual({ done: 1, leased: 0 });
  expect(await tend('retryQueue', queue)).toEqual({ done: 0, leased: 0 });
  expect(row(queue)).toMatchObject({ attempts: 0, due: store.world.time });
  expect(await claimed()).toEqual([`${queue}/0`]);
});

test('Q1: deleted is gone with a row that says by whom; what is being tried is not deleted; a late report changes nothing', async () => {
  const queue = await send(['a@one.test', 'b@one.test']);
  await claim();
  expect(await drop(queue)).toEqual({ done: 0, leased: 1 });
  expect(await drop(queue, 0, { alone: true })).toEqual({ done: 1, leased: 1 });
  expect(await drop(queue)).toEqual({ done: 0, leased: 0 });
  await report(queue, 0, 'delivered');
  await report(queue, 1, 'deferred');
  expect(await drop(queue, 1)).toEqual({ done: 1, leased: 0 });
  expect(queued(store.engine, queue)).toBeUndefined();
  expect(kinds('a@one.test')).toEqual([['received', 'queued', 'deleted', 'deferred', 'deleted']]);
  expect(traceMeter(store.engine)).toMatchObject({ deleted: 2, delivered: 0 });
});

test('the notice about what is deleted is in the same commit, for all of it or not at all', async () => {
  const queue = await send(['a@one.test', 'b@one.test']);
  const both = [0, 1].map((n) => ({ queue, n }));
  const ask2 = { by: 'root', alone: false, of: both, mails: [mailOf(contentOf('deleted'), [[1, 'INBOX']])] };
  await claim();
  expect(await store.no('deleteQueue', ask2)).toBe('conflict');
  await report(queue, 0, 'deferred');
  await report(queue, 1, 'deferred');
  expect(await store.ok('deleteQueue', ask2)).toEqual({ done: 2, leased: 0 });
  expect(await store.no('deleteQueue', ask2)).toBe('conflict');
  expect(store.mailbox(1, 'INBOX').exists).toBe(1);
});

test('check sees a trace that was lost, and a queue that its trace does not know', async () => {
  const queue = await send(['a@one.test']);
  await collectAll();
  const key = encodeKey('trace', { trace: 1 });
  const was = store.engine.get(key) as Uint8Array;
  const batch = createBatch(store.engine);
  const head = getRow(store.engine, 'trace', { trace: 1 });
  if (head === undefined) throw new Error('no trace');
  batch.put('trace', { trace: 1 }, { ...head, remote: ['other@one.test'], queue: queue + 1 });
  await store.engine.commit(batch.writes());
  const said = store.problems().join('\n');
  expect(said).toContain('was never told to be queued');
  expect(said).toContain('which is of another message');
  expect(said).toContain('is not found by one of its names');
  await store.engine.commit([[key, was]]);
});
