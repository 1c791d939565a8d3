// Sites: making one, claims for its machine, its name, and its end.

import { z } from 'zod';
import { limits } from '../../../../actors/limits.ts';
import { claimText } from '../../../claim.ts';
import { fingerprintWords } from '../../../keys.ts';
import { newId, newSecret } from '../../identity/secret.ts';
import type { RecordOf } from '../../kinds.ts';
import type { Transaction } from '../../records.ts';
import { waitingDevice } from '../../uplink/device.ts';
import { editIn, siteOf } from '../edit.ts';
import { conflict, invalid, notFound } from '../problem.ts';
import { admins, members, nothing, type TenantCall, tenant } from '../route.ts';
import * as shape from '../shapes.ts';
import { siteAnswer } from '../state.ts';

type Site = RecordOf<'site'>;
type Call = TenantCall<unknown, unknown, unknown>;

const newSite = (name: string, now: number): Site => ({
  name,
  state: 'waiting',
  createdAt: now,
  epoch: 0,
  machine: '',
  wantedRev: 0,
  wantedHash: '',
  appliedRev: 0,
  appliedHash: '',
  appliedStatus: 'none',
  appliedErrors: [],
  appliedAt: null,
  online: false,
  since: null,
  seenAt: null,
  reported: '',
  reportSeq: 0,
  eventSeq: 0,
  lineage: '',
});

/** A claim for the machine of a site; it is used once, within a day. */
export function makeClaim(
  tx: Transaction,
  { portal, organisation, by, now }: Call,
  site: string,
  { epoch }: Pick<Site, 'epoch'>,
  snapshot: string,
): z.input<typeof shape.claim> {
  const [id, secret] = [newId(portal.world), newSecret(portal.world)];
  const expiresAt = now + limits.claimMs;
  const purpose = snapshot === '' ? 'new' : 'launch';
  tx.put('claim', [organisation, id], { site, purpose, snapshot, secret, by, createdAt: now, expiresAt, usedBy: '', machine: '', epoch });
  tx.put('claimOf', [id], { organisation });
  const text = claimText(portal.url, id, secret);
  // what is parked is opened by the recovery key only, which no portal has
  return { id, text, command: `mailsite join ${text}${snapshot === '' ? '' : ' --key kit.txt'}`, expiresAt };
}

/** Claims for the site that nobody has used yet are worth nothing from now on. */
async function endClaims(tx: Transaction, organisation: string, site: string): Promise<void> {
  for (const { id, body } of await tx.list('claim', [organisation])) {
    if (body.site !== site || body.usedBy !== '') continue;
    tx.remove('claim', organisation, id[1] as string);
    tx.remove('claimOf', id[1] as string);
  }
}

async function addSite(tx: Transaction, { portal, organisation, now }: Call, name: string): Promise<{ id: string; row: Site }> {
  if ((await tx.list('site', [organisation])).length >= limits.sitesPerOrganisation)
    throw conflict(`There are ${limits.sitesPerOrganisation} sites: delete some first.`);
  const id = newId(portal.world);
  const row = newSite(name, now);
  tx.put('site', [organisation, id], row);
  tx.put('siteOf', [id], { organisation });
  return { id, row };
}

const device = z.strictObject({
  code: z.string(),
  host: z.string().describe('the name that the machine gives itself; empty: none'),
  version: z.string().describe('of mailsite, as the machine says'),
  address: z.string().describe('where the machine asked from'),
  askedAt: shape.time,
  expiresAt: shape.time,
  words: z.array(z.string()).describe('of the keys of the machine, which shows the same'),
});

const making = [
  tenant('GET', '/organisations/{org}/sites', {
    about: 'The sites of the organisation.',
    who: members,
    query: shape.page,
    answer: shape.listOf(shape.site),
    async handle({ portal, organisation: org, query }) {
      const after = query.after === undefined ? {} : { after: [org, query.after] };
      const rows = await portal.records.list('site', [org], { limit: query.limit + 1, ...after });
      const shown = rows.slice(0, query.limit);
      const items = await Promise.all(shown.map(({ id, body }) => siteAnswer(portal, id[1] as string, body)));
      return { items, next: rows.length > shown.length ? (items.at(-1)?.id ?? null) : null };
    },
  }),
  tenant('POST', '/organisations/{org}/sites', {
    about: 'A new site, with the claim for its machine.',
    who: admins,
    secret: true,
    body: z.strictObject({ name: shape.line(60) }),
    answer: z.strictObject({ site: shape.site, claim: shape.claim }),
    status: 201,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { id, row } = await addSite(tx, call, call.body.name);
        const claim = makeClaim(tx, call, id, row, '');
        await tell({ action: 'site.create', target: row.name });
        return { site: await siteAnswer(call.portal, id, row), claim };
      }),
  }),
  tenant('POST', '/organisations/{org}/sites/{site}/claims', {
    about:
      'A new claim for a site that waits for its machine, or for the right one of two that say they are it. The ones before it are worth nothing from now on.',
    who: admins,
    secret: true,
    answer: z.strictObject({ claim: shape.claim }),
    status: 201,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const row = await siteOf(tx, call);
        // of two machines that say they are this site, the one that takes the claim is; the other is fenced
        if (row.state !== 'waiting' && row.state !== 'quarantined')
          throw conflict('This site has its machine already: to move it to another one, launch it from a snapshot.');
        await endClaims(tx, call.organisation, call.params.site);
        const claim = makeClaim(tx, call, call.params.site, row, '');
        await tell({ action: 'site.claim', target: row.name });
        return { claim };
      }),
  }),
  tenant('GET', '/organisations/{org}/devices/{code}', {
    about: 'The machine that shows this code and waits to be taken in: to tell one’s own from a stranger’s.',
    who: admins,
    answer: device,
    async handle({ portal, params, now }) {
      const found = await waitingDevice(portal.records, params.code, now);
      if (found === null) throw notFound();
      const { code, host = '', version = '', address, createdAt: askedAt, expiresAt, signPublic, wrapPublic } = found;
      return { code, host, version, address, askedAt, expiresAt, words: fingerprintWords(signPublic, wrapPublic) };
    },
  }),
  tenant('DELETE', '/organisations/{org}/devices/{code}', {
    about: 'Turns the machine away that shows this code: it was nobody’s here.',
    who: admins,
    answer: nothing,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const found = await waitingDevice(tx, call.params.code, call.now);
        if (found === null) throw notFound();
        tx.remove('device', found.code);
        await tell({ action: 'site.turnaway', target: found.code, detail: found.address });
      }),
  }),
  tenant('POST', '/organisations/{org}/devices', {
    about: 'Takes a machine in by the code that it shows, as a waiting site or as a new one.',
    who: admins,
    body: z.strictObject({ code: shape.line(20), site: z.string().max(100).optional(), name: shape.line(60).optional() }),
    answer: z.strictObject({ site: shape.site, address: z.string().describe('where the machine asked from') }),
    status: 201,
    handle: (call) => {
      const { portal, body, organisation: org } = call;
      if ((body.site === undefined) === (body.name === undefined))
        throw invalid([{ path: 'body.site', message: 'name either a waiting site, or give name for a new one' }]);
      return call.change(async (tx, tell) => {
        const device = await waitingDevice(tx, body.code, call.now);
        if (device === null)
          throw invalid([{ path: 'body.code', message: 'is not shown by any machine that waits: look at it again, codes are good for some minutes' }]);
        const there = body.site === undefined ? undefined : await tx.get('site', org, body.site);
        if (body.site !== undefined && there === undefined) throw notFound();
        if (there !== undefined && there.state !== 'waiting') throw conflict('This site has its machine already.');
        const { id, row } = body.site !== undefined && there !== undefined ? { id: body.site, row: there } : await addSite(tx, call, body.name ?? '');
        await endClaims(tx, org, id);
        const { code, ...kept } = device;
        tx.put('device', [code], { ...kept, claim: makeClaim(tx, call, id, row, '').text });
        await tell({ action: 'site.device', target: row.name, detail: device.address });
        return { site: await siteAnswer(portal, id, row), address: device.address };
      });
    },
  }),
] as const;

export const siteRoutes = [
  ...making,
  tenant('GET', '/organisations/{org}/sites/{site}', {
    about: 'One site: its state, what is wanted of it, what it runs.',
    who: members,
    answer: shape.site,
    handle: async (call) => siteAnswer(call.portal, call.params.site, await siteOf(call.portal.records, call)),
  }),
  tenant('PATCH', '/organisations/{org}/sites/{site}', {
    about: 'Its name for people, and the host name of its machine (a change of its document).',
    who: admins,
    body: z.strictObject({ name: shape.line(60).optional(), host: shape.domain.optional() }),
    answer: shape.wanted,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { organisation: org, params, body } = call;
        const row = await siteOf(tx, call);
        const { host } = body;
        const done =
          host === undefined
            ? { wantedRev: row.wantedRev }
            : await editIn(tx, tell, call, { action: 'document.host', target: host, summary: `host ${host}` }, (d) => ({ ...d, host }));
        const now = await siteOf(tx, call);
        if (body.name !== undefined) {
          tx.put('site', [org, params.site], { ...now, name: body.name });
          await tell({ action: 'site.rename', target: body.name, before: row.name, after: body.name });
        } else if (host === undefined) throw invalid([{ path: 'body', message: 'must hold name or host' }]);
        return done;
      }),
  }),
  tenant('DELETE', '/organisations/{org}/sites/{site}', {
    about: 'A waiting site is removed. One that has a machine is decommissioned: the machine goes on with its mail, and belongs to no portal.',
    who: admins,
    people: true,
    answer: nothing,
    handle: (call) =>
      call.change(async (tx, tell) => {
        const { organisation: org, params } = call;
        const row = await siteOf(tx, call);
        await endClaims(tx, org, params.site);
        if (row.state === 'waiting' && row.epoch === 0) {
          tx.remove('site', org, params.site);
          tx.remove('siteOf', params.site);
        } else tx.put('site', [org, params.site], { ...row, state: 'decommissioned' });
        await tell({ action: row.state === 'waiting' ? 'site.remove' : 'site.decommission', target: row.name });
      }),
  }),
] as const;
