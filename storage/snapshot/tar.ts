// A place that is one file, which `tar tf` and `tar xf` read. Guarantees: it only grows at its end, and a put is durable
// when it resolves; what a crash tore at the end is not seen, and goes with the next put; it opens by its headers alone,
// whatever its size. States of a put: written (header, content, padding) → synced (commit point) → known to this reader.

import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { dirname, normalize } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { holdAlone } from '../../actors/lock.ts';
import { explain, syncFolder } from './folder.ts';
import { assertName, isName } from './name.ts';
import { type Place, PlaceError, type PlaceOptions } from './place.ts';
import { blockSize, decodeHeader, encodeHeader, type Header, padded } from './tarheader.ts';

interface Entry {
  readonly at: number;
  readonly size: number;
  readonly modifiedMs: number;
}

interface Archive {
  readonly path: string;
  readonly entries: Map<string, Entry>;
  /** Which file it was; null: none yet. */
  inode: number | null;
  /** Where the next header goes. Past it there is nothing, a torn put, or the two empty blocks that tar ends with. */
  end: number;
  /** The size of the file when it was last looked through. */
  seen: number;
  /** Where no header is although more follow: what stands there is lost, and nothing may be added. */
  damagedAt: number | null;
  /** A sync failed: what is on the disk is not known any more. */
  broken: boolean;
}

export async function openTar(path: string, { world, create = true }: PlaceOptions): Promise<Place> {
  const full = normalize(path); // not made absolute: a process may work in a folder that it may not reach by its path
  const attempt = async <T>(run: () => Promise<T>): Promise<T> => run().catch((error) => Promise.reject(explain(full, error)));
  const archive: Archive = { path: full, entries: new Map(), inode: null, end: 0, seen: 0, damagedAt: null, broken: false };
  /** One at a time: what a put writes starts where the last one ended, and what is seen has an end. */
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(full) ?? Promise.resolve()).then(() => attempt(run));
    turns.set(
      full,
      turn.catch(() => {}), // its own caller was told
    );
    return turn;
  };
  /** The files as they are now: another process may have added to them. */
  const look = (): Promise<ReadonlyMap<string, Entry>> => inTurn(() => withFile(full, 'r', (file) => readOn(archive, file)).then(() => archive.entries));
  await look();
  if (archive.inode === null && !create) throw new PlaceError(`${full} is not there: name the file that holds the snapshots`);

  return {
    url: full,
    async put(name, octets) {
      assertName(name);
      await inTurn(async () => {
        await mayWrite(full);
        await withFile(full, 'r+', async (file) => {
          await readOn(archive, file);
          await append(archive, file, name, octets, world.now());
        });
      });
    },
    async get(name) {
      assertName(name);
      const entry = (await look()).get(name);
      return entry === undefined ? null : attempt(() => withFile(full, 'r', (file) => readAt(file, entry.at, entry.size)));
    },
    async size(name) {
      assertName(name);
      return (await look()).get(name)?.size ?? null;
    },
    async *list(prefix) {
      const entries = [...(await look())].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, { size, modifiedMs }] of entries) yield { name, size, modifiedMs };
    },
    async remove(name) {
      assertName(name);
      throw new PlaceError(`${full}: nothing can be removed from a tar file: make a new one by \`mailsite snapshot export\`, or use a folder`);
    },
  };
}

/** Null where there is no file. */
async function withFile<T>(path: string, flags: 'r' | 'r+', run: (file: FileHandle) => Promise<T>): Promise<T | null> {
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && flags === 'r') return null;
    throw error;
  });
  if (file === null) return null;
  try {
    return await run(file);
  } finally {
    await file.close();
  }
}

/** Of this process, by path: those who wait for their turn, and the files that it alone writes to. */
const turns = new Map<string, Promise<unknown>>();
const held = new Set<string>();

/** Makes the file where it is absent, and its name durable: whoever made it may have crashed before. */
async function mayWrite(path: string): Promise<void> {
  if (held.has(path)) return;
  await (await open(path, 'a', 0o600)).close();
  if (!holdAlone(path)) throw new PlaceError(`${path}: another process is writing to it: wait until it has ended, or name another file`);
  held.add(path);
  await syncFolder(dirname(path));
}

/** Reads the headers from `end` on, where the file has changed. */
async function readOn(archive: Archive, file: FileHandle): Promise<void> {
  const stats = await file.stat();
  const { size } = stats;
  if (!stats.isFile()) throw new PlaceError(`${archive.path} is not a file: name a file ending in .tar, or a folder that does not`);
  archive.inode ??= stats.ino;
  if (stats.ino !== archive.inode || size < archive.end)
    throw new PlaceError(`${archive.path} was replaced or cut while it was in use: let nobody else write to it, and start again`);
  if (size === archive.seen) return;
  const window = headerReader(file, size);
  let at = archive.end;
  /** The last header so far: its content may be torn. */
  let last: Found | null = null;
  for (;;) {
    const block = await window(at);
    if (block === null) break;
    const header = decodeHeader(block);
    const next = header === null ? size + 1 : at + blockSize + padded(header.size);
    if (header !== null && next <= size) {
      if (last !== null) learn(archive, last);
      last = { header, at };
      at = next;
      continue;
    }
    // the empty blocks that tar ends with, a torn put, or damage with more behind it
    const resumed = await findHeader(file, at + blockSize, size);
    if (resumed === null) break;
    archive.damagedAt ??= at;
    at = resumed;
  }
  archive.seen = size;
  archive.end = at;
  // puts are synced one by one: only the last one can be torn
  if (last === null) return;
  if (await isWhole(file, last)) learn(archive, last);
  else archive.end = last.at;
}

interface Found {
  readonly header: Header;
  readonly at: number;
}

function learn(archive: Archive, { header, at }: Found): void {
  if (header.file && isName(header.name)) archive.entries.set(header.name, { at: at + blockSize, size: header.size, modifiedMs: header.modifiedMs });
}

async function isWhole(file: FileHandle, { header, at }: Found): Promise<boolean> {
  if (header.crc === null) return true;
  let crc = 0;
  for (let done = 0; done < header.size; done += limits.placeRead) {
    crc = crc32(await readAt(file, at + blockSize + done, Math.min(limits.placeRead, header.size - done)), crc);
  }
  return crc === header.crc;
}

/** Small objects stand close together: one read fetches many headers. Null past the end. */
function headerReader(file: FileHandle, size: number): (at: number) => Promise<Buffer | null> {
  let window: Buffer = Buffer.alloc(0);
  let from = 0;
  return async (at) => {
    if (at + blockSize > size) return null;
    if (at < from || at + blockSize > from + window.length) {
      // far from the last one: objects are large here, and reading more than the header is waste
      window = await readAt(file, at, Math.min(at - from > 8 * limits.readChunk ? blockSize : limits.readChunk, size - at));
      from = at;
    }
    return window.subarray(at - from, at - from + blockSize);
  };
}

/** The next header in a damaged archive. What is sealed never looks like one: its sum and its mark would have to fit. */
async function findHeader(file: FileHandle, from: number, size: number): Promise<number | null> {
  for (let at = from; at + blockSize <= size; at += limits.placeRead) {
    const piece = await readAt(file, at, Math.min(limits.placeRead, size - at));
    for (let i = 0; i + blockSize <= piece.length; i += blockSize) {
      if (piece[i + 257] !== 0x75) continue;
      const header = decodeHeader(piece.subarray(i, i + blockSize));
      if (header !== null && at + i + blockSize + padded(header.size) <= size) return at + i;
    }
  }
  return null;
}

async function readAt(file: FileHandle, at: number, size: number): Promise<Buffer> {
  const octets = Buffer.allocUnsafeSlow(size);
  for (let done = 0; done < size; ) {
    const { bytesRead } = await file.read(octets, done, size - done, at + done);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    done += bytesRead;
  }
  return octets;
}

async function writeAt(file: FileHandle, octets: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < octets.length; ) done += (await file.write(octets, done, octets.length - done, at + done)).bytesWritten;
}

async function append(archive: Archive, file: FileHandle, name: string, octets: Uint8Array, nowMs: number): Promise<void> {
  const { path, end } = archive;
  if (archive.broken) throw new PlaceError(`${path} failed to sync: see that its disk is well, then start again`);
  if (archive.damagedAt !== null)
    throw new PlaceError(`${path} is damaged at octet ${archive.damagedAt}: it can be read but not added to; write to another place`);
  assert(octets.length < 8 ** 11, 'the size of an object fits its header');
  const modifiedMs = Math.floor(nowMs / 1000) * 1000;
  try {
    if (archive.seen > end) await file.truncate(end);
    archive.seen = end;
    await writeAt(file, encodeHeader(name, octets.length, modifiedMs, crc32(octets)), end);
    await writeAt(file, octets, end + blockSize);
    const next = end + blockSize + padded(octets.length);
    await file.truncate(next); // the padding
    archive.seen = next;
  } catch (error) {
    await file.truncate(end).catch(() => {}); // what stays is not seen, and goes with the next put
    archive.seen = -1;
    throw error;
  }
  try {
    await file.datasync();
  } catch (error) {
    archive.broken = true; // a failed sync is never retried: the pages may be gone
    throw error;
  }
  archive.end = archive.seen;
  archive.entries.set(name, { at: end + blockSize, size: octets.length, modifiedMs });
}
