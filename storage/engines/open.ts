// Which engine a data folder holds, and how to open it: for writing by the one process that holds the lock, for reading by any.
// An engine is imported when it is opened, so that a site pays for its own only.

import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, Reader, Snapshot } from '../engine.ts';
import type { Pages } from './lmdb.ts';

export const engineKinds = ['lmdb', 'lsm'] as const;
export type EngineKind = (typeof engineKinds)[number];
export const defaultEngine: EngineKind = 'lmdb';

/** Reading, without ever writing. */
export interface View extends Reader {
  /** Pins one commit until it is released. */
  snapshot(): Snapshot;
  /** Follows when another file has taken the engine's place. Set on an engine that can be replaced. */
  reopen?(): void;
  /** Octets of the file and of its pages. Set on an engine of pages. */
  pages?(): Pages;
  close(): Promise<void>;
}
export interface OwnEngine extends Engine {
  snapshot(): Snapshot;
  close(): Promise<void>;
  /** Set on an engine that only one process may open: tells commits apart (readserver.ts). */
  sequence?(): number;
}

/** Within the data folder: LMDB's file, LSM's folder. */
export const engineNames: Readonly<Record<EngineKind, string>> = { lmdb: 'mail.lmdb', lsm: 'mail.lsm' };

const begun: Readonly<Record<EngineKind, (path: string) => boolean>> = {
  lmdb: (path) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0,
  // the last file that the library makes of a new folder
  lsm: (path) => existsSync(join(path, 'CURRENT')),
};

/** The engine of a data folder; null when it has none yet. Throws when it has several. */
export function engineOf(folder: string): EngineKind | null {
  const found = engineKinds.filter((kind) => begun[kind](join(folder, engineNames[kind])));
  if (found.length > 1) throw new Error(`it holds ${found.map((kind) => engineNames[kind]).join(' and ')}, and a site has one engine: move one of them away`);
  return found[0] ?? null;
}

/** Opens the engine in `folder` for the one writer, who holds the lock; it is made when it is not there. */
export async function openEngine(folder: string, kind: EngineKind): Promise<OwnEngine> {
  const path = join(folder, engineNames[kind]);
  if (kind === 'lsm') return (await import('./lsm.ts')).openLsm(path);
  return (await import('./lmdb.ts')).openLmdb(path);
}

/** A new engine in `folder`, to be filled and then put in place: durable when `close` has resolved, not before. Not `lasting`: never. */
export async function loadEngine(folder: string, kind: EngineKind, lasting: boolean): Promise<OwnEngine> {
  const path = join(folder, engineNames[kind]);
  if (kind === 'lsm') return (await import('./lsm.ts')).openLsm(path);
  return (await import('./lmdb.ts')).loadLmdb(path, lasting);
}

/** A view of the engine in `folder`, beside the process that writes: LMDB by itself, LSM by the `socket` of that process. */
export async function openView(folder: string, kind: EngineKind, socket: string): Promise<View> {
  if (kind === 'lsm') return (await import('./remote.ts')).openRemote(socket);
  return (await import('./lmdb.ts')).openLmdbReader(join(folder, engineNames[kind]));
}

/** All that an engine has on disk, so that it can be given to the site's user: existing paths within the data folder. */
export function engineFiles(folder: string): string[] {
  const files = readdirSync(folder).filter((name) => name.startsWith(engineNames.lmdb) || name === engineNames.lsm);
  if (!files.includes(engineNames.lsm) || !lstatSync(join(folder, engineNames.lsm)).isDirectory()) return files;
  return [...files, ...readdirSync(join(folder, engineNames.lsm)).map((name) => join(engineNames.lsm, name))];
}

/** Octets that the engine takes on disk. */
export function engineOctets(folder: string): number {
  let octets = 0;
  for (const name of engineFiles(folder)) {
    const found = lstatSync(join(folder, name), { throwIfNoEntry: false }); // what a link leads to stands for itself
    if (found?.isFile() === true) octets += found.size;
  }
  return octets;
}
