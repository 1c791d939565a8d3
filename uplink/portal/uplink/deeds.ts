// What a session with a site does to the records of its portal. Guarantees: each deed is one transaction, and one of a
// session that is not the machine's newest, or of a machine that is not the site's, does nothing (U3); a command that has a
// result keeps it; events are kept once, in their order, without a hole that no marker tells of.

import { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import type { World } from '../../../actors/world.ts';
import { validateDocument } from '../../../storage/document.ts';
import type { Document } from '../../../storage/document.ts';
import { eventMark } from '../../../storage/eventmark.ts';
import { desiredStatement, type Verdict } from '../../frames.ts';
import { canonical } from '../../canonical.ts';
import { hashOf, holds, openValue } from '../../keys.ts';
import type { Deed, Done, Who } from '../../states/portal.ts';
import { alarm } from '../alarm.ts';
import { signerFor } from '../identity.ts';
import { ordered, type RecordOf } from '../kinds.ts';
import type { Portal } from '../process.ts';
import type { Transaction } from '../records.ts';
import { documentOf, want } from '../want.ts';

type Here = Pick<Portal, 'world' | 'records'>;
type Site = RecordOf<'site'>;
type Machine = RecordOf<'machine'>;
type DeedOf<N extends Deed['name']> = Extract<Deed, { name: N }>;

export function doDeed(here: Here, deed: Deed): Promise<Done> {
  return here.records.transact((tx) => within(here, tx, deed));
}

function within(here: Here, tx: Transaction, deed: Deed): Promise<Done> {
  switch (deed.name) {
    case 'admit':
      return admit(here, tx, deed);
    case 'begin':
      return begin(here, tx, deed);
    case 'look':
      return look(here, tx, deed);
    case 'applied':
      return applied(here, tx, deed);
    case 'reported':
      return reported(tx, deed);
    case 'events':
      return events(tx, here.world, deed);
    case 'result':
      return result(here, tx, deed);
    case 'kept':
      return kept(here, tx, deed);
    case 'adopt':
      return adopt(here, tx, deed);
    case 'present':
      return present(here, tx, deed);
  }
}

const nothing: Done = { is: 'nothing' };
const confused: Done = { is: 'bye', reason: 'confused' };
const verdict = (of: Verdict, machine: string, epoch: number): Done => ({ is: 'verdict', verdict: of, machine, epoch });

async function admit({ world }: Here, tx: Transaction, { statement, signed, waitedMs }: DeedOf<'admit'>): Promise<Done> {
  const { site: id, machine: name, epoch, counter } = statement;
  const organisation = (await tx.get('siteOf', id))?.organisation;
  const machine = await tx.get('machine', id, name);
  const site = organisation === undefined ? undefined : await tx.get('site', organisation, id);
  if (organisation === undefined || site === undefined || machine === undefined) return { is: 'bye', reason: 'unknown' };
  if (!holds(machine.signPublic, signed.signed, signed.signature)) return { is: 'bye', reason: 'refused' };
  if (epoch > site.epoch) return older(tx, world, { organisation, site: id, machine: name, epoch }, site.epoch);
  const fallen = verdictOn(site, machine, name);
  if (fallen !== null) return verdict(fallen, name, site.epoch);
  if (epoch !== site.epoch) return verdict('superseded', name, site.epoch);
  // it was challenged before the session that it does not know of: its own answer came late, by a connection that it has left
  if (counter < machine.sessionCounter && world.now() - waitedMs <= (machine.seenAt ?? 0)) return { is: 'bye', reason: 'again' };
  if (counter < machine.sessionCounter) return quarantine(tx, world, { organisation, site: id, machine: name, counter }, { site, machine });
  const offered = Math.max(machine.offered, machine.sessionCounter, counter) + 1;
  tx.put('machine', [id, name], { ...machine, offered });
  return {
    is: 'admitted',
    who: { organisation, site: id, machine: name, epoch, counter: offered },
    eventSeq: site.eventSeq,
    eventMark: site.eventMark ?? '',
    wantedRev: site.wantedRev,
  };
}

/** It knows a later machine of its site than we do: an older copy of our records came back, and we may judge nobody by it. */
async function older(tx: Transaction, world: World, { organisation, site, machine, epoch }: Omit<Who, 'counter'>, known: number): Promise<Done> {
  if (!(await alarmedToday(tx, world, organisation, site, 'portal.older'))) {
    const detail = `machine ${machine} proves epoch ${epoch}, and the portal knows ${known}: its records are older than the site`;
    alarm(tx, world, { organisation, site, name: 'portal.older', detail });
    world.log('portal.older', { site, machine, epoch });
  }
  return { is: 'bye', reason: 'refused' };
}
const DAY_MS = 86_400_000;

/** What comes again and again is told to people once a day. */
async function alarmedToday(tx: Transaction, world: World, organisation: string, site: string, name: string): Promise<boolean> {
  const since = world.now() - DAY_MS;
  const recent = await tx.list('alarm', [organisation], { reverse: true });
  return recent.some(({ body }) => body.name === name && body.site === site && body.at > since);
}

/** A copy of the machine, or a disk that was rolled back: nobody can tell which of the two is the one, so none is heard. */
function quarantine(tx: Transaction, world: World, { organisation, site: id, machine: name, counter }: Omit<Who, 'epoch'>, { site, machine }: Fenced): Done {
  tx.put('machine', [id, name], { ...machine, state: 'quarantined' });
  tx.put('site', [organisation, id], { ...site, state: 'quarantined', online: false, since: world.now() });
  alarm(tx, world, {
    organisation,
    site: id,
    name: 'site.cloned',
    detail: `machine ${name} presents session ${counter}, and ${machine.sessionCounter} was begun`,
  });
  world.log('portal.cloned', { site: id, machine: name });
  return verdict('quarantined', name, site.epoch);
}

/**
 * Why a machine is not the one that this portal speaks with; null: it is. One that another took the place of is told so
 * also when its site is given up: it would take mail again as a machine that belongs to nobody.
 */
function verdictOn(site: Site, machine: Machine, name: string): Verdict | null {
  if (site.machine !== name || machine.epoch !== site.epoch || machine.state === 'superseded') return 'superseded';
  if (site.state === 'decommissioned' || machine.state === 'revoked') return 'decommissioned';
  return site.state === 'quarantined' || machine.state === 'quarantined' ? 'quarantined' : null;
}

interface Fenced {
  readonly site: Site;
  readonly machine: Machine;
}

/** The records of a session that may still speak for its site; else why not. */
async function fenced(tx: Transaction, { organisation, site: id, machine: name, epoch, counter }: Who, starting = false): Promise<Fenced | Done> {
  const site = await tx.get('site', organisation, id);
  const machine = await tx.get('machine', id, name);
  if (site === undefined || machine === undefined) return { is: 'bye', reason: 'unknown' };
  const fallen = verdictOn(site, machine, name);
  if (fallen !== null) return verdict(fallen, name, site.epoch);
  if (site.epoch !== epoch) return verdict('superseded', name, site.epoch);
  const own = starting ? machine.sessionCounter < counter : machine.sessionCounter === counter;
  return own ? { site, machine } : { is: 'bye', reason: 'replaced' };
}

async function begin({ world }: Here, tx: Transaction, { who, statement }: DeedOf<'begin'>): Promise<Done> {
  const own = await fenced(tx, who, true);
  if ('is' in own) return own;
  // begun meanwhile by who knew a later one: it is not the machine that was admitted here
  if (own.machine.sessionCounter > statement.counter) return quarantine(tx, world, { ...who, counter: statement.counter }, own);
  const now = world.now();
  tx.put('machine', [who.site, who.machine], { ...own.machine, sessionCounter: who.counter, seenAt: now });
  tx.put('site', [who.organisation, who.site], { ...own.site, online: true, since: now, seenAt: now, lineage: statement.lineage });
  return { is: 'began' };
}

async function look({ world }: Here, tx: Transaction, { who, sentRev, sentCommands }: DeedOf<'look'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const { wantedRev, appliedRev } = own.site;
  const due = wantedRev > 0 && wantedRev > sentRev && wantedRev !== appliedRev;
  const desired = due ? ((await tx.get('desired', who.site, ordered(wantedRev))) ?? null) : null;
  const commands: Extract<Done, { is: 'looked' }>['commands'][number][] = [];
  for (const { id } of await tx.list('commandOpen', [who.site], { limit: limits.uplinkCommandsAtOnce })) {
    const command = id[1] as string;
    if (sentCommands.has(command)) continue;
    const row = await tx.get('command', who.site, command);
    if (row === undefined) continue;
    if (row.state === 'waiting' && row.notAfter < world.now()) {
      tx.put('command', [who.site, command], { ...row, state: 'expired', endedAt: world.now() });
      tx.remove('commandOpen', who.site, command);
      continue;
    }
    if (row.state === 'waiting') tx.put('command', [who.site, command], { ...row, state: 'sent' });
    commands.push({ command, signed: row.signed, signature: row.signature });
  }
  return { is: 'looked', desired, commands };
}

async function applied(here: Here, tx: Transaction, { who, body }: DeedOf<'applied'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const { rev, runningRev, runningHash, status } = body;
  const was = own.site;
  if (Math.max(rev, runningRev) > was.wantedRev + limits.desiredAhead) return confused;
  const errors = body.errors.slice(0, limits.documentErrors).map(({ message, ...at }) => ({ ...at, message: message.slice(0, 500) }));
  const told = { seenRev: rev, appliedRev: runningRev, appliedHash: runningHash, appliedStatus: status, appliedErrors: errors };
  const { seenRev, appliedRev, appliedHash, appliedStatus, appliedErrors } = was;
  const same = canonical(told) === canonical({ seenRev, appliedRev, appliedHash, appliedStatus, appliedErrors });
  if (!same) tx.put('site', [who.organisation, who.site], { ...was, ...told, appliedAt: status === 'none' ? was.appliedAt : here.world.now() });
  return isOther(was, body) ? again(here, tx, who) : nothing;
}

/**
 * Does the site know another rev of the number that we want, or one above it that it will never take ours after? An older
 * copy of our records came back, and somebody went on from there. (Without a hash it runs what was put in force by hand.)
 */
function isOther({ wantedRev, wantedHash }: Site, { rev, hash, runningRev, runningHash, status }: DeedOf<'applied'>['body']): boolean {
  if (wantedRev === 0) return false;
  if (rev === wantedRev && hash !== wantedHash) return true;
  if (runningRev === wantedRev && runningHash !== wantedHash && runningHash !== '') return true;
  // a rev that was taken it gives back (`kept`); one that it rejected it does not have
  return rev > wantedRev && runningRev < wantedRev && status === 'rejected';
}

/** What is wanted now is wanted under a number of its own; not more often than a site comes back that is told to wait. */
async function again(here: Here, tx: Transaction, { organisation, site }: Who): Promise<Done> {
  const wantedRev = (await tx.get('site', organisation, site))?.wantedRev ?? 0;
  const row = await tx.get('desired', site, ordered(wantedRev));
  if (row === undefined) return nothing;
  if (row.at + limits.uplinkReportMs > here.world.now()) return confused;
  await want(tx, here, { organisation, site, document: documentOf(row.signed), by: row.by, summary: row.summary });
  return nothing;
}

async function reported(tx: Transaction, { who, body }: DeedOf<'reported'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const { whole, set, gone, reportSeq } = body;
  const facts: Record<string, unknown> = whole || own.site.reported === '' ? {} : (JSON.parse(own.site.reported) as Record<string, unknown>);
  for (const name of gone) delete facts[name];
  const report = JSON.stringify({ ...facts, ...set });
  if (report.length > limits.uplinkReport) return confused;
  tx.put('site', [who.organisation, who.site], { ...own.site, reported: report, reportSeq });
  return { is: 'took', body: { reportSeq } };
}

const clockBody = z.object({ aheadMs: z.number() });
function aheadOf(body: string): number | null {
  try {
    return clockBody.parse(JSON.parse(body)).aheadMs;
  } catch {
    return null; // an event is told as it is, whatever is in it
  }
}

/** Each session of a site says it again. */
async function alarmClock(tx: Transaction, world: World, { organisation, site }: Who, body: string): Promise<void> {
  const aheadMs = aheadOf(body);
  if (aheadMs === null || (await alarmedToday(tx, world, organisation, site, 'clock.differs'))) return;
  const detail = `the clock of the site is ${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'behind' : 'ahead of'} ours`;
  alarm(tx, world, { organisation, site, name: 'clock.differs', detail });
}

async function events(tx: Transaction, world: World, { who, body }: DeedOf<'events'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  let { eventSeq, eventMark: mark = '' } = own.site;
  for (const event of body.events) {
    if (event.seq <= eventSeq) continue;
    if (event.seq !== eventSeq + 1 && !(event.name === 'gap' && gapFrom(event.body) <= eventSeq + 1)) return confused;
    tx.put('event', [who.site, ordered(event.seq)], event);
    if (event.name === 'clock.differs') await alarmClock(tx, world, who, event.body);
    eventSeq = event.seq;
    mark = eventMark(event);
  }
  if (eventSeq > own.site.eventSeq) tx.put('site', [who.organisation, who.site], { ...own.site, eventSeq, eventMark: mark });
  return { is: 'took', body: { eventSeq } };
}

const gapBody = z.object({ from: z.int() });
function gapFrom(body: string): number {
  try {
    return gapBody.parse(JSON.parse(body)).from;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function result({ world }: Here, tx: Transaction, { who, body }: DeedOf<'result'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const { command, state, value } = body;
  const row = await tx.get('command', who.site, command);
  const ends = state === 'done' || state === 'failed' || state === 'expired';
  if (row !== undefined && row.endedAt === null) {
    tx.put('command', [who.site, command], { ...row, state, value, endedAt: ends ? world.now() : null });
    if (ends) tx.remove('commandOpen', who.site, command);
  }
  return ends ? { is: 'took', body: { results: [command] } } : nothing;
}

/** A rev that we signed and have forgotten: an older copy of our records came back. */
async function kept(here: Here, tx: Transaction, { who, signed }: DeedOf<'kept'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const { identity } = await signerFor(tx);
  const said = desiredStatement.safeParse(openValue(identity.signPublic, 'desired', signed));
  if (!said.success || said.data.siteId !== who.site) return confused;
  const { rev, prevHash } = said.data;
  const hash = hashOf(signed.signed);
  const { wantedRev, wantedHash } = own.site;
  if (rev === wantedRev && hash !== wantedHash) return again(here, tx, who);
  // what came before it is not what we have of that number: somebody went on from an older copy
  if (rev === wantedRev + 1 && wantedRev > 0 && prevHash !== wantedHash) return again(here, tx, who);
  if (rev <= wantedRev) return nothing;
  tx.put('desired', [who.site, ordered(rev)], { rev, hash, ...signed, by: 'site', at: here.world.now(), summary: 'given back by the site' });
  tx.put('site', [who.organisation, who.site], { ...own.site, wantedRev: rev, wantedHash: hash });
  return nothing;
}

/** The document of a site that had one before it had us is its first rev. */
async function adopt(here: Here, tx: Transaction, { who, document }: DeedOf<'adopt'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  if (own.site.wantedRev > 0) return nothing;
  const checked = validateDocument(document);
  if (!checked.ok || checked.document.accounts.some((account) => typeof account.password !== 'string')) return nothing;
  const { organisation, site } = who;
  await want(tx, here, { organisation, site, document: checked.document as Document, by: 'site', summary: 'what the site had when it joined' });
  return nothing;
}

async function present({ world }: Here, tx: Transaction, { who }: DeedOf<'present'>): Promise<Done> {
  const own = await fenced(tx, who);
  if ('is' in own) return own;
  const now = world.now();
  tx.put('site', [who.organisation, who.site], { ...own.site, online: true, seenAt: now });
  return nothing;
}

/** The session is over: the site is offline, unless another session of it has begun. */
export async function leave({ world, records }: Here, who: Who): Promise<void> {
  await records.transact(async (tx) => {
    const own = await fenced(tx, who);
    if ('is' in own || !own.site.online) return;
    tx.put('site', [who.organisation, who.site], { ...own.site, online: false, since: world.now() });
  });
}
