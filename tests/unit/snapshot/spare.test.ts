// Damage that nothing here can mend is mended from the snapshots, and only by what is still true.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Running } from '../../../actors/actor.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { encodeKey, getRow } from '../../../storage/rows.ts';
import { scrubOnce } from '../../../storage/scrub.ts';
import { createSnapshot } from '../../../storage/snapshot/create.ts';
import { keysFor } from '../../../storage/snapshot/keys.ts';
import { openPlace } from '../../../storage/snapshot/place.ts';
import { copiesOf } from '../../../storage/snapshot/spare.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore } from '../storage/fixture.ts';

let folder: string;
let store: TestStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailsite-spare-'));
  store = await testStore({ document: documentOf({ snapshots: { to: folder, everySeconds: 10, s3: null } }) });
  await store.ok('makeKeys', await keysFor(store.world, undefined));
  for (let i = 0; i < 40; i++) await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`, 9_000), [[1, 'INBOX']])] });
});
afterEach(() => rmSync(folder, { recursive: true }));

async function park(): Promise<void> {
  const place = await openPlace(folder, { world: store.world });
  await createSnapshot(store.engine.snapshot(), place, { now: store.world.time, full: false, lookBack: true });
}

async function scrub(): Promise<void> {
  const served = { receive: (kind: string, message: unknown) => store.address.ask(kind as 'collect', message as never) };
  await scrubOnce(store.world, store.engine, served as unknown as Running<StoreProtocol>, {
    spare: async () => copiesOf(store.world, store.engine),
    infoOf: null,
  });
}

async function spoil(key: Uint8Array): Promise<void> {
  const bad = store.engine.get(key) as Uint8Array;
  bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 0x10;
  await store.engine.commit([[key, bad]]);
}

const damaged = (): string[] => store.problems();

test('an index page and a body come back from the newest snapshot', async () => {
  await park();
  await store.ok('deliver', { mails: [mailOf(contentOf('later', 100), [[2, 'INBOX']])] });
  const mailbox = store.mailbox(1, 'INBOX').id;
  const before = store.messages(1, 'INBOX');
  await spoil(encodeKey('page', { mailbox, page: 0 }));
  await spoil(encodeKey('chunk', { blob: before[3]?.blob as number, n: 1 }));
  expect(damaged().length).toBeGreaterThan(0);
  await scrub();
  expect(damaged()).toEqual([]);
  expect(store.messages(1, 'INBOX')).toEqual(before);
  expect(store.world.logged.filter(({ event }) => event === 'store.healed')).toHaveLength(2);
});

test('a row that a later commit touched is not taken from a snapshot before it', async () => {
  await park();
  const mailbox = store.mailbox(1, 'INBOX').id;
  await store.ok('store', { account: 1, mailbox, uids: [5, 5], mode: 'add', flags: 4, keywords: [], unchangedSince: null });
  const page = encodeKey('page', { mailbox, page: 0 });
  await spoil(page);
  await scrub();
  expect(damaged().some((line) => line.includes('page'))).toBe(true);
  expect(store.engine.get(page)?.length).toBeGreaterThan(0);
});

test('a key that a flipped bit made no key is listed, and the store goes on', async () => {
  const key = encodeKey('mailboxName', { account: 1, name: 'Archive' });
  const bad = key.slice();
  bad[bad.length - 1] = 0xff;
  await store.engine.commit([
    [bad, store.engine.get(key) as Uint8Array],
    [key, null],
  ]);
  await scrub();
  await scrub();
  expect(damaged().length).toBeGreaterThan(0);
  await store.ok('deliver', { mails: [mailOf(contentOf('still here'), [[1, 'INBOX']])] });
});

test('a body that was damaged before the newest base comes from an older base', async () => {
  await park();
  const { blob } = store.messages(1, 'INBOX')[7] as { blob: number };
  await spoil(encodeKey('chunk', { blob, n: 2 }));
  await store.ok('deliver', { mails: [mailOf(contentOf('later', 100), [[2, 'INBOX']])] });
  const place = await openPlace(folder, { world: store.world });
  await createSnapshot(store.engine.snapshot(), place, { now: store.world.time, full: true, lookBack: true });
  await scrub();
  expect(damaged()).toEqual([]);
  expect(getRow(store.engine, 'blob', { blob })?.size).toBe(9_000);
});
