// Every engine keeps the contract, the simulated disk too, and LMDB tells a full disk from a failing one.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { turnsAt } from '../../../actors/lock.ts';
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

// Opening an environment writes the number of the newest commit, read a moment before, into the lock file. Here an older one
// is put there by hand: the number lies behind magic and format, 8 octets into the file.
test('M1: a commit never follows a past that is not its own; opened anew, nothing that was answered is missing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const path = join(folder, 'site.mdb');
  const script = `const fs = require('node:fs'); const fd = fs.openSync(process.argv[1], 'r+'); const b = Buffer.alloc(8);
    fs.readSync(fd, b, 0, 8, 8); b.writeBigUInt64LE(b.readBigUInt64LE() - 1n); fs.writeSync(fd, b, 0, 8, 8);`;
  const engine = openLmdb(path);
  const key = (n: number): Uint8Array => new Uint8Array([1, n]);
  for (let n = 1; n <= 3; n++) await engine.commit([[key(0), key(n)] as const, [key(n), key(n)] as const]);
  expect(spawnSync(process.execPath, ['-e', script, `${path}-lock`]).status).toBe(0);
  await expect(engine.commit([[key(4), key(4)]])).rejects.toThrow('a commit begins with the one before it');
  await engine.close();
  const again = openLmdb(path);
  expect([...again.keys(key(0), key(9))].map((k) => k[1])).toEqual([0, 1, 2, 3]);
  expect(again.get(key(0))).toEqual(Buffer.from(key(3)));
  await again.close();
  rmSync(folder, { recursive: true });
});

test('who opens the file waits until a commit is over, and a commit for who opens it, and not for ever', () => {
  const folder = mkdtempSync(join(tmpdir(), 'turns-'));
  const path = join(folder, 'file');
  writeFileSync(path, '');
  const [one, other] = [turnsAt(path), turnsAt(path)];
  expect([one.take(0), other.take(3)]).toEqual([true, false]);
  one.give();
  expect([other.take(0), one.take(0)]).toEqual([true, false]);
  other.close(); // as the end of its process does
  expect(one.take(0)).toBe(true);
  one.close();
  rmSync(folder, { recursive: true });
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
