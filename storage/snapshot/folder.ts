// A place that is a folder. Guarantees: a put is whole and durable when it resolves (temporary file, fsync, rename, fsync
// of the directory); a crash leaves a temporary file at most, which nobody sees and which is removed when an hour old;
// files are 0600 and directories 0700.

import type { Dirent } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { limits } from '../../actors/limits.ts';
import { assertName, isName } from './name.ts';
import { type Place, PlaceError, type PlaceOptions, type Stored } from './place.ts';

const temporary = '.put-';

export async function openFolder(path: string, { world, create = true, leaves = 0 }: PlaceOptions): Promise<Place> {
  const root = resolve(path);
  const fail = (error: unknown): PlaceError => explain(root, error);
  const found = await orNull(stat(root)).catch((error) => Promise.reject(fail(error)));
  if (found !== null && !found.isDirectory()) throw new PlaceError(`${root} is a file, not a folder: name a folder, or a file ending in .tar`);
  if (found === null && !create) throw new PlaceError(`${root} is not there: name the folder that holds the snapshots, or mount its disk`);
  const at = (name: string): string => join(root, name);
  const syncOf = groupSync();
  const ready = new Map<string, Promise<void>>();

  /**
   * Makes a directory, and durable what is in it and on the way to it. Also where it was there before: who put a name there may
   * have crashed before its sync, and a snapshot that builds on it must not outlive it.
   */
  const prepare = (folder: string): Promise<void> => {
    let done = ready.get(folder);
    if (done === undefined) {
      done = make(folder);
      ready.set(folder, done);
      done.catch(() => ready.delete(folder));
    }
    return done;
  };
  const make = async (folder: string): Promise<void> => {
    if (folder === root) await makeRoot(root);
    else {
      await prepare(dirname(folder));
      await makeFolder(folder);
      await syncOf(dirname(folder));
    }
    await syncOf(folder);
    for (const entry of await readdir(folder)) if (entry.startsWith(temporary)) await removeStale(join(folder, entry), world.now());
  };

  return {
    url: root,
    async put(name, octets) {
      assertName(name);
      const path = at(name);
      const folder = dirname(path);
      try {
        await prepare(folder);
        await assertRoom(folder, octets.length, leaves);
        await writeWhole(path, join(folder, `${temporary}${Buffer.from(world.random(12)).toString('hex')}`), octets).catch(async (error) => {
          ready.clear(); // a folder may have gone under us: the next put looks again
          throw error;
        });
        await syncOf(folder);
      } catch (error) {
        throw fail(error);
      }
    },
    async get(name) {
      assertName(name);
      return orNull(readFile(at(name))).catch((error) => Promise.reject(fail(error)));
    },
    async size(name) {
      assertName(name);
      const stats = await orNull(stat(at(name))).catch((error) => Promise.reject(fail(error)));
      if (stats?.isFile() !== true) return null;
      if (create) await prepare(dirname(at(name))).catch((error) => Promise.reject(fail(error)));
      return stats.size;
    },
    async *list(prefix) {
      try {
        yield* walk(root, '', prefix, world.now(), create ? prepare : async () => {});
      } catch (error) {
        throw fail(error);
      }
    },
    async remove(name) {
      assertName(name);
      try {
        if ((await orNull(unlink(at(name)).then(() => true))) !== null) await syncOf(dirname(at(name)));
      } catch (error) {
        throw fail(error);
      }
    },
  };
}

/** Until the rename, nothing bears the name. */
async function writeWhole(path: string, aside: string, octets: Uint8Array): Promise<void> {
  try {
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(octets);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await unlink(aside).catch(() => {}); // not written is not written; what stays is swept later
    throw error;
  }
}

/** Objects in order of their whole names. Directories sort as if with their slash: `a.b` < `a/b`. */
async function* walk(root: string, under: string, prefix: string, nowMs: number, settle: (folder: string) => Promise<void>): AsyncGenerator<Stored> {
  const folder = join(root, under, '.');
  const entries = await orNull(readdir(folder, { withFileTypes: true }));
  if (entries === null) return;
  await settle(folder);
  const key = (entry: Dirent): string => (entry.isDirectory() ? `${under}${entry.name}/` : `${under}${entry.name}`);
  const keyed = entries.map((entry) => ({ name: key(entry), entry })).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, entry } of keyed) {
    if (entry.isDirectory()) {
      if (isName(name.slice(0, -1)) && (name.startsWith(prefix) || prefix.startsWith(name))) yield* walk(root, name, prefix, nowMs, settle);
    } else if (entry.name.startsWith(temporary)) await removeStale(join(root, name), nowMs);
    else if (entry.isFile() && isName(name) && name.startsWith(prefix)) {
      const stats = await orNull(stat(join(root, name)));
      if (stats !== null) yield { name, size: stats.size, modifiedMs: Math.floor(stats.mtimeMs) };
    }
  }
}

/** A younger one may be a put under way, of this process or of another one. */
async function removeStale(path: string, nowMs: number): Promise<void> {
  const stats = await orNull(stat(path));
  if (stats === null || nowMs - stats.mtimeMs < limits.placeLeftoverMs) return;
  await unlink(path).catch(() => {}); // it is invisible anyway: a reader without the right to remove it still reads
}

async function assertRoom(folder: string, octets: number, leaves: number): Promise<void> {
  if (leaves === 0) return;
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize - octets >= leaves) return;
  throw new PlaceError(`${folder}: the last ${leaves >> 20} MiB of its disk are left to mail: free some room, or name another place`);
}

async function makeRoot(root: string): Promise<void> {
  const first = await mkdir(root, { recursive: true, mode: 0o700 });
  if (first === undefined) return; // who made it, made it durable: a backup disk may be closed to us above its folder
  for (let made = root; ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === first) return;
  }
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/**
 * fsync of directories, where callers at the same time share one that starts after their change. One that failed is never
 * tried again: it would say yes, and the change may be lost.
 */
function groupSync(): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const waiting = new Map<string, Promise<void>>();
  let broken: unknown = null;
  const start = (folder: string): Promise<void> => {
    if (broken !== null) return Promise.reject(broken);
    const sync = syncFolder(folder)
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'EIO' || error.code === 'ENOSPC' || error.code === 'EDQUOT') broken = error;
        throw error;
      })
      .finally(() => {
        if (running.get(folder) === sync) running.delete(folder);
      });
    running.set(folder, sync);
    return sync;
  };
  return (folder) => {
    const current = running.get(folder);
    if (current === undefined) return start(folder);
    let next = waiting.get(folder);
    if (next === undefined) {
      next = current
        .catch(() => {}) // its own callers were told
        .then(() => {
          waiting.delete(folder);
          return start(folder);
        });
      waiting.set(folder, next);
    }
    return next;
  };
}

/** Makes the names in it durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** null where there is no file of that name. */
function orNull<T>(answer: Promise<T>): Promise<T | null> {
  return answer.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EISDIR') return null;
    throw error;
  });
}

/** What the disk says, as one line for a person. */
export function explain(path: string, error: unknown): PlaceError {
  if (error instanceof PlaceError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new PlaceError(`${path}: the disk is full: free some room or name another place, then do it again`);
  if (code === 'EACCES' || code === 'EPERM') return new PlaceError(`${path} is closed to this user: run it as who owns it, or name another place`);
  if (code === 'EROFS')
    return new PlaceError(`${path} is read-only here: mount it for writing, or name another place (the service may write to /var/lib/mailsite-snapshots)`);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new PlaceError(`${path} went away: see that its disk is mounted, then do it again`);
  return new PlaceError(`${path} failed (${message}): see that its disk is well, or name another place`, code === 'EIO');
}
