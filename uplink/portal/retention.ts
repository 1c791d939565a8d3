// How much of the past of each site a portal keeps: its newest events, and its newest revs beside the ones that are wanted
// and in force. Guarantees: what a site or its people say for years does not fill a portal; nothing newer goes before what
// is older.

import { limits } from '../../actors/limits.ts';
import { ordered } from './kinds.ts';
import type { Portal } from './process.ts';
import type { Parts, Records } from './records.ts';

/** A part of one transaction. */
const STEP = 200;
/** Revs that are read at once: each may be large. */
const REVS = 10;

type Here = Pick<Portal, 'records'>;

/** Once, for all sites. Returns how many records it removed. */
export async function retain({ records }: Here): Promise<number> {
  let removed = 0;
  for (let after: Parts | undefined; ; ) {
    const sites = await records.list('siteOf', [], { limit: STEP, ...(after === undefined ? {} : { after }) });
    for (const { id, body } of sites) {
      const name = id[0] as string;
      const site = await records.get('site', body.organisation, name);
      if (site === undefined) continue;
      removed += await trimEvents(records, name, site.eventSeq - limits.eventsKept);
      removed += await trimRevs(records, name, [site.wantedRev, site.appliedRev]);
    }
    after = sites.at(-1)?.id;
    if (sites.length < STEP || after === undefined) return removed;
  }
}

/** Those numbered up to `last` go. */
async function trimEvents(records: Records, site: string, last: number): Promise<number> {
  for (let removed = 0; ; ) {
    const page = await records.list('event', [site], { limit: STEP });
    const old = page.filter(({ body }) => body.seq <= last);
    await records.transact(async (tx) => {
      for (const { id } of old) tx.remove('event', ...id);
    });
    removed += old.length;
    if (old.length < STEP) return removed;
  }
}

async function trimRevs(records: Records, site: string, needed: readonly number[]): Promise<number> {
  const [oldest] = await records.list('desired', [site], { limit: 1 });
  // so few numbers are no more revs than that: hardly a site needs more than this look
  if (oldest === undefined || Math.max(...needed) - oldest.body.rev < limits.revsKept) return 0;
  let kept = 0;
  let removed = 0;
  for (let after: Parts | undefined; ; ) {
    const page = await records.list('desired', [site], { reverse: true, limit: REVS, ...(after === undefined ? {} : { after }) });
    const old = page.slice(Math.max(0, limits.revsKept - kept)).filter(({ body }) => !needed.includes(body.rev));
    await records.transact(async (tx) => {
      for (const { body } of old) tx.remove('desired', site, ordered(body.rev));
    });
    kept += page.length;
    removed += old.length;
    after = page.at(-1)?.id;
    if (page.length < REVS || after === undefined) return removed;
  }
}
