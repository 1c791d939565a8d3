// The queue manager: leases what is due, spreads it over destinations, and has each attempt reported. Guarantees:
// at most limits.outboundConcurrency connections in all and limits.destinationConcurrency to one destination; nothing is
// held that a crash could lose: what was leased is due again when its lease ends, and that is the only recovery (Q1).
//
// States of a recipient: due → leased (claimQueue) → done | failed | due later (reportQueue, the commit point).

import { LinkLost, logCrash } from '../../actors/actor.ts';
import { limits } from '../../actors/limits.ts';
import { isRefusal } from '../../actors/wire.ts';
import type { Timer, World } from '../../actors/world.ts';
import { fenced } from '../../storage/views.ts';
import type { Keyring } from '../dkim/keyring.ts';
import type { Resolver } from '../dns/resolver.ts';
import type { Site } from '../site.ts';
import { type Attempted, attempt, type Pending, pendingOf } from './attempt.ts';
import type { SmtpClient } from './client.ts';
import type { Verdict } from './reply.ts';
import { release, report } from './report.ts';
import { type Destination, destinationOf } from './route.ts';
import { signingFor } from './signing.ts';

/** One message for one destination, leased. */
interface Job {
  readonly queue: number;
  readonly numbers: number[];
  /** monotonic ms */
  readonly leasedAt: number;
}
/** All that goes to one destination. */
interface Lane {
  readonly to: Destination;
  readonly domains: Set<string>;
  readonly jobs: Job[];
  workers: number;
}
interface State {
  readonly site: Site;
  readonly resolver: Resolver;
  readonly keys: Keyring;
  readonly lanes: Map<string, Lane>;
  /** `queue/n` of all jobs: a lease that ended too early must not send twice. */
  readonly held: Map<string, Job>;
  /** Destinations that could not be reached a moment ago. */
  readonly down: Map<string, { readonly verdict: Verdict; readonly untilMs: number }>;
  readonly bell: Bell;
  workers: number;
}

/** Runs the outbound queue of a site. Only a crash ends it. */
export async function runOutbound(site: Site, resolver: Resolver, keys: Keyring): Promise<never> {
  const state: State = { site, resolver, keys, lanes: new Map(), held: new Map(), down: new Map(), bell: bell(site.world), workers: 0 };
  site.store.on('queued', () => state.bell.ring());
  for (;;) {
    await state.bell.wait(await claim(state));
    // The store looks past all that is due for crowded destinations: not for each message that comes in meanwhile.
    if (crowded(state).length > 0) await site.world.sleep(limits.outboundPaceMs);
  }
}

/** Leases and dispatches until there is nothing due or no room. Returns how long to sleep unless something happens, ms. */
async function claim(state: State): Promise<number> {
  const { site } = state;
  for (;;) {
    const room = limits.outboundWaiting - waiting(state);
    if (room <= 0) return limits.outboundPollMs;
    const leasedAt = site.world.monotonicMs();
    const now = site.world.now();
    const ask = { now, leaseMs: limits.queueLeaseMs, limit: limits.outboundRecipients, skipDomains: crowded(state) };
    let answer: Awaited<ReturnType<typeof site.store.ask<'claimQueue'>>>;
    try {
      answer = await site.store.ask('claimQueue', ask);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      // What it may have leased comes back when the lease ends.
      return 1_000;
    }
    if (isRefusal(answer)) return 1_000;
    if (answer.due.length === 0) {
      const untilMs = answer.nextDue === null ? limits.outboundPollMs : answer.nextDue - now;
      // Something due and skipped: the end of a job rings the bell.
      return untilMs <= 0 ? limits.outboundPollMs : Math.min(untilMs, limits.outboundPollMs);
    }
    enqueue(state, answer.due, leasedAt);
    dispatch(state);
  }
}

function waiting(state: State): number {
  let jobs = 0;
  for (const lane of state.lanes.values()) jobs += lane.jobs.length;
  return jobs;
}

/** Domains whose destination has enough waiting. */
function crowded(state: State): string[] {
  const out: string[] = [];
  for (const lane of state.lanes.values()) if (lane.jobs.length >= limits.destinationConcurrency) out.push(...lane.domains);
  return out.slice(0, 1_000);
}

function enqueue(state: State, due: readonly { readonly queue: number; readonly n: number; readonly domain: string }[], leasedAt: number): void {
  state.site.view.refresh();
  const jobs = new Map<string, Job>();
  for (const { queue, n, domain } of due) {
    const name = `${queue}/${n}`;
    if (state.held.has(name)) continue;
    const to = destinationOf(state.site, domain);
    const known = jobs.get(`${queue} ${to.key}`);
    const job: Job = known ?? { queue, numbers: [], leasedAt };
    job.numbers.push(n);
    state.held.set(name, job);
    if (known) continue;
    jobs.set(`${queue} ${to.key}`, job);
    const lane = state.lanes.get(to.key) ?? { to, domains: new Set(), jobs: [], workers: 0 };
    state.lanes.set(to.key, lane);
    lane.domains.add(domain);
    lane.jobs.push(job);
  }
}

/** Starts workers while there are jobs and the limits allow it; a destination gets a second one after each has a first. */
function dispatch(state: State): void {
  for (let level = 1; level <= limits.destinationConcurrency; level++) {
    for (const lane of state.lanes.values()) {
      if (state.workers >= limits.outboundConcurrency) return;
      if (lane.jobs.length === 0 || lane.workers >= level) continue;
      lane.workers++;
      state.workers++;
      void work(state, lane);
    }
  }
}

/** Does somebody wait for a connection and have none? */
function starving(state: State): boolean {
  if (state.workers < limits.outboundConcurrency) return false;
  for (const lane of state.lanes.values()) if (lane.workers === 0 && lane.jobs.length > 0) return true;
  return false;
}

/** Does the jobs of a lane one after the other, over one connection where it can. Never rejects. */
async function work(state: State, lane: Lane): Promise<void> {
  const { world } = state.site;
  let client: SmtpClient | null = null;
  for (let job = lane.jobs.shift(); job !== undefined; job = lane.jobs.shift()) {
    if (lane.jobs.length === limits.destinationConcurrency - 1) state.bell.ring();
    try {
      client = await runJob(state, lane, job, client);
    } catch (error) {
      // The job is forgotten; its lease brings it back.
      logCrash(world, 'outbound job', error);
      client?.destroy();
      client = null;
    }
    letGo(state, job);
    if (starving(state)) break;
  }
  await client?.quit();
  lane.workers--;
  state.workers--;
  if (lane.workers === 0) {
    // behind the others, or gone
    state.lanes.delete(lane.to.key);
    if (lane.jobs.length > 0) state.lanes.set(lane.to.key, lane);
  }
  dispatch(state);
  state.bell.ring();
}

function letGo(state: State, job: Job): void {
  for (const n of job.numbers) if (state.held.get(`${job.queue}/${n}`) === job) state.held.delete(`${job.queue}/${n}`);
}

async function runJob(state: State, lane: Lane, job: Job, client: SmtpClient | null): Promise<SmtpClient | null> {
  const { site } = state;
  const { world } = site;
  const pending = pendingOf(site, job.queue, job.numbers);
  if (pending === null) return client;
  const start = world.monotonicMs();
  const to = destinationOf(site, pending.recipients[0]?.row.domain ?? '');
  // Too little is left of the lease, another document came, or another machine is the site: back to the queue.
  if (start - job.leasedAt > limits.queueLeaseMs / 2 || to.key !== lane.to.key || fenced(site.view)) {
    // no longer held: it may be leased again before the answer is here
    letGo(state, job);
    await quietly(release(site, pending, world.now()));
    return client;
  }
  const known = state.down.get(lane.to.key);
  // whoever asked for another try wants one: retryQueue lets the waits begin anew
  const asked = pending.recipients.some(({ row }) => row.attempts === 0 && row.lastCode !== '');
  if (known && known.untilMs > start && !asked) {
    await report(site, pending, unreached(pending, known.verdict), 0);
    return client;
  }
  const signing = to.kind === 'local' ? null : await signingFor(site, state.keys, pending);
  if (signing === 'wait') {
    letGo(state, job);
    await quietly(release(site, pending, world.now() + limits.dkimRetryMs));
    return client;
  }
  state.down.delete(lane.to.key);
  const renewal = renewing(site, pending);
  const attempted = await attempt(site, state.resolver, to, pending, client, signing).finally(() => renewal.cancel());
  if (attempted.unreachable) {
    state.down.set(lane.to.key, { verdict: attempted.unreachable, untilMs: world.monotonicMs() + limits.outboundPollMs });
    if (state.down.size > 1_000) for (const oldest of state.down.keys()) if (state.down.delete(oldest)) break;
  }
  await report(site, pending, attempted, world.monotonicMs() - start);
  return attempted.client;
}

const unreached = (pending: Pending, verdict: Verdict): Attempted => ({
  verdicts: pending.recipients.map(() => verdict),
  host: '',
  ip: '',
  tls: '',
  dsn: false,
  local: null,
  client: null,
  unreachable: verdict,
});

/** Makes the lease longer, again and again, while an attempt takes its time. */
function renewing(site: Site, pending: Pending): Timer {
  let timer: Timer;
  const tick = (): void => {
    void quietly(release(site, pending, site.world.now() + limits.queueLeaseMs));
    timer = site.world.after(limits.queueLeaseMs / 3, tick);
  };
  timer = site.world.after(limits.queueLeaseMs / 3, tick);
  return { cancel: () => timer.cancel() };
}

/** A lost link changes nothing here: leases end by themselves. */
async function quietly(asked: Promise<void>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error;
  }
}

interface Bell {
  ring(): void;
  /** Until the bell rings, or has rung since the last wait, or `ms` are over. */
  wait(ms: number): Promise<void>;
}

function bell(world: World): Bell {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(ms) {
      if (!rung) {
        await new Promise<void>((done) => {
          const timer = world.after(ms, done);
          wake = () => {
            timer.cancel();
            done();
          };
        });
        wake = null;
      }
      rung = false;
    },
  };
}
