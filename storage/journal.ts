// What each commit touched: commit number → keys, not values. Guarantees: the distinct keys of the journal rows above N,
// with their present values, are the difference between commit N and now, for every N at or above the journal's floor; a
// row also says which digest the site had then, so that two histories are told apart at any commit that both have.

import { limits } from '../actors/limits.ts';
import { site } from './commands/site.ts';
import type { Digest } from './digest.ts';
import { RowDamaged } from './rows.ts';
import { tables } from './schema.ts';
import type { Batch } from './tx.ts';

/** Old rows removed by a commit, while there are too many: more than it adds, so that the journal shrinks again. */
const pruneStep = 4;

/** Makes the collected writes one commit: numbers it, journals it and brings the site's digest up to it. Returns its number. */
export function sealBatch(batch: Batch): number {
  const row = site(batch);
  const commit = row.commit + 1;
  let floor = row.journalFloor;
  for (let i = 0; i < pruneStep && commit - floor > limits.journalCommits; i++) batch.delete('journal', { commit: ++floor });
  const digest: Digest = { rows: row.rows, sumA: row.sumA, sumB: row.sumB };
  batch.digested(digest);
  batch.put('site', {}, { ...row, ...digest, commit, journalFloor: floor });
  batch.put('journal', { commit }, packKeys([...batch.touched('journal'), packSums(digest)]));
  return commit;
}

/** u16 length and octets, one after the other. */
function packKeys(keys: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const key of keys) size += 2 + key.length;
  const row = new Uint8Array(size);
  let at = 0;
  for (const key of keys) {
    row[at] = key.length >>> 8;
    row[at + 1] = key.length;
    row.set(key, at + 2);
    at += 2 + key.length;
  }
  return row;
}

export const unpackKeys = (row: Uint8Array): Uint8Array[] => unpack(row).filter((key) => !isSums(key));

type Sums = Pick<Digest, 'sumA' | 'sumB'>;

/** The digest of the site since that commit; null: the row was written before rows said so. */
export function unpackSums(row: Uint8Array): Sums | null {
  const key = unpack(row).find(isSums);
  if (!key) return null;
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return { sumA: view.getUint32(1), sumB: view.getUint32(5) };
}

// The key of the site is nothing but its table. Where one is longer, the sums follow.
const sumsSize = 9;
const isSums = (key: Uint8Array): boolean => key.length === sumsSize && key[0] === tables.site.number;

function packSums({ sumA, sumB }: Sums): Uint8Array {
  const key = new Uint8Array(sumsSize);
  const view = new DataView(key.buffer);
  view.setUint8(0, tables.site.number);
  view.setUint32(1, sumA);
  view.setUint32(5, sumB);
  return key;
}

function unpack(row: Uint8Array): Uint8Array[] {
  const keys: Uint8Array[] = [];
  let at = 0;
  while (at < row.length) {
    const length = ((row[at] as number) << 8) | (row[at + 1] ?? 0);
    if (length === 0 || at + 2 + length > row.length) throw new RowDamaged('journal', row.slice(0, 0), 'it does not hold whole keys');
    keys.push(row.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return keys;
}
