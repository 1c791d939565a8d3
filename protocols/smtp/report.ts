// What an attempt leaves behind: outcomes of recipients and notifications to the sender. Guarantees (Q1): both are in one
// commit; a commit of which nobody heard is looked up before it is asked for again, so a notification is sent once.

import { LinkLost } from '../../actors/actor.ts';
import { assert } from '../../actors/assert.ts';
import { limits } from '../../actors/limits.ts';
import { type Ask, isRefusal } from '../../actors/wire.ts';
import type { World } from '../../actors/world.ts';
import type { StoreProtocol } from '../../storage/messages.ts';
import { blob, body, header } from '../../storage/views.ts';
import type { Site } from '../site.ts';
import { type Attempted, type Pending, pendingOf } from './attempt.ts';
import { type Action, compose, type Mail, type NoticeRecipient, queued, wanted } from './bounce.ts';
import { later, type Verdict } from './reply.ts';

type Report = Ask<StoreProtocol, 'reportQueue'>;
type Outcome = Report['outcomes'][number];
type Recipient = Pending['recipients'][number];

const MINUTE = 60_000;
const waits = [1, 5, 10, 20, 40, 60, 120, 240] as const;

/** How long to wait after the attempt numbered `attempts` (from 0): 1 minute to 4 hours, spread by a fifth either way. */
function backOffMs(world: World, attempts: number): number {
  const base = (waits[attempts] ?? 240) * MINUTE;
  const lot = world.random(2);
  return Math.round(base * (0.8 + (0.4 * ((lot[0] ?? 0) * 256 + (lot[1] ?? 0))) / 65_535));
}

/** Commits what became of `pending`. Resolves when it is durable. `tookMs`: how long the attempt took. */
export async function report(site: Site, pending: Pending, attempted: Attempted, tookMs: number): Promise<void> {
  const first = reportOf(site, pending, attempted);
  if ((await commit(site, pending, first)) === 'done') return logOutcomes(site, pending, attempted, first.outcomes, tookMs);
  // A mailbox could not take its part: a delivery is tried again, a notification waits in the queue instead.
  const again: Attempted = attempted.local
    ? {
        ...attempted,
        local: null,
        verdicts: attempted.verdicts.map((v) => (v.kind === 'relayed' ? later('4.2.2', 'the mailbox cannot take the message now') : v)),
      }
    : attempted;
  const second = reportOf(site, pending, again);
  const mails = second.mails.map((mail) => (mail.envelopeFrom === '' && mail.local.length > 0 ? queued(mail, pending.row.envelopeFrom) : mail));
  assert((await commit(site, pending, { ...second, mails })) === 'done', 'the queue takes what it gave');
  logOutcomes(site, pending, again, second.outcomes, tookMs);
}

/** Gives recipients back untried; due at once, or at `due` (ms): then it is their lease made longer. */
export async function release(site: Site, pending: Pending, due: number): Promise<void> {
  const outcomes = pending.recipients.map(
    (r): Outcome => ({
      queue: pending.queue,
      n: r.n,
      outcome: 'later',
      due,
      warned: r.row.warned,
      attempted: false,
      code: r.row.lastCode,
      error: r.row.lastError,
      host: r.row.lastHost,
      event: '',
      ip: '',
      tls: '',
    }),
  );
  await site.store.ask('reportQueue', { now: site.world.now(), expiryMs: limits.queueExpiryMs, outcomes, mails: [] });
}

function reportOf(site: Site, pending: Pending, attempted: Attempted): Report {
  const now = site.world.now();
  const expired = now >= pending.row.expiresAt;
  const notices: Record<Action, NoticeRecipient[]> = { failed: [], delayed: [], delivered: [], relayed: [] };
  const outcomes = pending.recipients.map((r, i): Outcome => {
    const verdict = attempted.verdicts[i] as Verdict;
    const action = actionOf(pending, r, verdict, attempted, now, expired);
    if (action !== null) notices[action].push(noticeOf(r, verdict, action, attempted.host, expired));
    const outcome = verdict.kind === 'relayed' ? 'done' : verdict.kind === 'failed' || expired ? 'failed' : 'later';
    return {
      queue: pending.queue,
      n: r.n,
      outcome,
      // the last attempt is at the expiry itself
      due: outcome === 'later' ? Math.min(now + backOffMs(site.world, r.row.attempts), Math.max(pending.row.expiresAt, now + MINUTE)) : 0,
      warned: r.row.warned || action === 'delayed',
      attempted: true,
      code: verdict.status.slice(0, 20),
      error: verdict.reason.slice(0, 500),
      host: attempted.host.slice(0, 255),
      event: eventOf(pending, outcome, verdict, action),
      ip: attempted.ip.slice(0, 60),
      tls: attempted.tls.slice(0, 100),
    };
  });
  const mails: Mail[] = attempted.local ? [attempted.local] : [];
  for (const recipients of Object.values(notices)) {
    const mail = recipients.length > 0 ? notify(site, pending, recipients) : null;
    if (mail) mails.push(mail);
  }
  return { now, expiryMs: limits.queueExpiryMs, outcomes, mails };
}

/** What its trace tells: `discarded` is an end of which nobody is told. */
function eventOf(pending: Pending, outcome: Outcome['outcome'], verdict: Verdict, action: Action | null): Outcome['event'] {
  if (outcome === 'done') return 'delivered';
  if (outcome === 'later') return 'deferred';
  if (pending.row.envelopeFrom === '' || action === null) return 'discarded';
  return verdict.kind === 'later' ? 'expired' : 'bounced';
}

/** What the sender is told of a recipient, if anything (RFC 3461 §4.1, §5.2.2). */
function actionOf(pending: Pending, r: Recipient, verdict: Verdict, attempted: Attempted, now: number, expired: boolean): Action | null {
  const bits = r.row.notify;
  // RFC 5321 §6.1: no notification about a notification
  if (pending.row.envelopeFrom === '') return null;
  if (verdict.kind === 'relayed') {
    if (!wanted(bits, 'success')) return null;
    if (attempted.local) return 'delivered';
    return attempted.dsn ? null : 'relayed';
  }
  if (verdict.kind === 'failed' || expired) return wanted(bits, 'failure') ? 'failed' : null;
  const late = now - pending.row.arrivedAt >= limits.queueWarnMs;
  return late && !r.row.warned && wanted(bits, 'delay') ? 'delayed' : null;
}

function noticeOf(r: Recipient, verdict: Verdict, action: Action, host: string, expired: boolean): NoticeRecipient {
  const gaveUp = action === 'failed' && verdict.kind === 'later' && expired;
  return {
    address: r.row.address,
    orcpt: r.row.orcpt,
    action,
    // RFC 3463 §3.5: delivery time expired
    status: gaveUp ? '4.4.7' : verdict.status,
    reply: verdict.reply,
    reason: gaveUp ? `It could not be delivered in time. The last reason: ${verdict.reason}` : verdict.reason,
    host: verdict.reply === '' ? '' : host,
  };
}

function notify(site: Site, pending: Pending, recipients: readonly NoticeRecipient[]): Mail | null {
  const { row } = pending;
  site.view.refresh();
  const size = blob(site.view, row.blob)?.size ?? 0;
  return compose(site, {
    envelopeFrom: row.envelopeFrom,
    envid: row.envid,
    ret: row.ret,
    arrivedAt: row.arrivedAt,
    expiresAt: row.expiresAt,
    recipients,
    original: {
      header: header(site.view, row.blob).subarray(row.skip),
      size: size - row.skip,
      whole: () => Buffer.concat([...body(site.view, row.blob, row.skip, size)]),
    },
  });
}

/** `refused`: the store will not take it so, ever. Full disks and lost links are waited out. */
async function commit(site: Site, pending: Pending, message: Report): Promise<'done' | 'refused'> {
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, limits.outboundPollMs)) {
    try {
      const answer = await site.store.ask('reportQueue', message);
      // `conflict`: the store did it when it was asked before, and nobody heard
      if (!isRefusal(answer) || answer.refused === 'conflict') return 'done';
      if (answer.refused !== 'full' && answer.refused !== 'busy') return 'refused';
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      await site.world.sleep(waitMs);
      if (wasDone(site, pending, message.outcomes)) return 'done';
      continue;
    }
    await site.world.sleep(waitMs);
  }
}

/** Is the report in the store? Its rows are gone, or due when it said. */
function wasDone(site: Site, pending: Pending, outcomes: readonly Outcome[]): boolean {
  const left = pendingOf(
    site,
    pending.queue,
    outcomes.map((o) => o.n),
  );
  return outcomes.every((o) => {
    const row = left?.recipients.find((r) => r.n === o.n)?.row;
    // held meanwhile, it has its outcome when it is no longer leased
    return o.outcome === 'later' ? row === undefined || row.due === o.due || (row.held > 0 && row.leaseUntil === 0) : row === undefined;
  });
}

function logOutcomes(site: Site, pending: Pending, attempted: Attempted, outcomes: readonly Outcome[], tookMs: number): void {
  const { queue, row } = pending;
  outcomes.forEach((o, i) => {
    const r = pending.recipients[i] as Recipient;
    const base = { queue, to: r.row.address, host: attempted.host, code: o.code };
    if (o.outcome === 'done') site.world.log('queue.delivered', { ...base, tls: attempted.tls, ms: Math.round(tookMs) });
    else if (o.outcome === 'later')
      site.world.log('queue.deferred', { ...base, reason: o.error, attempts: r.row.attempts + 1, nextAttempt: new Date(o.due).toISOString() });
    else site.world.log(row.envelopeFrom === '' ? 'queue.doubleBounce' : 'queue.bounced', { ...base, reason: o.error });
  });
}
