// `mailsite status`: the site at a glance. It reads the engine directly and asks the supervisor for its processes, so it
// answers when the site is down and when it is busy.

import { realWorld } from '../actors/platform.ts';
import type { World } from '../actors/world.ts';
import type { Reader } from '../storage/engine.ts';
import { type EngineKind, engineOctets } from '../storage/engines/open.ts';
import { isDigest } from '../storage/recount.ts';
import { getRow, prefixRange, scanRows, unlessDamaged } from '../storage/rows.ts';
import { listed } from '../storage/scrub.ts';
import type { RowOf, tables } from '../storage/schema.ts';
import { certificate, config, lastProof } from '../storage/views.ts';
import { portalHere } from '../uplink/portal/here.ts';
import type { Arguments } from './arguments.ts';
import { waysOut } from './copy.ts';
import { bold, count, print, printJson, size, span, table } from './output.ts';
import { dataDirectory } from './place.ts';
import { askSupervisor, type Processes } from './running.ts';
import { enterSite } from './site.ts';

export async function status(given: Arguments): Promise<void> {
  const world = realWorld(() => {});
  const places = await import('./snapshot/source.ts');
  const to = process.getuid?.() === 0 ? (await places.localSite(world, given).catch(() => null))?.to : null; // what is wrong is said below
  if (to != null) places.within(to, dataDirectory(given.data)); // before root becomes the user of the site
  const { data, view, engine } = await enterSite(world, given.data);
  const processes = await askSupervisor(world);
  const now = world.now();
  const found = look(view, { data, engine, diskOctets: engineOctets('.') }, processes, await parked(world, view));
  if (given.json) printJson(found);
  else print(draw(found, now));
}

/** What is damaged is counted apart, and hides nothing else. */
const sound = { skipDamaged: true } as const;

interface Destination {
  readonly domain: string;
  recipients: number;
  /** Of those: held by an administrator. */
  held: number;
  /** When the oldest message for it came, the next attempt: ms since the epoch. */
  oldest: number;
  nextAttempt: number;
  attempts: number;
  lastError: string;
}
type Status = ReturnType<typeof look>;
type Snapshots = Awaited<ReturnType<typeof parked>>;

/** All that there is to say, as `--json` says it. Times in ms since the epoch. */
interface On {
  readonly data: string;
  readonly engine: EngineKind;
  readonly diskOctets: number;
}

export function look(view: Reader, on: On, processes: Processes | null, snapshots: Snapshots = null) {
  view.refresh();
  const configured = unlessDamaged(() => config(view)) ?? null;
  const host = configured?.document.host ?? null;
  const site = getRow(view, 'site', {});
  const tls = host === null ? undefined : unlessDamaged(() => certificate(view, host));
  return {
    host,
    rev: configured?.rev ?? 0,
    appliedAt: configured?.appliedAt ?? null,
    ...on,
    commit: site?.commit ?? 0,
    ...totals(view),
    damage: damage(view).map(({ table, key, what, foundAt }) => ({ table, key: Buffer.from(key).toString('hex'), what, foundAt })),
    scrubbedAt: scrubbedAt(view),
    portal: unlessDamaged(() => portalHere(view)) ?? null,
    uplink: uplink(view, processes),
    clock: unlessDamaged(() => getRow(view, 'clock', {})) ?? null,
    proof: lastProof(view) ?? null,
    certificate: tls === undefined ? null : { notAfter: tls.notAfter, selfSigned: tls.selfSigned },
    queue: queueByDomain(view),
    snapshots,
    supervisor: processes === null ? null : { pid: processes.pid, startedAt: processes.startedAt },
    processes: processes?.processes ?? [],
    listeners: processes?.listeners ?? [],
  };
}

/** Without the digest that is counted anew: nothing is lost by it, and it passes. */
const damage = (view: Reader) => listed(view).filter(({ key }) => !isDigest(key));

/** When all was last looked at for damage; null: not yet. */
function scrubbedAt(view: Reader): number | null {
  const at = unlessDamaged(() => getRow(view, 'scrub', {}))?.finishedAt ?? 0;
  return at === 0 ? null : at;
}

/** Whose configuration this is, and how the portal is reached; null: this site has none. */
function uplink(view: Reader, processes: Processes | null) {
  const row = unlessDamaged(() => getRow(view, 'uplink', {}));
  if (row === undefined) return null;
  const { portal, site, state, runningRev, seenRev, seenStatus, offlineSince, confirmBy } = row;
  const { from, to } = prefixRange('event');
  let unshipped = 0;
  for (const _ of view.keys(from, to)) unshipped++;
  const errors = JSON.parse(row.seenErrors) as { readonly path: string; readonly message: string }[];
  // the row says what was last known: of a site that was killed, or whose agent is not there, that is no session
  const connected = state === 'active' && processes?.processes.some(({ role, ready }) => role === 'control' && ready === 1) === true;
  const since = offlineSince === 0 ? null : offlineSince;
  return { portal, site, state, connected, runningRev, seenRev, seenStatus, errors, offlineSince: since, confirmBy, unshipped };
}

function totals(view: Reader) {
  const accounts = [...scanRows(view, 'account', [], sound)].map(({ row }) => row).filter((row) => row.present);
  let mailboxes = 0;
  for (const _ of scanRows(view, 'mailbox', [], sound)) mailboxes++;
  return {
    accounts: accounts.length,
    disabled: accounts.filter((row) => !row.enabled).length,
    mailboxes,
    messages: accounts.reduce((sum, row) => sum + row.messages, 0),
    octets: accounts.reduce((sum, row) => sum + row.usedBytes, 0),
  };
}

/** Where the site parks itself, and how far that is; null: nowhere. A place that does not answer does not hold up the rest. */
async function parked(world: World, view: Reader) {
  const parking = config(view)?.document.snapshots ?? null;
  if (parking === null) return null;
  const [{ lastGoodParked, newestParked }, { asWritten, within }] = await Promise.all([
    import('../storage/snapshot/parking.ts'),
    import('./snapshot/source.ts'),
  ]);
  const near = { ...parking, to: within(parking.to, '.') };
  const late = world.sleep(PLACE_MS).then(() => ({ takenAt: null, commit: null, problem: 'it does not answer' }));
  const found = await Promise.race([newestParked(world, view, near), late]);
  // a place that is slow to tell, or fails now, says nothing about its snapshots
  const unknown = world.sleep(PLACE_MS).then(() => undefined);
  const good = found.commit === null ? null : await Promise.race([lastGoodParked(world, view, near).catch(() => undefined), unknown]);
  const { to, everySeconds } = parking;
  return { to, everySeconds, ...found, problem: found.problem && asWritten(found.problem), ...(good === undefined ? {} : { lastGood: good }) };
}
const PLACE_MS = 5_000;

/** Recipients that wait, by destination, those that fail longest first. */
function queueByDomain(view: Reader): Destination[] {
  const arrivedAt = new Map<number, number>();
  for (const { key, row } of scanRows(view, 'queue', [], sound)) arrivedAt.set(key.queue, row.arrivedAt);
  const byDomain = new Map<string, Destination>();
  for (const { key, row } of scanRows(view, 'queueRecipient', [], sound)) {
    const arrived = arrivedAt.get(key.queue) ?? 0;
    const found = byDomain.get(row.domain);
    if (found === undefined) byDomain.set(row.domain, destination(row, arrived));
    else {
      found.recipients++;
      if (row.held > 0) found.held++;
      found.oldest = Math.min(found.oldest, arrived);
      found.nextAttempt = Math.min(found.nextAttempt, row.due);
      if (row.attempts >= found.attempts && row.lastError !== '') found.lastError = lastError(row);
      found.attempts = Math.max(found.attempts, row.attempts);
    }
  }
  return [...byDomain.values()].sort((a, b) => a.oldest - b.oldest);
}

type Recipient = RowOf<(typeof tables)['queueRecipient']>;
const destination = (row: Recipient, arrived: number): Destination => ({
  domain: row.domain,
  recipients: 1,
  held: row.held > 0 ? 1 : 0,
  oldest: arrived,
  nextAttempt: row.due,
  attempts: row.attempts,
  lastError: lastError(row),
});
const lastError = (row: Recipient): string => [row.lastHost, row.lastCode, row.lastError].filter((part) => part !== '').join(' ');

/** The same for people. */
export function draw(s: Status, now: number): string {
  const parts = [head(s, now)];
  if (s.listeners.length > 0)
    parts.push(`${bold('Listening')}\n${table(s.listeners.map((l) => [l.name, `${l.address === '::' ? '*' : l.address}:${l.port}`]))}`);
  if (s.processes.length > 0) parts.push(`${bold('Processes')}\n${processTable(s.processes, now)}`);
  if (s.portal !== null) return parts.join('\n\n');
  parts.push(s.queue.length === 0 ? `${bold('Queue')}\n  empty` : `${bold('Queue')}\n${queueTable(s.queue, now)}`);
  return parts.join('\n\n');
}

/** Whether the newest parked snapshot could be restored (storage/snapshot/proof.ts). */
function describeProof({ state, triedAt, problem, at, commit }: NonNullable<Status['proof']>, now: number): string {
  const proven = at === 0 ? 'never proven' : `proven ${span(now - at)} ago, of commit ${commit}`;
  if (state === 'proven') return proven;
  return `${state === 'failed' ? 'FAILED' : 'not tried'} ${span(now - triedAt)} ago: ${problem}; ${proven}`;
}

function head(s: Status, now: number): string {
  const { portal } = s;
  const start = portal === null ? 'mailsite run, or mailsite install' : `mailsite portal --data ${s.data}`;
  const rows: (readonly [string, string])[] = [
    portal === null ? ['site', s.host === null ? notConfigured(s.uplink) : `${s.host}, rev ${s.rev}`] : ['portal', portal.url || 'it has not served yet'],
    ['runs', s.supervisor === null ? `no: start it with ${start}` : `yes, since ${span(now - s.supervisor.startedAt)}`],
    ...(portal === null
      ? [['mail', `${count(s.messages, 'message')}, ${size(s.octets)}, in ${count(s.mailboxes, 'mailbox')} of ${count(s.accounts, 'account')}`] as const]
      : []),
    ['data', `${s.data}, ${size(s.diskOctets)} on disk, ${s.engine}`],
  ];
  if (s.damage.length > 0) {
    const [first] = s.damage;
    rows.push(['damage', `${count(s.damage.length, 'row')} cannot be mended yet, found ${span(now - (first?.foundAt ?? now))} ago: mailsite check names them`]);
  }
  if (s.uplink !== null) rows.push(['uplink', describeUplink(s.uplink, s, now)]);
  if (s.clock !== null) {
    const { aheadMs, at } = s.clock;
    const by = `${span(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of the portal`;
    rows.push(['clock', `${by}, seen ${span(now - at)} ago: set the one that is wrong`]);
  }
  if (s.certificate !== null) {
    const { selfSigned, notAfter } = s.certificate;
    rows.push(['tls', `${selfSigned ? 'self-signed' : 'certificate'}, ${notAfter > now ? 'good for' : 'expired since'} ${span(notAfter - now)}`]);
  }
  if (s.snapshots !== null) {
    const { to, takenAt, problem, commit, lastGood } = s.snapshots;
    const whole = takenAt === null || lastGood === undefined || lastGood?.commit === commit;
    const good = lastGood ? `the last good one ${span(now - lastGood.takenAt)} old` : 'none of the last is';
    const newest = takenAt === null ? 'none yet' : `the newest ${span(now - takenAt)} old${whole ? '' : `, but not whole: ${good}`}`;
    rows.push(['snapshots', `${to}, ${problem ?? newest}; mailsite snapshot key prints the recovery kit`]);
  }
  if (s.proof !== null) rows.push(['restore', describeProof(s.proof, now)]);
  return table(rows, '');
}

function notConfigured(u: Status['uplink']): string {
  if (u === null || u.state === 'decommissioned') return 'not configured: give it a document with mailsite apply, or a portal with mailsite join';
  return `not configured: its portal ${u.portal} does that, and no document has come from there yet`;
}

type Uplink = NonNullable<Status['uplink']>;

function describeUplink(u: Uplink, s: Pick<Status, 'data' | 'supervisor'>, now: number): string {
  const how = standing(u, s.data);
  if (how !== null) return how;
  const rev = u.runningRev === 0 ? 'no rev of it yet' : `rev ${u.runningRev} in force`;
  const since = u.offlineSince === null ? 'not connected' : `offline since ${span(now - u.offlineSince)}`;
  const goes = s.supervisor === null ? 'the site does not run' : 'mail goes on, the configuration is locked';
  const reached = u.connected ? 'connected' : `${since}: ${goes}`;
  const [error] = u.errors;
  const not = u.seenRev === u.runningRev || error === undefined ? '' : `; rev ${u.seenRev} was ${u.seenStatus}, because ${error.path} ${error.message}`;
  const waits = u.confirmBy > 0 ? '; it goes back unless the portal is reached with it' : '';
  return `${u.portal}, ${rev}, ${reached}${not}${waits}${u.unshipped > 0 ? `; ${count(u.unshipped, 'event')} to tell` : ''}`;
}

/** What is so until somebody does something, and what that is; null: the machine is its portal's site. */
function standing({ state, portal, site }: Uplink, data: string): string | null {
  switch (state) {
    case 'enrolled':
    case 'active':
    case 'offline':
      return null;
    case 'restored':
      return `a copy of site ${site} of ${portal}, out of a snapshot: its portal does not know this machine, and the one before must be off; ${waysOut({ portal }, data).join('; ')}`;
    case 'superseded':
      return `superseded at ${portal}: another machine is this site now and takes its mail, this one takes none; switch it off. To make it the site again, launch the site from a snapshot there, into an empty --data`;
    case 'quarantined':
      return `quarantined: two machines say they are site ${site} of ${portal}; mail goes on. Make a new claim for it there, and give it to the right one with mailsite join CLAIM`;
    case 'standby':
      return `waits to take over site ${site} of ${portal}, and takes no mail until then: give mailsite join the same claim again`;
    case 'decommissioned':
      return `given up by ${portal}: its configuration is free, with mailsite apply, or with mailsite join CLAIM for another portal`;
  }
}

const processTable = (rows: Status['processes'], now: number): string =>
  table(
    rows.map((p) => [
      `${p.role}${rows.filter((other) => other.role === p.role).length > 1 ? ` ${p.index}` : ''}`,
      `pid ${p.pid}`,
      p.ready === 1 ? `up ${span(now - p.startedAt)}` : 'starting',
      p.restarts === 0 ? '' : count(p.restarts, 'restart'),
    ]),
  );

const queueTable = (rows: readonly Destination[], now: number): string =>
  table([
    ['to', 'recipients', 'oldest', 'next attempt', 'last error'],
    ...rows.map((d) => [
      d.domain,
      String(d.recipients),
      span(now - d.oldest),
      d.held === d.recipients ? 'held' : d.nextAttempt <= now ? 'now' : `in ${span(d.nextAttempt - now)}`,
      d.lastError || '-',
    ]),
  ]);
