// What an administrator does to the queue: hold, release, retry, delete. Guarantees (Q1): a recipient that is deleted leaves
// a row in its trace that says by whom; one that is leased is in the hands of an attempt and is not deleted; whatever is
// asked twice is done once.

import type { Ask } from '../../actors/wire.ts';
import { isRefusal, refuse } from '../../actors/wire.ts';
import type { StoreProtocol } from '../messages.ts';
import type { Row } from '../rows.ts';
import { heldDue } from '../schema.ts';
import { mustHave, type Tx } from '../tx.ts';
import { deliverMail } from './deliver.ts';
import { finish, reschedule, sound } from './queue.ts';
import type { Command } from './site.ts';
import { traceEvent } from './trace.ts';

type Of = Ask<StoreProtocol, 'holdQueue'>['of'];
type Recipient = Row<'queueRecipient'>;
interface Tended {
  readonly now: number;
  readonly by: string;
  readonly of: Of;
}

const isLeased = (row: Recipient, now: number): boolean => row.leaseUntil > now;

/** Runs `change` on each recipient that is there; where it says true, the trace tells of it. */
function tend(
  tx: Tx,
  { now, by, of }: Tended,
  kind: Row<'traceEvent'>['kind'],
  change: (queue: number, n: number, row: Recipient, leased: boolean) => boolean,
) {
  const changed = new Map<number, { trace: number; to: number[] }>();
  let done = 0;
  let busy = 0;
  for (const { queue, n } of of) {
    const row = sound(tx, queue, n);
    if (row === null) continue;
    const { trace } = mustHave(tx, 'queue', { queue });
    const leased = isLeased(row, now);
    if (leased) busy++;
    if (!change(queue, n, row, leased)) continue;
    done++;
    const told = changed.get(queue) ?? { trace, to: [] };
    changed.set(queue, told);
    told.to.push(n);
  }
  for (const { trace, to } of changed.values()) traceEvent(tx, trace, now, { kind, to, by });
  return { done, leased: busy };
}

export const holdQueue: Command<'holdQueue'> = (tx, ask) =>
  tend(tx, ask, 'held', (queue, n, row, leased) => {
    if (row.held > 0) return false;
    const held = Math.max(1, ask.now);
    // what is leased stays so until its attempt has reported
    if (leased) tx.put('queueRecipient', { queue, n }, { ...row, held });
    else reschedule(tx, queue, n, row, { due: heldDue, leaseUntil: 0, held });
    return true;
  });

export const releaseQueue: Command<'releaseQueue'> = (tx, ask) => {
  const expiry = new Map<number, number>();
  return tend(tx, ask, 'released', (queue, n, row, leased) => {
    if (row.held === 0) return false;
    const message = mustHave(tx, 'queue', { queue });
    // as before this command: each recipient has the time again that it had left
    const before = expiry.get(queue) ?? message.expiresAt;
    expiry.set(queue, before);
    const expiresAt = Math.max(message.expiresAt, ask.now + Math.max(0, before - row.held));
    if (expiresAt !== message.expiresAt) tx.put('queue', { queue }, { ...message, expiresAt });
    if (leased) tx.put('queueRecipient', { queue, n }, { ...row, held: 0 });
    else reschedule(tx, queue, n, row, { due: ask.now, leaseUntil: 0, held: 0 });
    tx.queued(ask.now);
    return true;
  });
};

export const retryQueue: Command<'retryQueue'> = (tx, ask) =>
  tend(tx, ask, 'retried', (queue, n, row, leased) => {
    if (leased || row.held > 0 || (row.attempts === 0 && row.due <= ask.now)) return false;
    reschedule(tx, queue, n, row, { due: ask.now, leaseUntil: 0, attempts: 0 });
    tx.queued(ask.now);
    return true;
  });

export const deleteQueue: Command<'deleteQueue'> = (tx, ask) => {
  const gone = ask.of.some(({ queue, n }) => tx.get('queueRecipient', { queue, n }) === undefined);
  const early =
    !ask.alone &&
    ask.of.some(({ queue, n }) => {
      const row = sound(tx, queue, n);
      return row !== null && isLeased(row, ask.now);
    });
  // what senders are told names all of them
  if (ask.mails.length > 0 && (gone || early)) return refuse('conflict', gone ? 'one of them is gone' : 'one of them is being tried');
  const answer = tend(tx, ask, 'deleted', (queue, n, row, leased) => {
    if (leased && !ask.alone) return false;
    finish(tx, queue, n, row.due);
    return true;
  });
  for (const mail of ask.mails) {
    const told = deliverMail(tx, mail, ask.now, ask.expiryMs);
    if (isRefusal(told)) return told;
  }
  return answer;
};
