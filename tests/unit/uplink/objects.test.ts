// Parked objects: a site puts and reads its own by a grant of its epoch; nothing is replaced, removed or another's.

import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { createSnapshot } from '../../../storage/snapshot/create.ts';
import { keysFor } from '../../../storage/snapshot/keys.ts';
import { manifestName, manifestNames, readManifest, signManifest } from '../../../storage/snapshot/manifest.ts';
import { openSnapshot } from '../../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../../storage/snapshot/restore.ts';
import { PlaceError } from '../../../storage/snapshot/place.ts';
import { getRow } from '../../../storage/rows.ts';
import { portalPlace } from '../../../uplink/agent/place.ts';
import { type Grant, sealToken } from '../../../uplink/grant.ts';
import { seedFrom, signerOf, signValue } from '../../../uplink/keys.ts';
import { respondActivate, respondGrant } from '../../../uplink/portal/grants.ts';
import { respondObjects } from '../../../uplink/portal/objects.ts';
import type { Portal } from '../../../uplink/portal/process.ts';
import { openRecords } from '../../../uplink/portal/records.ts';
import { pruneSite } from '../../../uplink/portal/timeline.ts';
import { freshEngine } from '../engine.ts';
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
      sealToken(grantKey, 'grant', { organisation: 'a', site: 's1', machine: 'm1', epoch: 1, may: 'park', until: world.now() + 60_000, ...change });
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
  const engine = await freshEngine();
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
  const from = await someSite();
  const { manifest, secrets } = await createSnapshot(from.engine, place, { now: from.world.now(), full: false, lookBack: true });
  const name = (await manifestNames(place))[0] as string;
  const first = Buffer.from((await place.get(name)) as Uint8Array);
  await place.put(name, first);
  // who has the key may sign another one, of the same commit: it does not take the place of the first
  const keys = getRow(from.engine, 'lineage', { lineage: manifest.lineage });
  const { format: _, sealed: _sealed, signature: _signature, ...fields } = manifest;
  const second = signManifest(keys?.dataKey as Uint8Array, { ...fields, takenAt: manifest.takenAt + 1 }, secrets);
  await expect(place.put(name, Buffer.from(JSON.stringify(second)))).rejects.toThrow(/another one/);
  // what cannot be read would keep old objects for ever
  for (const [at, octets] of [
    [manifestName('ab', 7), 'junk'],
    [manifestName(manifest.lineage, 7), JSON.stringify(second)],
    ['lineages/ab', '{}'],
    [manifestName(manifest.lineage, 8), 'x'.repeat(limits.parkedManifest + 1)],
  ] as const)
    await expect(place.put(at, Buffer.from(octets)), at).rejects.toThrow(/is not|not JSON|not there|at most|another snapshot/);
  await expect(place.put('else/thing', Buffer.from('x'))).rejects.toThrow(/only snapshots/);
  await expect(place.remove(name)).rejects.toThrow(/itself/);
  expect(Buffer.from((await place.get(name)) as Uint8Array)).toEqual(first);
  expect((await manifestNames(place)).length).toBe(1);
});

test('grants: made up, out of time, or of another site', async () => {
  const { placeFor, portal, world } = await portalOf();
  const name = hashed(Buffer.from('x'));
  await placeFor().put(name, Buffer.from('x'));
  expect(await placeFor({ organisation: 'b', site: 's2' }).get(name)).toBe(null);
  await expect(placeFor({ organisation: 'b' }).get(name)).rejects.toThrow(/superseded/);
  await expect(placeFor({ until: world.now() }).get(name)).rejects.toThrow(/no grant/);
  const raw = (authorization: string) => respondObjects(portal, new Request('http://portal/v1/objects', { headers: { authorization } }));
  const good = sealToken(grantKey, 'grant', { organisation: 'a', site: 's1', machine: 'm1', epoch: 1, may: 'read', until: world.now() + 1_000 });
  expect((await raw(`Bearer ${good}`)).status).toBe(200);
  const [text, mac] = good.split('.') as [string, string];
  const another = Buffer.from(Buffer.from(text, 'base64url').toString().replace('"s1"', '"s2"')).toString('base64url');
  for (const bad of ['', 'x', `Bearer ${another}.${mac}`, `Bearer ${text}.`, `Bearer ${text}.${mac}.x`, `Bearer ${'x'.repeat(9_000)}`])
    expect((await raw(bad)).status).toBe(401);
});

test('old snapshots go by when they came, whatever they say; the portal needs no key for it, and its list follows', async () => {
  const { placeFor, portal, records, world } = await portalOf();
  const from = await someSite();
  const cameAt = (name: string, ms: number): void => utimesSync(join(portal.objects, 's1', name), ms / 1_000, ms / 1_000);
  for (let n = 0; n < 6; n++) {
    await add(from, n);
    // what they say of their time would keep all of them
    await createSnapshot(from.engine, placeFor(), { now: world.now() - n * 60_000, full: false, lookBack: true });
    cameAt((await manifestNames(placeFor())).at(-1) as string, world.now() - (6 - n) * 60_000 - 3 * 86_400_000);
  }
  expect((await records.list('snapshot', ['s1'])).length).toBe(6);
  const gone = await pruneSite(portal, 's1');
  expect(gone).toBeGreaterThan(3);
  expect((await records.list('snapshot', ['s1'])).length).toBe(6 - gone);
});

test('U3: a launch that was left lying takes nothing over once another machine has', async () => {
  const { portal, records, world } = await portalOf();
  const m2 = signerOf(seedFrom(world.random));
  await records.transact(async (tx) => {
    const row = await tx.get('portal');
    if (row !== undefined) tx.put('portal', [], { ...row, signPrivate: seedFrom(world.random) });
    tx.put('machine', ['s1', 'm2'], { ...machine, state: 'standby', signPublic: m2.publicKey });
  });
  const activate = async (): Promise<{ status: number; epoch: number | undefined }> => {
    const asked = (await (await respondGrant(portal, { challenge: true })).json()) as { challenge: string; portal: string };
    const answer = await respondActivate(portal, signValue(m2, 'activate', { challenge: asked.challenge, portal: asked.portal, site: 's1', machine: 'm2' }));
    const { signed = '{}' } = (await answer.json()) as { signed?: string };
    return { status: answer.status, epoch: (JSON.parse(signed) as { epoch?: number }).epoch };
  };
  const moved = { ...site, epoch: 2, machine: 'm3' };
  await records.transact(async (tx) => tx.put('site', ['a', 's1'], moved));
  expect(await activate()).toEqual({ status: 409, epoch: undefined });
  expect(await records.get('site', 'a', 's1')).toEqual(moved);
  await records.transact(async (tx) => tx.put('site', ['a', 's1'], site));
  expect(await activate()).toEqual({ status: 200, epoch: 2 });
  expect(await activate()).toEqual({ status: 200, epoch: 2 }); // asked again
  expect(await records.get('machine', 's1', 'm1')).toMatchObject({ state: 'superseded' });
  const stranger = signValue(signerOf(seedFrom(world.random)), 'activate', { challenge: 'x', portal: 'p', site: 's1', machine: 'm2' });
  expect((await respondActivate(portal, stranger)).status).toBe(403);
});

test('an answer that breaks off is asked for again, and so is a grant that did not come; for good it fails plainly', async () => {
  const world = { ...testWorld(), sleep: async () => {} };
  const torn = (): Response =>
    new Response(
      new ReadableStream({
        start: (pipe) => pipe.enqueue(Buffer.from('{"items":')),
        pull: (pipe) => pipe.error(new Error('the connection broke')),
      }),
    );
  let bad = 0;
  let grants = 0;
  const place = portalPlace({
    world,
    url: 'http://portal',
    grant: async () => {
      if (grants-- > 0) throw new Error('nobody there');
      return 'g';
    },
    fetch: async (url, { method }) => {
      if (method === 'PUT') return new Response('no such page', { status: 404 });
      if (bad-- > 0) return torn();
      return url.includes('?') ? Response.json({ items: [{ name: 'objects/x', size: 1, modifiedMs: 1 }], more: false }) : new Response('whole');
    },
  });
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of place.list('objects/')) found.push(name);
    return found;
  };
  const tries = (broken: number, ungranted: number): void => {
    [bad, grants] = [broken, ungranted];
  };
  tries(2, 2);
  expect(Buffer.from((await place.get('objects/x')) ?? []).toString()).toBe('whole');
  tries(2, 2);
  expect(await names()).toEqual(['objects/x']);
  tries(1_000, 0);
  await expect(place.get('objects/x')).rejects.toThrow(PlaceError);
  tries(1_000, 0);
  await expect(names()).rejects.toThrow(/failed 7 times \(the connection broke\)/);
  tries(0, 0);
  await expect(place.put('objects/x', Buffer.from('x'))).rejects.toThrow(/HTTP 404/);
  tries(0, 1_000);
  await expect(place.put('objects/x', Buffer.from('x'))).rejects.toThrow(/failed 7 times \(nobody there\)/);
});
