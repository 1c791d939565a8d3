// A place that is a folder: atomic, durable, closed to others, and clean after a crash.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPlace, PlaceError } from '../../../storage/snapshot/place.ts';
import { conforms, listed, names, octetsOf, world } from './conformance.ts';

const fresh = (): string => mkdtempSync(join(tmpdir(), 'mailsite-folder-'));

conforms({
  removes: true,
  open: async () => {
    const folder = fresh();
    const root = join(folder, 'not/yet/there');
    return {
      place: await openPlace(root, { world }),
      reopened: () => openPlace(root, { world }),
      end: () => rmSync(folder, { recursive: true }),
    };
  },
});

test('files and directories are closed to others', async () => {
  const folder = fresh();
  const place = await openPlace(join(folder, 'in'), { world });
  await place.put('objects/ab/cd', octetsOf('x'));
  expect(statSync(join(folder, 'in/objects/ab/cd')).mode & 0o777).toBe(0o600);
  for (const path of ['in', 'in/objects', 'in/objects/ab']) expect(statSync(join(folder, path)).mode & 0o777).toBe(0o700);
  rmSync(folder, { recursive: true });
});

test('what a crash left is invisible, and goes when it is an hour old: by a list, and by a put', async () => {
  const folder = fresh();
  const old = world.now() / 1_000 - 3_700;
  const leave = (path: string, age: number): string => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), 'half');
    utimesSync(join(folder, path), age, age);
    return join(folder, path);
  };
  const young = leave('objects/ab/.put-00', old + 200);
  const stale = leave('objects/ab/.put-01', old);
  const other = leave('objects/cd/.put-02', old);
  const foreign = leave('objects/ab/.other', old);
  const place = await openPlace(folder, { world });
  await place.put('objects/cd/x', octetsOf('x'));
  expect([existsSync(stale), existsSync(other)]).toEqual([true, false]);
  expect(await names(place)).toEqual(['objects/cd/x']);
  expect([existsSync(young), existsSync(stale), existsSync(foreign)]).toEqual([true, false, true]);
  expect(readdirSync(join(folder, 'objects/cd'))).toEqual(['x']);
  rmSync(folder, { recursive: true });
});

test('a put that would leave too little of the disk is refused, and leaves nothing', async () => {
  const folder = fresh();
  const { bavail, bsize } = statfsSync(folder);
  const most = bavail * bsize;
  const place = (leaves: number) => openPlace(folder, { world, leaves });
  await (await place(most / 2)).put('a', octetsOf('x'));
  await expect((await place(most * 2)).put('b', octetsOf('x'))).rejects.toThrow(/of its disk are left to mail/);
  expect(readdirSync(folder)).toEqual(['a']);
  rmSync(folder, { recursive: true });
});

test('what is not ours is not listed', async () => {
  const folder = fresh();
  const place = await openPlace(folder, { world });
  await place.put('a', octetsOf('x'));
  for (const name of ['lost+found', 'Thumbs.db', '.hidden']) writeFileSync(join(folder, name), 'y');
  symlinkSync('/etc/passwd', join(folder, 'passwd'));
  mkdirSync(join(folder, '.git'));
  writeFileSync(join(folder, '.git/config'), 'y');
  expect((await listed(place)).map((stored) => stored.name)).toEqual(['a']);
  rmSync(folder, { recursive: true });
});

test('a folder that went away between two puts is made again', async () => {
  const folder = fresh();
  const place = await openPlace(folder, { world });
  await place.put('objects/ab/one', octetsOf('1'));
  rmSync(join(folder, 'objects'), { recursive: true });
  await expect(place.put('objects/ab/two', octetsOf('2'))).rejects.toThrow(PlaceError);
  await place.put('objects/ab/two', octetsOf('2'));
  expect(await names(place)).toEqual(['objects/ab/two']);
  rmSync(folder, { recursive: true });
});

test('errors are one line that says what, why and what to do', async () => {
  const folder = fresh();
  writeFileSync(join(folder, 'file'), '');
  const say = async (run: Promise<unknown>): Promise<string> => {
    const error = await run.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(PlaceError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
  };
  expect(await say(openPlace('', { world }))).toContain('name one');
  expect(await say(openPlace('ftp://example.test/x', { world }))).toContain('ftp:// is not known');
  expect(await say(openPlace(join(folder, 'file'), { world }))).toContain('is a file, not a folder');
  expect(await say(openPlace(join(folder, 'none'), { world, create: false }))).toContain('is not there');
  const place = await openPlace(folder, { world });
  expect(await say(place.put('file/below', octetsOf('x')))).toContain(folder);
  const full = await openPlace('/proc/mailsite', { world });
  expect(await say(full.put('a', octetsOf('x')))).toContain('/proc/mailsite');
  rmSync(folder, { recursive: true });
});
