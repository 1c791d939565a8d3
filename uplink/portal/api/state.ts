// A site as people see it: its state in a word, what is wanted of it and what it runs, from its record and its last report.

import { z } from 'zod';
import { limits } from '../../../actors/limits.ts';
import type { RecordOf } from '../kinds.ts';
import type { Portal } from '../process.ts';
import type { Records } from '../records.ts';
import type { SiteAnswer } from './shapes.ts';
import { documentOf } from './edit.ts';

type Site = RecordOf<'site'>;

/** A session of the uplink writes that it lives each 30 s: after three it does not, whatever the record says. */
const SILENT_MS = 90_000;
const DAY_MS = 86_400_000;

export const isOnline = (site: Site, now: number): boolean => site.state === 'active' && site.online && site.seenAt !== null && site.seenAt + SILENT_MS > now;

/** What is read of a report; whatever else a newer site says is kept and not looked at. */
const facts = z.object({
  version: z.string().catch(''),
  host: z.string().catch(''),
  queue: z.object({ messages: z.int().catch(0), oldestAt: z.int().nullable().catch(null) }).catch({ messages: 0, oldestAt: null }),
  certificate: z.object({ notAfter: z.int() }).nullable().catch(null),
  damage: z.int().catch(0),
  proof: z
    .object({ state: z.enum(['proven', 'failed', 'untried']), triedAt: z.int(), problem: z.string(), at: z.int(), lineage: z.string(), commit: z.int() })
    .nullable()
    .catch(null),
});

/** What the site itself last said of restoring its snapshots; null: nothing. */
export const proofOf = (site: Site) => facts.parse(reportedOf(site)).proof;

/** The last report; empty before the first. */
export function reportedOf(site: Site): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(site.reported || '{}');
    return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Its machine has said something of itself, since it joined or before. */
const wasHere = (site: Site): boolean => site.reported !== '';

export async function siteAnswer({ records, world }: Portal, id: string, site: Site): Promise<SiteAnswer> {
  const now = world.now();
  const online = isOnline(site, now);
  const state = site.state === 'active' ? (online ? 'online' : 'offline') : site.state;
  const reported = facts.parse(reportedOf(site));
  const document = await documentOf(records, id, site.wantedRev);
  const certificateDays = reported.certificate === null ? null : Math.floor((reported.certificate.notAfter - now) / DAY_MS);
  const because = becauseOf(site);
  return {
    id,
    name: site.name,
    state,
    word: wordOf(site, state, { ...reported, certificateDays, domains: document?.domains.length ?? null }, now),
    wantedRev: site.wantedRev,
    runningRev: site.appliedRev,
    status: site.appliedStatus,
    errors: site.appliedErrors,
    because,
    lockedSince: state === 'offline' && wasHere(site) ? (site.online ? site.seenAt : (site.since ?? site.seenAt)) : null,
    lastSeenAt: site.seenAt,
    version: reported.version,
    host: document?.host ?? reported.host,
    domains: document?.domains.length ?? 0,
    accounts: document?.accounts.length ?? 0,
    queue: reported.queue,
    certificateDays,
    snapshot: { at: await newestSnapshot(records, id), ...proofFacts(site, reported.proof) },
    epoch: site.epoch,
    createdAt: site.createdAt,
  };
}

/** By a launch, or by the site itself. */
function proofFacts(site: Site, proof: z.output<typeof facts>['proof']): Pick<SiteAnswer['snapshot'], 'provenAt' | 'problem' | 'triedAt'> {
  const provenAt = Math.max(site.provenAt ?? 0, proof?.at ?? 0);
  const newer = proof !== null && proof.state !== 'proven' && proof.triedAt > (site.provenAt ?? 0);
  return { provenAt: provenAt === 0 ? null : provenAt, problem: newer ? proof.problem : '', triedAt: newer ? proof.triedAt : null };
}

async function newestSnapshot(records: Records, site: string): Promise<number | null> {
  return (await records.list('snapshot', [site], { reverse: true, limit: 1 }))[0]?.body.at ?? null;
}

function becauseOf(site: Site): string {
  if (site.appliedStatus !== 'rejected' && site.appliedStatus !== 'rolledback') return '';
  const [first] = site.appliedErrors;
  const what = site.appliedStatus === 'rejected' ? 'was refused' : 'was taken back, because the site lost its portal with it';
  return `Rev ${site.wantedRev} ${what}${first === undefined ? '' : `: ${first.path === '' ? '' : `${first.path} `}${first.message}`}. The site runs rev ${site.appliedRev}.`;
}

interface Seen {
  readonly damage: number;
  readonly queue: { readonly oldestAt: number | null };
  readonly certificateDays: number | null;
  readonly proof: { readonly state: string } | null;
  /** Null: it has no document of this portal. */
  readonly domains: number | null;
}

function wordOf(site: Site, state: SiteAnswer['state'], { damage, queue, certificateDays, proof, domains }: Seen, now: number): string {
  if (state === 'waiting') return 'Waiting for its machine';
  if (state === 'quarantined') return 'Two machines say they are this site';
  if (state === 'superseded') return 'Another machine took its place';
  if (state === 'decommissioned') return 'Decommissioned';
  // whether the machine or only its connection is gone cannot be known from here
  if (state === 'offline') return wasHere(site) ? `Not heard of since ${minuteOf(site.seenAt ?? site.since ?? now)}` : 'Joined, not connected yet';
  if (becauseOf(site) !== '') return `Rev ${site.wantedRev} was not taken`;
  if (damage > 0) return 'Damaged data';
  if (proof?.state === 'failed') return 'Its newest snapshot is not whole';
  if (site.wantedRev > site.appliedRev) return `Taking over rev ${site.wantedRev}`;
  if (site.wantedRev > 0 && site.appliedHash !== site.wantedHash)
    return site.appliedHash === '' ? 'Runs what was put in force by hand' : `Runs another document than rev ${site.wantedRev}`;
  if (certificateDays !== null && certificateDays < 7)
    return certificateDays < 0 ? 'The certificate has ended' : `The certificate ends in ${certificateDays} days`;
  if ((domains ?? 0) === 0 && site.appliedHash === site.wantedHash) return 'No domain yet';
  return queue.oldestAt !== null && queue.oldestAt + limits.queueWarnMs < now ? 'Mail waits for hours' : 'All well';
}
const minuteOf = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
