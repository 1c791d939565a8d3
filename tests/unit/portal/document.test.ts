// A site's document through the API: D1 each edit is one rev and loses nobody's change; D2 who saw an older one is told what
// changed; D3 secrets stay inside; D4 what a site would refuse is refused here, with its paths.

import { beforeEach, expect, test } from 'vitest';
import { limits } from '../../../actors/limits.ts';
import { parseClaim } from '../../../uplink/claim.ts';
import { fingerprintWords } from '../../../uplink/keys.ts';
import { sweep } from '../../../uplink/portal/identity/sweep.ts';
import { ordered } from '../../../uplink/portal/kinds.ts';
import { type Client, type House, house, passphrase } from './house.ts';

let here: House;
let owner: Client;
let org: string;
let id: string;
let site: string;
beforeEach(async () => {
  here = await house();
  ({ client: owner, org } = await here.owner());
  const made = await owner.post(`/organisations/${org}/sites`, { name: 'Berlin' });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  expect(made.body.site).toMatchObject({ name: 'Berlin', state: 'waiting', word: 'Waiting for its machine', wantedRev: 0 });
  expect(parseClaim(made.body.claim.text)).toEqual({ portal: here.url, claim: made.body.claim.id, secret: expect.stringMatching(/^[\w-]{43}$/) });
  id = made.body.site.id;
  site = `/organisations/${org}/sites/${id}`;
});
const first = async (): Promise<void> => {
  await owner.post(`${site}/domains`, { name: 'Example.org' });
  await owner.post(`${site}/accounts`, { address: 'ann@example.org', name: 'Ann', password: passphrase });
};
const stored = async (rev: number) => JSON.parse((await here.portal.records.get('desired', id, ordered(rev)))?.signed ?? '{}').doc;

test('D1: a domain, an account and an alias are three revs', async () => {
  expect(await owner.post(`${site}/domains`, { name: 'Example.org' })).toMatchObject({ status: 201, body: { wantedRev: 1 } });
  const account = await owner.post(`${site}/accounts`, { address: 'ann@example.org', name: 'Ann', password: passphrase });
  expect(account).toMatchObject({ status: 201, body: { wantedRev: 2, password: null } });
  expect(await owner.post(`${site}/aliases`, { address: 'info@example.org', to: ['ann@example.org', 'else@where.test'] })).toMatchObject({
    body: { wantedRev: 3 },
  });
  expect((await owner.get(`${site}/domains`)).body.items).toEqual([
    { name: 'example.org', aliasOf: null, catchAll: null, subaddress: '+', accounts: 1, aliases: 1 },
  ]);
  expect((await owner.get(site)).body).toMatchObject({ host: 'mail.example.org', wantedRev: 3, domains: 1, accounts: 1 });
  expect((await owner.put(`${site}/domains/example.org`, { catchAll: 'ann@example.org' })).body).toEqual({ wantedRev: 4 });
  expect((await owner.put(`${site}/domains/example.org`, { catchAll: 'ann@example.org' })).body).toEqual({ wantedRev: 4 }); // nothing to change
  expect((await owner.put(`${site}/accounts/ann@example.org`, { quotaBytes: 1_000 })).body).toEqual({ wantedRev: 5 });
  expect((await owner.get(`${site}/accounts/ann%40example.org`)).body).toEqual({ address: 'ann@example.org', name: 'Ann', quotaBytes: 1_000, enabled: true });
  expect((await owner.put(`${site}/aliases/info@example.org`, { to: ['ann@example.org'] })).body).toEqual({ wantedRev: 6 });
  expect((await owner.delete(`${site}/aliases/info@example.org`)).body).toEqual({ wantedRev: 7 });
  expect((await owner.get(`${site}/document/revisions?limit=2`)).body).toMatchObject({
    items: [{ rev: 7, summary: 'alias info@example.org removed', by: 'olga@example.org' }, { rev: 6 }],
    next: '6',
  });
  expect((await owner.get(`${site}/document/revisions?after=6`)).body.items[0].rev).toBe(5);
  expect((await owner.get(`${site}/document/revisions/5`)).body.changed).toEqual([{ path: 'accounts/ann@example.org/quotaBytes', was: 0, now: 1_000 }]);
  expect((await owner.post(`${site}/document/rollback`, { rev: 4 })).body).toEqual({ wantedRev: 8 });
  expect((await owner.get(`${site}/accounts/ann@example.org`)).body.quotaBytes).toBe(0);
});

test('D1: of twenty edits at once none is lost', async () => {
  await first();
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => owner.post(`${site}/aliases`, { address: `a${i}@example.org`, to: ['ann@example.org'] })),
  );
  const done = many.filter(({ status }) => status === 201);
  expect(many.filter(({ status }) => status !== 201 && status !== 503)).toEqual([]);
  expect(done.length).toBeGreaterThan(10);
  expect((await owner.get(`${site}/aliases`)).body.items).toHaveLength(done.length);
  expect(new Set(done.map(({ body }) => body.wantedRev)).size).toBe(done.length);
});

test('D2: whoever saw an older rev is told which fields changed, and overwrites nothing', async () => {
  await first();
  const seen = await owner.get(`${site}/document`);
  expect(seen.headers.get('etag')).toBe('"2"');
  await owner.put(`${site}/accounts/ann@example.org`, { name: 'Anna' });
  await owner.post(`${site}/accounts/ann@example.org/password`, { generate: true });
  expect((await owner.put(`${site}/document`, seen.body.document === null ? {} : { document: seen.body.document })).status).toBe(428);
  const stale = await owner.put(`${site}/document`, { document: seen.body.document }, { headers: { 'If-Match': '"2"' } });
  expect(stale.status).toBe(412);
  expect(stale.body).toMatchObject({
    wantedRev: 4,
    changed: [
      { path: 'accounts/ann@example.org/name', was: 'Ann', now: 'Anna', by: 'olga@example.org' },
      { path: 'accounts/ann@example.org/password', was: '(hidden)', now: '(hidden)' },
    ],
  });
  expect(stale.body.detail).toContain('accounts/ann@example.org/name');
  expect((await owner.put(`${site}/accounts/ann@example.org`, { name: 'A' }, { headers: { 'If-Match': '"3"' } })).status).toBe(412);
  expect((await owner.put(`${site}/accounts/ann@example.org`, { name: 'A' }, { headers: { 'If-Match': '"4"' } })).status).toBe(200);
  const one = await owner.get(`${site}/accounts/ann@example.org`);
  expect(one.body.name).toBe('A');
  await owner.post(`${site}/aliases`, { address: 'info@example.org', to: ['ann@example.org'] });
  expect(
    [one, await owner.get(`${site}/aliases/info@example.org`), await owner.get(`${site}/domains/example.org`)].map(({ headers }) => headers.get('etag')),
  ).toEqual(['"5"', '"6"', '"6"']);
});

test('D3: no password leaves the portal, and one that reads as empty stays as it is', async () => {
  await first();
  const relays = { relays: [{ for: '*', host: 'smtp.example.net', user: 'u', password: 'the relay secret' }] };
  const { body } = await owner.get(`${site}/document`);
  expect(body.document.accounts[0].password).toBe('');
  const changed = { ...body.document, outbound: relays };
  expect((await owner.put(`${site}/document`, { document: changed }, { headers: { 'If-Match': '"2"' } })).body).toEqual({ wantedRev: 3 });
  const before = await stored(3);
  expect(before.accounts[0].password).toMatch(/^\$argon2id\$/);
  const shown = await owner.get(`${site}/document`);
  const paths = [
    `${site}/document`,
    `${site}/document/revisions`,
    `${site}/document/revisions/3`,
    `${site}/accounts`,
    `${site}/accounts/ann@example.org`,
    site,
  ];
  for (const path of [...paths, `/organisations/${org}/audit`, `/organisations/${org}/audit/export`]) {
    const text = JSON.stringify((await owner.get(path)).body);
    expect(text, path).not.toMatch(/argon2|the relay secret|horse/);
  }
  expect(
    (await owner.put(`${site}/document`, { document: { ...shown.body.document, host: 'mx.example.org' } }, { headers: { 'If-Match': '"3"' } })).body,
  ).toEqual({ wantedRev: 4 });
  expect(await stored(4)).toEqual({ ...before, host: 'mx.example.org' });
  // but it is not handed on to another host
  const moved = { ...shown.body.document, outbound: { relays: [{ for: '*', host: 'smtp.evil.test', user: 'u', password: '' }] } };
  expect((await owner.put(`${site}/document`, { document: moved }, { headers: { 'If-Match': '"4"' } })).body.errors).toEqual([
    { path: 'outbound.relays[0].password', message: 'is required with a user' },
  ]);
});

test('D4: a body that has none of its forms is told what it lacks', async () => {
  await first();
  const at = `${site}/accounts/ann@example.org/password`;
  expect((await owner.post(at, {})).body.errors).toEqual([{ path: 'body', message: 'needs password, or generate' }]);
  expect((await owner.post(at, { generate: false })).body.errors[0].message).not.toContain('Invalid');
});

test('D3: what is given in clear is hashed, what is generated is shown once', async () => {
  await first();
  const { body } = await owner.post(`${site}/accounts`, { address: 'bob@example.org' });
  expect(body.password).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
  const { document } = (await owner.get(`${site}/document`)).body;
  document.accounts.push({ address: 'cyd@example.org', password: { plain: passphrase } });
  await owner.put(`${site}/document`, { document }, { headers: { 'If-Match': '"3"' } });
  const { accounts } = await stored(4);
  expect(accounts.map((row: { password: string }) => row.password.slice(0, 10))).toEqual(['$argon2id$', '$argon2id$', '$argon2id$']);
  expect(await Bun.password.verify(passphrase, accounts[2].password)).toBe(true);
  expect(await Bun.password.verify(body.password, accounts[1].password)).toBe(true);
});

test('D4: what a site would refuse is refused here, and nothing is changed', async () => {
  expect((await owner.post(`${site}/accounts`, { address: 'ann@example.org' })).body).toMatchObject({
    status: 422,
    errors: [{ path: 'host' }, { path: 'domains', message: 'must declare at least one domain' }],
  });
  await first();
  const refused = await owner.post(`${site}/aliases`, { address: 'info@example.org', to: ['nobody@example.org'] });
  expect(refused.body.errors).toEqual([{ path: 'aliases[0].to[0]', message: 'nobody@example.org is neither an account nor an alias of this document' }]);
  expect((await owner.delete(`${site}/domains/example.org`)).status).toBe(422);
  expect((await owner.post(`${site}/accounts`, { address: 'ann@example.org' })).status).toBe(409);
  expect((await owner.post(`${site}/accounts`, { address: 'new@example.org', password: 'short' })).status).toBe(422);
  const large = {
    schema: 1,
    host: 'mx.example.org',
    domains: [{ name: 'example.org' }],
    accounts: [],
    aliases: [{ address: 'x@example.org', to: Array.from({ length: 1_000 }, (_, i) => `${i}${'x'.repeat(60)}@example.net`) }],
  };
  const larger = { ...large, aliases: Array.from({ length: 14 }, (_, i) => ({ ...large.aliases[0], address: `x${i}@example.org` })) };
  expect(
    (await owner.put(`${site}/document`, undefined, { raw: `"${'x'.repeat(limits.document + limits.apiBody)}"`, headers: { 'If-Match': '"2"' } })).status,
  ).toBe(413);
  expect((await owner.get(site)).body.wantedRev).toBe(2);
  // what a site takes, its portal takes, and more edits after it
  expect((await owner.put(`${site}/document`, { document: larger }, { headers: { 'If-Match': '"2"' } })).status).toBe(200);
  expect((await owner.post(`${site}/accounts`, { address: 'bob@example.org', name: 'Bob', password: passphrase })).body).toMatchObject({ wantedRev: 4 });
});

test('a domain admin sees and changes what is in its domains, and nothing else is there', async () => {
  await first();
  await owner.post(`${site}/domains`, { name: 'other.org' });
  await owner.post(`${site}/accounts`, { address: 'zoe@other.org' });
  const { client: admin } = await here.member(owner, org, 'domain admin', 'dora@example.net', ['other.org']);
  expect((await admin.get(`${site}/domains`)).body.items.map((row: { name: string }) => row.name)).toEqual(['other.org']);
  expect((await admin.get(`${site}/accounts`)).body.items.map((row: { address: string }) => row.address)).toEqual(['zoe@other.org']);
  for (const path of ['/domains/example.org', '/accounts/ann@example.org', '/domains/example.org/dns'])
    expect((await admin.get(`${site}${path}`)).status, path).toBe(404);
  expect((await admin.put(`${site}/accounts/ann@example.org`, { name: 'x' })).status).toBe(404);
  expect((await admin.delete(`${site}/accounts/ann@example.org`)).status).toBe(404);
  expect((await admin.post(`${site}/accounts/ann@example.org/password`, { generate: true })).status).toBe(404);
  expect((await admin.post(`${site}/accounts`, { address: 'new@example.org' })).status).toBe(403);
  expect((await admin.get(`${site}/trace?about=ann@example.org`)).status).toBe(422);
  expect((await admin.get(`${site}/trace?about=${encodeURIComponent('<1@example.org>')}`)).status).toBe(422);
  expect((await admin.post(`${site}/accounts`, { address: 'new@other.org' })).status).toBe(201);
});

test('a repeated request with one key is done once, also when both come at once', async () => {
  await first();
  const send = (key: string, body: unknown) => owner.post(`${site}/aliases`, body, { headers: { 'Idempotency-Key': key } });
  const body = { address: 'info@example.org', to: ['ann@example.org'] };
  // both look before either writes
  const { records } = here.portal as { records: { get: House['portal']['records']['get'] } };
  const real = records.get;
  const looked: (() => void)[] = [];
  records.get = async (kind, ...at) => {
    const found = await real(kind, ...at);
    if (kind === 'idempotency' && looked.length < 2) {
      await new Promise<void>((go) => {
        looked.push(go);
        if (looked.length === 2) for (const one of looked) one();
      });
    }
    return found;
  };
  const both = await Promise.all([send('one', body), send('one', body)]);
  records.get = real;
  expect(looked).toHaveLength(2);
  expect(both.map(({ status, body: answer }) => [status, answer])).toEqual([
    [201, { wantedRev: 3 }],
    [201, { wantedRev: 3 }],
  ]);
  const again = await send('one', body);
  expect(again).toMatchObject({ status: 201, body: { wantedRev: 3 } });
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect((await send('one', { ...body, address: 'more@example.org' })).status).toBe(422);
  expect((await send('two', body)).status).toBe(409);
  expect((await owner.get(site)).body.wantedRev).toBe(3);
  const secret = () => owner.post(`/organisations/${org}/tokens`, { name: 'x', role: 'read-only' }, { headers: { 'Idempotency-Key': 'three' } });
  const { body: made } = await secret();
  expect((await secret()).status).toBe(409);
  expect(JSON.stringify(await here.portal.records.list('idempotency', []))).not.toContain(made.token);
});

test('a machine that shows a code is looked at before it is taken in, and turned away when it is nobody’s', async () => {
  const at = `/organisations/${org}/devices/bcdf-ghjk`;
  const asked = here.world.now();
  const row = { signPublic: 'A'.repeat(43), wrapPublic: 'age1', secret: '', claim: '', address: '203.0.113.9', createdAt: asked, expiresAt: asked + 1_000 };
  const show = () => here.write(async (tx) => tx.put('device', ['BCDF-GHJK'], { ...row, host: 'attic', version: '0.1.0' }));
  expect((await owner.get(at)).status).toBe(404);
  await show();
  const about = { host: 'attic', version: '0.1.0', address: '203.0.113.9', askedAt: asked, expiresAt: asked + 1_000 };
  const words = fingerprintWords(row.signPublic, row.wrapPublic);
  expect(await owner.get(at)).toMatchObject({ status: 200, body: { code: 'BCDF-GHJK', ...about, words } });
  expect((await owner.delete(at)).status).toBe(204);
  expect([(await owner.get(at)).status, (await owner.delete(at)).status, await here.count('device')]).toEqual([404, 404, 0]);
  expect((await owner.post(`/organisations/${org}/devices`, { code: 'BCDF-GHJK', name: 'Attic' })).status).toBe(422);
  expect((await owner.get(`/organisations/${org}/audit`)).body.items[0]).toMatchObject({ action: 'site.turnaway', target: 'BCDF-GHJK', detail: '203.0.113.9' });
  await show();
  here.world.time += 1_000;
  expect((await owner.get(at)).status).toBe(404);
});

test('a claim is for one day; a new one ends those before; a code of a machine is taken once', async () => {
  const claims = async () => (await here.portal.records.list('claim', [org])).map(({ id: at }) => at[1]);
  const before = await claims();
  const { body } = await owner.post(`${site}/claims`);
  expect(await claims()).toEqual([body.claim.id]);
  await sweep(here.portal);
  expect(await claims()).toEqual([body.claim.id]);
  expect(before).not.toContain(body.claim.id);
  expect(body.claim.expiresAt).toBe(here.world.time + limits.claimMs);
  const device = { signPublic: '', wrapPublic: '', secret: '', claim: '', address: '192.0.2.1', createdAt: 0, expiresAt: here.world.time + 1_000 };
  await here.write(async (tx) => tx.put('device', ['KTRW-9MXH'], device));
  const taken = await owner.post(`/organisations/${org}/devices`, { code: 'ktrw9mxh', name: 'Paris' });
  expect(taken).toMatchObject({ status: 201, body: { address: '192.0.2.1', site: { name: 'Paris', state: 'waiting' } } });
  expect(parseClaim((await here.portal.records.get('device', 'KTRW-9MXH'))?.claim ?? '')).not.toBeNull();
  expect((await owner.post(`/organisations/${org}/devices`, { code: 'KTRW-9MXH', name: 'Rome' })).status).toBe(422);
  expect((await owner.get(`/organisations/${org}/devices/KTRW-9MXH`)).status).toBe(404);
  expect((await owner.delete(site)).status).toBe(204);
  expect((await owner.get(site)).status).toBe(404);
  here.world.time += limits.claimMs;
  await sweep(here.portal);
  expect([await claims(), await here.count('claimOf'), await here.count('device')]).toEqual([[], 0, 0]);
});
