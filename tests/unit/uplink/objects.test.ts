// Parked objects: a site puts and reads its own by a grant of its epoch; nothing is replaced, removed or another's.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { memoryEngine } from '../../../storage/engines/memory.ts';
import { createSnapshot } from '../../../storage/snapshot/create.ts';
import { keysFor } from '../../../storage/snapshot/keys.ts';
import { manifestNames, readManifest } from '../../../storage/snapshot/manifest.ts';
import { openSnapshot } from '../../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../../storage/snapshot/restore.ts';
import { getRow } from '../../../storage/rows.ts';
import { portalPlace } from '../../../uplink/agent/place.ts';
import { type Grant, sealGrant } from '../../../uplink/grant.ts';
import { respondObjects } from '../../../uplink/portal/objects.ts';
import type { Portal } from '../../../uplink/portal/process.ts';
import { openRecords } from '../../../uplink/portal/records.ts';
import { pruneSite } from '../../../uplink/portal/timeline.ts';
import { contentOf, mailOf, testStore, testWorld } from '../storage/fixture.ts';

const grantKey = 'a key of the portal';
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const site = {
  name: 'One',
  state: 'active' as const,
  createdAt: 1,
  epoch: 1,
  machine: 'm1',
  wantedRev: 0,
  wantedHash: '',
  appliedRev: 0,
  appliedHash: '',
  appliedStatus: 'none' as const,
  appliedErrors: [],
  appliedAt: null,
  online: false,
  since: null,
  seenAt: null,
  reported: '',
  reportSeq: 0,
  eventSeq: 0,
  lineage: '',
};
const machine = { signPublic: '', wrapPublic: '', epoch: 1, state: 'active' as const, sessionCounter: 0, offered: 0, enrolledAt: 1, seenAt: null };

async function portalOf() {
  const store = await testStore({ document: null });
  const objects = mkdtempSync(join(tmpdir(), 'objects-'));
  folders.push(objects);
  const world = testWorld();
  const portal: Portal = { world, records: openRecords(store.address, store.engine), url: 'http://portal', objects };
  await store.ok('subscribe', {});
  const { records } = portal;
  await records.transact(async (tx) => {
    tx.put('portal', [], { portal: 'p', rootPublic: '', signPrivate: '', signPublic: '', signProof: '', grantKey, createdAt: 1 });
    for (const [org, id] of [
      ['a', 's1'],
      ['b', 's2'],
    ] as const) {
      tx.put('site', [org, id], site);
      tx.put('siteOf', [id], { organisation: org });
      tx.put('machine', [id, 'm1'], machine);
      tx.put('machine', [id, 'm2'], { ...machine, state: 'standby' });
    }
  });
  const placeFor = (change: Partial<Grant> = {}) => {
    const token = (): string =>
      sealGrant(grantKey, { organisation: 'a', site: 's1', machine: 'm1', epoch: 1, may: 'park', until: world.now() + 60_000, ...change });
    return portalPlace({
      world: { ...world, sleep: async () => {} },
      url: 'http://portal',
      grant: async () => token(),
      fetch: (url, init) => respondObjects(portal, new Request(url, init)),
    });
  };
  return { store, portal, records, world, placeFor };
}

async function someSite() {
  const store = await testStore();
  await store.ok('makeKeys', await keysFor(store.world, undefined));
  return store;
}
const add = (store: Awaited<ReturnType<typeof someSite>>, n: number) =>
  store.ok('deliver', { mails: [mailOf(contentOf(`mail ${n}`, 3_000), [[1, 'INBOX']])] } as never);
const hashed = (octets: Uint8Array): string => {
  const hash = new Bun.CryptoHasher('sha256').update(octets).digest('hex');
  return `objects/${hash.slice(0, 2)}/${hash}`;
};

test('a site parks at its portal, is listed, and comes back out of it', async () => {
  const { placeFor, records } = await portalOf();
  const from = await someSite();
  const place = placeFor();
  for (let n = 0; n < 3; n++) {
    await add(from, n);
    const made = await createSnapshot(from.engine, place, { now: from.world.now() + n, full: false, lookBack: true });
    expect(made.kind).toBe(n === 0 ? 'base' : 'increment');
  }
  const rows = await records.list('snapshot', ['s1']);
  expect(rows.map(({ body }) => body.commit)).toEqual((await manifestNames(place)).map((name) => Number(name.slice(-16))));
  expect(rows.every(({ body }) => body.size > 1_000 && body.epoch === 1)).toBe(true);
  // the new machine reads, by a grant of its own
  const reader = placeFor({ machine: 'm2', may: 'read' });
  const manifest = await readManifest(reader, (await manifestNames(reader)).at(-1) as string);
  const keys = getRow(from.engine, 'lineage', { lineage: manifest.lineage });
  const engine = memoryEngine();
  const restored = await restoreSnapshot(engine, await openSnapshot(reader, manifest, keys?.dataKey as Uint8Array), {
    world: from.world,
    lineage: 'ab',
    deep: true,
  });
  expect(restored.problems).toEqual([]);
  await expect(reader.put('lineages/ab', new Uint8Array(1))).rejects.toThrow(/for reading/);
});

test('U3: a machine of an older epoch parks nothing more', async () => {
  const { placeFor, records } = await portalOf();
  const place = placeFor();
  await place.put(hashed(Buffer.from('x')), Buffer.from('x'));
  await records.transact(async (tx) => tx.put('site', ['a', 's1'], { ...site, epoch: 2, machine: 'm2' }));
  await expect(place.put(hashed(Buffer.from('y')), Buffer.from('y'))).rejects.toThrow(/superseded/);
  await expect(placeFor({ machine: 'm2', epoch: 1 }).size('lineages/ab')).rejects.toThrow(/superseded/);
  await expect(placeFor({ machine: 'm2', epoch: 2 }).size('lineages/ab')).resolves.toBe(null);
});

test('an object is what its name says, a manifest is never replaced, and nothing is removed', async () => {
  const { placeFor } = await portalOf();
  const place = placeFor();
  await expect(place.put(hashed(Buffer.from('x')), Buffer.from('y'))).rejects.toThrow(/not what their name says/);
  const name = `manifests/ab/${'1'.padStart(16, '0')}`;
  await place.put(name, Buffer.from('one'));
  await place.put(name, Buffer.from('one'));
  await expect(place.put(name, Buffer.from('two'))).rejects.toThrow(/another one/);
  await expect(place.put('else/thing', Buffer.from('x'))).rejects.toThrow(/only snapshots/);
  await expect(place.remove(name)).rejects.toThrow(/itself/);
  expect(Buffer.from((await place.get(name)) as Uint8Array).toString()).toBe('one');
});

test('grants: made up, out of time, or of another site', async () => {
  const { placeFor, portal, world } = await portalOf();
  const name = hashed(Buffer.from('x'));
  await placeFor().put(name, Buffer.from('x'));
  expect(await placeFor({ organisation: 'b', site: 's2' }).get(name)).toBe(null);
  await expect(placeFor({ organisation: 'b' }).get(name)).rejects.toThrow(/superseded/);
  await expect(placeFor({ until: world.now() }).get(name)).rejects.toThrow(/no grant/);
  const raw = (authorization: string) => respondObjects(portal, new Request('http://portal/v1/objects', { headers: { authorization } }));
  const good = sealGrant(grantKey, { organisation: 'a', site: 's1', machine: 'm1', epoch: 1, may: 'read', until: world.now() + 1_000 });
  expect((await raw(`Bearer ${good}`)).status).toBe(200);
  const [text, mac] = good.split('.') as [string, string];
  const another = Buffer.from(Buffer.from(text, 'base64url').toString().replace('"s1"', '"s2"')).toString('base64url');
  for (const bad of ['', 'x', `Bearer ${another}.${mac}`, `Bearer ${text}.`, `Bearer ${text}.${mac}.x`, `Bearer ${'x'.repeat(9_000)}`])
    expect((await raw(bad)).status).toBe(401);
});

test('old snapshots go by age, the portal needs no key for it, and its list follows', async () => {
  const { placeFor, portal, records, world } = await portalOf();
  const from = await someSite();
  for (let n = 0; n < 6; n++) {
    await add(from, n);
    await createSnapshot(from.engine, placeFor(), { now: world.now() - (6 - n) * 60_000 - 3 * 86_400_000, full: false, lookBack: true });
  }
  expect((await records.list('snapshot', ['s1'])).length).toBe(6);
  const gone = await pruneSite(portal, 's1');
  expect(gone).toBeGreaterThan(3);
  expect((await records.list('snapshot', ['s1'])).length).toBe(6 - gone);
});
