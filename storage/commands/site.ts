// The site row: counters from which every id is taken once (S2).

import { assert } from '../../actors/assert.ts';
import type { Answer, Ask, CallName, Refusal } from '../../actors/wire.ts';
import type { StoreProtocol } from '../messages.ts';
import type { Row } from '../rows.ts';
import type { Tx } from '../tx.ts';

/** A command: deterministic, synchronous, without effect other than its writes, which count only if it answers. */
export type Command<K extends CallName<StoreProtocol>> = (tx: Tx, ask: Ask<StoreProtocol, K>) => Answer<StoreProtocol, K> | Refusal;

export function site(tx: Tx): Row<'site'> {
  const row = tx.get('site', {});
  assert(row !== undefined, 'a site has its row');
  return row;
}

/** The next number of a counter, used up. */
export function takeId(tx: Tx, counter: 'nextAccount' | 'nextMailbox' | 'nextBlob' | 'nextQueue'): number {
  const row = site(tx);
  const id = row[counter];
  tx.put('site', {}, { ...row, [counter]: id + 1 });
  return id;
}

/** A UIDVALIDITY above every one before: seconds of the clock while it goes forward (RFC 3501 §2.3.1.1). */
export function takeUidValidity(tx: Tx, now: number): number {
  const row = site(tx);
  const lastUidValidity = Math.max(row.lastUidValidity + 1, Math.floor(now / 1000));
  assert(lastUidValidity < 2 ** 32, 'UIDVALIDITY fits 32 bits');
  tx.put('site', {}, { ...row, lastUidValidity });
  return lastUidValidity;
}
