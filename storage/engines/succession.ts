// Which file is the engine, and how another one takes its place. Guarantees: at every moment, and after a crash at any,
// the name of the engine leads to one whole file; a file keeps its name and its lock file as long as anybody has it open.
//
// The engine is the file `mail.lmdb`, or, once it was replaced, a link of that name to `mail.lmdb.N`. LMDB finds the lock
// file by the name of the data file, and keeps in it the number of the newest commit and what its readers read. A new
// file at an old name would inherit both: a writer would take the number for its own and choose its older commit, and
// a reader of the one file would be counted for the other. So names are never used twice, and the switch is one rename.

import { closeSync, fsyncSync, openSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The file that the engine at `path` is in. */
export function fileInPlace(path: string): string {
  try {
    return join(dirname(path), readlinkSync(path));
  } catch {
    return path; // no link, or nothing yet
  }
}

/** A name for the next file: above all numbers there are. */
export function successorOf(path: string): string {
  const numbers = numbered(path).map(({ number }) => number);
  return `${path}.${Math.max(0, ...numbers) + 1}`;
}

/** The commit point of a replacement: the rename. What is held open of the old file stays good for those who hold it. */
export function putInPlace(path: string, file: string): void {
  syncFolder(path); // the new file has its name before anything leads to it
  const old = fileInPlace(path);
  const link = `${path}.link`;
  rmSync(link, { force: true });
  symlinkSync(basename(file), link);
  renameSync(link, path);
  syncFolder(path);
  if (old !== path) rmSync(old, { force: true });
  rmSync(`${old}-lock`, { force: true });
}

export function removeFile(file: string): void {
  for (const name of [file, `${file}-lock`]) rmSync(name, { force: true });
  removeBegun(file);
}

/** What a crash left of the beginning of a file (lmdb.ts, `begin`). */
function removeBegun(file: string): void {
  for (const name of [`${file}-new`, `${file}-new-lock`]) rmSync(name, { force: true });
}

/** What a crash left of a replacement, before or after its commit point. For the one writer, before it opens. */
export function removeLeftovers(path: string): void {
  const inPlace = fileInPlace(path);
  rmSync(`${path}.link`, { force: true });
  removeBegun(inPlace);
  if (inPlace !== path) rmSync(`${path}-lock`, { force: true });
  for (const { file } of numbered(path)) if (file !== inPlace) removeFile(file);
}

/** Files of the engine that have a number, and their lock files, as one. */
function numbered(path: string): { file: string; number: number }[] {
  const start = `${basename(path)}.`;
  const numbers = new Set<number>();
  for (const name of readdirSync(dirname(path))) {
    const number = name.startsWith(start) ? /^(\d{1,9})(-new)?(-lock)?$/.exec(name.slice(start.length))?.[1] : undefined;
    if (number !== undefined) numbers.add(Number(number));
  }
  return [...numbers].map((number) => ({ file: `${path}.${number}`, number }));
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
