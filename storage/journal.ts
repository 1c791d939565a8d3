// What each commit touched: commit number → keys, not values. Guarantees: the distinct keys of the journal rows above N,
// with their present values, are the difference between commit N and now, for every N at or above the journal's floor.

import { assert } from '../actors/assert.ts';
import { limits } from '../actors/limits.ts';
import { site } from './commands/site.ts';
import type { Digest } from './digest.ts';
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
  batch.put('journal', { commit }, packKeys(batch.touched('journal')));
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

export function unpackKeys(row: Uint8Array): Uint8Array[] {
  const keys: Uint8Array[] = [];
  let at = 0;
  while (at < row.length) {
    const length = ((row[at] as number) << 8) | (row[at + 1] ?? 0);
    assert(length > 0 && at + 2 + length <= row.length, 'a journal row holds whole keys');
    keys.push(row.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return keys;
}
