// T1: what is of another organisation is not there. Every route of the table is tried with ids of another one, and the
// answer is the one that an id of nothing gets. R1: each role may do what this matrix says, by session and by token.

import { beforeAll, describe, expect, test } from 'vitest';
import { roles } from '../../../uplink/portal/kinds.ts';
import { routes } from '../../../uplink/portal/api/table.ts';
import { type House, house } from './house.ts';
import { bodyOf, build, headersOf, keyOf, pathAcross, pathIn, pathInside, type Town, tenantRoutes } from './town.ts';

/** Who may: owner, admin, domain admin, helpdesk, read-only; t: also by a token. Everything else is of one's own person, or for anyone. */
const matrix: Readonly<Record<string, string>> = {
  'GET /organisations/{org}': 'oadhr t',
  'PATCH /organisations/{org}': 'oa--- t',
  'GET /organisations/{org}/members': 'oadhr t',
  'PATCH /organisations/{org}/members/{person}': 'oa---',
  'DELETE /organisations/{org}/members/{person}': 'oa---',
  'GET /organisations/{org}/invitations': 'oa--- t',
  'POST /organisations/{org}/invitations': 'oa---',
  'DELETE /organisations/{org}/invitations/{invitation}': 'oa---',
  'GET /organisations/{org}/tokens': 'oa--- t',
  'POST /organisations/{org}/tokens': 'oa---',
  'DELETE /organisations/{org}/tokens/{token}': 'oa---',
  'GET /organisations/{org}/alarms': 'oa-hr t',
  'GET /organisations/{org}/audit': 'oa--r t',
  'GET /organisations/{org}/audit/proof': 'oa--r t',
  'GET /organisations/{org}/audit/export': 'oa--r t',
  'GET /organisations/{org}/sites': 'oadhr t',
  'POST /organisations/{org}/sites': 'oa--- t',
  'POST /organisations/{org}/devices': 'oa--- t',
  'GET /organisations/{org}/devices/{code}': 'oa--- t',
  'DELETE /organisations/{org}/devices/{code}': 'oa--- t',
  'GET /organisations/{org}/sites/{site}': 'oadhr t',
  'PATCH /organisations/{org}/sites/{site}': 'oa--- t',
  'DELETE /organisations/{org}/sites/{site}': 'oa---',
  'POST /organisations/{org}/sites/{site}/claims': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/document': 'oa-hr t',
  'PUT /organisations/{org}/sites/{site}/document': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/document/revisions': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/document/revisions/{rev}': 'oa-hr t',
  'POST /organisations/{org}/sites/{site}/document/rollback': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/domains': 'oadhr t',
  'POST /organisations/{org}/sites/{site}/domains': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/domains/{name}': 'oadhr t',
  'PUT /organisations/{org}/sites/{site}/domains/{name}': 'oa--- t',
  'DELETE /organisations/{org}/sites/{site}/domains/{name}': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/accounts': 'oadhr t',
  'POST /organisations/{org}/sites/{site}/accounts': 'oad-- t',
  'GET /organisations/{org}/sites/{site}/accounts/{address}': 'oadhr t',
  'PUT /organisations/{org}/sites/{site}/accounts/{address}': 'oad-- t',
  'DELETE /organisations/{org}/sites/{site}/accounts/{address}': 'oad-- t',
  'POST /organisations/{org}/sites/{site}/accounts/{address}/password': 'oadh- t',
  'GET /organisations/{org}/sites/{site}/aliases': 'oadhr t',
  'POST /organisations/{org}/sites/{site}/aliases': 'oad-- t',
  'GET /organisations/{org}/sites/{site}/aliases/{address}': 'oadhr t',
  'PUT /organisations/{org}/sites/{site}/aliases/{address}': 'oad-- t',
  'DELETE /organisations/{org}/sites/{site}/aliases/{address}': 'oad-- t',
  'GET /organisations/{org}/sites/{site}/overview': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/domains/{name}/dns': 'oadhr t',
  'GET /organisations/{org}/sites/{site}/trace': 'oadh- t',
  'GET /organisations/{org}/sites/{site}/queue': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/queue/{id}': 'oa-hr t',
  'POST /organisations/{org}/sites/{site}/queue/actions': 'oa--- t',
  'GET /organisations/{org}/sites/{site}/commands': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/commands/{command}': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/events': 'oa-hr t',
  'GET /organisations/{org}/sites/{site}/snapshots': 'oa-hr t',
  'POST /organisations/{org}/sites/{site}/snapshots': 'oa--- t',
  'POST /organisations/{org}/sites/{site}/snapshots/proof': 'oa--- t',
  'POST /organisations/{org}/sites/{site}/snapshots/{name}/launch': 'oa---',
  'GET /organisations/{org}/stream': 'oadhr t',
  'GET /organisations/{org}/sites/{site}/stream': 'oa-hr t',
};

let here: House;
let town: Town;
beforeAll(async () => {
  here = await house();
});

const nothing = {
  type: 'urn:mailsite:problem:not-found',
  title: 'Not found',
  status: 404,
  detail: 'There is no such thing, or it is not yours: go back to the list and choose from what is there.',
};
/** A stream is read up to its head. */
const ask = async (client: ReturnType<Town['person']>, route: (typeof tenantRoutes)[number], path: string, side: 'a' | 'b') => {
  if (route.raw !== 'text/event-stream') return client.send(route.method, path, bodyOf(keyOf(route), side), { headers: headersOf(route) });
  const gone = new AbortController();
  const headers: Record<string, string> = client.cookie === null ? {} : { Cookie: `mailsite=${client.cookie}` };
  const response = await fetch(`${here.api}${path}`, { headers: { ...headers, ...client.headers }, signal: gone.signal });
  const body = response.status === 200 ? '' : await response.json();
  gone.abort();
  return { status: response.status, body, headers: response.headers };
};

test('the matrix names every route of an organisation', () => {
  expect(tenantRoutes.map(keyOf).sort()).toEqual(Object.keys(matrix).sort());
  // what is no route of an organisation names none
  expect(routes.filter(({ who }) => !Array.isArray(who)).filter(({ path }) => path.includes('{org}'))).toEqual([]);
});

describe.each(tenantRoutes.map((route) => [keyOf(route), route] as const))('%s', (key, route) => {
  test('T1: ids of another organisation are not there', async () => {
    const paths = [
      pathIn(route, 'b'),
      ...(/\{org\}.*\{/.test(route.path) ? [pathAcross(route)] : []),
      ...(/\{site\}\/.*\{(?!rev|id)/.test(route.path) ? [pathInside(route)] : []),
    ];
    town = await build(here);
    for (const path of paths) {
      for (const client of [town.person('owner'), town.program('owner')]) {
        const answer = await ask(client, route, path, 'b');
        if (answer.status === 403 && client === town.program('owner')) continue; // not by a token: the same for every id
        expect(answer.body, path).toEqual(nothing);
        expect(answer.status, path).toBe(404);
      }
    }
  });

  test('R1: the roles that may', async () => {
    const [may = '', byToken] = (matrix[key] ?? '').split(' ');
    const anew = async (): Promise<void> => {
      if (route.method !== 'GET') town = await build(here);
    };
    town = await build(here);
    for (const [i, role] of roles.entries()) {
      await anew();
      const answer = await ask(town.person(role), route, pathIn(route, 'a'), 'a');
      expect([401, 404], `${role}: ${JSON.stringify(answer.body)}`).not.toContain(answer.status);
      expect(answer.status !== 403, `${role}: ${JSON.stringify(answer.body)}`).toBe(may[i] !== '-');
      await anew();
      const told = await ask(town.program(role), route, pathIn(route, 'a'), 'a');
      expect(told.status !== 403, `token of ${role}: ${JSON.stringify(told.body)}`).toBe(may[i] !== '-' && byToken === 't');
    }
    expect((await ask(here.browser(), route, pathIn(route, 'a'), 'a')).status).toBe(401);
    expect((await ask(here.program(`mst_${'x'.repeat(43)}`), route, pathIn(route, 'a'), 'a')).status).toBe(401);
  });
});
