// Removes what has ended: sessions, challenges, invitations, counted guesses, kept answers, claims, codes of machines, and what is
// old: commands, alarms, events, revs. Nothing depends on it: each of them is worth nothing after its end.

import { limits } from '../../../actors/limits.ts';
import type { KindName, RecordOf } from '../kinds.ts';
import type { Portal } from '../process.ts';
import type { Parts, Records, Transaction } from '../records.ts';
import { retain } from '../retention.ts';
import { endSession, isLive } from './session.ts';

/** A part of one transaction. */
const STEP = 200;

/** Of one kind: which have ended, and what goes with them. */
interface Rule<K extends KindName> {
  readonly kind: K;
  readonly ended: (body: RecordOf<K>, now: number) => boolean;
  readonly also?: (tx: Transaction, id: Parts, body: RecordOf<K>) => void;
}
const rule =
  <K extends KindName>(row: Rule<K>): ((records: Records, now: number) => Promise<number>) =>
  (records, now) =>
    sweepKind(records, now, row);

const rules = [
  rule({ kind: 'session', ended: (row, now) => !isLive(row, now), also: (tx, id, row) => endSession(tx, row.person, id[0] as string) }),
  rule({ kind: 'challenge', ended: (row, now) => row.expiresAt <= now }),
  rule({ kind: 'attempts', ended: (row, now) => row.since + limits.authWindowMs <= now }),
  rule({ kind: 'idempotency', ended: (row, now) => row.expiresAt <= now }),
  // one that was taken is kept for a while: its machine may ask again for the answer that it lost
  rule({
    kind: 'claim',
    ended: (row, now) => row.expiresAt + (row.usedBy === '' ? 0 : limits.claimKeptMs) <= now,
    also: (tx, id) => tx.remove('claimOf', id[1] as string),
  }),
  rule({ kind: 'device', ended: (row, now) => row.expiresAt <= now }),
  rule({ kind: 'invitation', ended: (row, now) => row.expiresAt <= now, also: (tx, _, row) => tx.remove('invitationBySecret', row.secretHash) }),
  // one that its site never came for has ended when its time was over
  rule({
    kind: 'command',
    ended: (row, now) => (row.endedAt ?? row.notAfter) + limits.commandKeptMs <= now,
    also: (tx, id) => tx.remove('commandOpen', ...id),
  }),
  rule({ kind: 'alarm', ended: (row, now) => row.at + limits.alarmKeptMs <= now }),
];

async function sweepKind<K extends KindName>(records: Records, now: number, { kind, ended, also }: Rule<K>): Promise<number> {
  let removed = 0;
  let after: Parts | undefined;
  for (;;) {
    const page = await records.list(kind, [], { limit: STEP, ...(after === undefined ? {} : { after }) });
    const old = page.filter(({ body }) => ended(body, now));
    if (old.length > 0)
      await records.transact(async (tx) => {
        for (const { id } of old) {
          const body = await tx.get(kind, ...id);
          if (body === undefined || !ended(body, now)) continue;
          tx.remove(kind, ...id);
          also?.(tx, id, body);
        }
      });
    removed += old.length;
    after = page.at(-1)?.id;
    if (page.length < STEP || after === undefined) return removed;
  }
}

/** Once. Returns how many it removed. */
export async function sweep({ records, world }: Portal): Promise<number> {
  let removed = await retain({ records });
  for (const one of rules) removed += await one(records, world.now());
  return removed;
}

export async function sweepForever(portal: Portal): Promise<never> {
  for (;;) {
    await portal.world.sleep(limits.portalSweepMs);
    await sweep(portal);
  }
}
