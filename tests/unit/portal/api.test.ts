// The API as a whole: it describes itself, it asks nobody else for anything, and what changes is heard.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { parseClaim } from '../../../uplink/claim.ts';
import { askMac } from '../../../uplink/enrol.ts';
import { seedFrom, signerOf } from '../../../uplink/keys.ts';
import { ensureIdentity } from '../../../uplink/portal/identity.ts';
import { enrol } from '../../../uplink/portal/uplink/enrol.ts';
import type { AnswerOf, BodyOf, ParamsOf, QueryOf } from '../../../uplink/portal/api/client.ts';
import { routes } from '../../../uplink/portal/api/table.ts';
import { planOf } from '../../../uplink/agent/commands.ts';
import { memoryEngine } from '../../../storage/engines/memory.ts';
import { type House, house } from './house.ts';
import { bodyOf, build, headersOf, keyOf, pathIn, tenantRoutes } from './town.ts';

let here: House;
beforeEach(async () => {
  here = await house();
});

test('the OpenAPI document names each route once, with its shapes', async () => {
  const { body } = await here.browser().get('/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  const named = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(named.sort()).toEqual(routes.map(keyOf).sort());
  const operations = Object.values(body.paths as Record<string, Record<string, { operationId: string }>>).flatMap((methods) => Object.values(methods));
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length);
  const launch = body.paths['/organisations/{org}/sites/{site}/snapshots/{name}/launch'].post;
  expect(launch).toMatchObject({
    security: [{ session: [] }],
    description: expect.stringContaining('a token, whatever its role, gets 403: sign in as a person'),
  });
  const made = body.paths['/organisations/{org}/sites'].post;
  expect(made.requestBody.content['application/json'].schema).toMatchObject({ required: ['name'], additionalProperties: false });
  expect(made.responses['201'].content['application/json'].schema.properties.site.properties.state.enum).toContain('waiting');
  expect(made.parameters.map((row: { name: string }) => row.name)).toEqual(['org', 'Idempotency-Key']);
});

test('the types of a client are those of the rows', () => {
  const params: ParamsOf<'GET /organisations/{org}/sites/{site}'> = { org: 'a', site: 'b' };
  const body: BodyOf<'POST /organisations/{org}/sites'> = { name: 'x' };
  const query: QueryOf<'GET /organisations/{org}/sites'> = { limit: 1 };
  const look = (answer: AnswerOf<'GET /organisations/{org}/sites'>): string => answer.items[0]?.word ?? '';
  expect([params.site, body.name, query.limit, look({ items: [], next: null })]).toEqual(['b', 'x', 1, '']);
});

/** Everything by which this program could reach out. */
const outward = { fetch: globalThis.fetch };
const reached: string[] = [];
afterEach(() => {
  globalThis.fetch = outward.fetch;
});
test('U3: no route makes the portal connect to an address that somebody gave', async () => {
  const { portal, world } = here;
  Object.assign(world, {
    connect: async (to: { address: string }) => void reached.push(`connect ${to.address}`),
    exchange: async (to: { address: string }) => void reached.push(`exchange ${to.address}`),
  });
  const real = outward.fetch;
  globalThis.fetch = Object.assign(
    (input: string | URL | Request, init?: RequestInit) => {
      const url = String(input instanceof Request ? input.url : input);
      if (!url.startsWith(here.api)) reached.push(`fetch ${url}`);
      return real(input, init);
    },
    { preconnect: real.preconnect },
  );
  const inside = { host: '169.254.169.254', relay: '127.0.0.1' };
  for (const route of tenantRoutes) {
    if (route.raw === 'text/event-stream') continue;
    const town = await build(here);
    await town.person('owner').send(route.method, pathIn(route, 'a'), bodyOf(keyOf(route), 'a'), { headers: headersOf(route) });
  }
  const town = await build(here);
  const outbound = { relays: [{ for: '*', host: inside.relay, port: 8025 }] };
  const network = { resolvers: [inside.host] };
  const snapshots = { to: 's3://bucket/x', s3: { endpoint: `http://${inside.host}`, accessKeyId: 'x', secretAccessKey: 'y' } };
  const document = { schema: 1, host: 'mx.a.example', domains: [{ name: 'a.example' }], accounts: [], outbound, network, snapshots };
  const path = '/organisations/org-a/sites/site-a/document';
  const { rev } = (await town.person('owner').get(path)).body;
  expect((await town.person('owner').put(path, { document }, { headers: { 'If-Match': `"${rev}"` } })).status).toBe(200);
  expect(reached).toEqual([]);
  expect(portal.world).toBe(world);
  await portal.world.connect({ address: inside.host, port: 80 }, { timeoutMs: 1 }).catch(() => {});
  expect(reached).toEqual([`connect ${inside.host}`]); // it would have been seen
});

test('a change is heard by whoever watches, until they sign out', async () => {
  const { after } = here.world;
  Object.assign(here.world, { after: (ms: number, run: () => void) => after(ms === limits.apiStreamBeatMs ? 20 : ms, run) });
  const { client, org } = await here.owner();
  const { body } = await client.post(`/organisations/${org}/sites`, { name: 'Berlin' });
  const listen = async (path: string) => {
    const gone = new AbortController();
    const response = await fetch(`${here.api}${path}`, { headers: { Cookie: `mailsite=${client.cookie}` }, signal: gone.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    const until = async (what: string): Promise<void> => {
      while (!text.includes(what)) {
        const { done, value } = await reader.read();
        if (done === true) throw new Error(`ended: ${text}`);
        text += new TextDecoder().decode(value);
      }
    };
    return { until, gone, ended: () => expect(until('what never comes')).rejects.toThrow('ended') };
  };
  const all = await listen(`/organisations/${org}/stream`);
  const one = await listen(`/organisations/${org}/sites/${body.site.id}/stream`);
  await all.until(': alive');
  await client.post(`/organisations/${org}/sites/${body.site.id}/domains`, { name: 'example.org' });
  await one.until('event: document\ndata: {"rev":1}');
  await all.until('"wantedRev":1');
  one.gone.abort();
  for (let i = 1; i < limits.apiStreamsEach; i++) await listen(`/organisations/${org}/stream`);
  expect((await client.get(`/organisations/${org}/stream`)).status).toBe(429);
  await client.delete('/session');
  await all.ended();
});

test('what a site says now is asked of it, and of one that is away its last report is shown', async () => {
  const { client, org } = await here.owner();
  const { body } = await client.post(`/organisations/${org}/sites`, { name: 'Berlin' });
  const site = `/organisations/${org}/sites/${body.site.id}`;
  const put = (change: object) =>
    here.write(async (tx) => {
      const row = await tx.get('site', org, body.site.id);
      if (row !== undefined) tx.put('site', [org, body.site.id], { ...row, ...change });
    });
  expect((await client.get(`${site}/queue`)).status).toBe(409);
  await put({ state: 'active', online: true, since: here.world.time, seenAt: here.world.time, reported: '{}' });
  expect((await client.get(site)).body).toMatchObject({ state: 'online', word: 'No domain yet' }); // not: all well
  const reported = JSON.stringify({
    version: '1.2.3',
    host: 'mail.example.org',
    queue: { messages: 3, oldestAt: 5 },
    certificate: { notAfter: here.world.time + 3 * 86_400_000 },
    more: [1],
  });
  await put({ state: 'active', online: true, since: here.world.time, seenAt: here.world.time, reported });
  expect((await client.get(site)).body).toMatchObject({
    state: 'online',
    word: 'The certificate ends in 3 days',
    version: '1.2.3',
    queue: { messages: 3 },
    certificateDays: 3,
    lockedSince: null,
  });
  const end = here.portal.records.hear(`query/${body.site.id}`, (payload) => {
    const { query, name, args } = JSON.parse(payload);
    const answer = name === 'trace' ? { ok: false, value: 'no such thing' } : { ok: true, value: { name, args } };
    void here.portal.records.publish(`answer/${query}`, JSON.stringify(answer));
  });
  expect((await client.get(`${site}/queue?filter=x`)).body).toEqual({ queue: { name: 'queue.list', args: { filter: 'x' } } });
  expect((await client.get(`${site}/overview`)).body).toMatchObject({ live: true, facts: { name: 'overview' } });
  expect(await client.get(`${site}/trace?about=x@y.test`)).toMatchObject({ status: 422, body: { type: 'urn:mailsite:problem:site-refused' } });
  const told = await client.post(`${site}/queue/actions`, { action: 'hold', ids: [1, 2] });
  expect(told.status).toBe(202);
  expect((await client.get(`${site}/commands/${told.body.command}`)).body).toMatchObject({
    name: 'queue.hold',
    args: { ids: [1, 2] },
    state: 'waiting',
    by: 'olga@example.org',
  });
  await here.write(async (tx) => {
    const row = await tx.get('command', body.site.id, told.body.command);
    if (row !== undefined) tx.put('command', [body.site.id, told.body.command], { ...row, state: 'failed', value: 'there is no such message' });
  });
  expect((await client.get(`${site}/commands`)).body.items).toMatchObject([{ state: 'failed', value: 'there is no such message' }]);
  end();
  here.world.time += 91_000; // the session of the uplink has not said for so long that it lives
  expect((await client.get(site)).body).toMatchObject({ state: 'offline', word: expect.stringMatching(/^Not heard of since \d{4}-\d\d-\d\d \d\d:\d\d UTC$/) });
  expect((await client.get(site)).body.lockedSince).toBe(here.world.time - 91_000);
  expect((await client.get(`${site}/overview`)).body).toMatchObject({ live: false, facts: { version: '1.2.3' } });
  expect(await client.get(`${site}/queue`)).toMatchObject({ status: 503, body: { type: 'urn:mailsite:problem:site-offline' } });
  await put({
    wantedRev: 4,
    appliedRev: 3,
    appliedStatus: 'rejected',
    appliedErrors: [{ path: 'host', code: 'x', message: 'is not ours' }],
    seenAt: here.world.time,
  });
  expect((await client.get(site)).body).toMatchObject({ word: 'Rev 4 was not taken', because: 'Rev 4 was refused: host is not ours. The site runs rev 3.' });
  await client.delete(site);
  expect((await client.get(site)).body.state).toBe('decommissioned');
  expect((await client.post(`${site}/domains`, { name: 'x.test' })).status).toBe(409);
});

/** What a machine sends that takes a claim. */
function askOf(text: string, signPublic = signerOf(seedFrom(here.world.random)).publicKey) {
  const claim = parseClaim(text);
  const ask = { claim: claim?.claim ?? '', signPublic, wrapPublic: 'age1', nonce: seedFrom(here.world.random), version: '1' };
  return { ...ask, mac: askMac(claim?.secret ?? '', ask) };
}

test('of two machines that say they are one site, the one that takes a new claim is it', async () => {
  const { client, org } = await here.owner();
  const made = (await client.post(`/organisations/${org}/sites`, { name: 'Berlin' })).body;
  const site = `/organisations/${org}/sites/${made.site.id}`;
  await ensureIdentity(here.portal, () => {});
  const machine = signerOf(seedFrom(here.world.random)).publicKey;
  const takes = (text: string) => enrol(here.portal, askOf(text, machine));
  expect(await takes(made.claim.text)).toMatchObject({ ok: true, answer: { epoch: 1 } });
  expect((await client.post(`${site}/claims`)).status).toBe(409);
  await here.write(async (tx) => {
    const row = await tx.get('site', org, made.site.id);
    const known = row && (await tx.get('machine', made.site.id, row.machine));
    if (row === undefined || known === undefined) throw new Error('it enrolled');
    tx.put('site', [org, made.site.id], { ...row, state: 'quarantined' });
    tx.put('machine', [made.site.id, row.machine], { ...known, state: 'quarantined' });
  });
  expect((await client.get(site)).body).toMatchObject({ state: 'quarantined', word: 'Two machines say they are this site' });
  const again = await client.post(`${site}/claims`);
  expect(again.status).toBe(201);
  expect(await takes(again.body.claim.text)).toMatchObject({ ok: true, answer: { epoch: 2 } }); // its copy is of epoch 1
  expect((await client.get(site)).body.state).not.toBe('quarantined');
});

test('a claim is over when another machine has taken over since it was made', async () => {
  const { client, org } = await here.owner();
  const made = (await client.post(`/organisations/${org}/sites`, { name: 'Berlin' })).body;
  await ensureIdentity(here.portal, () => {});
  const epochs = async (state: 'active' | 'quarantined', more: number) =>
    here.write(async (tx) => {
      const row = await tx.get('site', org, made.site.id);
      if (row !== undefined) tx.put('site', [org, made.site.id], { ...row, state, epoch: row.epoch + more });
    });
  await epochs('quarantined', 1);
  const open = (await client.post(`/organisations/${org}/sites/${made.site.id}/claims`)).body.claim.text;
  await epochs('active', 1); // launched elsewhere
  expect(await enrol(here.portal, askOf(open))).toMatchObject({ ok: false, status: 403 });
  await epochs('active', -1);
  expect(await enrol(here.portal, askOf(open))).toMatchObject({ ok: true });
});

test('each command that a route gives is one that a site can do', async () => {
  const town = await build(here);
  const giving = tenantRoutes.filter(({ status }) => status === 202);
  for (const route of giving) {
    const answer = await town.person('owner').send(route.method, pathIn(route, 'a'), bodyOf(keyOf(route), 'a') ?? {}, { headers: headersOf(route) });
    expect(answer.status, keyOf(route)).toBe(202);
  }
  const given = (await here.portal.records.list('command', ['site-a'])).filter(({ body }) => body.state === 'waiting');
  expect(given).toHaveLength(giving.length);
  for (const { body } of given) {
    const plan = planOf(memoryEngine(), 0, body.name, JSON.parse(body.args));
    expect('failed' in plan ? plan.failed : '', body.name).not.toMatch(/this version does not know/);
  }
});
