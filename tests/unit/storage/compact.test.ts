// Compacting a real engine: the same rows, the same commit, a smaller file; commands go on meanwhile; a full disk or a
// crash leaves what was there; readers follow, and what they hold stays good.

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Address, local, type Running, run } from '../../../actors/actor.ts';
import { isRefusal } from '../../../actors/wire.ts';
import { storage } from '../../../storage/actor.ts';
import { check } from '../../../storage/check.ts';
import { compactInto } from '../../../storage/compact.ts';
import { DiskFull, type Engine, type Reader } from '../../../storage/engine.ts';
import { type LmdbEngine, openLmdb, openLmdbReader } from '../../../storage/engines/lmdb.ts';
import type { StoreProtocol } from '../../../storage/messages.ts';
import { getRow, octetText } from '../../../storage/rows.ts';
import { mailboxByName } from '../../../storage/views.ts';
import { contentOf, documentOf, mailOf, testWorld } from './fixture.ts';

let folder: string;
let path: string;
let engine: LmdbEngine;
let served: Running<StoreProtocol>;
let store: Address<StoreProtocol>;
const world = { ...testWorld(), sleep: (ms: number) => new Promise<void>((done) => setTimeout(done, Math.min(ms, 1))) };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-'));
  path = join(folder, 'mail.lmdb');
});
afterEach(async () => {
  expect(check(engine, { deep: true }).problems).toEqual([]);
  await engine.close();
  rmSync(folder, { recursive: true });
});

async function open(wrap: (engine: Engine) => Engine = (same) => same): Promise<void> {
  engine = openLmdb(path);
  served = await run(world, storage, wrap(engine));
  store = local<StoreProtocol['calls'], StoreProtocol['events']>(served);
  await ask('applyConfig', { now: world.now(), document: JSON.stringify(documentOf()) });
}
async function ask(kind: keyof StoreProtocol['calls'] & string, message: object): Promise<Record<string, unknown>> {
  const answer = await store.ask(kind, message as never);
  if (isRefusal(answer)) throw new Error(`${kind} refused: ${answer.refused} ${answer.detail}`);
  return answer as Record<string, unknown>;
}
const deliver = (text: string, size: number): Promise<object> =>
  ask('deliver', { now: world.now(), expiryMs: 1_000_000, mails: [mailOf(contentOf(text, size), [[1, 'INBOX']])] });
const inbox = () => {
  engine.refresh();
  const found = mailboxByName(engine, 1, 'INBOX');
  if (!found) throw new Error('no INBOX');
  return found;
};

function allRows(reader: Reader): Map<string, string> {
  reader.refresh();
  const rows = new Map<string, string>();
  for (const [key, value] of reader.range(new Uint8Array([0]), new Uint8Array([255]))) rows.set(octetText(key), Buffer.from(value).toString('base64'));
  return rows;
}
const commitOf = (reader: Reader): number => {
  reader.refresh();
  return getRow(reader, 'site', {})?.commit ?? 0;
};

/** 300 messages of 20,000 octets, of which every tenth stays. */
async function fillAndEmpty(): Promise<void> {
  for (let i = 0; i < 300; i += 10) await Promise.all(Array.from({ length: 10 }, (_, j) => deliver(`message ${i + j}`, 20_000)));
  const { id } = inbox();
  const uids = Array.from({ length: 30 }, (_, i) => [10 * i + 1, 10 * i + 9]).flat();
  await ask('store', { account: 1, mailbox: id, uids, mode: 'add', flags: 8, keywords: [], unchangedSince: null });
  await ask('expunge', { account: 1, mailbox: id, uids: [1, 300] });
}

test('the same rows and the same commit, in a smaller file; again and again', async () => {
  await open();
  await fillAndEmpty();
  for (let more: unknown = true; more; ) ({ more } = await ask('collect', { now: world.now(), transferAgeMs: 1 }));
  const wanted = allRows(engine);
  const commit = commitOf(engine);
  for (let round = 0; round < 3; round++) {
    const size = statSync(path).size;
    const { before, after } = await ask('compact', { now: world.now() });
    expect([before, after]).toEqual([size, statSync(path).size]);
    if (round === 0) expect(after as number).toBeLessThan(size / 4);
    expect(allRows(engine)).toEqual(wanted);
    expect(commitOf(engine)).toBe(commit);
    expect(readdirSync(folder).sort()).toEqual(['mail.lmdb', `mail.lmdb.${round + 1}`, `mail.lmdb.${round + 1}-lock`]);
  }
  await deliver('after', 100);
  await engine.close();
  engine = openLmdb(path);
  expect(commitOf(engine)).toBe(commit + 1);
  expect(allRows(engine).size).toBeGreaterThan(wanted.size);
});

test('M1: commands go on while it copies, and everything that was answered is in the new file', async () => {
  await open();
  await fillAndEmpty();
  let over = false;
  const answered: string[] = [];
  const writers = Array.from({ length: 4 }, async (_, w) => {
    for (let i = 0; !over; i++) {
      await deliver(`writer ${w} message ${i}`, 9_000);
      answered.push(`${w}/${i}`);
      const { id, uidNext } = inbox();
      const uid = 10 * (1 + ((7 * i + w) % 30));
      await ask('store', { account: 1, mailbox: id, uids: [uid, uid], mode: i % 2 ? 'add' : 'remove', flags: 1, keywords: [], unchangedSince: null });
      if (i % 5 !== 4) continue;
      await ask('store', { account: 1, mailbox: id, uids: [uidNext - 1, uidNext - 1], mode: 'add', flags: 8, keywords: [], unchangedSince: null });
      await ask('expunge', { account: 1, mailbox: id, uids: [uidNext - 1, uidNext - 1] });
    }
  });
  for (let round = 0; round < 5; round++) {
    const before = answered.length;
    await ask('compact', { now: world.now() });
    expect(answered.length, 'mail came in while it was compacted').toBeGreaterThan(before);
    engine.refresh();
    expect(check(engine, { deep: true }).problems).toEqual([]);
  }
  over = true;
  await Promise.all(writers);
  expect(answered.length).toBeGreaterThan(20);
});

test('the event comes before any answer of a later commit, and a reader that follows it sees its own writes', async () => {
  await open();
  await fillAndEmpty();
  const view = openLmdbReader(path);
  const held = view.snapshot();
  const old = allRows(held);
  let told = 0;
  store.on('reopened', () => {
    told++;
    view.reopen();
  });
  await ask('subscribe', {});
  const compacted = ask('compact', { now: world.now() });
  let over = false;
  void compacted.then(() => (over = true));
  for (let i = 0; !over || i < 20; i++) {
    await deliver(`own ${i}`, 500);
    view.refresh();
    expect(mailboxByName(view, 1, 'INBOX')?.exists).toBe(inbox().exists);
    expect(commitOf(view)).toBe(commitOf(engine));
  }
  expect([told, (await compacted)['after']]).toEqual([1, expect.any(Number)]);
  expect(allRows(view)).toEqual(allRows(engine));
  expect(allRows(held), 'what was pinned stays').toEqual(old);
  held.release();
  await view.close();
});

test('a reader that nobody tells stays whole on the old file, whatever is written to the new one', async () => {
  await open();
  await fillAndEmpty();
  const view = openLmdbReader(path);
  const wanted = allRows(view);
  await ask('compact', { now: world.now() });
  for (let i = 0; i < 50; i++) await deliver(`new ${i}`, 30_000);
  expect(allRows(view)).toEqual(wanted);
  view.reopen();
  expect(allRows(view)).toEqual(allRows(engine));
  await view.close();
});

test('without room it is refused, the copy is gone, and the site goes on as it was', async () => {
  let steps = 0;
  const failing = (same: Engine): Engine => ({
    ...same,
    fresh: async () => {
      const fresh = await (same.fresh as NonNullable<Engine['fresh']>)();
      return { ...fresh, load: (changes, rows) => (++steps === 3 ? Promise.reject(new DiskFull('12 octets are left')) : fresh.load(changes, rows)) };
    },
  });
  await open(failing);
  await fillAndEmpty();
  for (let i = 0; i < 200; i++) await deliver(`kept ${i}`, 20_000);
  const refused = await store.ask('compact', { now: world.now() });
  expect(refused).toEqual({ refused: 'full', detail: 'disk full: 12 octets are left' });
  expect(steps).toBe(3);
  expect(readdirSync(folder).sort()).toEqual(['mail.lmdb', 'mail.lmdb-lock']);
  await deliver('after', 100);
  expect(isRefusal(await store.ask('compact', { now: world.now() })), 'there is room again').toBe(false);
});

// A file system of 64 MiB takes root to mount.
const mounts = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

test.skipIf(!mounts)('on a small disk it says before it begins what it needs; in the middle it gives up, and mail goes on', async () => {
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder]).status).toBe(0);
  try {
    await open();
    for (let i = 0; i < 1_500; i++) await deliver(`message ${i}`, 20_000);
    const none = await store.ask('compact', { now: world.now() });
    expect(none).toMatchObject({ refused: 'full', detail: expect.stringMatching(/needs \d+ octets of room for it, \d+ are left/) });
    const { id } = inbox();
    await ask('store', { account: 1, mailbox: id, uids: [1, 1_000], mode: 'add', flags: 8, keywords: [], unchangedSince: null });
    await ask('expunge', { account: 1, mailbox: id, uids: [1, 1_000] });
    const wanted = allRows(engine);
    // it begins, and then somebody else takes the room
    let compacted = store.ask('compact', { now: world.now() });
    while (!existsSync(`${path}.1`)) await world.sleep(1);
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - 17_000_000), 1));
    expect(await compacted).toMatchObject({ refused: 'full' });
    expect(readdirSync(folder).sort()).toEqual(['filler', 'mail.lmdb', 'mail.lmdb-lock']);
    expect(allRows(engine)).toEqual(wanted);
    await deliver('goes on', 1_000);
    rmSync(join(folder, 'filler'));
    compacted = store.ask('compact', { now: world.now() });
    expect(isRefusal(await compacted)).toBe(false);
    await deliver('and on', 1_000);
    expect(check(engine, { deep: true }).problems).toEqual([]);
  } finally {
    spawnSync('umount', ['-l', folder]);
  }
});

test('only one at a time, and it says how far it is', async () => {
  await open();
  await fillAndEmpty();
  expect(await ask('compacting', {})).toEqual({ done: 0, total: 0 });
  const first = ask('compact', { now: world.now() });
  expect(await store.ask('compact', { now: world.now() })).toMatchObject({ refused: 'busy' });
  expect((await ask('compacting', {}))['total']).toBeGreaterThan(0);
  await first;
  expect(await ask('compacting', {})).toEqual({ done: 0, total: 0 });
});

test('C1: a crash before the switch leaves the old file; what is left over goes at the next start', async () => {
  await open();
  await fillAndEmpty();
  for (let i = 0; i < 200; i++) await deliver(`kept ${i}`, 20_000);
  const wanted = allRows(engine);
  // a crash is a step that never ends
  let steps = 0;
  const fresh = await engine.fresh?.();
  if (!fresh) throw new Error('LMDB is compacted beside');
  const around = { pause: async () => {}, alone: async () => {}, progress: () => {} };
  const stuck = { ...fresh, load: (c: never, r: never) => (++steps === 3 ? new Promise<void>(() => {}) : fresh.load(c, r)) };
  void compactInto(engine, stuck, around);
  while (steps < 3) await world.sleep(1);
  expect(existsSync(`${path}.1`)).toBe(true);
  writeFileSync(`${path}.link`, '');
  await engine.close();
  engine = openLmdb(path);
  expect(readdirSync(folder).sort()).toEqual(['mail.lmdb', 'mail.lmdb-lock']);
  expect(lstatSync(path).isFile()).toBe(true);
  expect(allRows(engine)).toEqual(wanted);
});
