// What only the site itself knows, asked of it now, and what it is told to do: DNS, queue, trace, overview, commands, events,
// snapshots. Guarantees: mail is not looked at and nothing of an answer is kept here; a site that is offline is said to be so.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { domainOf, normalizeAddress, normalizeDomain } from '../../../../storage/addresses.ts';
import { command } from '../../command.ts';
import { ordered, type RecordOf } from '../../kinds.ts';
import { QueryFailed, query } from '../../query.ts';
import { type SiteCall, siteOf, wantedOf } from '../edit.ts';
import { conflict, invalid, notFound, Problem, unavailable } from '../problem.ts';
import { admins, helpers, members, siteWide, tenant } from '../route.ts';
import * as shape from '../shapes.ts';
import { isOnline, proofOf, reportedOf } from '../state.ts';
import { makeClaim } from './site.ts';

/** Asks the site. Throws where it is offline or does not answer. */
async function ask(call: SiteCall, name: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
  const row = await siteOf(call.portal.records, call);
  if (row.state !== 'active') throw conflict('This site has no machine in service: there is nobody to ask.');
  if (!isOnline(row, call.now)) throw unavailable('site-offline', 'The site is not connected now: what only it knows can be seen when it is back.');
  try {
    return await query(call.portal, call.params.site, name, args, limits.apiQueryMs);
  } catch (error) {
    if (!(error instanceof QueryFailed)) throw error;
    if (error.offline) throw unavailable('site-silent', 'The site is connected but did not answer in time: try again.');
    throw new Problem(422, 'site-refused', 'The site said no', `The site answered: ${error.message.slice(0, 500)}.`);
  }
}

const commandAnswer = (id: string, row: RecordOf<'command'>): z.input<typeof shape.command> => {
  const { name, args, state, value, by, at, notAfter, endedAt } = row;
  return { id, name, args: jsonOf(args), state, value: jsonOf(value), by, at, notAfter, endedAt };
};
/** What a site gave as a result: JSON, or a sentence. */
function jsonOf(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return text;
  }
}

/** Gives the site of the path a command, in the transaction that tells the log. */
function give(call: SiteCall, name: string, args: Readonly<Record<string, unknown>>, detail: string): Promise<{ command: string }> {
  return call.change(async (tx, tell) => {
    const { portal, organisation, by, params } = call;
    const row = await siteOf(tx, call);
    if (row.state !== 'active') throw conflict('This site has no machine in service: there is nobody to tell.');
    await tell({ action: `command.${name}`, target: row.name, detail });
    const id = await command(tx, portal, { organisation, site: params.site, name, args, by });
    if (id === null) throw notFound();
    return { command: id };
  });
}

const asking = [
  tenant('GET', '/organisations/{org}/sites/{site}/overview', {
    about: 'The facts of the site as it tells them now; offline, those of its last report.',
    who: siteWide,
    answer: z.strictObject({ live: z.boolean(), at: shape.maybe, facts: z.unknown() }),
    async handle(call) {
      const row = await siteOf(call.portal.records, call);
      const last = { live: false, at: row.seenAt, facts: reportedOf(row) };
      if (!isOnline(row, call.now)) return last;
      try {
        return { live: true, at: call.now, facts: await query(call.portal, call.params.site, 'overview', {}, limits.apiQueryMs) };
      } catch (error) {
        if (error instanceof QueryFailed) return last;
        throw error;
      }
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/domains/{name}/dns', {
    about: 'The records that the domain needs; with check=1, also which of them are there, and what to do about the others.',
    who: members,
    query: z.strictObject({ check: z.literal('1').optional() }),
    answer: z.strictObject({ items: z.unknown() }),
    async handle(call) {
      const name = normalizeDomain(call.params.name);
      const { document } = await wantedOf(call.portal.records, call);
      if (name === null || !call.mayDomain(name) || !document.domains.some((row) => row.name === name)) throw notFound();
      return { items: await ask(call, call.query.check === undefined ? 'dns.records' : 'dns.check', { domain: name }) };
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/trace', {
    about: 'What became of messages: by an address or a Message-ID. Never what is in them.',
    who: helpers,
    query: z.strictObject({ about: z.string().min(1, 'must not be empty').max(998), since: z.coerce.number().int().min(0).optional() }),
    answer: z.strictObject({ items: z.unknown() }),
    handle: async (call) => {
      const { about, since } = call.query;
      const address = normalizeAddress(about);
      if (call.role === 'domain admin' && (address === null || !call.mayDomain(domainOf(address))))
        throw invalid([{ path: 'query.about', message: 'must be an address in one of your domains' }]);
      return { items: await ask(call, 'trace', { about, ...(since === undefined ? {} : { since }) }) };
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/queue', {
    about: 'What waits to be sent.',
    who: ['owner', 'admin', 'helpdesk', 'read-only'],
    query: z.strictObject({ filter: z.string().max(400).optional(), after: z.string().max(100).optional() }),
    answer: z.strictObject({ queue: z.unknown() }),
    handle: async (call) => ({ queue: await ask(call, 'queue.list', { ...call.query }) }),
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/queue/{id}', {
    about: 'One message that waits, and what was tried.',
    who: ['owner', 'admin', 'helpdesk', 'read-only'],
    answer: z.strictObject({ message: z.unknown() }),
    async handle(call) {
      const message = await ask(call, 'queue.show', { id: call.params.id });
      if (message === null || message === undefined) throw notFound();
      return { message };
    },
  }),
] as const;

const telling = [
  tenant('POST', '/organisations/{org}/sites/{site}/queue/actions', {
    about: 'Holds, releases, tries again or deletes what waits to be sent. Deleting tells nobody.',
    who: admins,
    body: z.strictObject({
      action: z.enum(['hold', 'release', 'retry', 'delete'], 'must be hold, release, retry or delete'),
      ids: z
        .array(z.union([z.string().min(1).max(100), z.int().min(0)]))
        .min(1, 'must name at least one message')
        .max(1_000, 'must name at most 1000'),
    }),
    answer: shape.started,
    status: 202,
    handle: (call) => give(call, `queue.${call.body.action}`, { ids: call.body.ids }, `${call.body.ids.length} messages`),
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/commands', {
    about: 'The commands that were given to the site.',
    who: siteWide,
    query: shape.page,
    answer: shape.listOf(shape.command),
    async handle(call) {
      const { portal, params, query: page } = call;
      await siteOf(portal.records, call);
      const after = page.after === undefined ? {} : { after: [params.site, page.after] };
      const rows = await portal.records.list('command', [params.site], { limit: page.limit + 1, reverse: true, ...after });
      const items = rows.slice(0, page.limit).map(({ id, body }) => commandAnswer(id[1] as string, body));
      return { items, next: rows.length > items.length ? (items.at(-1)?.id ?? null) : null };
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/commands/{command}', {
    about: 'One command, and what became of it.',
    who: siteWide,
    answer: shape.command,
    async handle(call) {
      const { portal, params } = call;
      await siteOf(portal.records, call);
      const row = await portal.records.get('command', params.site, params.command);
      if (row === undefined) throw notFound();
      return commandAnswer(params.command, row);
    },
  }),
  tenant('GET', '/organisations/{org}/sites/{site}/events', {
    about: 'What the site told of itself, newest first.',
    who: siteWide,
    query: shape.page,
    answer: shape.listOf(shape.eventRow),
    async handle(call) {
      const { portal, params, query: page } = call;
      await siteOf(portal.records, call);
      const after = page.after !== undefined && /^[0-9]{1,12}$/.test(page.after) ? { after: [params.site, ordered(Number(page.after))] } : {};
      const rows = await portal.records.list('event', [params.site], { reverse: true, limit: page.limit + 1, ...after });
      const items = rows.slice(0, page.limit).map(({ body }) => ({ ...body, body: jsonOf(body.body) }));
      return { items, next: rows.length > items.length ? String(items.at(-1)?.seq ?? 0) : null };
    },
  }),
] as const;

const snapshot = z.strictObject({
  name: z.string(),
  at: shape.time,
  commit: z.int(),
  size: z.int(),
  epoch: z.int(),
  by: z.string(),
  proven: z.string().describe('empty: it was not tried yet'),
});

const parked = [
  tenant('GET', '/organisations/{org}/sites/{site}/snapshots', {
    about: 'What is parked of the site, newest first.',
    who: siteWide,
    query: shape.page,
    answer: shape.listOf(snapshot),
    async handle(call) {
      const { portal, params, query: page } = call;
      const proof = proofOf(await siteOf(portal.records, call));
      const [epoch, n, ...rest] = (page.after ?? '').split('.');
      const after = epoch !== undefined && n !== undefined && rest.length === 0 ? { after: [params.site, epoch, n] } : {};
      const rows = await portal.records.list('snapshot', [params.site], { reverse: true, limit: page.limit + 1, ...after });
      const shown = rows.slice(0, page.limit);
      const items = shown.map(({ body: { name, at, commit, size, epoch: of, by, proven, lineage } }) => {
        const own = proof !== null && proof.at > 0 && proof.lineage === lineage && proof.commit === commit ? String(proof.at) : '';
        return { name, at, commit, size, epoch: of, by, proven: own || proven };
      });
      return { items, next: rows.length > shown.length ? (shown.at(-1)?.id.slice(1).join('.') ?? null) : null };
    },
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/snapshots', {
    about: 'Takes a snapshot now. Its command is done when that is parked, or has failed and says why.',
    who: admins,
    answer: shape.started,
    status: 202,
    handle: (call) => give(call, 'snapshot.now', {}, ''),
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/snapshots/proof', {
    about: 'Has the site restore its newest snapshot beside itself and throw it away. Its command is done when that is proven, or has failed and says why.',
    who: admins,
    answer: shape.started,
    status: 202,
    handle: (call) => give(call, 'snapshot.prove', {}, ''),
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/snapshots/{name}/launch', {
    about: 'A claim for another machine, which becomes this site from this snapshot.',
    who: admins,
    people: true,
    secret: true,
    answer: z.strictObject({ claim: shape.claim }),
    status: 201,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { name } = call.params;
        const row = await siteOf(tx, call);
        const rows = await tx.list('snapshot', [call.params.site], { reverse: true });
        if (!rows.some(({ body }) => body.name === name)) throw notFound();
        const claim = makeClaim(tx, call, call.params.site, row, name);
        await tell({ action: 'site.launch', target: row.name, detail: name });
        return { claim };
      }),
  }),
] as const;

export const liveRoutes = [...asking, ...telling, ...parked] as const;
