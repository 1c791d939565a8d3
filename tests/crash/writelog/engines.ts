// The engines whose write log is replayed: a new one is one row. What is said of their files is checked against the trace.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../../storage/engine.ts';

export interface EngineRow {
  /** Opens the site in a folder, which is made where absent. */
  open(folder: string): Promise<{ readonly engine: Engine; close(): Promise<void> }>;
  /** The file in the folder that is written by each commit. */
  readonly file: string;
  /** Files, by their name in the folder, that are written through a shared mapping: what they hold after a crash must not matter. */
  readonly mapped: RegExp;
  /** Files in which only their size counts: they keep room, and hold nothing. */
  readonly hollow: RegExp;
  /**
   * What makes the name of a new file durable. `posix`: only fsync of its folder. `linux`: fsync of the file as well, as
   * ext4, XFS and btrfs have it.
   */
  readonly names: 'posix' | 'linux';
  /** Options of the library, other than the program's, with which a short load does all that a long one does (plant.ts). */
  readonly small: object;
  /** Faults that the replay must find, and by how many bad states. */
  readonly plants: readonly { readonly what: string; readonly plant: object; readonly bad: number }[];
  /** States of the short form of the replay: what takes half a minute at most. */
  readonly short: number;
}

export const engines: Readonly<Record<string, EngineRow>> = {
  lmdb: {
    async open(folder) {
      const { openLmdb } = await import('../../../storage/engines/lmdb.ts');
      mkdirSync(folder, { recursive: true });
      const engine = openLmdb(join(folder, 'mail.lmdb'));
      return { engine, close: () => engine.close() };
    },
    file: 'mail.lmdb',
    mapped: /-lock$/,
    hollow: /^$/,
    names: 'posix',
    small: {},
    plants: [
      { what: 'syncs nothing', plant: { noSync: true }, bad: 20 },
      { what: 'answers before it has synced', plant: { overlappingSync: true }, bad: 5 },
    ],
    short: 1_000,
  },
  lsm: {
    async open(folder) {
      const { openLsm } = await import('../../../storage/engines/lsm.ts');
      mkdirSync(folder, { recursive: true });
      const engine = await openLsm(join(folder, 'mail.lsm'));
      return { engine, close: () => engine.close() };
    },
    file: '', // a commit goes to the newest log, whose name changes
    mapped: /^$/,
    hollow: /\/ballast$/,
    names: 'linux', // CURRENT may name a manifest whose own name no folder was synced for
    // Write buffers of 64 KiB, the least that the library takes: every 128 KiB are flushed, and merged soon after.
    small: { memtableMemoryBudget: 256 * 1024 },
    plants: [{ what: 'syncs nothing', plant: { noSync: true }, bad: 20 }],
    short: 150,
  },
};

export function engineRow(name: string): EngineRow {
  const row = engines[name];
  if (row === undefined) throw new Error(`no engine ${name}: there are ${Object.keys(engines).join(', ')}`);
  return row;
}
