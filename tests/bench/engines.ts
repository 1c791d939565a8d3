// Engines side by side on the commits that the store makes: `bun tests/bench/engines.ts [--messages N] [--folder DIR]`. The real
// storage actor runs deliveries, flags and an expunge over an engine in memory; its batches are kept, and each engine
// takes the same ones in a process of its own, durably, and is read then. classic-level takes part when CLASSIC_LEVEL names
// its folder: it has no synchronous scans, so its own are used. Written octets are those of the process (/proc/self/io).

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Engine, Write } from '../../storage/engine.ts';
import { openEngine } from '../../storage/engines/open.ts';
import { contentOf, mailOf, testStore } from '../unit/storage/fixture.ts';
import { Args, rng, round } from './lib/util.ts';

interface Phase {
  readonly name: string;
  readonly commits: Write[][];
}
/** What is measured of an engine: its commits, and its ways to read. */
interface Driven {
  commit(writes: readonly Write[]): Promise<void>;
  get(key: Uint8Array): Uint8Array | undefined;
  /** Reads every row from `from` on; how many there are. */
  scan(from: Uint8Array, to: Uint8Array): Promise<number>;
}

const sizes = [1_500, 3_000, 6_000, 12_000, 25_000, 60_000];

/** Deliveries eight at a time, as eight connections make them; single STOREs; storms over a folder; then half of it goes. */
async function trace(messages: number): Promise<Phase[]> {
  const phases: Phase[] = [{ name: 'start', commits: [] }];
  const begin = (name: string): void => void phases.push({ name, commits: [] });
  const record = (engine: Engine): Engine => ({
    ...engine,
    commit: (writes, options) => {
      phases.at(-1)?.commits.push([...writes]);
      return engine.commit(writes, options);
    },
  });
  const store = await testStore({ wrap: record });
  const random = rng(7);
  const noise = (size: number): string => {
    let text = '';
    while (text.length < size) text += random().toString(36).slice(2);
    return text;
  };
  begin('deliver');
  for (let i = 0; i < messages; i += 8) {
    const mails = Array.from({ length: 8 }, (_, n) =>
      mailOf(contentOf(`${i + n} ${noise(sizes[(i + n) % sizes.length] as number)}`), [[1 + (n % 2), 'INBOX']]),
    );
    await Promise.all(mails.map((mail) => store.ok('deliver', { mails: [mail] })));
  }
  const mailbox = store.mailbox(1, 'INBOX').id;
  const half = Math.floor(messages / 2);
  const flag = (uids: number[], flags: number, mode: 'add' | 'remove' = 'add') =>
    store.ok('store', { account: 1, mailbox, uids, mode, flags, keywords: [], unchangedSince: null });
  begin('flag');
  for (let i = 0; i < 1_000; i++) {
    const uid = 1 + Math.floor(random() * half);
    await flag([uid, uid], 1 << (i % 3));
  }
  begin('storm');
  for (let i = 0; i < 20; i++) await flag([1, half], 16, i % 2 === 0 ? 'add' : 'remove');
  begin('expunge');
  await flag([1, half], 8);
  await store.ok('expunge', { account: 1, mailbox, uids: [1, half] });
  for (let more = true; more; ) ({ more } = await store.ok('collect', { transferAgeMs: 1 }));
  return phases;
}

async function open(name: string, folder: string): Promise<Driven> {
  if (name === 'classic-level') return openClassic(folder);
  const engine = await openEngine(folder, name as 'lmdb' | 'lsm');
  return {
    commit: (writes) => engine.commit(writes),
    get: (key) => engine.get(key),
    async scan(from, to) {
      engine.refresh();
      let rows = 0;
      for (const _ of engine.range(from, to)) rows++;
      return rows;
    },
  };
}

async function openClassic(folder: string): Promise<Driven> {
  const { ClassicLevel } = await import(resolve(process.env['CLASSIC_LEVEL'] as string));
  const db = new ClassicLevel(join(folder, 'classic'), { keyEncoding: 'view', valueEncoding: 'view', compression: false });
  await db.open();
  return {
    commit: (writes) =>
      db.batch(
        writes.map(([key, value]) => (value === null ? { type: 'del', key } : { type: 'put', key, value })),
        { sync: true },
      ),
    get: (key) => db.getSync(key),
    async scan(from, to) {
      let rows = 0;
      const iterator = db.iterator({ gte: from, lt: to });
      for (let found = await iterator.nextv(1_000); found.length > 0; found = await iterator.nextv(1_000)) rows += found.length;
      return rows;
    },
  };
}

const written = (): number => Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);

function octetsIn(folder: string): number {
  let octets = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && entry.name !== 'ballast') octets += statSync(join(entry.parentPath, entry.name)).blocks * 512;
  return octets;
}

/** One engine, in this process. */
async function measure(name: string, file: string, folder: string): Promise<Record<string, number | string>> {
  const phases = deserialize(readFileSync(file)) as Phase[];
  const driven = await open(name, folder);
  const figures: Record<string, number | string> = { engine: name };
  const live = new Map<string, number>();
  let given = 0;
  const began = written();
  for (const { name: phase, commits } of phases) {
    const start = performance.now();
    let rows = 0;
    for (const writes of commits) {
      await driven.commit(writes);
      rows += writes.length;
    }
    const ms = performance.now() - start;
    for (const [key, value] of commits.flat()) {
      given += key.length + (value?.length ?? 0);
      if (value === null) live.delete(Buffer.from(key).toString('latin1'));
      else live.set(Buffer.from(key).toString('latin1'), key.length + value.length);
    }
    if (phase === 'start') continue;
    figures[`${phase} rows/s`] = Math.round((rows / ms) * 1000);
    figures[`${phase} ms/commit`] = round(ms / commits.length, 2);
    if (phase === 'storm') Object.assign(figures, await reads(driven, [...live.keys()]));
  }
  await Bun.sleep(3_000); // what is merged behind our back is written too
  figures['written / given'] = round((written() - began) / given, 2);
  figures['disk / live'] = round(octetsIn(folder) / [...live.values()].reduce((sum, n) => sum + n, 0), 2);
  figures['memory MB'] = Math.round(Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))?.[1]) / 1024);
  return figures;
}

async function reads(driven: Driven, names: readonly string[]): Promise<Record<string, number>> {
  let start = performance.now();
  const rows = await driven.scan(new Uint8Array([0]), new Uint8Array([255]));
  const scanned = Math.round((rows / (performance.now() - start)) * 1000);
  if (rows !== names.length) throw new Error(`${rows} rows of ${names.length}`);
  const random = rng(3);
  const keys = Array.from({ length: 50_000 }, () => Buffer.from(names[Math.floor(random() * names.length)] as string, 'latin1'));
  start = performance.now();
  for (const key of keys) if (driven.get(key) === undefined) throw new Error('a row is missing');
  return { 'scan rows/s': scanned, 'get /s': Math.round((keys.length / (performance.now() - start)) * 1000) };
}

async function main(): Promise<void> {
  const args = new Args(process.argv.slice(2));
  if (args.pos[0] === 'one') {
    console.log(JSON.stringify(await measure(args.pos[1] as string, args.pos[2] as string, args.pos[3] as string)));
    process.exit(0);
  }
  const folder = mkdtempSync(join(args.str('folder', tmpdir()), 'engines-'));
  const file = join(folder, 'trace');
  writeFileSync(file, serialize(await trace(args.num('messages', 8_000))));
  const names = ['lmdb', 'lsm', ...(process.env['CLASSIC_LEVEL'] === undefined ? [] : ['classic-level'])];
  for (const name of names) {
    mkdirSync(join(folder, name));
    const ran = Bun.spawnSync([process.execPath, import.meta.path, 'one', name, file, join(folder, name)], { stderr: 'inherit' });
    console.log(ran.stdout.toString().trim().replaceAll(',"', ',\n  "'));
    rmSync(join(folder, name), { recursive: true });
  }
  rmSync(folder, { recursive: true });
}

await main();
