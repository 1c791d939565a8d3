// The outbound queue. Guarantees (Q1): a recipient's row stays until it is reported delivered or failed; a leased one is
// due again when its lease ends, which is the only recovery there is; every recipient has exactly one row in the order of
// what is due.
//
// States of a recipient: due → leased (claimQueue) → gone (done, failed) or due later (later). The commit point of an
// outcome is the commit of reportQueue, which holds the bounce or the report it causes, and its trace, as well. Held (tend.ts)
// is never due: a recipient that was leased when it was held is so from the report, or from the end of its lease.

import { assert } from '../../actors/assert.ts';
import { type Ask, isRefusal, refuse } from '../../actors/wire.ts';
import { domainOf } from '../addresses.ts';
import type { StoreProtocol } from '../messages.ts';
import { type Row, RowDamaged } from '../rows.ts';
import { heldDue } from '../schema.ts';
import { mustHave, type Tx } from '../tx.ts';
import { release } from './blob.ts';
import { deliverMail, type Mail } from './deliver.ts';
import { type Command, takeId } from './site.ts';
import { type Happened, traceEvent } from './trace.ts';

/** Puts a mail's remote recipients into the queue, due at once. The queue's number. `trace`: what is remembered of the mail. */
export function enqueue(tx: Tx, mail: Mail, blob: number, now: number, expiryMs: number, trace: number): number {
  const queue = takeId(tx, 'nextQueue');
  const { envelopeFrom, skip, account, ret, envid, smtputf8, eightBit } = mail;
  const row = { blob, skip, envelopeFrom, account, arrivedAt: now, expiresAt: now + expiryMs, ret, envid, smtputf8, eightBit };
  tx.put('queue', { queue }, { ...row, recipients: mail.remote.length, trace });
  const state = { attempts: 0, due: now, leaseUntil: 0, warned: false, lastCode: '', lastError: '', lastHost: '', held: 0 };
  for (const [n, { address, notify, orcpt }] of mail.remote.entries()) {
    tx.put('queueRecipient', { queue, n }, { address, domain: domainOf(address).toLowerCase().slice(0, 255), notify, orcpt, ...state });
    tx.put('queueDue', { due: now, queue, n }, {});
  }
  tx.queued(now);
  return queue;
}

export function reschedule(
  tx: Tx,
  queue: number,
  n: number,
  row: Row<'queueRecipient'>,
  change: Partial<Row<'queueRecipient'>> & { readonly due: number },
): void {
  tx.delete('queueDue', { due: row.due, queue, n });
  tx.put('queueRecipient', { queue, n }, { ...row, ...change });
  tx.put('queueDue', { due: change.due, queue, n }, {});
}

/** A recipient that can be sent to: null when its row or its message's is damaged, which holds up no other. */
export function sound(tx: Tx, queue: number, n: number): Row<'queueRecipient'> | null {
  try {
    mustHave(tx, 'queue', { queue });
    return mustHave(tx, 'queueRecipient', { queue, n });
  } catch (error) {
    if (error instanceof RowDamaged) return null;
    throw error;
  }
}

/** Recipients of busy domains that a claim looks at. */
const maxSkipped = 1_000;
const stepAsideMs = 5_000;

export const claimQueue: Command<'claimQueue'> = (tx, { now, leaseMs, limit, skipDomains }) => {
  assert(leaseMs > 0, 'a lease takes time');
  const skip = new Set(skipDomains);
  const due: { queue: number; n: number; domain: string }[] = [];
  const skipped: { queue: number; n: number; row: Row<'queueRecipient'> }[] = [];
  let nextDue: number | null = null;
  for (const { key } of tx.scan('queueDue', [])) {
    if (key.due > now || due.length >= Math.min(limit, 1_000)) {
      nextDue = key.due === heldDue ? null : key.due;
      break;
    }
    const { queue, n } = key;
    const row = sound(tx, queue, n);
    if (row === null) continue;
    if (row.held > 0) {
      // whoever tried it when it was held is gone
      reschedule(tx, queue, n, row, { due: heldDue, leaseUntil: 0 });
      continue;
    }
    if (skip.has(row.domain)) {
      if (skipped.push({ queue, n, row }) < maxSkipped) continue;
      // So many wait for busy domains that they would hide the others: they step aside for a while.
      for (const s of skipped) reschedule(tx, s.queue, s.n, s.row, { due: now + stepAsideMs });
      nextDue = now;
      break;
    }
    due.push({ queue, n, domain: row.domain });
    reschedule(tx, queue, n, row, { due: now + leaseMs, leaseUntil: now + leaseMs });
  }
  return { due, nextDue: due.length > 0 && (nextDue === null || nextDue > now + leaseMs) ? now + leaseMs : nextDue };
};

export const reportQueue: Command<'reportQueue'> = (tx, { now, expiryMs, outcomes, mails }) => {
  // What it delivers was delivered with the report that was faster
  if (mails.length > 0 && outcomes.some((o) => wasReported(tx, o))) return refuse('conflict', 'it was reported before');
  const told = new Map<string, { trace: number; happened: Happened; to: number[] }>();
  for (const outcome of outcomes) {
    const { queue, n } = outcome;
    const row = tx.get('queueRecipient', { queue, n });
    if (!row) continue;
    remember(tx, told, outcome);
    if (outcome.outcome === 'later') postpone(tx, row, outcome, now);
    else finish(tx, queue, n, row.due);
  }
  for (const { trace, happened, to } of told.values()) traceEvent(tx, trace, now, { ...happened, to });
  for (const mail of mails) {
    const done = deliverMail(tx, mail, now, expiryMs);
    if (isRefusal(done)) return done;
  }
  return {};
};

type Outcome = Ask<StoreProtocol, 'reportQueue'>['outcomes'][number];

/** Recipients of one message that had the same fate in the same attempt are told of together. */
function remember(tx: Tx, told: Map<string, { trace: number; happened: Happened; to: number[] }>, outcome: Outcome): void {
  const { queue, n, event, due, code, error: words, host, ip, tls } = outcome;
  if (event === '') return;
  const name = JSON.stringify([queue, event, code, words, host, ip]);
  const known = told.get(name);
  if (known !== undefined) return void known.to.push(n);
  const { trace } = mustHave(tx, 'queue', { queue });
  told.set(name, { trace, happened: { kind: event, code, words, host, ip, tls, next: due }, to: [n] });
}

function postpone(tx: Tx, row: Row<'queueRecipient'>, { queue, n, due, attempted, warned, code, error, host }: Outcome, now: number): void {
  const attempts = row.attempts + (attempted ? 1 : 0);
  const last = { warned: row.warned || warned, lastCode: code, lastError: error, lastHost: host };
  // untried and due later: its lease is made longer
  const leased = !attempted && due > now;
  const at = row.held > 0 && !leased ? heldDue : due;
  reschedule(tx, queue, n, row, { due: at, leaseUntil: leased ? due : 0, attempts, ...last });
  if (at === due) tx.queued(due);
}

/** The answer was lost, or the lease ended and another attempt was faster. */
function wasReported(tx: Tx, { queue, n, outcome, due }: Outcome): boolean {
  const row = tx.get('queueRecipient', { queue, n });
  return row === undefined || (outcome === 'later' && row.leaseUntil === 0 && (row.due === due || row.due === heldDue));
}

export function finish(tx: Tx, queue: number, n: number, due: number): void {
  const row = mustHave(tx, 'queue', { queue });
  assert(row.recipients > 0, 'a recipient has its message');
  tx.delete('queueDue', { due, queue, n });
  tx.delete('queueRecipient', { queue, n });
  if (row.recipients > 1) tx.put('queue', { queue }, { ...row, recipients: row.recipients - 1 });
  else {
    tx.delete('queue', { queue });
    release(tx, new Map([[row.blob, 1]]));
  }
}
