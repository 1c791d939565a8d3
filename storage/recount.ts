// The digest of a site counted anew, in steps between commits: after damage was mended nobody knows what the lost row had
// added to it. Guarantees: each step is short, and mail is served between two of them; the end is exact, whatever was committed
// meanwhile; that it is to be done is kept in the commit that made it necessary, so that a crash forgets nothing.
//
// States: marked (a row of the list of damage, named by the site) → counting: every row below `next` is counted, and each
// commit corrects what it changes there (one that mends begins it anew) → the end: one commit writes the digest and takes the mark away. The commit
// point is that last commit; a crash before it begins anew.

import { addRow, coveredFrom, type Digest } from './digest.ts';
import type { Reader } from './engine.ts';
import { encodeKey, getRow, type Key, type Row, unlessDamaged } from './rows.ts';
import type { Tx } from './tx.ts';

/** What the mark, and the asking to count, is named by. */
export const digestKey = encodeKey('site', {});
const markKey: Key<'damage'> = { of: new Uint8Array(new Bun.CryptoHasher('sha256').update(digestKey).digest()) };

export const isDigest = (key: Uint8Array): boolean => key.length === digestKey.length && key[0] === digestKey[0];

export const mark = (tx: Tx, now: number): void =>
  tx.put('damage', markKey, { table: 'site', key: digestKey, what: 'its digest is to be counted anew', foundAt: now, tries: 0 });
export const unmark = (tx: Tx): void => tx.delete('damage', markKey);
export const marked = (reader: Reader): Row<'damage'> | undefined => unlessDamaged(() => getRow(reader, 'damage', markKey));

export interface Recount {
  /** Of all rows below `next`. */
  readonly digest: Digest;
  readonly next: Uint8Array;
  readonly done: boolean;
}
export const begun: Recount = { digest: { rows: 0, sumA: 0, sumB: 0 }, next: new Uint8Array(0), done: false };

/** Rows and octets of one step: about a millisecond. */
const stepRows = 1_000;
const stepOctets = 1024 * 1024;

export function step(reader: Reader, { digest: before, next }: Recount): Recount {
  const digest = { ...before };
  let rows = 0;
  let octets = 0;
  for (const [from, to] of coveredFrom(next)) {
    for (const [key, value] of reader.range(from, to)) {
      if (rows >= stepRows || octets >= stepOctets) return { digest, next: Uint8Array.from(key), done: false };
      addRow(digest, key, value);
      rows++;
      octets += key.length + value.length;
    }
  }
  return { digest, next, done: true };
}
