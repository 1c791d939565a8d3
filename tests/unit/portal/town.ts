// Two organisations with something of everything, and a valid request for each route of the API: what the tests walk that
// ask whether anybody gets where they should not.

import { assert } from '../../../actors/assert.ts';
import { want } from '../../../uplink/portal/want.ts';
import { addMember, addPerson } from '../../../uplink/portal/identity/person.ts';
import { hashOf, newId } from '../../../uplink/portal/identity/secret.ts';
import { endSessions, openSession } from '../../../uplink/portal/identity/session.ts';
import { newToken, type Role } from '../../../uplink/portal/identity/token.ts';
import type { Route } from '../../../uplink/portal/api/route.ts';
import { routes } from '../../../uplink/portal/api/table.ts';
import { ordered, roles } from '../../../uplink/portal/kinds.ts';
import { documentOf } from '../storage/fixture.ts';
import type { Client, House } from './house.ts';

export const tenantRoutes = routes.filter(({ who }) => Array.isArray(who));
export const keyOf = ({ method, path }: Route): string => `${method} ${path}`;

/** `a` or `b`. */
export type Side = 'a' | 'b';
/** What stands in the place of each name of a path. */
export const idsOf = (side: Side): Readonly<Record<string, string>> => ({
  org: `org-${side}`,
  site: `site-${side}`,
  person: `read-only-${side}`.replace(' ', '-'),
  invitation: `invitation-${side}`,
  token: `token-${side}`,
  name: `${side}.example`,
  address: `ann@${side}.example`,
  command: `command-${side}`,
  id: '7',
  code: side === 'a' ? 'ABCD-EFGH' : 'NONE-SUCH', // a machine that nobody has claimed is of no organisation
  rev: '1',
  snapshot: `snapshot-${side}`,
});

/** The path of a route with these ids; a snapshot's name is not a domain's. */
export const pathOf = (route: Route, ids: Readonly<Record<string, string>>): string =>
  route.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(route.path.includes('/snapshots/') && name === 'name' ? (ids['snapshot'] ?? '') : (ids[name] ?? '')),
  );

const grant = { role: 'read-only', domains: [] };
/** A valid body for each route that takes one, as far as its own organisation has what it names. */
export const bodyOf = (key: string, side: Side): unknown =>
  ({
    'PATCH /organisations/{org}': { name: 'Another' },
    'PATCH /organisations/{org}/members/{person}': grant,
    'POST /organisations/{org}/invitations': { email: 'new@elsewhere.test', ...grant },
    'POST /organisations/{org}/tokens': { name: 'script', ...grant },
    'POST /organisations/{org}/sites': { name: 'Another' },
    'POST /organisations/{org}/devices': { code: 'ABCD-EFGH', site: `waiting-${side}` },
    'PATCH /organisations/{org}/sites/{site}': { name: 'Another', host: 'mx.a.example' },
    'PUT /organisations/{org}/sites/{site}/document': { document: { schema: 1, host: 'mx.a.example', domains: [{ name: 'a.example' }], accounts: [] } },
    'POST /organisations/{org}/sites/{site}/document/rollback': { rev: 1 },
    'POST /organisations/{org}/sites/{site}/domains': { name: 'more.example' },
    'PUT /organisations/{org}/sites/{site}/domains/{name}': { subaddress: '-' },
    'POST /organisations/{org}/sites/{site}/accounts': { address: `new@${side}.example` },
    'PUT /organisations/{org}/sites/{site}/accounts/{address}': { name: 'Another' },
    'POST /organisations/{org}/sites/{site}/accounts/{address}/password': { generate: true },
    'POST /organisations/{org}/sites/{site}/aliases': { address: `more@${side}.example`, to: [`ann@${side}.example`] },
    'PUT /organisations/{org}/sites/{site}/aliases/{address}': { to: ['else@where.test'] },
    'POST /organisations/{org}/sites/{site}/queue/actions': { action: 'retry', ids: [1] },
  })[key];
export const queryOf = (key: string, side: Side): string =>
  key.endsWith('/trace') ? `?about=ann@${side}.example` : key.endsWith('domains/{name}') && key.startsWith('DELETE') ? '?contents=remove' : '';
export const headersOf = (route: Route): Record<string, string> => (route.match === true ? { 'If-Match': '"1"' } : {});

/** An alias is where an account is named. */
const idsFor = (route: Route, side: Side): Readonly<Record<string, string>> => ({
  ...idsOf(side),
  ...(route.path.includes('/aliases/') ? { address: `info@${side}.example` } : {}),
});
export const pathIn = (route: Route, side: Side): string => pathOf(route, idsFor(route, side)) + queryOf(keyOf(route), side);
/** The organisation of one, and all else of the other. */
export const pathAcross = (route: Route): string => pathOf(route, { ...idsFor(route, 'b'), org: 'org-a' }) + queryOf(keyOf(route), 'b');
/** Organisation and site of one, and all else of the other. */
export const pathInside = (route: Route): string => pathOf(route, { ...idsFor(route, 'b'), org: 'org-a', site: 'site-a' }) + queryOf(keyOf(route), 'b');

export interface Town {
  /** Signed in as who has this role in organisation a (or b). */
  person(role: Role, side?: Side): Client;
  program(role: Role, side?: Side): Client;
}

/** Builds both, or builds them anew: whatever a request changed is as before. All sessions and tokens are new. */
export async function build(house: House): Promise<Town> {
  house.world.time += 61_000;
  const clients = new Map<string, Client>();
  for (const side of ['a', 'b'] as const) await organisation(house, side, clients);
  const client = (name: string): Client => {
    const found = clients.get(name);
    assert(found !== undefined, name);
    return found;
  };
  return { person: (role, side = 'a') => client(`person ${role} ${side}`), program: (role, side = 'a') => client(`program ${role} ${side}`) };
}

async function organisation({ portal, world, write, browser, program }: House, side: Side, clients: Map<string, Client>): Promise<void> {
  const now = world.now();
  const { org, site, invitation, token, command } = idsOf(side) as { org: string; site: string; invitation: string; token: string; command: string };
  const none = { wantedRev: 0, wantedHash: '', appliedRev: 0, appliedHash: '', appliedStatus: 'none' as const, appliedErrors: [], appliedAt: null };
  const rest = {
    createdAt: now,
    epoch: 1,
    machine: 'm',
    ...none,
    online: false,
    since: now,
    seenAt: now,
    reported: '',
    reportSeq: 0,
    eventSeq: 0,
    lineage: '',
  };
  const document = documentOf({
    host: `mail.${side}.example`,
    domains: [{ name: `${side}.example`, aliasOf: null, catchAll: null, subaddress: '+' }],
    accounts: [{ address: `ann@${side}.example`, name: 'Ann', password: `$2b$10$${'x'.repeat(53)}`, quotaBytes: 0, enabled: true }],
    aliases: [{ address: `info@${side}.example`, to: [`ann@${side}.example`] }],
  });
  await write(async (tx) => {
    tx.put('organisation', [org], { name: side.toUpperCase(), createdAt: now });
    for (const { id, body } of await tx.list('token', [org])) {
      tx.remove('token', ...id);
      tx.remove('tokenBySecret', body.secretHash);
    }
    for (const role of roles) {
      const id = `${role.replace(' ', '-')}-${side}`;
      addPerson(tx, id, `${id}@people.test`, role, '', now);
      addMember(tx, org, id, role, role === 'domain admin' ? [`${side}.example`] : [], now);
      await endSessions(tx, id, null);
      const visitor = browser();
      visitor.cookie = await openSession(tx, world, id, { address: '127.0.0.1', agent: 'test' }, { auth: 'password', strong: false });
      clients.set(`person ${role} ${side}`, visitor);
      const text = newToken(world);
      const own = role === 'read-only' ? token : newId(world);
      const domains = role === 'domain admin' ? [`${side}.example`] : [];
      tx.put('token', [org, own], { name: role, role, domains, secretHash: hashOf(text), by: `owner-${side}`, createdAt: now, expiresAt: null, seenAt: null });
      tx.put('tokenBySecret', [hashOf(text)], { organisation: org, token: own });
      clients.set(`program ${role} ${side}`, program(text));
    }
    const secretHash = hashOf(invitation);
    tx.put('invitation', [org, invitation], {
      email: 'x@people.test',
      role: 'read-only',
      domains: [],
      secretHash,
      by: `owner-${side}`,
      createdAt: now,
      expiresAt: now + 1e6,
    });
    tx.put('invitationBySecret', [secretHash], { organisation: org, invitation });
    tx.put('site', [org, site], { name: side, state: 'active', ...rest });
    tx.put('siteOf', [site], { organisation: org });
    tx.put('site', [org, `waiting-${side}`], { name: 'waiting', state: 'waiting', ...rest, epoch: 0 });
    tx.put('device', ['ABCD-EFGH'], { signPublic: '', wrapPublic: '', secret: '', claim: '', address: '192.0.2.1', createdAt: now, expiresAt: now + 1e6 });
    tx.put('command', [site, command], {
      name: 'queue.retry',
      args: '{}',
      signed: '',
      signature: '',
      state: 'done',
      value: '',
      by: 'x',
      at: now,
      notAfter: now,
      endedAt: now,
    });
    tx.put('event', [site, ordered(1)], { seq: 1, at: now, name: 'start', body: '{}' });
    const snapshot = { name: `snapshot-${side}`, lineage: 'l', epoch: 1, commit: 1, at: now, size: 1, by: 'x', proven: '' };
    tx.put('snapshot', [site, '1', '000000000000001'], snapshot);
  });
  await write(async (tx) => {
    await want(tx, portal, { organisation: org, site, document, by: 'test', summary: 'first' });
  });
}
