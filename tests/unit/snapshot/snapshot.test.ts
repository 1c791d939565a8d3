// Snapshots of a store: what is restored is what was there, at every commit, wherever the making was cut off.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../../storage/check.ts';
import { digestOf, sameDigest } from '../../../storage/digest.ts';
import type { Reader } from '../../../storage/engine.ts';
import { encodeKey, getRow, octetText, tableOf } from '../../../storage/rows.ts';
import { createSnapshot, Forked } from '../../../storage/snapshot/create.ts';
import { holdStill } from '../../../storage/snapshot/drill.ts';
import { extract } from '../../../storage/snapshot/extract.ts';
import { keysFor, unwrapKey } from '../../../storage/snapshot/keys.ts';
import { manifestName, manifestNames, readLineage, readManifest } from '../../../storage/snapshot/manifest.ts';
import { prune } from '../../../storage/snapshot/prune.ts';
import { openSnapshot } from '../../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../../storage/snapshot/restore.ts';
import { Damaged } from '../../../storage/snapshot/seal.ts';
import { verifyAll, verifyPresence } from '../../../storage/snapshot/verify.ts';
import { config } from '../../../storage/views.ts';
import { contentOf, documentOf, mailOf, type TestStore, testStore, testWorld } from '../storage/fixture.ts';
import { Cut, Shelf } from './shelf.ts';
import { copyOf, freshEngine, type TestEngine } from '../engine.ts';

async function siteWithKeys(): Promise<TestStore> {
  const store = await testStore();
  await store.ok('makeKeys', await keysFor(store.world, undefined));
  return store;
}

const keyOf = (store: { engine: Reader }): Uint8Array =>
  getRow(store.engine, 'lineage', { lineage: getRow(store.engine, 'site', {})?.lineage ?? '' })?.dataKey as Uint8Array;
const snap = (store: TestStore, shelf: Shelf, full = false) =>
  createSnapshot(store.engine.snapshot(), shelf, { now: (shelf.now = store.world.time), full, lookBack: true });

/** All rows that a snapshot keeps, but the site row. */
function rowsOf(reader: Reader): Map<string, string> {
  const alive = new Set<string>();
  const out = new Map<string, string>();
  for (const [key, value] of reader.range(new Uint8Array([0]), new Uint8Array([255]))) {
    const table = tableOf(key);
    if (table === 'blob') alive.add(octetText(key).slice(1));
    if (table === undefined || ['site', 'journal', 'transfer', 'garbage'].includes(table)) continue;
    if (table === 'chunk' && !alive.has(octetText(key).slice(1, 9))) continue;
    out.set(octetText(key), octetText(value));
  }
  return out;
}

async function restored(shelf: Shelf, key: Uint8Array, commit?: number): Promise<TestEngine> {
  const names = (await manifestNames(shelf)).filter((name) => commit === undefined || Number(name.slice(-16)) === commit);
  const manifest = await readManifest(shelf, names.at(-1) as string);
  const engine = await freshEngine();
  const { problems } = await restoreSnapshot(engine, await openSnapshot(shelf, manifest, key), { world: testWorld(), lineage: 'restored', deep: true });
  expect(problems).toEqual([]);
  return engine;
}

describe('a snapshot', () => {
  test('restores to the same rows and the same digest, under a new lineage', async () => {
    const store = await siteWithKeys();
    await store.ok('deliver', {
      mails: [
        mailOf(
          contentOf('one', 50_000),
          [
            [1, 'INBOX'],
            [2, 'INBOX'],
          ],
          ['x@elsewhere.test'],
        ),
      ],
    });
    await store.ok('append', {
      account: 1,
      mailbox: 'INBOX',
      flags: 1,
      keywords: ['$Work'],
      internalDate: 5,
      content: await store.stream(contentOf('big', 900_000)),
    });
    await store.stream(contentOf('never claimed', 300_000), 3);
    const shelf = new Shelf();
    const made = await snap(store, shelf);
    expect(made.kind).toBe('base');
    const engine = await restored(shelf, keyOf(store));
    expect(rowsOf(engine)).toEqual(rowsOf(store.engine));
    const before = getRow(store.engine, 'site', {});
    const after = getRow(engine, 'site', {});
    expect(sameDigest(digestOf(engine), made.manifest.commit === before?.commit ? (before as never) : (null as never))).toBe(true);
    expect(after).toMatchObject({
      lineage: 'restored',
      epoch: 2,
      commit: before?.commit,
      journalFloor: before?.commit,
      nextBlob: before?.nextBlob,
      rows: before?.rows,
    });
  });

  test('serves on: the restored store takes mail, and UIDs go on', async () => {
    const store = await siteWithKeys();
    await store.ok('deliver', { mails: [mailOf(contentOf('one'), [[1, 'INBOX']])] });
    const shelf = new Shelf();
    await snap(store, shelf);
    const again = await testStore({ engine: await restored(shelf, keyOf(store)), document: null });
    const { placed } = await again.ok('deliver', { mails: [mailOf(contentOf('two'), [[1, 'INBOX']])] });
    expect(placed).toMatchObject([{ uid: 2 }]);
    expect(again.mailbox(1, 'INBOX').uidValidity).toBe(store.mailbox(1, 'INBOX').uidValidity);
    expect(again.problems()).toEqual([]);
    // the first snapshot of the new history is its own
    await again.ok('makeKeys', await keysFor(again.world, getRow(again.engine, 'recovery', {})));
    expect((await snap(again, shelf)).kind).toBe('base');
    expect(getRow(again.engine, 'recovery', {})).toEqual(getRow(store.engine, 'recovery', {}));
  });

  test('after the first, only what changed', async () => {
    const store = await siteWithKeys();
    for (let i = 0; i < 30; i++) await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`, 100_000), [[1, 'INBOX']])] });
    const shelf = new Shelf();
    const first = await snap(store, shelf);
    expect((await snap(store, shelf)).kind).toBe('same');
    await store.ok('deliver', { mails: [mailOf(contentOf('one more', 2_000), [[2, 'INBOX']])] });
    const second = await snap(store, shelf);
    expect(second.kind).toBe('increment');
    expect(second.read).toBeLessThan(10_000);
    expect(second.manifest.previous).toBe(first.manifest.commit);
    expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
  });

  test('a second base uses the packs of the first again, but not those that are mostly dead', async () => {
    const store = await siteWithKeys();
    const random = (seed: number) => contentOf('').info && randomMail(seed, 200_000);
    for (let i = 0; i < 60; i++) await store.ok('deliver', { mails: [mailOf(random(i), [[1, 'INBOX']])] });
    const shelf = new Shelf();
    await snap(store, shelf);
    const written = shelf.octets;
    const second = await snap(store, shelf, true);
    expect(second.kind).toBe('base');
    await store.ok('deliver', { mails: [mailOf(random(100), [[1, 'INBOX']])] });
    const third = await snap(store, shelf, true);
    expect(third.kind).toBe('base');
    expect(third.reused).toBeGreaterThan(written / 2);
    const inbox = store.mailbox(1, 'INBOX').id;
    await store.ok('store', { account: 1, mailbox: inbox, uids: [1, 50], mode: 'add', flags: 8, keywords: [], unchangedSince: null });
    await store.ok('expunge', { account: 1, mailbox: inbox, uids: [1, 50] });
    const fourth = await snap(store, shelf, true);
    expect(fourth.reused).toBeLessThan(written / 2);
    expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
  });

  test('a journal that does not reach back makes a base', async () => {
    const store = await siteWithKeys();
    const shelf = new Shelf();
    await snap(store, shelf);
    await store.ok('deliver', { mails: [mailOf(contentOf('x'), [[1, 'INBOX']])] });
    const site = getRow(store.engine, 'site', {});
    const view = store.engine.snapshot();
    const { encodeKey, encodeRow } = await import('../../../storage/rows.ts');
    const pruned: Reader = {
      ...view,
      get: (k) => (tableOf(k) === 'site' ? encodeRow('site', { ...(site as NonNullable<typeof site>), journalFloor: site?.commit ?? 0 }) : view.get(k)),
    };
    expect(encodeKey('site', {})).toHaveLength(1);
    expect((await createSnapshot(pruned, shelf, { now: 0, full: false, lookBack: true })).kind).toBe('base');
  });

  test('a journal row that is damaged makes a base', async () => {
    const store = await siteWithKeys();
    const shelf = new Shelf();
    await snap(store, shelf);
    await store.ok('deliver', { mails: [mailOf(contentOf('x'), [[1, 'INBOX']])] });
    const key = encodeKey('journal', { commit: getRow(store.engine, 'site', {})?.commit ?? 0 });
    const row = store.engine.get(key) as Uint8Array;
    row[0] = 0x7f;
    await store.engine.commit([[key, row]]);
    expect((await snap(store, shelf)).kind).toBe('base');
    expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
  });

  test('an older copy of the data is not taken for the site', async () => {
    const store = await siteWithKeys();
    await snap(store, new Shelf());
    const old = await copyOf(store.engine);
    const shelf = new Shelf();
    await store.ok('deliver', { mails: [mailOf(contentOf('later'), [[1, 'INBOX']])] });
    await snap(store, shelf);
    await expect(createSnapshot(old.snapshot(), shelf, { now: 0, full: false, lookBack: true })).rejects.toThrow(Forked);
    // as many commits, but others
    const other = await testStore({ engine: old, document: null });
    await other.ok('deliver', { mails: [mailOf(contentOf('otherwise'), [[2, 'INBOX']])] });
    await expect(createSnapshot(old.snapshot(), shelf, { now: 0, full: false, lookBack: true })).rejects.toThrow(Forked);
  });

  test('without its key it says sizes and times only, and the recovery kit opens it', async () => {
    const store = await siteWithKeys();
    await store.ok('deliver', { mails: [mailOf(contentOf('secretsubject', 5_000), [[1, 'INBOX']])] });
    const shelf = new Shelf();
    const { manifest } = await snap(store, shelf);
    const all = Buffer.concat([...shelf.objects.values()]).toString('latin1') + [...shelf.objects.keys()].join('\n');
    for (const word of ['alice', 'example.test', 'secretsubject', 'INBOX', 'Archive']) expect(all).not.toContain(word);
    const kit = getRow(store.engine, 'recovery', {});
    const record = await readLineage(shelf, manifest.lineage);
    const key = await unwrapKey(record?.wrapped[0] as string, [kit?.identity as string]);
    expect((await openSnapshot(shelf, manifest, key)).secrets.host).toBe('mail.example.test');
    await expect(openSnapshot(shelf, manifest, new Uint8Array(32))).rejects.toThrow(Damaged);
  });
});

/** A message that does not compress. */
function randomMail(seed: number, size: number) {
  let x = seed + 1;
  const body = Buffer.alloc(size, 0).map(() => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return x >>> 24;
  });
  const content = contentOf(`random ${seed}`, size);
  const chunks = content.chunks.map((chunk, n) =>
    n === 0 ? chunk : Buffer.concat([Buffer.from([0]), body.subarray((n - 1) * (chunk.length - 1)).subarray(0, chunk.length - 1)]),
  );
  const hash = new Bun.CryptoHasher('sha256');
  for (const chunk of chunks) hash.update(chunk.subarray(1));
  return { ...content, chunks, hash: new Uint8Array(hash.digest()) };
}

/** Commands as people give them, from numbers. */
async function act(store: TestStore, kind: number, a: number, b: number): Promise<void> {
  const account = 1 + (a % 2);
  const boxes = store.names(account);
  const name = boxes[b % boxes.length] as string;
  const { id, uidNext } = store.mailbox(account, name);
  const uids = [1, Math.max(1, Math.min(uidNext, 1 + (b % 12)))];
  const ask = (kindName: string, message: object): Promise<object> =>
    store.address.ask(kindName as 'store', { now: store.world.time, expiryMs: 9, ...message } as never);
  const actions: (() => Promise<object>)[] = [
    () => ask('deliver', { mails: [mailOf(contentOf(`mail ${a}`, (b % 50) * 1_000), [[account, name]], a % 5 === 0 ? ['r@elsewhere.test'] : [])] }),
    () =>
      ask('append', {
        account,
        mailbox: name,
        flags: a % 32,
        keywords: a % 3 === 0 ? [`k${b % 5}`] : [],
        internalDate: a,
        content: contentOf(`appended ${b}`, a * 300),
      }),
    async () =>
      ask('append', { account, mailbox: name, flags: 0, keywords: [], internalDate: a, content: await store.stream(contentOf(`streamed ${a}`, 20_000)) }),
    () => ask('store', { account, mailbox: id, uids, mode: 'add', flags: 8, keywords: [], unchangedSince: null }),
    () => ask('expunge', { account, mailbox: id, uids }),
    () => ask('copy', { account, mailbox: id, uids, target: boxes[a % boxes.length], move: b % 2 === 0 }),
    () => ask('createMailbox', { account, name: `box${a % 7}/sub`, specialUse: '' }),
    () => ask('deleteMailbox', { account, name: `box${a % 7}/sub` }),
    () => ask('renameMailbox', { account, from: `box${a % 7}`, to: `box${b % 7}` }),
    () => ask('claimQueue', { leaseMs: 5, limit: 3, skipDomains: [] }),
    () => ask('collect', { transferAgeMs: 0 }),
    async () => store.stream(contentOf(`left ${a}`, 9_000), 1),
  ];
  store.world.time += 1_000;
  await (actions[kind % actions.length] as () => Promise<object>)();
}

const steps = fc.array(fc.tuple(fc.nat(11), fc.nat(60), fc.nat(60)), { minLength: 1, maxLength: 12 });

test('every snapshot of any history restores what was there at its commit, increments or bases', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(steps, fc.boolean()), { minLength: 1, maxLength: 5 }), async (rounds) => {
      const store = await siteWithKeys();
      const shelf = new Shelf();
      const was = new Map<number, Map<string, string>>();
      for (const [actions, full] of rounds) {
        for (const [kind, a, b] of actions) await act(store, kind, a, b);
        const { manifest } = await snap(store, shelf, full);
        was.set(manifest.commit, rowsOf(store.engine));
      }
      for (const [commit, rows] of was) expect(rowsOf(await restored(shelf, keyOf(store), commit))).toEqual(rows);
    }),
    { numRuns: 60 },
  );
}, 120_000);

test('cut off at any put, what has a manifest restores, and the next snapshot goes on from what is there', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  for (let cut = 1; cut < 30; cut++) {
    await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${cut}`, 30_000 * (cut % 4)), [[1, 'INBOX']])] });
    shelf.puts = 0;
    shelf.failFrom = 1 + (cut % 6);
    const full = cut % 5 === 0;
    await snap(store, shelf, full).catch((error: unknown) => expect(error).toBeInstanceOf(Cut));
    shelf.failFrom = Number.POSITIVE_INFINITY;
    for (const name of await manifestNames(shelf)) expect((await verifyPresence(shelf, name, true, () => {})).problems).toEqual([]);
    if (cut % 3 === 0) {
      await snap(store, shelf, full);
      expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
    }
  }
});

test('any octet changed anywhere in a place is found, and the next snapshot heals the place', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  await store.ok('deliver', { mails: [mailOf(contentOf('one', 40_000), [[1, 'INBOX']])] });
  await snap(store, shelf);
  await store.ok('deliver', { mails: [mailOf(contentOf('two', 40_000), [[1, 'INBOX']])] });
  const { manifest } = await snap(store, shelf);
  const name = (await manifestNames(shelf)).at(-1) as string;
  for (const [object, octets] of [...shelf.objects].filter(([n]) => !n.startsWith('manifests/') || n === name)) {
    for (const at of [0, octets.length >> 1, octets.length - 1]) {
      const bad = octets.slice();
      bad[at] = (bad[at] as number) ^ 1;
      shelf.objects.set(object, bad);
      const { problems } = await verifyPresence(shelf, name, true, () => {});
      expect(problems.length, `${object} at ${at}`).toBeGreaterThan(0);
    }
    shelf.objects.set(object, octets);
  }
  expect((await verifyPresence(shelf, name, true, () => {})).problems).toEqual([]);
  // objects that went away: the next one does not build on them
  const gone = manifest.increments[0]?.objects[0]?.[0] as string;
  shelf.objects.delete(`objects/${gone.slice(0, 2)}/${gone}`);
  const next = await snap(store, shelf);
  expect(next.kind).toBe('base');
  expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
  // a full one of the same commit puts right what has rotted
  for (const object of [...shelf.objects.keys()].filter((n) => n.startsWith('objects/'))) {
    const bad = new Uint8Array(shelf.objects.get(object) as Uint8Array);
    bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 1;
    shelf.objects.set(object, bad);
  }
  expect((await snap(store, shelf, true)).kind).toBe('base');
  const [last] = (await manifestNames(shelf)).slice(-1);
  expect((await verifyPresence(shelf, last as string, true, () => {})).problems).toEqual([]);
});

test('a catalog that has rotted is put anew, though nothing changed', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  await store.ok('deliver', { mails: [mailOf(contentOf('one', 40_000), [[1, 'INBOX']])] });
  const { manifest } = await snap(store, shelf);
  const [hash] = manifest.catalog;
  const name = `objects/${hash.slice(0, 2)}/${hash}`;
  const bad = new Uint8Array(shelf.objects.get(name) as Uint8Array);
  bad[bad.length - 1] = (bad.at(-1) as number) ^ 1;
  shelf.objects.set(name, bad);
  expect(await snap(store, shelf)).toMatchObject({ kind: 'base', healed: 1 });
  expect((await verifyPresence(shelf, (await manifestNames(shelf)).at(-1) as string, true, () => {})).problems).toEqual([]);
});

describe('a body that has not its hash', () => {
  const spoil = async (store: TestStore, blob: number, n = 1): Promise<() => Promise<void>> => {
    const key = encodeKey('chunk', { blob, n });
    const was = store.engine.get(key) as Uint8Array;
    const bad = Uint8Array.from(was); // a Buffer's slice would be the same octets
    bad[50] = (bad[50] as number) ^ 1;
    await store.engine.commit([[key, bad]]);
    return () => store.engine.commit([[key, was]]);
  };
  const blobs = (store: TestStore): number[] => store.messages(1, 'INBOX').map(({ blob }) => blob);
  const made = async (mails: number) => {
    const store = await siteWithKeys();
    for (let i = 0; i < mails; i++) await store.ok('deliver', { mails: [mailOf(randomMail(i, 60_000), [[1, 'INBOX']])] });
    return { store, shelf: new Shelf() };
  };

  test('never takes the place of the good copy of an older pack', async () => {
    const { store, shelf } = await made(5);
    await snap(store, shelf);
    const sound = rowsOf(store.engine);
    const [, blob = 0] = blobs(store);
    const heal = await spoil(store, blob);
    // twice: the pack is small, and each base makes it anew
    for (let i = 0; i < 2; i++)
      expect(await snap(store, shelf, true)).toMatchObject({ kind: 'base', damaged: [{ blob, what: 'the body does not have its hash' }] });
    expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(sound);
    await heal();
    expect((await snap(store, shelf, true)).damaged).toEqual([]);
    expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(sound);
  });

  test('is kept as it is where there is no other copy, and goes again when it is mended: into the next increment, and into a base', async () => {
    for (const full of [false, true]) {
      const { store, shelf } = await made(25); // a pack that is worth keeping
      const heal = await spoil(store, blobs(store)[1] ?? 0);
      expect((await snap(store, shelf)).damaged).toHaveLength(1);
      const { row } = { row: rowsOf(store.engine) };
      const manifest = await readManifest(shelf, (await manifestNames(shelf)).at(-1) as string);
      const engine = await freshEngine();
      const { problems } = await restoreSnapshot(engine, await openSnapshot(shelf, manifest, keyOf(store)), { world: testWorld(), lineage: 'r', deep: true });
      expect(problems).toHaveLength(1);
      expect(rowsOf(engine)).toEqual(row);
      await heal();
      const { blob = 0, n = 0, chunk } = { blob: blobs(store)[1], n: 1, chunk: store.engine.get(encodeKey('chunk', { blob: blobs(store)[1] ?? 0, n: 1 })) };
      await store.ok('mendBody', { blob, first: n, chunks: [chunk as Uint8Array], last: true });
      expect(await snap(store, shelf, full)).toMatchObject({ kind: full ? 'base' : 'increment', damaged: [] });
      expect(rowsOf(await restored(shelf, keyOf(store)))).toEqual(rowsOf(store.engine));
    }
  });
});

test('all snapshots of a place are verified at once, each object once', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  const commits: number[] = [];
  for (let i = 0; i < 6; i++) {
    await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`, 40_000), [[1, 'INBOX']])] });
    commits.push((await snap(store, shelf, i === 3)).manifest.commit);
  }
  const names = await manifestNames(shelf);
  const asked: string[] = [];
  const { get } = shelf;
  shelf.get = (name) => {
    asked.push(name);
    return get.call(shelf, name);
  };
  const objects = [...shelf.objects.keys()].filter((name) => name.startsWith('objects/'));
  const whole = await verifyAll(shelf, names, true, () => {});
  expect(whole).toMatchObject({ snapshots: 6, bad: [], objects: objects.length });
  const catalogs = new Set((await Promise.all(names.map((name) => readManifest(shelf, name)))).map(({ catalog }) => catalog[0]));
  for (const name of objects) expect(asked.filter((n) => n === name).length, name).toBeLessThanOrEqual(catalogs.has(name.slice(-64)) ? 2 : 1);
  // the third increment went, and an object of the second base has rotted
  const third = (await readManifest(shelf, names[2] as string)).increments.at(-1)?.objects[0]?.[0] as string;
  const rotten = (await readManifest(shelf, names[3] as string)).catalog[0];
  shelf.objects.delete(`objects/${third.slice(0, 2)}/${third}`);
  const path = `objects/${rotten.slice(0, 2)}/${rotten}`;
  const bad = new Uint8Array(shelf.objects.get(path) as Uint8Array);
  bad[bad.length - 1] = (bad.at(-1) as number) ^ 1;
  shelf.objects.set(path, bad);
  const { bad: found } = await verifyAll(shelf, names, true, () => {});
  expect(found.map(({ name }) => Number(name.slice(-16)))).toEqual([commits[2], commits[3], commits[4], commits[5]]);
});

test('a drill holds every recipient of its queue, and its document parks nowhere', async () => {
  const store = await siteWithKeys();
  const parking = { to: '/parked', everySeconds: 10, s3: null };
  await store.ok('applyConfig', { document: JSON.stringify(documentOf({ snapshots: parking })) });
  const many = Array.from({ length: 30 }, (_, i) => `r${i}@elsewhere.test`);
  for (let i = 0; i < 50; i++) await store.ok('deliver', { mails: [mailOf(contentOf(`mail ${i}`), [[1, 'INBOX']], many)] });
  const shelf = new Shelf();
  await snap(store, shelf);
  const engine = await restored(shelf, keyOf(store));
  expect(await holdStill(engine)).toBe(1_500);
  expect(check(engine, { deep: true }).problems).toEqual([]);
  const again = await testStore({ engine, document: null });
  expect(config(engine)?.document).toMatchObject({ host: 'mail.example.test', snapshots: null });
  const claim = { leaseMs: 1_000, limit: 10, skipDomains: [] };
  expect(await again.ok('claimQueue', { ...claim, now: store.world.time + 3_000 * 86_400_000 })).toMatchObject({ due: [], nextDue: Date.UTC(9999, 11, 31) });
  await again.ok('deliver', { mails: [mailOf(contentOf('new'), [], ['x@elsewhere.test'])] });
  expect((await again.ok('claimQueue', { ...claim, now: again.world.time })).due).toHaveLength(1);
});

test('pruning follows manifests: what stays restores, what nobody names goes, the last good one never', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  const day = 86_400_000;
  const was = new Map<number, Map<string, string>>();
  for (let i = 0; i < 60; i++) {
    await store.ok('deliver', { mails: [mailOf(randomMail(i, 60_000), [[1, 'INBOX']])] });
    if (i % 7 === 6) await act(store, 3, 0, i);
    if (i % 7 === 6) await act(store, 4, 0, i);
    const { manifest } = await snap(store, shelf, i % 10 === 9);
    was.set(manifest.commit, rowsOf(store.engine));
    store.world.time += day;
  }
  const before = shelf.objects.size;
  const dry = await prune(shelf, store.world.time, true);
  expect(before).toBe(shelf.objects.size);
  const done = await prune(shelf, store.world.time, false);
  expect(done).toEqual(dry);
  expect(done.removed.length).toBeGreaterThan(15);
  const names = await manifestNames(shelf);
  expect(names).toHaveLength(done.kept);
  for (const name of names) expect((await verifyPresence(shelf, name, true, () => {})).problems).toEqual([]);
  for (const name of [names[0], names.at(-1)]) {
    const commit = Number(name?.slice(-16));
    expect(rowsOf(await restored(shelf, keyOf(store), commit))).toEqual(was.get(commit));
  }
  // the newest one is broken: the one before is the last good one, however old it is
  const newest = await readManifest(shelf, names.at(-1) as string);
  const object = newest.increments.at(-1)?.objects[0]?.[0] ?? newest.catalog[0];
  shelf.objects.delete(`objects/${object.slice(0, 2)}/${object}`);
  await prune(shelf, store.world.time + 3_000 * day, false);
  const left = await manifestNames(shelf);
  const good = await Promise.all(left.map(async (name) => (await verifyPresence(shelf, name, true, () => {})).problems.length === 0));
  expect(good).toContain(true);
});

test('what was put anew since pruning looked stays: another one pruned meanwhile, and a snapshot names it', async () => {
  const store = await siteWithKeys();
  const shelf = new Shelf();
  await store.ok('deliver', { mails: [mailOf(randomMail(1, 60_000), [[1, 'INBOX']])] });
  const { manifest } = await snap(store, shelf, true);
  shelf.objects.delete(manifestName(manifest.lineage, manifest.commit)); // as of one that was cut off
  shelf.now = store.world.time += 2 * 86_400_000;
  const { list } = shelf;
  let manifests = 0;
  const slow = Object.assign(Object.create(shelf) as Shelf, {
    async *list(prefix: string) {
      yield* list.call(shelf, prefix);
      if (prefix !== 'manifests/' || ++manifests < 2) return;
      expect((await prune(shelf, store.world.time, false)).objects).toBeGreaterThan(1);
      await snap(store, shelf, true);
    },
  });
  expect((await prune(slow, store.world.time, false)).objects).toBe(0);
  const [name] = await manifestNames(shelf);
  expect((await verifyPresence(shelf, name as string, true, () => {})).problems).toEqual([]);
});

describe('mail out of a snapshot, into the live site', () => {
  const live = (store: TestStore) => ({ store: store.address, view: store.engine, now: () => store.world.time });
  const open = async (store: TestStore, shelf: Shelf) =>
    openSnapshot(shelf, await readManifest(shelf, (await manifestNames(shelf)).at(-1) as string), keyOf(store));

  async function prepared(): Promise<{ store: TestStore; shelf: Shelf }> {
    const store = await siteWithKeys();
    const shelf = new Shelf();
    await store.ok('deliver', { mails: [mailOf(contentOf('kept', 3_000), [[1, 'INBOX']])] });
    await store.ok('append', {
      account: 1,
      mailbox: 'Archive',
      flags: 5,
      keywords: ['$Work', 'later'],
      internalDate: 1234,
      content: await store.stream(contentOf('lost', 700_000)),
    });
    await store.ok('append', { account: 1, mailbox: 'Archive', flags: 0, keywords: [], internalDate: 99, content: contentOf('lost too', 70_000) });
    await snap(store, shelf);
    const archive = store.mailbox(1, 'Archive').id;
    await store.ok('store', { account: 1, mailbox: archive, uids: [1, 2], mode: 'add', flags: 8, keywords: [], unchangedSince: null });
    await store.ok('expunge', { account: 1, mailbox: archive, uids: [1, 2] });
    for (let i = 0; i < 9; i++) await store.ok('collect', { transferAgeMs: 0 });
    return { store, shelf };
  }

  test('an account comes back beside what is there, with flags, keywords and dates, once', async () => {
    const { store, shelf } = await prepared();
    const wanted = { from: 'alice@example.test', folder: null, messageId: null, account: 1, into: 'Restored' };
    expect(await extract(live(store), await open(store, shelf), wanted)).toEqual({ folders: 2, messages: 3, there: 0 });
    expect(store.messages(1, 'Restored/Archive').map(({ uid, flags, keywords, size }) => ({ uid, flags, keywords, size }))).toEqual([
      { uid: 1, flags: 5, keywords: ['$Work', 'later'], size: 700_000 },
      { uid: 2, flags: 0, keywords: [], size: 70_000 },
    ]);
    expect(await extract(live(store), await open(store, shelf), wanted)).toEqual({ folders: 2, messages: 0, there: 3 });
    expect(store.problems()).toEqual([]);
  });

  test('a folder, in place', async () => {
    const { store, shelf } = await prepared();
    const wanted = { from: 'alice@example.test', folder: 'Archive', messageId: null, account: 1, into: '' };
    expect(await extract(live(store), await open(store, shelf), wanted)).toEqual({ folders: 1, messages: 2, there: 0 });
    expect(store.messages(1, 'Archive').map((m) => m.uid)).toEqual([3, 4]);
    await expect(extract(live(store), await open(store, shelf), { ...wanted, folder: 'Nowhere' })).rejects.toThrow('no folder Nowhere');
    await expect(extract(live(store), await open(store, shelf), { ...wanted, from: 'nobody@example.test' })).rejects.toThrow('no account nobody');
    await expect(extract(live(store), await open(store, shelf), { ...wanted, messageId: 'none@x' })).rejects.toThrow('no message <none@x>');
  });
});

test('check finds nothing wrong in a store that has keys', async () => {
  const store = await siteWithKeys();
  expect(check(store.engine).problems).toEqual([]);
});
