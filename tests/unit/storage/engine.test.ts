// Every engine keeps the contract, the simulated disk too, and LMDB tells a full disk from a failing one.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DiskFull, type Engine } from '../../../storage/engine.ts';
import { openLsm } from '../../../storage/engines/lsm.ts';
import { openLmdb, openLmdbReader } from '../../../storage/engines/lmdb.ts';
import { memoryEngine } from '../../../storage/engines/memory.ts';
import { engineContract } from '../../contract/engine.ts';
import { SimDisk } from '../../sim/disk.ts';
import { type Life, Scheduler } from '../../sim/scheduler.ts';

engineContract('memory', async () => {
  const engine = memoryEngine();
  return { engine, snapshot: engine.snapshot, close: async () => {} };
});

engineContract('lmdb', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const path = join(folder, 'site.mdb');
  const engine = openLmdb(path);
  const reader = openLmdbReader(path);
  return {
    engine,
    reader,
    snapshot: engine.snapshot,
    reopen: async () => {
      await engine.close();
      return openLmdb(path);
    },
    close: async () => {
      await reader.close();
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
});

test('LMDB begins over what a crash in its beginning left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'begin-'));
  const path = join(folder, 'site.mdb');
  for (const [name, octets] of [['site.mdb', ''], ['site.mdb-new', 'torn'], ['site.mdb-new-lock', '']] as const) writeFileSync(join(folder, name), octets); // biome-ignore format: a table
  const engine = openLmdb(path);
  await engine.commit([[new Uint8Array([1]), new Uint8Array([2])]]);
  await engine.close();
  expect(readdirSync(folder).sort()).toEqual(['site.mdb', 'site.mdb-lock']);
  const again = openLmdb(path);
  expect(again.get(new Uint8Array([1]))).toEqual(Buffer.from([2]));
  await again.close();
  rmSync(folder, { recursive: true });
});

engineContract('lsm', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const path = join(folder, 'site.lsm');
  let engine = await openLsm(path);
  return {
    engine,
    snapshot: engine.snapshot,
    reopen: async () => {
      await engine.close();
      engine = await openLsm(path);
      return engine;
    },
    close: async () => {
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
});

engineContract('simulated disk', async () => {
  const scheduler = new Scheduler(1);
  const disk = new SimDisk(scheduler);
  const life: Life = { name: 'store', alive: true };
  const engine = disk.engine(life);
  const commit: Engine['commit'] = (writes, options) => {
    const committed = engine.commit(writes, options);
    while (scheduler.step());
    return committed;
  };
  return { engine: { ...engine, commit }, reader: disk.reader(life), close: async () => {} };
});

// A file system of 64 MiB takes root to mount.
const mounts = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

test.skipIf(!mounts)('LMDB says DiskFull, keeps what it has, and goes on when there is room', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'full-'));
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder]).status).toBe(0);
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  const engine = openLmdb(join(folder, 'site.mdb'));
  try {
    const key = (n: number): Uint8Array => new Uint8Array([9, n >> 8, n & 255]);
    const row = new Uint8Array(16_000);
    let n = 0;
    const fill = async (): Promise<unknown> => {
      for (; n < 8_000; n += 10) await engine.commit(Array.from({ length: 10 }, (_, i) => [key(n + i), row] as const));
      return null;
    };
    expect(await fill().catch((error: unknown) => error)).toBeInstanceOf(DiskFull);
    expect(n).toBeGreaterThan(2_000);
    const huge = [[key(9_000), new Uint8Array(40_000_000)]] as const;
    for (let i = 0; i < 3; i++) await expect(engine.commit(huge, { reserve: true })).rejects.toBeInstanceOf(DiskFull);
    await expect(engine.commit([[key(9_000), new Uint8Array(1_000_000)]])).rejects.toBeInstanceOf(DiskFull);
    expect([...engine.keys(key(0), key(9_999))].length).toBe(n);
    expect(engine.get(key(n - 1))).toEqual(Buffer.from(row));
    await engine.commit(
      Array.from({ length: 100 }, (_, i) => [key(i), null] as const),
      { reserve: true },
    );
    await engine.commit([[key(9_000), row]]);
    expect([...engine.keys(key(0), key(9_999))].length).toBe(n - 99);
    await new Promise((done) => setTimeout(done, 20));
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
    await engine.close();
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});
