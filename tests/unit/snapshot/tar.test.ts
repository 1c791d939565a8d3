// A place that is a tar file: the real tar reads it, a torn end is not seen, and it opens by its headers alone.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openPlace, PlaceError } from '../../../storage/snapshot/place.ts';
import { conforms, names, octetsOf, world } from './conformance.ts';

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mailsite-tar-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const tar = (...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync('tar', args);
  expect(stderr.toString()).toBe('');
  expect(status).toBe(0);
  return stdout.toString();
};
const write = (file: string, at: number, octets: Uint8Array): void => {
  const fd = openSync(file, 'r+');
  writeSync(fd, octets, 0, octets.length, at);
  closeSync(fd);
};

conforms({
  removes: false,
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mailsite-tar-'));
    const file = join(folder, 'mail.tar');
    return { place: await openPlace(file, { world }), reopened: () => openPlace(file, { world }), end: () => rmSync(folder, { recursive: true }) };
  },
});

const long = `objects/ab/${'ab'.repeat(32)}`;

test('the real tar lists and unpacks it', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'mail.tar');
    const place = await openPlace(file, { world });
    const octets = Uint8Array.from({ length: 70_001 }, (_, i) => i * 7);
    await place.put(long, octets);
    await place.put('lineages/x', octetsOf('{}'));
    await place.put(`manifests/${'l'.repeat(64)}/0000000000000001`, new Uint8Array(512));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(tar('tf', file).trim().split('\n')).toEqual([long, 'lineages/x', `manifests/${'l'.repeat(64)}/0000000000000001`]);
    mkdirSync(join(folder, 'out'));
    tar('xf', file, '-C', join(folder, 'out'));
    expect(new Uint8Array(readFileSync(join(folder, 'out', long)))).toEqual(octets);
    const unpacked = await openPlace(join(folder, 'out'), { world, create: false });
    expect(await names(unpacked)).toEqual(await names(place));
  }));

test.each(['ustar', 'gnu', 'pax', 'v7'])('what tar itself made of a folder, in %s format, is read and added to', (format) =>
  inFolder(async (folder) => {
    const from = await openPlace(join(folder, 'in'), { world });
    for (const name of [long, 'lineages/x']) await from.put(name, octetsOf(name));
    const file = join(folder, 'mail.tar');
    tar('cf', file, `--format=${format}`, '-C', join(folder, 'in'), '.');
    const place = await openPlace(file, { world });
    if (format === 'v7') return expect(await names(place)).toEqual([]); // it has no mark: not ours to guess
    expect(await names(place)).toEqual(['lineages/x', long]);
    await place.put('lineages/y', octetsOf('more'));
    const again = await openPlace(file, { world });
    for (const name of [long, 'lineages/x']) expect(Buffer.from((await again.get(name)) as Uint8Array).toString()).toBe(name);
    expect(tar('tf', file)).toContain('lineages/y');
  }),
);

test('a put torn at any octet is not seen, and the next put takes its place', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'whole.tar');
    const place = await openPlace(file, { world });
    await place.put('lineages/x', octetsOf('old'));
    await place.put('objects/ab/a', octetsOf('a'.repeat(700)));
    const before = statSync(file).size;
    await place.put('lineages/x', octetsOf('n'.repeat(1_000)));
    const after = statSync(file).size;
    let n = 0;
    const holds = async (change: (torn: string) => void): Promise<void> => {
      const torn = join(folder, `torn-${n++}.tar`);
      cpSync(file, torn);
      change(torn);
      const found = await openPlace(torn, { world, create: false });
      expect(await names(found)).toEqual(['lineages/x', 'objects/ab/a']);
      expect(Buffer.from((await found.get('lineages/x')) as Uint8Array).toString()).toBe('old');
      const size = statSync(torn).size;
      const writer = await openPlace(torn, { world });
      await writer.put('objects/ab/b', octetsOf('b'));
      expect(statSync(torn).size).toBeLessThanOrEqual(Math.max(size, before + 1_024));
      expect(await names(await openPlace(torn, { world }))).toEqual(['lineages/x', 'objects/ab/a', 'objects/ab/b']);
      expect(tar('tf', torn)).toBe('lineages/x\nobjects/ab/a\nobjects/ab/b\n');
    };
    for (let cut = before; cut < after; cut += 37) await holds((torn) => truncateSync(torn, cut));
    // the length reached the disk, some of the sectors did not
    await holds((torn) => write(torn, before, new Uint8Array(after - before)));
    await holds((torn) => write(torn, before, new Uint8Array(512)));
    await holds((torn) => write(torn, before + 512, new Uint8Array(512)));
    await holds((torn) => write(torn, before + 1024, new Uint8Array(400)));
    await holds((torn) => write(torn, before + 100, octetsOf('junk')));
  }));

test('damage in the middle loses what it hits: the rest is read, and nothing is cut off', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'mail.tar');
    const place = await openPlace(file, { world });
    for (const name of ['a', 'b', 'c']) await place.put(name, octetsOf(name.repeat(2_000)));
    for (const octets of [new Uint8Array(1_024), octetsOf('junk')]) {
      write(file, 512 + 2_048, octets);
      const size = statSync(file).size;
      const found = await openPlace(file, { world });
      expect(await names(found)).toEqual(['a', 'c']);
      await expect(found.put('d', octetsOf('d'))).rejects.toThrow('is damaged at octet 2560: it can be read');
      expect(statSync(file).size).toBe(size);
    }
  }));

test('random octets are never more than an archive without files', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'noise.tar');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), async (octets) => {
        writeFileSync(file, octets);
        expect(await names(await openPlace(file, { world, create: false }))).toEqual([]);
      }),
    );
  }));

test('a large archive opens by its headers: what lies between is not read', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'mail.tar');
    const place = await openPlace(file, { world });
    await place.put('objects/ab/a', octetsOf('a'));
    // 200 holes of 1 GiB, each behind a header that says so: reading them would take minutes
    const { encodeHeader } = await import('../../../storage/snapshot/tarheader.ts');
    const fd = openSync(file, 'r+');
    let at = statSync(file).size;
    for (let i = 0; i < 200; i++) {
      const header = encodeHeader(`objects/ab/${i}`, 2 ** 30, 0, 0);
      writeSync(fd, header, 0, 512, at);
      at += 512 + 2 ** 30;
    }
    ftruncateSync(fd, at);
    closeSync(fd);
    const before = readOctets();
    appendFileSync(file, Buffer.from(await lastEntry(folder)));
    const found = await openPlace(file, { world, create: false });
    expect(await names(found)).toHaveLength(202);
    expect(readOctets() - before).toBeLessThan(4 * 2 ** 20);
  }));
const readOctets = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
async function lastEntry(folder: string): Promise<Uint8Array> {
  const place = await openPlace(join(folder, 'last.tar'), { world });
  await place.put('z', octetsOf('z'));
  return readFileSync(join(folder, 'last.tar'));
}

test('one process writes to an archive at a time, and others see what it wrote', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'mail.tar');
    const reader = await openPlace(file, { world });
    const place = await openPlace(file, { world });
    await place.put('a', octetsOf('a'));
    expect(await names(reader)).toEqual(['a']);
    await reader.put('b', octetsOf('b'));
    await place.put('c', octetsOf('c'));
    expect(await names(reader)).toEqual(['a', 'b', 'c']);
    const script = `
      import { openPlace } from '${join(import.meta.dirname, '../../../storage/snapshot/place.ts')}';
      const place = await openPlace('${file}', { world: { now: () => 0, sleep: async () => {}, random: (n) => new Uint8Array(n) } });
      console.log((await place.size('c')) + ' ' + (await place.put('d', new Uint8Array(1)).catch((e) => e.message)));`;
    const other = spawnSync(join(import.meta.dirname, '../../../node_modules/.bin/bun'), ['-e', script]);
    expect(other.stdout.toString()).toContain('1 ');
    expect(other.stdout.toString()).toContain('another process is writing to it');
  }));

test('errors are one line that says what, why and what to do', () =>
  inFolder(async (folder) => {
    const say = async (run: Promise<unknown>): Promise<string> => {
      const error = await run.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(PlaceError);
      return (error as Error).message;
    };
    mkdirSync(join(folder, 'dir.tar'));
    expect(await say(openPlace(join(folder, 'dir.tar'), { world }))).toContain('is not a file');
    expect(await say(openPlace(join(folder, 'none.tar'), { world, create: false }))).toContain('is not there');
    const place = await openPlace(join(folder, 'no/where.tar'), { world });
    expect(await say(place.put('a', octetsOf('a')))).toContain('where.tar');
    expect(await say(place.remove('a'))).toContain('nothing can be removed from a tar file');
  }));
