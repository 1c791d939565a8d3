// The report of space against a recount of every octet: exact where it counts, near where it samples.

import { afterEach, expect, test } from 'vitest';
import { draw, measure } from '../../../cli/space.ts';
import { prefixRange } from '../../../storage/rows.ts';
import { tables, type TableName } from '../../../storage/schema.ts';
import { type Part, space } from '../../../storage/space.ts';
import { contentOf, mailOf, type TestStore, testStore } from './fixture.ts';

let store: TestStore;
afterEach(() => expect(store.problems()).toEqual([]));

function octetsOf(names: readonly TableName[]): number {
  let octets = 0;
  for (const name of names) {
    const { from, to } = prefixRange(name);
    for (const [key, value] of store.engine.range(from, to)) octets += key.length + value.length;
  }
  return octets;
}
const part = (parts: readonly Part[], what: Part['what']): Part => {
  const found = parts.find((p) => p.what === what);
  if (!found) throw new Error(`no part ${what}`);
  return found;
};
/** Of configuration too: of the uplink, and of a portal. */
const uplinkTables = ['uplink', 'desired', 'before', 'commandResult', 'event', 'eventLog', 'clock', 'proof'] as const;
const near = (octets: number, wanted: number, share: number): void => {
  expect(octets).toBeGreaterThan(wanted * (1 - share));
  expect(octets).toBeLessThan(wanted * (1 + share));
};

test('counts are exact, octets are near a recount, and everything has its place', async () => {
  store = await testStore();
  const s = store;
  let plain = 0;
  let chunks = 0;
  for (let i = 0; i < 3_000; i++) {
    const content = contentOf(`message ${i}`, 200 + ((i * 7_919) % 30_000));
    plain += content.size;
    chunks += content.chunkCount;
    await s.ok('deliver', {
      mails: [
        mailOf(
          content,
          i % 3 === 0
            ? [
                [1, 'INBOX'],
                [2, 'INBOX'],
              ]
            : [[1, 'INBOX']],
        ),
      ],
    });
  }
  const shared = contentOf('for both elsewhere', 5_000);
  await s.ok('deliver', { mails: [mailOf(shared, [], ['x@elsewhere.test', 'y@elsewhere.test'])] });
  await s.stream(contentOf('unfinished', 100_000), 5);
  const found = space(s.engine);
  expect(found).toMatchObject({ bodies: 3_001, references: 4_001, chunks: chunks + shared.chunkCount, plainOctets: plain + shared.size });
  near(found.storedOctets, octetsOf(['chunk']), 0.05);
  expect(found.sharedOctets).toBeGreaterThan(plain / 4);
  const groups: readonly (readonly [Part['what'], readonly TableName[], number])[] = [
    ['envelopes', ['info'], 0.05],
    ['indexes', ['mailbox', 'mailboxName', 'page', 'subscription', 'removed', 'blob', 'hash'], 0.05],
    ['journal', ['journal'], 0.1],
    ['queue', ['queue', 'queueRecipient', 'queueDue'], 0.01],
    [
      'configuration',
      [
        'site',
        'config',
        'domain',
        'address',
        'account',
        'certificate',
        'dkim',
        'authFailure',
        'lineage',
        'recovery',
        'damage',
        'scrub',
        'record',
        ...uplinkTables,
      ],
      0.01,
    ],
    ['trace', ['trace', 'traceEvent', 'traceIndex', 'traceMeter'], 0.05],
  ];
  for (const [what, names, share] of groups) near(part(found.parts, what).octets, octetsOf(names), share);
  expect(part(found.parts, 'transfers').rows).toBe(5);
  const named = new Set<string>([...groups.flatMap(([, names]) => names), 'chunk', 'vanished', 'garbage', 'transfer']);
  expect(
    Object.keys(tables).filter((name) => !named.has(name)),
    'a table that the report does not know',
  ).toEqual([]);
  expect(found.accounts.map((a) => [a.account, a.messages])).toEqual([
    ['alice@example.test', 3_000],
    ['bob@example.test', 1_000],
  ]);
  expect(found.mailboxes[0]).toMatchObject({ account: 'alice@example.test', mailbox: 'INBOX', messages: 3_000, octets: plain });
});

test('bodies that are all alike do not mislead the sample', async () => {
  store = await testStore();
  for (let i = 0; i < 3_000; i++) await store.ok('deliver', { mails: [mailOf(contentOf(`message ${i}`, 7 * 4_071), [[1, 'INBOX']])] });
  const found = space(store.engine);
  expect(found.chunks).toBe(3_000 * 8);
  near(found.storedOctets, octetsOf(['chunk']), 0.01);
});

test('the largest ten, what waits to be removed, and an empty site', async () => {
  store = await testStore();
  const s = store;
  const none = space(s.engine);
  expect([none.bodies, none.storedOctets, none.accounts, none.mailboxes]).toEqual([0, 0, [], []]);
  for (let i = 0; i < 12; i++) {
    await s.ok('createMailbox', { account: 1, name: `folder ${i}`, specialUse: '' });
    await s.ok('deliver', { mails: [mailOf(contentOf(`in ${i}`, 1_000 + 100 * i), [[1, `folder ${i}`]])] });
  }
  const content = contentOf('large', 200_000);
  await s.ok('deliver', { mails: [mailOf(content, [[1, 'INBOX']])] });
  await s.ok('store', { account: 1, mailbox: s.mailbox(1, 'INBOX').id, uids: [1, 1], mode: 'add', flags: 8, keywords: [], unchangedSince: null });
  await s.ok('expunge', { account: 1, mailbox: s.mailbox(1, 'INBOX').id, uids: [1, 1] });
  const found = space(s.engine);
  expect(found.mailboxes.map((m) => m.mailbox)).toEqual(Array.from({ length: 10 }, (_, i) => `folder ${11 - i}`));
  expect([part(found.parts, 'garbage').rows, part(found.parts, 'vanished').rows]).toEqual([content.chunkCount, 1]);
});

test('compact is proposed when it is worth it, and people can read it', async () => {
  store = await testStore();
  await store.ok('deliver', { mails: [mailOf(contentOf('one', 3_000), [[1, 'INBOX']])] });
  const rows = space(store.engine);
  const mostlyFree = measure(rows, { file: 100_000_000, inUse: 40_000_000, free: 60_000_000 }, 1_000, '/data');
  expect([mostlyFree.reclaimable, mostlyFree.compactIsWorthIt, mostlyFree.savedByCompression]).toEqual([
    60_000_000,
    true,
    rows.plainOctets - rows.storedOctets,
  ]);
  const mostlyUsed = measure(rows, { file: 100_000_000, inUse: 95_000_000, free: 5_000_000 }, 1_000, '/data');
  expect(mostlyUsed.compactIsWorthIt).toBe(false);
  const text = Bun.stripANSI(draw(mostlyFree));
  expect(text.split('\n').slice(0, 4)).toEqual([
    'engine       100 MB        in /data',
    expect.stringMatching(/^in use {7}40 MB {3}40 % {2}rows .* kB, unfilled pages and trees 40 MB$/),
    'free         60 MB   60 %  mailsite compact gives it back',
    'other files  1.0 kB',
  ]);
  expect(text).toContain('alice@example.test INBOX');
  expect(Bun.stripANSI(draw(mostlyUsed))).toContain('new mail takes it');
});
