// Migrations: one transaction, saved before, the old store or the new one whatever happens.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../../actors/actor.ts';
import { storage } from '../../../storage/actor.ts';
import { check } from '../../../storage/check.ts';
import { digestOf } from '../../../storage/digest.ts';
import { type Before, knownSchema, migrate, schemaVersion } from '../../../storage/migrate.ts';
import { encodeKey, encodeRow, getRow, type Row } from '../../../storage/rows.ts';
import { unwrapKey } from '../../../storage/snapshot/keys.ts';
import { manifestNames, readLineage, readManifest } from '../../../storage/snapshot/manifest.ts';
import { openPlace } from '../../../storage/snapshot/place.ts';
import { openSnapshot } from '../../../storage/snapshot/read.ts';
import { restoreSnapshot } from '../../../storage/snapshot/restore.ts';
import { saveBefore } from '../../../storage/snapshot/upgrade.ts';
import { contentOf, mailOf, testStore, testWorld } from './fixture.ts';
import { freshEngine, type TestEngine } from '../engine.ts';

const site = (engine: TestEngine): Row<'site'> => getRow(engine, 'site', {}) as Row<'site'>;

/** A store as schema 1 left it. */
async function old(schema = 1): Promise<TestEngine> {
  const store = await testStore();
  await store.ok('deliver', { mails: [mailOf(contentOf('a', 20_000), [[1, 'INBOX']], ['x@one.test'])] });
  const row = { ...site(store.engine), schema, epoch: 1, rows: 0, sumA: 0, sumB: 0 };
  await store.engine.commit([[encodeKey('site', {}), encodeRow('site', row)]]);
  return store.engine;
}
const octetsOf = (engine: TestEngine): [Uint8Array, Uint8Array][] => [...engine.range(new Uint8Array([0]), new Uint8Array([255]))] as never;

test('1 to 2: saved first, then the digest, in one commit of the journal', async () => {
  const engine = await old();
  const { commit } = site(engine);
  expect(check(engine, { deep: true }).problems).toEqual([]); // nobody asks schema 1 for a digest
  const steps: string[] = [];
  const world = testWorld();
  const before: Before = async (to) => {
    await world.sleep(5);
    steps.push(`saved before ${to}, at schema ${site(engine).schema}`);
    return () => {};
  };
  expect(await migrate(world, engine, before)).toEqual({ from: 1, to: schemaVersion });
  expect(steps).toEqual([`saved before ${schemaVersion}, at schema 1`]);
  expect(site(engine)).toMatchObject({ schema: schemaVersion, epoch: 1, commit: commit + 1, ...digestOf(engine) });
  expect(check(engine, { deep: true }).problems).toEqual([]);
  expect(world.logged.map((l) => l.event)).toEqual(['store.migrating', 'store.migrated']);
  expect(await migrate(world, engine, before)).toBeNull();
  expect(steps.length).toBe(1);
});

test('the snapshot before it restores the site as it was, with the recovery kit that the site has afterwards', async () => {
  const engine = await old();
  const { commit } = site(engine);
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-migrate-'));
  const world = testWorld();
  await migrate(world, engine, (to) => saveBefore(world, engine, folder, to));
  expect(check(engine, { deep: true }).problems).toEqual([]);
  const place = await openPlace(join(folder, `before-schema-${schemaVersion}.tar`), { world, create: false });
  const [name] = await manifestNames(place);
  const manifest = await readManifest(place, name as string);
  expect(manifest).toMatchObject({ schema: 1, commit });
  const wrapped = (await readLineage(place, manifest.lineage))?.wrapped[0] as string;
  const key = await unwrapKey(wrapped, [getRow(engine, 'recovery', {})?.identity as string]);
  expect(Uint8Array.from(getRow(engine, 'lineage', { lineage: manifest.lineage })?.dataKey ?? [])).toEqual(key);
  const again = await freshEngine();
  const { problems } = await restoreSnapshot(again, await openSnapshot(place, manifest, key), { world, lineage: 'again', deep: true });
  expect(problems).toEqual([]);
  expect(site(again)).toMatchObject({ schema: schemaVersion, commit: commit + 1, lineage: 'again' });
  rmSync(folder, { recursive: true });
});

test('a start that was killed between the snapshot and the migration does not keep the next one from it', async () => {
  const engine = await old();
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-migrate-'));
  const world = testWorld();
  const killed = mkdtempSync(join(tmpdir(), 'mailsite-migrate-'));
  await saveBefore(world, engine, killed, schemaVersion); // and no more: its key is kept nowhere
  const name = `before-schema-${schemaVersion}.tar`;
  copyFileSync(join(killed, name), join(folder, name));
  rmSync(killed, { recursive: true });
  await migrate(world, engine, (to) => saveBefore(world, engine, folder, to));
  expect(site(engine).schema).toBe(schemaVersion);
  const place = await openPlace(join(folder, `before-schema-${schemaVersion}.tar`), { world, create: false });
  const manifest = await readManifest(place, (await manifestNames(place))[0] as string);
  const wrapped = (await readLineage(place, manifest.lineage))?.wrapped[0] as string;
  await unwrapKey(wrapped, [getRow(engine, 'recovery', {})?.identity as string]);
  rmSync(folder, { recursive: true });
});

test('what cannot be saved is not touched, and it says why', async () => {
  const engine = await old();
  const was = octetsOf(engine);
  const before = () => Promise.reject(new Error('no room for it'));
  await expect(migrate(testWorld(), engine, before)).rejects.toThrow('the site stays at schema 1: it could not be saved before the upgrade (no room for it)');
  expect(octetsOf(engine)).toEqual(was);
});

test('a commit that fails, or a way that is not there, leaves the old store', async () => {
  const engine = await old();
  const was = octetsOf(engine);
  const failing = { ...engine, commit: () => Promise.reject(new Error('EIO')) };
  await expect(migrate(testWorld(), failing, async () => () => {})).rejects.toThrow('EIO');
  await expect(migrate(testWorld(), engine, async () => () => {}, [])).rejects.toThrow(`there is no way from schema 1 to ${schemaVersion}`);
  expect(octetsOf(engine)).toEqual(was);
});

test('a newer store is refused before anything: by migrate, by the store itself, also with fields that we do not know', async () => {
  for (const schema of [schemaVersion + 1, 200, 3_000]) {
    const engine = await old(schema);
    const was = octetsOf(engine);
    let saved = 0;
    const before: Before = async () => {
      saved++;
      return () => {};
    };
    await expect(migrate(testWorld(), engine, before)).rejects.toThrow(`newer mailsite (schema ${schema}, this one knows ${schemaVersion})`);
    await expect(run(testWorld(), storage, engine)).rejects.toThrow('newer mailsite');
    expect([saved, octetsOf(engine)]).toEqual([0, was]);
  }
  const engine = await old();
  // an array of 20 fields, the first of which is 7
  await engine.commit([[encodeKey('site', {}), new Uint8Array([0xdc, 0, 20, 7, ...new Array(19).fill(0)])]]);
  expect(() => knownSchema(engine)).toThrow('schema 7');
});

test('the store serves no older schema', async () => {
  await expect(run(testWorld(), storage, await old())).rejects.toThrow('a store is migrated before it is served');
});
